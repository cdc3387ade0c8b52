//! `policy-set.toml` and the built-in policies that it refers to.

mod builtin;
mod set_edit;
mod set_file;
mod settings;

pub use builtin::{BUILTIN_PREFIX, BUILTINS, Builtin, builtin};
pub use set_edit::SetEditor;
pub use set_file::{PolicyEntry, is_policy_name, listed, parse_set, read_set, resolve};
pub use settings::settings_digest;

pub(super) use set_file::SET_FILE;
pub(super) use settings::canonical_json;
