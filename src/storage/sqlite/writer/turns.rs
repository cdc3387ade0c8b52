//! A fair queue for writers of all processes that share a database: a file lock that the kernel hands to the next waiter at
//! once and in order. With SQLite's own busy handler, waiters sleep for up to 100 ms and try again, so that many processes
//! mostly sleep. An optimisation only: SQLite's lock guarantees exclusion; without flock support this is skipped. Must not
//! depend on what is written.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use crate::os::{self, Private};
use crate::storage::error::{Error, Result};
use crate::storage::sqlite::open;

/// This process' access to the queue.
pub(crate) struct Turns {
    file: Arc<File>,
    /// A turn is asked for with where to tell that it has come.
    asked: Sender<SyncSender<()>>,
    timeout: Duration,
}

/// While this lives, it is our turn.
pub(super) struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It fails only for what is no lock.
        let _ = self.0.unlock();
    }
}

impl Turns {
    /// The queue for `database`; a caller that waits longer than `timeout` gets [`Error::Busy`].
    pub(crate) fn open(database: &Path, timeout: Duration) -> std::io::Result<Self> {
        // Of its own: SQLite's locks on its files would go with ours.
        let path = open::with_suffix(database, "-turn");
        let file = Arc::new(os::open_private(&path, Private::Keep)?);
        let (asked, asking) = channel();
        let of_thread = Arc::clone(&file);
        std::thread::Builder::new()
            .name("storage-turns".into())
            .spawn(move || queue_up(&of_thread, &asking))?;
        Ok(Self { file, asked, timeout })
    }

    /// Waits for our turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when it has not come in time.
    pub(super) fn take(&self) -> Result<Turn<'_>> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(Turn(&self.file)),
        }
        // flock has no timeout, so a thread waits for the lock. A rendezvous channel: if the caller has timed out, the send
        // fails and the lock is released.
        let (come, has_come) = sync_channel(0);
        if self.asked.send(come).is_err() {
            return Ok(Turn(&self.file));
        }
        match has_come.recv_timeout(self.timeout) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(Turn(&self.file)),
            Err(RecvTimeoutError::Timeout) => Err(Error::Busy),
        }
    }
}

/// The waiting thread. It ends when the sender is dropped.
fn queue_up(file: &File, asking: &Receiver<SyncSender<()>>) {
    for come in asking {
        let locked = file.lock();
        if come.send(()).is_err() && locked.is_ok() {
            // Should another of our threads hold it by now, its turn ends early, which SQLite's lock sees to.
            let _ = file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(dir: &Path, timeout: Duration) -> Turns {
        Turns::open(&dir.join("t.db"), timeout).unwrap()
    }

    #[test]
    fn a_turn_comes_when_the_one_before_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| turns(dir.path(), Duration::from_mins(1)));
        let first = one.take().unwrap();
        std::thread::scope(|scope| {
            let (begun, has_begun) = channel();
            let waiting = scope.spawn(move || {
                begun.send(()).unwrap();
                drop(other.take().unwrap());
            });
            has_begun.recv().unwrap();
            assert!(!waiting.is_finished());
            drop(first);
            waiting.join().unwrap();
        });
        drop(one.take().unwrap());
    }

    #[test]
    fn a_timed_out_waiter_leaves_the_queue() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [60_000, 1].map(|millis| turns(dir.path(), Duration::from_millis(millis)));
        let held = one.take().unwrap();
        assert!(matches!(other.take(), Err(Error::Busy)));
        drop(held);
        // Its thread gets the lock, finds the receiver gone, and releases it.
        drop(one.take().unwrap());
        drop(other.take().unwrap());
        drop(one.take().unwrap());
    }
}
