//! How a process learns of commits, its own and those of other processes.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// A sign that something was or is about to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// This process has committed.
    Committed,
    /// Some process writes; its commit follows after an fsync.
    Written,
}

/// Tells of commits for as long as it lives.
pub struct Changes {
    pub(super) commits: watch::Receiver<u64>,
    /// Notified when another process writes.
    pub(super) others: Arc<Notify>,
    /// What notifies it; `None` where the operating system gives no watch.
    pub(super) watch: Option<Box<dyn Any + Send + Sync>>,
}

impl Changes {
    /// The next sign. Cancel-safe; several commits may give one sign.
    pub async fn next(&mut self) -> Sign {
        tokio::select! {
            Ok(()) = self.commits.changed() => Sign::Committed,
            () = self.others.notified() => Sign::Written,
        }
    }

    /// The next write by any process. Cancel-safe.
    pub async fn written(&self) {
        self.others.notified().await;
    }

    /// False where other processes' commits give no sign: the caller polls.
    #[must_use]
    pub const fn sees_others(&self) -> bool {
        self.watch.is_some()
    }
}
