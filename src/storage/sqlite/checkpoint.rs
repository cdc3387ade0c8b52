//! Moves what the write-ahead log holds into the database beside the calls, so that none of them waits for it,
//! and keeps the log bounded. Must not depend on what is written.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::file::OpenFile;
use super::open;
use crate::storage::OpenOptions;
use crate::storage::error::{Error, Result};

/// Pages in the WAL at which the thread starts to checkpoint, beside the writers (8 MiB). A page that is written again and
/// again is moved once, so later is cheaper.
const BEGIN: c_int = 2_000;
/// Pages in the WAL at which the committing thread checkpoints too (16 MiB): the WAL restarts only when all of it has been
/// checkpointed, and continuous writers are always a little ahead of the checkpoint thread.
const HELP: c_int = 4_000;
/// Pages in the WAL at which a committing thread waits for the checkpoint first (32 MiB): backpressure, because writers are
/// faster than the checkpoint.
const WAIT: c_int = 8_000;

/// The thread that does it. To be dropped when the connection it looks after is closed: of two that are closed at
/// once, SQLite takes neither for the last, which is to clear the log away.
pub(super) struct Checkpointer {
    /// Gone when the thread is to end.
    orders: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Has the commits of `connection` looked after.
    pub(super) fn start(
        connection: &mut Connection,
        file: Arc<OpenFile>,
        options: OpenOptions,
    ) -> Result<Self> {
        // One order at most waits: it is for all that is in the log by then.
        let (orders, received) = sync_channel(1);
        let at_work = Arc::new(Mutex::new(()));
        let of_thread = Arc::clone(&at_work);
        let thread = std::thread::Builder::new()
            .name("storage-checkpoint".into())
            .spawn(move || work(&received, &of_thread, || open::reader(&file, options)))
            .map_err(|error| Error::Fault(error.to_string()))?;
        connection.wal_hook(Some(after_commit(orders.clone(), at_work)))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, there is nothing to be done about it here.
            let _ = thread.join();
        }
    }
}

fn after_commit(
    orders: SyncSender<()>,
    at_work: Arc<Mutex<()>>,
) -> impl FnMut(&mut Wal, c_int) -> rusqlite::Result<()> + Send {
    move |log, pages| {
        let free = match pages {
            WAIT.. => Some(at_work.lock()),
            HELP.. => at_work.try_lock(),
            _ => None,
        };
        if free.is_some() {
            // The commit stands whatever comes of this; another process may be at it.
            if let Err(error) = log.checkpoint() {
                tracing::debug!(%error, "no checkpoint now");
            }
        } else if pages >= BEGIN {
            // Full: it is ordered already.
            let _ = orders.try_send(());
        }
        Ok(())
    }
}

/// The thread. Opens a connection when there is something to do for the first time: most processes never do.
fn work(orders: &Receiver<()>, at_work: &Mutex<()>, open: impl Fn() -> Result<Connection>) {
    let mut connection = None;
    while orders.recv().is_ok() {
        let _at_work = at_work.lock();
        let done = match &mut connection {
            Some(connection) => move_log(connection),
            none => open().and_then(|opened| move_log(none.insert(opened))),
        };
        if let Err(error) = done {
            tracing::debug!(%error, "no checkpoint now");
        }
    }
}

/// Checkpoints the pages that no reader needs in the WAL; neither waits for readers and writers nor blocks them.
fn move_log(connection: &Connection) -> Result<()> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::storage::Durability;

    /// Bytes of a page in the log, its frame included.
    const FRAME: u64 = 4_096 + 24;

    fn looked_after() -> (tempfile::TempDir, PathBuf, Checkpointer, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let mut connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE t (b BLOB)")
            .unwrap();
        let options = OpenOptions { durability: Durability::Normal, ..OpenOptions::default() };
        let checkpointer = Checkpointer::start(
            &mut connection,
            Arc::new(OpenFile::register(&path, || Ok(())).unwrap()),
            options,
        )
        .unwrap();
        // Dropped from the last to the first.
        (dir, path, checkpointer, connection)
    }

    /// Commits so many pages, ten at a time.
    fn put(connection: &Connection, pages: c_int) {
        for _ in 0..pages / 10 {
            connection.execute("INSERT INTO t VALUES (zeroblob(10 * 4000))", []).unwrap();
        }
    }

    fn length(file: &std::path::Path) -> u64 {
        std::fs::metadata(file).unwrap().len()
    }

    #[test]
    fn a_log_that_has_grown_is_moved_while_nobody_writes() {
        let (_dir, path, _checkpointer, connection) = looked_after();
        put(&connection, BEGIN / 2);
        let before = length(&path);
        put(&connection, BEGIN);
        let deadline = Instant::now() + Duration::from_mins(1);
        while length(&path) < before + u64::try_from(BEGIN).unwrap() * 4_096 {
            assert!(Instant::now() < deadline, "{} bytes", length(&path));
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_log_is_bounded_however_fast_they_write() {
        let (_dir, path, _checkpointer, connection) = looked_after();
        put(&connection, 5 * WAIT);
        let bound = u64::try_from(WAIT + 100).unwrap() * FRAME;
        assert!(
            length(&open::with_suffix(&path, "-wal")) < bound,
            "{} bytes of log",
            length(&open::with_suffix(&path, "-wal"))
        );
        assert!(length(&path) > bound);
    }
}
