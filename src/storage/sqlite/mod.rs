//! The engine: one SQLite file in WAL mode, one writer that commits in groups, a few readers. Everything that names
//! SQLite is here. What an engine gives: [`Engine`] and the operations of `row`.

mod backup;
mod checkpoint;
mod excerpt;
mod file;
mod legacy;
mod open;
#[cfg(test)]
mod plans;
mod readers;
mod row;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::OptionalExtension;
use tokio::sync::watch as signal;

use super::error::{Error, OpenError, Result};
use super::tx::{ReadTx, WriteTx};
use super::{Changes, OpenOptions};
use checkpoint::Checkpointer;
use file::OpenFile;
use readers::Readers;
use watch::FileWatch;
use writer::{Turns, Writer};

pub use backup::{CopyReport, RestoreError, inspect_copy, known_schema, restore};
pub(super) use excerpt::Matcher;
pub use open::BUSY_TIMEOUT;
pub(super) use open::rewrite_version;
pub(super) use row::{Row, each, execute, one};
pub(super) use rusqlite::Connection;

/// An open database file. Dropping it commits what is queued and closes the file.
pub(super) struct Engine {
    // Field order is drop order: the writer finishes, and with its connection the checkpointer, before the readers go.
    writer: Writer,
    _checkpointer: Checkpointer,
    readers: Readers,
    commits: signal::Receiver<u64>,
    /// Last: it outlives every connection.
    file: Arc<OpenFile>,
}

impl Engine {
    /// Opens the file, creating or upgrading it.
    pub(super) fn open(path: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        let (mut connection, file) = open::open(path, options)?;
        let file = Arc::new(file);
        let prepare = |source| OpenError::Prepare { path: path.display().to_string(), source };
        let checkpointer =
            Checkpointer::start(&mut connection, Arc::clone(&file), options).map_err(prepare)?;
        let (sender, commits) = signal::channel(0_u64);
        let writer = Turns::open(path, options.busy_timeout)
            .and_then(|turns| {
                Writer::start(connection, turns, Arc::clone(&file), move || {
                    sender.send_modify(|count| *count += 1);
                })
            })
            .map_err(|error| prepare(Error::Fault(error.to_string())))?;
        let readers = Readers::new(options, Arc::clone(&file));
        Ok(Self { writer, _checkpointer: checkpointer, readers, commits, file })
    }

    pub(super) fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.readers.read(job)
    }

    pub(super) fn read_hot<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.writer.read_if_free(job).unwrap_or_else(|job| self.readers.read(job))
    }

    pub(super) fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(job)
    }

    pub(super) fn write_later(
        &self,
        job: impl Fn(&WriteTx<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.writer.write_later(job)
    }

    pub(super) fn stop(&self) {
        self.writer.stop();
    }

    /// Refuses when the path no longer leads to the open file.
    pub(super) fn check_place(&self) -> Result<()> {
        self.file.check()
    }

    /// Tells of the commits of this process at once, and of those of others by watching the log file.
    pub(super) fn changes(&self) -> Changes {
        let others = Arc::default();
        let watch = FileWatch::start(self.file.path(), Arc::clone(&others));
        Changes { commits: self.commits.clone(), others, watch: watch.map(|watch| Box::new(watch) as _) }
    }

    pub(super) fn commits(&self) -> signal::Receiver<u64> {
        self.commits.clone()
    }

    pub(super) fn take_rings(&self) -> bool {
        self.file.take_rings()
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}

/// The lines of `PRAGMA integrity_check` that report damage.
pub(super) fn integrity(connection: &Connection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    each(connection, "PRAGMA integrity_check(10)", (), |row| {
        found.push(row.get(0)?);
        Ok(true)
    })?;
    found.retain(|line: &String| line != "ok");
    Ok(found)
}

/// Bytes of the pages, free ones included.
pub(super) fn bytes(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        [],
        |row| row.get(0),
    )?)
}

/// The highest number that a row of an `AUTOINCREMENT` table ever had.
pub(super) fn highest_row(connection: &Connection, table: &str) -> Result<i64> {
    let mut statement = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = ?1")?;
    Ok(statement.query_row([table], |row| row.get(0)).optional()?.unwrap_or(0))
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy,
            Some(
                Code::DiskFull
                | Code::ReadOnly
                | Code::SystemIoFailure
                | Code::CannotOpen
                | Code::PermissionDenied,
            ) => Self::Unwritable(error.to_string()),
            code => Self::Engine {
                reason: error.to_string(),
                damaged: matches!(code, Some(Code::DatabaseCorrupt | Code::NotADatabase)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Db;

    #[test]
    fn a_database_of_the_first_schema_keeps_its_decisions_and_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(open::MIGRATIONS[0]).unwrap();
        old.pragma_update(None, "application_id", open::APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        for (id, size) in [(3, 700), (4, 40), (9, 5)] {
            old.execute(
                "INSERT INTO decisions (id, at, hook, agent, action, outcome, done, set_digest, input, facts, verdicts,
                                        micros, size)
                 VALUES (?1, ?1, 'authorization', 'alice', 'heartbeat', 'allow', 1, '', '{}', '[]', '[]', 1, ?2)",
                [id, size],
            )
            .unwrap();
        }
        drop(old);
        let db = Db::open(&path, OpenOptions::default()).unwrap();
        assert_eq!(db.read(|tx| tx.decision_ids(4)).unwrap(), [4, 9]);
        assert_eq!(db.read(|tx| tx.decision_bytes()).unwrap(), 2 * 206, "those after the oldest");
        assert!(db.read(|tx| tx.decisions_overdue(10, 411)).unwrap());
        assert!(!db.read(|tx| tx.decisions_overdue(10, 412)).unwrap());
        assert!(!db.write(|tx| tx.prune_decisions(10, 411)).unwrap());
        assert_eq!(db.read(|tx| tx.decision_ids(0)).unwrap(), [9], "the newest stays");
        assert_eq!(db.read(|tx| tx.integrity()).unwrap(), Vec::<String>::new());
    }
}
