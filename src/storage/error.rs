//! What can go wrong in storage, in three kinds: the caller's doing, passing trouble, and faults.

use crate::domain::refusal::Refusal;

/// A failed storage operation. Whatever it was, nothing of it happened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules do not allow it; the words are for the caller.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another process kept the database locked for longer than the busy timeout.
    #[error("the database stayed locked for longer than the busy timeout")]
    Busy,
    /// The disk is full or the file system refuses writes.
    #[error("the database cannot be written: {0}")]
    Unwritable(String),
    /// The path of the database no longer leads to the open file.
    #[error("the database file was moved, removed or replaced while it was open")]
    Replaced,
    /// A newer program has migrated the database since this process opened it.
    #[error("the database was upgraded by a newer team-table")]
    Upgraded,
    /// The writer has stopped, because the process is shutting down.
    #[error("the database is closing")]
    Closed,
    /// Anything else that the database engine reports.
    #[error("database fault: {reason}")]
    Engine {
        /// The engine's words, for the log.
        reason: String,
        /// The file is damaged, or is no database.
        damaged: bool,
    },
    /// A stored value that cannot be read back, or an operation that panicked.
    #[error("storage fault: {0}")]
    Fault(String),
}

impl Error {
    /// The same failure for another of the callers that shared a commit.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Busy => Self::Busy,
            Self::Unwritable(reason) => Self::Unwritable(reason.clone()),
            Self::Replaced => Self::Replaced,
            Self::Upgraded => Self::Upgraded,
            Self::Closed => Self::Closed,
            Self::Engine { reason, damaged } => Self::Engine { reason: reason.clone(), damaged: *damaged },
            Self::Fault(reason) => Self::Fault(reason.clone()),
        }
    }
}

/// What storage operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Fault(error.to_string())
    }
}

/// Why a database file was not opened. It was left as it was found.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none, and the caller wanted no new one.
    #[error(
        "there is no database at {path}: the first start of team-table makes one; --db or TEAM_TABLE_DB names another"
    )]
    Missing {
        /// Where it was looked for.
        path: String,
    },
    /// The folder or file cannot be made, read or given owner-only permissions.
    #[error("cannot use database {path}: {reason}")]
    Io {
        /// The database file.
        path: String,
        /// The operating system's words.
        reason: String,
    },
    /// A file that is not a database, or a damaged one.
    #[error(
        "database {path} is damaged or not an SQLite database ({reason}): restore it from a backup, or name another file with --db"
    )]
    Corrupt {
        /// The database file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// An SQLite database of some other program.
    #[error("database {path} belongs to another program: name another file with --db")]
    Foreign {
        /// The database file.
        path: String,
    },
    /// Written by a newer version of Team Table.
    #[error(
        "database {path} has schema version {found}, this team-table knows up to {known}: upgrade team-table"
    )]
    Newer {
        /// The database file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Written by an older version, and the caller did not want it changed.
    #[error("database {path} is of an older team-table: start team-table once to bring it up to date")]
    Older {
        /// The database file.
        path: String,
    },
    /// The database is in use and could not be prepared.
    #[error("cannot prepare database {path}: {source}")]
    Prepare {
        /// The database file.
        path: String,
        /// What storage said.
        source: Error,
    },
}
