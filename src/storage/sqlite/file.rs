//! Which database files this process has open, and whether such a file is still the one at its path.
//!
//! POSIX locks belong to a process, not to a file descriptor: closing any descriptor of a file drops every lock that the
//! process holds on it. `SQLite` takes care of its own descriptors. Ours are taken care of here: a database file is
//! looked into only while this process has no connection to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::os::FileId;
use crate::storage::error::{Error, OpenError, Result};

/// How many times this process has each database file open.
static OPEN: Mutex<BTreeMap<FileId, usize>> = Mutex::new(BTreeMap::new());

/// A database file for as long as this process has connections to it. To be dropped after the last of them.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    id: FileId,
    /// Whether the file was found missing or replaced at the last look.
    lost: AtomicBool,
    /// A committed change wants to wake an agent.
    rings: AtomicBool,
}

impl OpenFile {
    /// Registers the file at `path`. `inspect` may open, read and close it: it runs only while this process has no
    /// connection to the file, and none can come meanwhile.
    ///
    /// # Errors
    /// Whatever `inspect` or the file system returns.
    pub(super) fn register(
        path: &Path,
        inspect: impl FnOnce() -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let mut open = OPEN.lock();
        let id = FileId::at(path)
            .map_err(|error| OpenError::Io { path: path.display().to_string(), reason: error.to_string() })?;
        if !open.contains_key(&id) {
            inspect()?;
        }
        *open.entry(id).or_default() += 1;
        Ok(Self { path: path.to_owned(), id, lost: AtomicBool::new(false), rings: AtomicBool::new(false) })
    }

    /// Notes that a change wants to wake an agent.
    pub(super) fn note_ring(&self) {
        self.rings.store(true, Ordering::Release);
    }

    /// Whether a change wanted to wake an agent since the last time this was asked.
    pub(super) fn take_rings(&self) -> bool {
        self.rings.swap(false, Ordering::Acquire)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's number in its file system, as a signed number.
    pub(super) const fn inode(&self) -> i64 {
        self.id.number.cast_signed()
    }

    /// Refuses when the path no longer leads to the open file: a commit would go into a file that nothing opens again.
    /// One `stat`. Logs the first failure and the recovery.
    ///
    /// # Errors
    /// [`Error::Replaced`].
    pub(super) fn check(&self) -> Result<()> {
        let lost = FileId::at(&self.path).ok() != Some(self.id);
        if self.lost.swap(lost, Ordering::Relaxed) != lost {
            let path = self.path.display();
            if lost {
                tracing::error!(%path, "the database file was moved, removed or replaced: every change is refused; put it back, or restart this process");
            } else {
                tracing::info!(%path, "the database file is back in its place");
            }
        }
        if lost { Err(Error::Replaced) } else { Ok(()) }
    }

    /// As [`check`](Self::check), but looks again only after a failure: for reads, which lose nothing.
    ///
    /// # Errors
    /// [`Error::Replaced`].
    pub(super) fn recheck(&self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) { self.check() } else { Ok(()) }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut open = OPEN.lock();
        if let Some(count) = open.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.id);
            }
        }
    }
}
