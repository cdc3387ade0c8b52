//! Policies: all WebAssembly code. WebAssembly components decide what agents may do and which messages a
//! person must see; this module finds them, checks them, runs them and combines what they say.
//!
//! How a module comes into force: `file` (which, under what name) → `component::gate` (a look at the bytes) →
//! `component::workbench` (configured, its cases run, snapshotted) → `component::module` (compiled, or from the cache) →
//! `eval::set` (one immutable value) → `life` (swapped in, kept or rolled back by a thread). How a question is answered:
//! `eval::set` → `eval::instance` (fresh, under limits, in the pool of `eval::engine`) → `eval::combine`.
//!
//! Deliberately absent: policy logic in the host, host functions for guests, locks held during an evaluation, and an error
//! path in [`PolicySet::authorize`]: whatever fails is an answer that is recorded.
//!
//! May use `domain` and the SDK's case types. Never `storage`, `tools`, `mcp`.

mod component;
pub mod error;
mod eval;
mod file;
mod life;

pub use component::bench::CaseCost;
pub use component::module::{CheckReport, Loader, Module};
pub use component::{cases, gate};
pub use error::PolicyError;
pub use eval::limits::Limits;
pub use eval::set::{Policy, PolicySet};
pub use eval::{combine, limits};
pub use file::{builtin, set_file, settings};
pub use life::host::{HostConfig, PolicyHost, PolicyMetrics, SetStatus, Source};
pub use life::load::{PolicyStatus, find_module, named_digest, roll_back};
pub use life::state::{Quarantine, State};
pub use life::{host, monitor};

#[cfg(test)]
mod tests;
