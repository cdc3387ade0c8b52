//! The database: one writer, a few readers, wake-ups. Must not depend on policies, tools or MCP.
//!
//! A change is a job given to [`Db::write`]; it runs in a group transaction, in a savepoint where it has company, and the caller
//! waits until that is on disk. Operations are methods of [`ReadTx`] and [`WriteTx`] in `ops`, which is written in six
//! primitives (`tx`) and knows no engine; `sqlite` is the engine. Times are given by the caller: storage has no clock.
//!
//! Every operation can fail with [`Error`]; an `# Errors` section names only what else it refuses.

mod changes;
mod error;
mod ops;
mod sqlite;
mod tx;
mod value;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use changes::{Changes, Sign};
pub use error::{Error, OpenError, Result};
pub use ops::*;
pub use sqlite::{BUSY_TIMEOUT, CopyReport, RestoreError, inspect_copy, known_schema, restore};
pub use tx::{ReadTx, WriteTx};

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
    /// Whether a new or older database is brought up to date. Default: yes.
    pub migrate: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { durability: Durability::Full, busy_timeout: BUSY_TIMEOUT, migrate: true }
    }
}

/// A handle to the database, cheap to clone. The last one dropped commits what is queued and closes it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    engine: sqlite::Engine,
    steady: ops::Steady,
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
        let engine = sqlite::Engine::open(path, options)?;
        Ok(Self { inner: Arc::new(Inner { engine, steady: ops::Steady::default() }) })
    }

    /// Runs `job` on a consistent view of the database. Blocks; not for async threads.
    ///
    /// # Errors
    /// Whatever `job` returns, and [`Error`].
    pub fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.inner.engine.read(job)
    }

    /// As [`read`](Self::read), for what takes microseconds and calls nothing of [`Db`]. On the writer's own
    /// connection where that is free: it knows the pages it has just written, which a reader must fetch again
    /// after every commit.
    ///
    /// # Errors
    /// Whatever `job` returns, and [`Error`].
    pub fn read_hot<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.inner.engine.read_hot(job)
    }

    /// Runs `job` as one change and waits until it is durable. Blocks; not for async threads.
    ///
    /// # Errors
    /// Whatever `job` returns, and [`Error`]; nothing of the change has then happened.
    pub fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.inner.engine.write(job)
    }

    /// Queues a change without waiting for it (presence, decisions of read calls): it joins the next
    /// commit, within 20 ms. A failure is logged.
    pub fn write_later(&self, job: impl Fn(&WriteTx<'_>) -> Result<()> + Send + 'static) {
        if let Err(error) = self.inner.engine.write_later(job) {
            tracing::warn!(%error, "a deferred write was lost");
        }
    }

    /// Tells of every commit, by whichever process.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.inner.engine.changes()
    }

    /// Whether a change of this process wanted to wake an agent since the last time this was asked.
    #[must_use]
    pub fn take_rings(&self) -> bool {
        self.inner.engine.take_rings()
    }

    /// Changes its value after every commit of this process.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.engine.commits()
    }

    /// Refuses when the path no longer leads to the open database. One `stat`.
    ///
    /// # Errors
    /// [`Error::Replaced`].
    pub fn check_place(&self) -> Result<()> {
        self.inner.engine.check_place()
    }

    /// Whether the path no longer leads to the open database. One `stat`.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.check_place().is_err()
    }

    /// The database file, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.engine.path()
    }

    /// Commits what is queued; later writes are [`Error::Closed`].
    pub fn close(&self) {
        self.inner.engine.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
