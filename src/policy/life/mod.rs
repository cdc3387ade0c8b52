//! The life of the policy set in a process: loaded by a thread, swapped as one value, watched, rolled back.

mod current;
mod host;
mod load;
mod monitor;
mod state;
mod watch;
mod worker;

/// What `current` is built on here.
mod sync {
    pub(super) use std::sync::Arc;
    pub(super) use std::time::Instant;

    pub(super) use parking_lot::{Condvar, Mutex};
}

pub use host::{HostConfig, PolicyHost, PolicyMetrics, SetStatus, Source};
pub use load::{PolicyStatus, find_module, named_digest, roll_back};
pub use monitor::{LATENCY_BOUNDS, PolicyCounts};
pub use state::{Quarantine, State};

pub(super) use monitor::{Counters, Monitor};
