//! Policies: all WebAssembly code. WebAssembly components decide what agents may do and which messages a
//! person must see; this module finds them, checks them, runs them and combines what they say.
//!
//! The way of a module: `set_file` (which, under what name) → `gate` (a look at the bytes) → `workbench` (configured, its
//! cases run, snapshotted) → `module` (compiled, or from the `cache`) → `set` (one immutable value) → `host` (swapped in, kept, rolled
//! back, by the thread of `worker`). The way of a question: `set` → `instance` (fresh, under `limits`, in the pool of `engine`) → `combine`.
//!
//! Deliberately absent: policy logic in the host, host functions for guests, locks held during an evaluation, and an error
//! path in [`PolicySet::authorize`]: whatever fails is an answer that is recorded.
//!
//! May use `domain` and the SDK's case types. Never `storage`, `tools`, `mcp`.

mod bench;
pub mod builtin;
mod cache;
pub mod cases;
pub mod combine;
mod current;
mod engine;
pub mod error;
pub mod gate;
pub mod host;
mod instance;
pub mod limits;
mod load;
mod module;
pub mod monitor;
mod set;
mod set_edit;
pub mod set_file;
pub mod settings;
mod state;
/// What `current` is built on here.
mod sync {
    pub(super) use std::sync::Arc;
    pub(super) use std::time::Instant;

    pub(super) use parking_lot::{Condvar, Mutex};
}
mod ticker;
mod watch;
mod wire;
mod workbench;
mod worker;

pub use bench::CaseCost;
pub use error::PolicyError;
pub use host::{HostConfig, PolicyHost, PolicyMetrics, SetStatus, Source};
pub use limits::Limits;
pub use load::{PolicyStatus, find_module, named_digest, roll_back};
pub use module::{CheckReport, Loader, Module};
pub use set::{Manifest, Policy, PolicySet};
pub use state::{Quarantine, State};

#[cfg(test)]
mod tests;
