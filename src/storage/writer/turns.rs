//! Whose turn it is to write, among the processes that share a database: a lock that the kernel hands from one to
//! the next at once and in order. SQLite alone has those who wait sleep for up to 100 ms and try again, so that a
//! swarm of processes mostly sleeps. A courtesy: what keeps two writers apart is SQLite's own lock, and where there
//! is no such lock as this one, they do without. Knows nothing of what is written.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use super::super::error::{Error, Result};
use super::super::open;

/// One process' place in the line.
pub(in crate::storage) struct Turns {
    file: Arc<File>,
    /// A turn is asked for with where to tell that it has come.
    asked: Sender<SyncSender<()>>,
    patience: Duration,
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
    /// The line before `database`; whoever waits in it longer than `patience` is told that it is busy.
    pub(in crate::storage) fn open(database: &Path, patience: Duration) -> std::io::Result<Self> {
        // Of its own: SQLite's locks on its files would go with ours.
        let path = open::with_suffix(database, "-turn");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let file = Arc::new(file);
        let (asked, asking) = channel();
        let of_thread = Arc::clone(&file);
        std::thread::Builder::new()
            .name("storage-turns".into())
            .spawn(move || queue_up(&of_thread, &asking))?;
        Ok(Self { file, asked, patience })
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
        // Nothing waits for such a lock with a deadline, so a thread waits for us. It hands the lock over in person: to
        // one who has gone, it does not.
        let (come, has_come) = sync_channel(0);
        if self.asked.send(come).is_err() {
            return Ok(Turn(&self.file));
        }
        match has_come.recv_timeout(self.patience) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(Turn(&self.file)),
            Err(RecvTimeoutError::Timeout) => Err(Error::Busy),
        }
    }
}

/// The thread. It ends with the one who asks.
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

    fn turns(dir: &Path, patience: Duration) -> Turns {
        Turns::open(&dir.join("t.db"), patience).unwrap()
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
    fn whose_turn_does_not_come_is_told_and_leaves_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [60_000, 1].map(|millis| turns(dir.path(), Duration::from_millis(millis)));
        let held = one.take().unwrap();
        assert!(matches!(other.take(), Err(Error::Busy)));
        drop(held);
        // Its thread gets the lock, finds nobody there, and gives it back.
        drop(one.take().unwrap());
        drop(other.take().unwrap());
        drop(one.take().unwrap());
    }
}
