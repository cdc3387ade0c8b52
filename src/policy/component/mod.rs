//! From the bytes of a module to one that can be asked: checked, configured, compiled or taken from the cache, its cases run.

pub(in crate::policy) mod bench;
pub(in crate::policy) mod cache;
pub mod cases;
pub mod gate;
pub(in crate::policy) mod module;
pub(in crate::policy) mod workbench;
