//! Who holds a lease: this process, for as long as it holds the lock on a file of its own; and whether another holder is dead.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::{self, Private};

/// What stands between a process' number and the name of its lock file. Older versions wrote something else.
const MARK: &str = "@lock:";
/// When the file of a holder that ended goes: no lease lasts so long.
const SWEPT_AFTER: Duration = Duration::from_hours(24);

/// This process as a holder of leases. The system lets go of the lock when the process ends, however it ends: in a container of
/// its own, too, and on every system.
#[derive(Debug)]
pub struct Holder {
    name: String,
    file: PathBuf,
    _lock: File,
}

impl Holder {
    /// This process, at this database.
    ///
    /// # Errors
    /// When the lock file beside the database cannot be made.
    pub fn this_process(db: &Path) -> io::Result<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let id = format!("{:016x}", u64::from_ne_bytes(id));
        let folder = folder(db);
        os::create_private_folder(&folder)?;
        sweep(&folder);
        let file = folder.join(&id);
        let lock = os::open_private(&file, Private::New)?;
        // Where the file system has no locks, nothing is known of this holder, and its lease runs out.
        let mark = if lock.lock().is_ok() { MARK } else { "@unlocked:" };
        Ok(Self { name: format!("{}{mark}{id}", std::process::id()), file, _lock: lock })
    }

    /// To be called when no lease names this holder any more. Without it the file stays, and with it the proof that the holder is
    /// dead.
    pub(super) fn end(&self) {
        // One that stays behind is swept by another daemon.
        let _ = fs::remove_file(&self.file);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Removes the files of holders that ended a while ago: a lease that names one has run out by now.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age =
            entry.metadata().and_then(|found| found.modified()).map(|at| at.elapsed().unwrap_or_default());
        let is_old = age.is_ok_and(|age| age > SWEPT_AFTER);
        if is_old && File::options().write(true).open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a holder is known to be dead: the lock on its file is free. Of one whose file is gone, or whose name has another form,
/// nothing is known; its lease runs out.
pub(super) fn is_dead(db: &Path, holder: &str) -> bool {
    let Some((_, id)) = holder.split_once(MARK) else { return false };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return false;
    }
    let file = folder(db).join(id);
    File::options().write(true).open(file).is_ok_and(|lock| lock.try_lock().is_ok())
}

/// Where the lock files are. Beside the file itself: processes may know it by different paths.
fn folder(db: &Path) -> PathBuf {
    let mut folder = fs::canonicalize(db).unwrap_or_else(|_| db.to_owned()).into_os_string();
    folder.push(".daemons");
    PathBuf::from(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_alive_while_it_has_its_lock() {
        let home = tempfile::tempdir().unwrap();
        let db = home.path().join("t.db");
        let (one, other) = (Holder::this_process(&db).unwrap(), Holder::this_process(&db).unwrap());
        assert_ne!(one.name(), other.name());
        assert!(!is_dead(&db, one.name()) && !is_dead(&db, other.name()));
        let (name, file) = (one.name().to_owned(), one.file.clone());
        // As when its process is killed: the file stays, and the system takes its lock.
        drop(one);
        assert!(file.exists() && is_dead(&db, &name) && is_dead(&db, &name));
        assert!(!is_dead(&db, other.name()));
        // A file that is gone proves nothing.
        other.end();
        assert!(!other.file.exists() && !is_dead(&db, other.name()));
        // A later holder sweeps what is old and free, and nothing else.
        let old = File::options().write(true).open(&file).unwrap();
        old.set_modified(std::time::SystemTime::now() - 2 * SWEPT_AFTER).unwrap();
        drop(old);
        let third = Holder::this_process(&db).unwrap();
        assert!(!file.exists() && third.file.exists());
        for unknown in ["nonsense", "12@boot/ns#34", "12@lock:", "12@lock:../t", ""] {
            assert!(!is_dead(&db, unknown), "{unknown}");
        }
    }
}
