//! The database: every line of SQL, one writer, a few readers. Knows the rules of `domain` and nothing of
//! policies, tools or MCP.
//!
//! A change is a job given to [`Db::write`]; it runs in a savepoint of a group transaction and the caller
//! waits until that is on disk. Operations are methods of [`ReadTx`] and [`WriteTx`], one file for each
//! table family. Times are given by the caller: storage has no clock.

mod agents;
mod audit;
mod backup;
mod checkpoint;
mod context;
mod decisions;
mod error;
mod escalations;
mod events;
mod facts;
mod file;
mod handover;
mod inbox;
mod leases;
mod legacy;
mod messages;
mod open;
#[cfg(test)]
mod plans;
mod readers;
mod reviews;
mod size;
mod steady;
mod tasks;
mod tx;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use agents::{Claim, Registration};
pub use audit::{AuditFilter, AuditRow, ChainReport, POLICY_SET, PolicyChange};
pub use backup::{CopyReport, RestoreError, inspect_copy, known_schema, restore};
pub use context::ContextWrite;
pub use decisions::{DecisionFilter, DecisionRecord, DecisionRow, KEEP_BYTES, KEEP_FOR, REFUSED_BYTES};
pub use error::{Error, OpenError, Result};
pub use escalations::{Answer, EscalationRow, NewEscalation};
pub use facts::{FactScope, ReviewScope};
pub use inbox::{InboxMessage, InboxPage, InboxQuery, Unread};
pub use open::BUSY_TIMEOUT;
pub use size::Size;
pub use steady::CLOCK_TOLERANCE;
pub use tasks::TaskQuery;
pub use tx::{ReadTx, WriteTx};

use checkpoint::Checkpointer;
use file::OpenFile;
use readers::Readers;
use writer::{Turns, Writer};

/// Most characters of a list result's items together: tools.md stops lists before 12,000, and the rest is
/// for the frame and the unread badge.
const LIST_BUDGET: usize = 10_500;

/// Where "how many are left" stops counting, so that no list costs more the longer it is. A larger number
/// is reported as this one.
pub const REMAINING_CAP: i64 = 10_000;

/// How much a commit may cost and what it survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `synchronous=FULL`: what was acknowledged survives a power cut.
    #[default]
    Full,
    /// `synchronous=NORMAL`: survives a crash of the process, may lose the last commits in a power cut.
    Normal,
}

/// How to open a database.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// What a commit survives.
    pub durability: Durability,
    /// How long to wait for a lock another process holds. Default [`BUSY_TIMEOUT`].
    pub busy_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { durability: Durability::Full, busy_timeout: BUSY_TIMEOUT }
    }
}

/// A handle to the database, cheap to clone. The last one dropped commits what is queued and closes it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    // Field order is drop order: the writer finishes, and with its connection the checkpointer, before the readers go.
    writer: Writer,
    _checkpointer: Checkpointer,
    readers: Readers,
    commits: watch::Receiver<u64>,
    steady: steady::Steady,
    /// Last: it outlives every connection.
    file: Arc<OpenFile>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Db {
    /// Opens the database, creating it and its folder (owner-only) when there is none, and upgrading one
    /// of an older version or of the Python Team Table after copying it aside.
    ///
    /// # Errors
    /// See [`OpenError`]; the file is then left untouched.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        let (mut connection, file) = open::open(path, options)?;
        let file = Arc::new(file);
        let prepare = |source| OpenError::Prepare { path: path.display().to_string(), source };
        let checkpointer =
            Checkpointer::start(&mut connection, Arc::clone(&file), options).map_err(prepare)?;
        let (sender, commits) = watch::channel(0_u64);
        let writer = Turns::open(path, options.busy_timeout)
            .and_then(|turns| {
                Writer::start(connection, turns, Arc::clone(&file), move || {
                    sender.send_modify(|count| *count += 1);
                })
            })
            .map_err(|error| prepare(Error::Fault(error.to_string())))?;
        let readers = Readers::new(options, Arc::clone(&file));
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                _checkpointer: checkpointer,
                readers,
                commits,
                steady: steady::Steady::default(),
                file,
            }),
        })
    }

    /// Runs `job` on a consistent view of the database. Blocks; not for async threads.
    ///
    /// # Errors
    /// Whatever `job` returns, or trouble with the database.
    pub fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.inner.readers.read(job)
    }

    /// As [`read`](Self::read), for what takes microseconds and calls nothing of [`Db`]. On the writer's own
    /// connection where that is free: it knows the pages it has just written, which a reader must fetch again
    /// after every commit.
    ///
    /// # Errors
    /// Whatever `job` returns, or trouble with the database.
    pub fn read_hot<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.inner.writer.read_if_free(job).unwrap_or_else(|job| self.inner.readers.read(job))
    }

    /// Runs `job` as one change and waits until it is durable. Blocks; not for async threads.
    ///
    /// # Errors
    /// Whatever `job` returns, or trouble with the database; nothing of the change has then happened.
    pub fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.inner.writer.write(job)
    }

    /// Queues a change without waiting for it (presence, decisions of read calls): it joins the next
    /// commit, within 20 ms. A failure is logged.
    pub fn write_later(&self, job: impl FnOnce(&WriteTx<'_>) -> Result<()> + Send + 'static) {
        if let Err(error) = self.inner.writer.write_later(job) {
            tracing::warn!(%error, "a deferred write was lost");
        }
    }

    /// Changes its value after every commit of this process.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits.clone()
    }

    /// Refuses when the path no longer leads to the open file. One `stat`.
    ///
    /// # Errors
    /// [`Error::Replaced`].
    pub fn check_place(&self) -> Result<()> {
        self.inner.file.check()
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.file.path()
    }

    /// Commits what is queued; later writes are [`Error::Closed`].
    pub fn close(&self) {
        self.inner.writer.stop();
    }
}

