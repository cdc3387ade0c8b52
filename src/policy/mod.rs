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
mod error;
mod eval;
mod file;
mod life;

pub use component::{
    CaseCost, CaseReport, CaseResult, CheckReport, Gated, Loader, Module, RESULTS_FILE, Setting, SettingKind,
    difference, inspect,
};
pub use error::PolicyError;
pub use eval::{Combined, Limits, MAX_FUEL, Policy, PolicySet, what_if};
pub use file::{
    BUILTIN_PREFIX, BUILTINS, Builtin, PolicyEntry, SetEditor, builtin, is_policy_name, listed, parse_set,
    read_set, resolve, settings_digest,
};
pub use life::{
    HostConfig, LATENCY_BOUNDS, PolicyCounts, PolicyHost, PolicyMetrics, PolicyStatus, Quarantine, SetStatus,
    Source, State, find_module, named_digest, roll_back,
};

#[cfg(test)]
mod tests;
