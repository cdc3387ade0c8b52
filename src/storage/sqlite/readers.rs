//! The readers: a few connections that are opened when first needed and then kept.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::file::OpenFile;
use super::open;
use crate::storage::OpenOptions;
use crate::storage::error::{Error, Result};
use crate::storage::tx::ReadTx;

/// Most reader connections of one process: twice the cores of a small machine; a reader holds its
/// connection for microseconds.
const MAX_READERS: usize = 4;

pub(super) struct Readers {
    options: OpenOptions,
    pool: Mutex<Pool>,
    returned: Condvar,
    file: Arc<OpenFile>,
}

struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

impl Readers {
    pub(super) const fn new(options: OpenOptions, file: Arc<OpenFile>) -> Self {
        let pool = Mutex::new(Pool { idle: Vec::new(), open: 0 });
        Self { options, pool, returned: Condvar::new(), file }
    }

    pub(super) fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let mut reader = self.take();
        let connection = match &mut reader.connection {
            Some(connection) => connection,
            none => none.insert(open::reader(&self.file, self.options)?),
        };
        consistent(connection, &self.file, job)
    }

    fn take(&self) -> Reader<'_> {
        let mut pool = self.pool.lock();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Reader { readers: self, connection: Some(connection) };
            }
            if pool.open < MAX_READERS {
                pool.open += 1;
                return Reader { readers: self, connection: None };
            }
            self.returned.wait(&mut pool);
        }
    }
}

/// Runs `job` on one view of the database.
pub(super) fn consistent<T>(
    connection: &Connection,
    file: &OpenFile,
    job: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Result<T> {
    file.recheck()?;
    connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    let _end = End(connection);
    let done = job(&ReadTx::new(connection));
    // A newer schema lacks what an older program asks for: that is the news, not the statement that failed.
    if let Err(Error::Engine { .. }) = done {
        open::check_version(connection)?;
    }
    done
}

/// As [`consistent`], for a file that no table is built on.
pub(super) fn consistent_copy<T>(
    connection: &Connection,
    job: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Result<T> {
    connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    let _end = End(connection);
    job(&ReadTx::new(connection))
}

/// Ends a transaction, whatever became of the job. (rusqlite's own would compile both statements anew each time.)
struct End<'a>(&'a Connection);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // For a reader the same as a commit. It fails only where SQLite has rolled back by itself.
        let ended = self.0.prepare_cached("ROLLBACK").and_then(|mut rollback| rollback.execute([]));
        if let Err(error) = ended {
            tracing::debug!(%error, "a reader's transaction was over already");
        }
    }
}

/// A borrowed place in the pool; gives it back even when the job panics.
struct Reader<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool.lock();
        match self.connection.take() {
            Some(connection) => pool.idle.push(connection),
            None => pool.open -= 1,
        }
        self.readers.returned.notify_one();
    }
}
