//! Copies of the database: made while everything runs, looked over before they are believed, put back when nothing runs.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::open::{self, APPLICATION_ID};
use super::readers::consistent_copy;
use crate::os::{self, Private, Readers};
use crate::storage::error::{Error, Result};
use crate::storage::ops::ChainReport;
use crate::storage::{Db, OpenOptions};

/// What was found in a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// Version of its schema.
    pub schema: i64,
    /// What walking its audit chain found.
    pub audit: ChainReport,
    /// What SQLite finds wrong with it.
    pub damage: Vec<String>,
    /// Digest of the file, hex blake3.
    pub digest: String,
}

/// Why a copy was not put back. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Some process has the database open.
    #[error("{0} is in use: stop every client, server and daemon of this table first")]
    InUse(String),
    /// The operating system refused something.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// The operating system's words.
        reason: String,
    },
}

impl Db {
    /// Copies the database as it is at this moment into a new, owner-only file, while other processes go on.
    ///
    /// # Errors
    /// When the file is there already or cannot be written, or trouble with the database.
    pub fn back_up(&self, to: &Path) -> Result<()> {
        let unwritable = |error: std::io::Error| Error::Unwritable(format!("{}: {error}", to.display()));
        os::open_private(to, Private::New).map_err(unwritable)?;
        let copied = (|| {
            let source = open::reader(&self.inner.engine.file, OpenOptions::default())?;
            let mut target = Connection::open(to)?;
            let backup = Backup::new(&source, &mut target)?;
            // All pages in one step: what others commit meanwhile does not make it begin anew.
            while backup.step(-1)? != StepResult::Done {
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(backup);
            // The first process that opens the copy notes its file anew.
            target.execute("DELETE FROM home", [])?;
            Ok(())
        })();
        if copied.is_err() {
            // Half a copy is none; that it stays behind changes nothing about the failure.
            let _ = std::fs::remove_file(to);
        }
        copied
    }
}

impl Db {
    /// Whether the file was put here by other means than [`restore`]: `cp`, a file manager, a synchronised folder. Such a
    /// copy lacks what was in the log of the original if that was in use.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_plain_copy(&self) -> Result<bool> {
        let connection = open::reader(&self.inner.engine.file, OpenOptions::default())?;
        Ok(open::home(&connection)?.is_some_and(|inode| inode != self.inner.engine.file.inode()))
    }
}

/// Looks a copy over without writing to it: damage, audit chain, digest.
///
/// # Errors
/// When it cannot be read, or is no database of Team Table.
pub fn inspect_copy(path: &Path) -> Result<CopyReport> {
    let unreadable = |error: std::io::Error| Error::Unwritable(format!("{}: {error}", path.display()));
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    // Immutable: neither log nor locks, so that the copy stays as it is.
    let uri = format!("file:{}?immutable=1", encoded(path));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Err(Error::Fault(format!("{} is no database of Team Table", path.display())));
    }
    let schema = pragma("user_version")?;
    let (damage, audit) = consistent_copy(&connection, |tx| Ok((tx.integrity()?, tx.verify_audit()?)))?;
    Ok(CopyReport { schema, audit, damage, digest: hasher.finalize().to_hex().to_string() })
}

/// A path in a URI: what has a meaning there, as its number.
fn encoded(path: &Path) -> String {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02x}"),
        })
        .collect()
}

/// The newest schema that this program knows.
#[must_use]
pub fn known_schema() -> i64 {
    open::known()
}

/// Puts a copy in the place of the database `to`, while no process uses it. What was there is kept beside it, under the
/// name that is returned.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore(copy: &Path, to: &Path, now: i64) -> Result<Option<PathBuf>, RestoreError> {
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| RestoreError::Io { path, reason: error.to_string() }
    };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    open::create_folder(folder).map_err(io(folder))?;
    // Every connection in WAL mode holds a lock on the file for as long as it lives.
    let in_use = match File::options().read(true).write(true).open(to) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(io(to)(error)),
    };
    if let Some(file) = &in_use {
        os::lock_whole(file).map_err(|_| RestoreError::InUse(to.display().to_string()))?;
    }
    let mut new = os::new_beside(folder, Readers::Owner).map_err(io(folder))?;
    std::io::copy(&mut File::open(copy).map_err(io(copy))?, new.as_file_mut()).map_err(io(to))?;
    new.as_file().sync_all().map_err(io(to))?;
    let kept = in_use.is_some().then(|| open::with_suffix(to, &format!(".before-restore-{}", now / 1_000)));
    let mut moved = Vec::new();
    let placed = (|| {
        for suffix in ["-wal", "-shm", ""] {
            let Some(kept) = &kept else { break };
            let (from, aside) = (open::with_suffix(to, suffix), open::with_suffix(kept, suffix));
            match std::fs::rename(&from, &aside) {
                Ok(()) => moved.push((from, aside)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io(&from)(error)),
            }
        }
        os::replace_file(new, to).map_err(io(to))
    })();
    if placed.is_err() {
        // A database without its log lacks its newest commits.
        for (from, aside) in moved.iter().rev() {
            let _ = std::fs::rename(aside, from);
        }
    }
    placed?;
    os::sync_folder(folder).map_err(io(folder))?;
    Ok(kept)
}