/// Decides how many items go into one list result: at most a number, and no more text than clients show.
/// The first item always goes in.
#[derive(Debug)]
struct Listing {
    limit: i64,
    /// Characters of an item besides its texts: field names, numbers, times.
    frame: usize,
    taken: i64,
    characters: usize,
    full: bool,
}

impl Listing {
    const fn new(limit: i64, frame: usize) -> Self {
        Self { limit, frame, taken: 0, characters: 0, full: false }
    }

    /// Whether an item with these texts still goes in.
    fn take(&mut self, texts: &[&str]) -> bool {
        let escapes = |c: char| match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            c if c.is_control() => 6,
            _ => 1,
        };
        let size = self.frame + texts.iter().flat_map(|text| text.chars()).map(escapes).sum::<usize>();
        self.full = self.taken >= self.limit || (self.taken > 0 && self.characters + size > LIST_BUDGET);
        if !self.full {
            self.taken += 1;
            self.characters += size;
        }
        !self.full
    }

    /// Whether an item was turned away.
    const fn is_full(&self) -> bool {
        self.full
    }

    const fn taken(&self) -> i64 {
        self.taken
    }
}

impl ReadTx<'_> {
    /// What SQLite finds wrong with the file; takes time in proportion to its size.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn integrity(&self) -> Result<Vec<String>> {
        let mut found: Vec<String> = self.all("PRAGMA integrity_check(10)", [], |row| row.get(0))?;
        found.retain(|line| line != "ok");
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Shows that the database can be written, without leaving a trace.
    ///
    /// # Errors
    /// What keeps it from being written.
    pub fn probe(&self) -> Result<()> {
        self.rewrite_version()
    }
}

/// The write-ahead log SQLite keeps beside a database while it is in use.
#[must_use]
pub fn wal_path(database: &Path) -> PathBuf {
    open::with_suffix(database, "-wal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn db() -> (Db, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (Db::open(&dir.path().join("t.db"), OpenOptions::default()).unwrap(), dir)
    }

    #[test]
    fn concurrent_writers_share_commits() {
        let (db, _dir) = db();
        let before = *db.commits().borrow();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let db = &db;
            scope.spawn(move || {
                db.write(move |_| {
                    begun.send(()).unwrap();
                    // Ends when the other side is dropped.
                    let _ = released.recv();
                    Ok(())
                })
            });
            has_begun.recv().unwrap();
            for _ in 0..50 {
                db.write_later(|tx| tx.probe());
            }
            let writers: Vec<_> = (0..50).map(|_| scope.spawn(|| db.write(|tx| tx.probe()))).collect();
            drop(release);
            for writer in writers {
                writer.join().unwrap().unwrap();
            }
        });
        let commits = *db.commits().borrow() - before;
        assert!((2..101).contains(&commits), "{commits} commits for 101 writes");
    }

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

    #[test]
    fn a_reader_sees_one_state_from_its_first_look_to_its_last() {
        let (db, _dir) = db();
        let register = |name: &str| Registration {
            name: name.into(),
            role: "agent".into(),
            capabilities: Vec::new(),
            proof: None,
            token: Some(*blake3::hash(name.as_bytes()).as_bytes()),
        };
        let (first, second) = (register("a"), register("b"));
        db.write(move |tx| tx.register(&first, 1)).unwrap();
        let writer = db.clone();
        let seen = db
            .read(move |tx| {
                let before = tx.members(true)?.len();
                writer.write(move |tx| tx.register(&second, 2)).map(drop)?;
                Ok((before, tx.members(true)?.len()))
            })
            .unwrap();
        assert_eq!(seen, (1, 1));
        assert_eq!(db.read(|tx| tx.members(true)).unwrap().len(), 2);
    }

    #[test]
    fn a_panic_while_reading_gives_the_connection_back() {
        let (db, _dir) = db();
        for _ in 0..20 {
            let read =
                std::panic::AssertUnwindSafe(|| db.read(|_| -> Result<()> { panic!("while reading") }));
            assert!(std::panic::catch_unwind(read).is_err());
        }
        assert!(db.read(|tx| tx.members(true)).unwrap().is_empty());
    }

    proptest! {
        /// The listing's count of an item is never below what JSON makes of its texts.
        #[test]
        fn a_listing_never_counts_too_little(texts in prop::collection::vec(any::<String>(), 1..4)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let written: usize = texts.iter().map(|text| serde_json::json!(text).to_string().chars().count() - 2).sum();
            let mut listing = Listing::new(10, 0);
            assert!(listing.take(&texts));
            prop_assert!(listing.characters >= written, "{} < {written}", listing.characters);
        }
    }
}
