//! What is known of the table's upkeep: when it was last looked over and copied, how it grows, which processes use it.

use crate::domain::clock::{DAY, Millis};
use crate::storage::error::Result;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Days of sizes that are kept.
const DAYS: i64 = 400;
/// Processes that are listed at most.
const PROCESSES: i64 = 500;

/// Something that is done now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// The audit chain was walked.
    Audit,
    /// The database was copied.
    Backup,
}

impl Upkeep {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Backup => "backup",
        }
    }
}

/// When something was done last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDone {
    /// When.
    pub at: Millis,
    /// What came of it, in words.
    pub details: String,
}

/// A process that uses the database, as it said when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its number.
    pub pid: i64,
    /// When it started, in the kernel's clock ticks.
    pub started: i64,
    /// `stdio`, `server`, `console` or `poll`.
    pub kind: String,
    /// The program's version.
    pub version: String,
    /// When it said so.
    pub created_at: Millis,
}

impl ReadTx<'_> {
    /// When something was done last, if it ever was.
    pub fn last_done(&self, what: Upkeep) -> Result<Option<LastDone>> {
        self.one("SELECT at, details FROM checks WHERE name = ?1", [what.as_str()], |row| {
            Ok(LastDone { at: row.get("at")?, details: row.get("details")? })
        })
    }

    /// The size of the database at the end of each of the last days, in bytes, the oldest first: (days since 1970, bytes).
    pub fn sizes(&self, days: i64) -> Result<Vec<(i64, i64)>> {
        let mut sizes =
            self.all("SELECT day, bytes FROM sizes ORDER BY day DESC LIMIT ?1", [days], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        sizes.reverse();
        Ok(sizes)
    }

    /// The processes that said that they use the database and did not say that they end.
    pub fn processes(&self) -> Result<Vec<ProcessRow>> {
        self.all("SELECT * FROM processes ORDER BY pid, started LIMIT ?1", [PROCESSES], |row| {
            Ok(ProcessRow {
                pid: row.get("pid")?,
                started: row.get("started")?,
                kind: row.get("kind")?,
                version: row.get("version")?,
                created_at: row.get("created_at")?,
            })
        })
    }
}

impl WriteTx<'_> {
    /// Notes that something was done.
    pub fn note_done(&self, what: Upkeep, details: &str, now: Millis) -> Result<()> {
        self.execute(
            "INSERT INTO checks (name, at, details) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET at = ?2, details = ?3",
            params![what.as_str(), now, details],
        )?;
        Ok(())
    }

    /// Notes how big the database is now: the last note of a day stays.
    pub fn note_size(&self, now: Millis) -> Result<()> {
        let day = now / DAY;
        self.execute(
            "INSERT INTO sizes (day, bytes) VALUES (?1, ?2) ON CONFLICT (day) DO UPDATE SET bytes = ?2",
            [day, self.bytes()?],
        )?;
        self.execute("DELETE FROM sizes WHERE day < ?1", [day - DAYS])?;
        Ok(())
    }

    /// Notes that a process uses the database.
    pub fn note_process(&self, process: &ProcessRow) -> Result<()> {
        self.execute(
            "INSERT OR REPLACE INTO processes (pid, started, kind, version, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![process.pid, process.started, process.kind, process.version, process.created_at],
        )?;
        Ok(())
    }

    /// Notes that a process has ended.
    pub fn forget_process(&self, pid: i64, started: i64) -> Result<()> {
        self.execute("DELETE FROM processes WHERE pid = ?1 AND started = ?2", [pid, started])?;
        Ok(())
    }
}
