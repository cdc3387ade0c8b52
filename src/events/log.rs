//! Watching the whole log: what a person's page waits for. Must not depend on what is shown.

use std::sync::Arc;

use tokio::sync::watch as signal;

use super::{Hub, Inner, blocking};
use crate::storage::Result;

/// The numbers of the newest event and the newest decision: a call that changed nothing leaves no event.
pub(super) type LogPosition = (i64, i64);

/// A place among those who watch the whole log.
pub struct LogWatch {
    inner: Arc<Inner>,
    receiver: signal::Receiver<LogPosition>,
}

impl Hub {
    /// Watches the whole log. What is committed from now on, by whichever process, wakes the watch; what was committed
    /// before it must be looked for after this.
    #[must_use]
    pub fn watch_log(&self) -> LogWatch {
        let mut waiters = self.inner.waiters.lock();
        let first = waiters.is_empty();
        waiters.watching += 1;
        let receiver = self.inner.log.subscribe();
        drop(waiters);
        if first {
            self.inner.changed.notify_one();
        }
        LogWatch { inner: Arc::clone(&self.inner), receiver }
    }
}

impl Hub {
    /// Changes when a session of a person begins or ends, or a person is invited or removed; it has, when a [`LogWatch`] tells of
    /// the commit that did so.
    #[must_use]
    pub fn persons(&self) -> u64 {
        self.inner.persons.load(std::sync::atomic::Ordering::Acquire)
    }
}

impl LogWatch {
    /// Waits until something was committed. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The hub is gone: the process is ending, and there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        let mut waiters = self.inner.waiters.lock();
        waiters.watching -= 1;
        let last = waiters.is_empty();
        drop(waiters);
        if last {
            self.inner.changed.notify_one();
        }
    }
}

/// Tells those who watch the whole log how far it goes now; true if it has moved. One look at two index ends, and none while
/// nobody watches.
pub(super) async fn advance(inner: &Inner) -> Result<bool> {
    if inner.waiters.lock().watching == 0 {
        return Ok(false);
    }
    let db = inner.db.clone();
    let position = blocking(move || db.read(|tx| tx.facts_version())).await?;
    Ok(inner.log.send_if_modified(|known| {
        let moved = *known != position;
        *known = position;
        moved
    }))
}
