//! `policy-set.toml` and the built-in policies that it refers to.

pub mod builtin;
pub(in crate::policy) mod set_edit;
pub mod set_file;
pub mod settings;
