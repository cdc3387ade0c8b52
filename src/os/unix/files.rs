//! Files: modes, owners, inodes.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::os::{Access, FileId, Private, Readers};

/// Makes a folder, and those above it, for this user alone. What is there stays as it is.
///
/// # Errors
/// Those of the system.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(crate) fn open_private(path: &Path, how: Private) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match how {
        Private::New => options.read(true).write(true).create_new(true),
        Private::Replace => options.write(true).create(true).truncate(true),
        Private::Append => options.append(true).create(true),
        Private::Keep => options.read(true).write(true).create(true).truncate(false),
    };
    options.mode(0o600).open(path)
}

/// Gives a file the access that another one has, as far as it goes by modes.
///
/// # Errors
/// Those of the system.
pub fn copy_access(from: &Path, to: &Path) -> io::Result<()> {
    fs::set_permissions(to, Permissions::from_mode(fs::metadata(from)?.mode() & 0o777))
}

/// Takes everybody else's permissions off a file.
///
/// # Errors
/// Those of the system.
pub fn make_private(path: &Path) -> io::Result<()> {
    if !access_at(path)?.others_use {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

pub(crate) fn new_beside(folder: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)
}

/// Renames a whole file over what is at its place.
///
/// # Errors
/// Those of the system.
pub fn replace_file(beside: NamedTempFile, path: &Path) -> io::Result<()> {
    beside.persist(path).map(drop).map_err(|error| error.error)
}

/// Has the names in a folder survive a power cut.
///
/// # Errors
/// Those of the system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens a plain file, and never through a symbolic link. `None`: something else is there.
///
/// # Errors
/// Those of the system; `NotFound` when nothing is there.
pub fn open_plain(path: &Path) -> io::Result<Option<File>> {
    // Without waiting for the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

pub(crate) fn access_of(file: &File) -> io::Result<Access> {
    Ok(access(&file.metadata()?))
}

pub(crate) fn access_at(path: &Path) -> io::Result<Access> {
    Ok(access(&fs::metadata(path)?))
}

fn access(found: &Metadata) -> Access {
    let mode = found.mode() & 0o7777;
    Access {
        is_ours: found.uid() == rustix::process::geteuid().as_raw(),
        others_use: mode & 0o077 != 0,
        others_write: mode & 0o022 != 0,
        everybody_writes: mode & 0o002 != 0,
        shown: format!("mode {:o}", mode & 0o777),
    }
}

pub(crate) fn remedy(path: &Path) -> String {
    let mode = if path.is_dir() { 700 } else { 600 };
    format!("chmod {mode} {}", path.display())
}

pub(crate) fn file_id(path: &Path) -> io::Result<FileId> {
    let found = fs::metadata(path)?;
    Ok(FileId { device: found.dev(), number: found.ino() })
}

/// Takes the lock on a whole database file that no other process has any lock on. It ends with the file.
///
/// # Errors
/// When another process has a lock on any part of it.
pub fn lock_whole(file: &File) -> io::Result<()> {
    Ok(fcntl_lock(file, FlockOperation::NonBlockingLockExclusive)?)
}
