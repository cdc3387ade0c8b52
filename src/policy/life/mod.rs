//! The life of the policy set in a process: loaded by a thread, swapped as one value, watched, rolled back.

pub(in crate::policy) mod current;
pub mod host;
pub(in crate::policy) mod load;
pub mod monitor;
pub(in crate::policy) mod state;
pub(in crate::policy) mod watch;
pub(in crate::policy) mod worker;
/// What `current` is built on here.
mod sync {
    pub(super) use std::sync::Arc;
    pub(super) use std::time::Instant;

    pub(super) use parking_lot::{Condvar, Mutex};
}
