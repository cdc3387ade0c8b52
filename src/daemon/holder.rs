//! Who holds a lease: this process, for as long as it holds the lock on a file of its own; and whether another holder is dead.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::os::{self, Private};

/// What stands between a process' number and the name of its lock file. Older versions wrote something else.
const MARK: &str = "@lock:";

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
        let file = folder.join(&id);
        let lock = os::open_private(&file, Private::New)?;
        lock.lock()?;
        Ok(Self { name: format!("{}{MARK}{id}", std::process::id()), file, _lock: lock })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // One that stays behind is removed by the next daemon that finds it.
        let _ = fs::remove_file(&self.file);
    }
}

/// Whether a holder is known to be dead: the lock on its file is free, or the file is gone. Of a holder of another form nothing is
/// known; its lease runs out.
pub(super) fn is_dead(db: &Path, holder: &str) -> bool {
    let Some((_, id)) = holder.split_once(MARK) else { return false };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return false;
    }
    let file = folder(db).join(id);
    match File::options().write(true).open(&file) {
        Ok(lock) if lock.try_lock().is_ok() => {
            // That it stays behind changes nothing.
            let _ = fs::remove_file(&file);
            true
        }
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
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
        drop(one);
        assert!(!file.exists() && is_dead(&db, &name), "it ended as it should");
        // A killed process leaves its file, and the system takes its lock.
        fs::write(&file, "").unwrap();
        assert!(is_dead(&db, &name) && !file.exists());
        assert!(!is_dead(&db, other.name()));
        for unknown in ["nonsense", "12@boot/ns#34", "12@lock:", "12@lock:../t", ""] {
            assert!(!is_dead(&db, unknown), "{unknown}");
        }
    }
}
