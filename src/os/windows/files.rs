//! Files: ACLs, file indices, and names that other programs hold open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle};
use std::path::Path;
use std::ptr::null_mut;
use std::time::Duration;

use tempfile::NamedTempFile;
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_ALWAYS, CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_APPEND_DATA,
    FILE_ATTRIBUTE_NORMAL, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    FILE_WRITE_DATA, GetFileInformationByHandle, OPEN_ALWAYS, READ_CONTROL,
};

use super::security::{self, Descriptor, wide_path};
use crate::os::{Access, FileId, Private, Readers, sddl};

const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
/// How often a file is renamed that another program holds open, such as a virus scanner, and the pause between.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// Makes a folder, and those above it, for this user alone. What is there stays as it is.
///
/// # Errors
/// Those of the system.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_private_folder(above)?;
    }
    let (private, name) = (Descriptor::private(true)?, wide_path(folder)?);
    let attributes = private.attributes();
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the name ends with a zero, and the descriptor lives until the end of this function.
    let made = security::check(unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) });
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        other => other,
    }
}

pub(crate) fn open_private(path: &Path, how: Private) -> io::Result<File> {
    open_with(path, how, &Descriptor::private(false)?)
}

/// Opens a file for writing; one that is made gets this descriptor.
fn open_with(path: &Path, how: Private, descriptor: &Descriptor) -> io::Result<File> {
    let (access, disposition) = match how {
        Private::New => (FILE_GENERIC_READ | FILE_GENERIC_WRITE, CREATE_NEW),
        Private::Replace => (FILE_GENERIC_WRITE, CREATE_ALWAYS),
        Private::Append => (FILE_GENERIC_WRITE & !FILE_WRITE_DATA | FILE_APPEND_DATA, OPEN_ALWAYS),
        Private::Keep => (FILE_GENERIC_READ | FILE_GENERIC_WRITE, OPEN_ALWAYS),
    };
    let (attributes, name) = (descriptor.attributes(), wide_path(path)?);
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the name ends with a zero, the descriptor lives longer than this function, and the handle is checked before it
    // becomes the file that closes it.
    unsafe {
        let handle = CreateFileW(
            name.as_ptr(),
            access,
            SHARE_ALL,
            &raw const attributes,
            disposition,
            FILE_ATTRIBUTE_NORMAL,
            null_mut(),
        );
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_handle(handle))
    }
}

/// Gives a file the access that another one has: its ACL, with what it inherited.
///
/// # Errors
/// Those of the system.
pub fn copy_access(from: &Path, to: &Path) -> io::Result<()> {
    security::copy_acl(look_at(from, READ_CONTROL)?.as_handle(), to)
}

/// Takes everybody else's permissions off a file.
///
/// # Errors
/// Those of the system.
pub fn make_private(path: &Path) -> io::Result<()> {
    if access_at(path)?.others_use { security::make_private(path) } else { Ok(()) }
}

pub(crate) fn new_beside(folder: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    // A name is reached through folders that cannot be listed, so the file itself must say who may read it.
    let all = readers == Readers::All && access_at(folder)?.others_use;
    let descriptor = if all { Descriptor::readable()? } else { Descriptor::private(false)? };
    tempfile::Builder::new().make_in(folder, |path| open_with(path, Private::New, &descriptor))
}

/// Renames a whole file over what is at its place. Another program may hold that open for a moment.
///
/// # Errors
/// Those of the system.
pub fn replace_file(mut beside: NamedTempFile, path: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match beside.persist(path) {
            Ok(_) => return Ok(()),
            // Access denied, and a sharing violation.
            Err(error) if tries < TRIES && matches!(error.error.raw_os_error(), Some(5 | 32)) => {
                beside = error.file;
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.error),
        }
    }
}

/// Has the names in a folder survive a power cut. NTFS writes them to its log by itself.
///
/// # Errors
/// None here.
pub const fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens a plain file, and never through a symbolic link. `None`: something else is there.
///
/// # Errors
/// Those of the system; `NotFound` when nothing is there.
pub fn open_plain(path: &Path) -> io::Result<Option<File>> {
    // A folder cannot be opened so.
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new()
        .access_mode(FILE_GENERIC_READ)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    // It may have been exchanged meanwhile: the handle tells.
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Opens a file or folder to ask about it.
fn look_at(path: &Path, access: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(access)
        .share_mode(SHARE_ALL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)
}

pub(crate) fn access_of(file: &File) -> io::Result<Access> {
    let (descriptor, user) = security::descriptor_of(file.as_handle())?;
    Ok(sddl::access(&descriptor, &user))
}

pub(crate) fn access_at(path: &Path) -> io::Result<Access> {
    access_of(&look_at(path, READ_CONTROL)?)
}

pub(crate) fn remedy(path: &Path) -> String {
    let file = path.display();
    let inherit = if path.is_dir() { "(OI)(CI)" } else { "" };
    // By number: cmd and PowerShell do not have one way to write the user's name.
    let user = security::user().unwrap_or("THE-OWNER");
    // The first takes away what was granted by name, the second what the folder hands down.
    format!(
        "icacls \"{file}\" /reset, then: icacls \"{file}\" /inheritance:r /grant:r \"*{user}:{inherit}F\""
    )
}

pub(crate) fn file_id(path: &Path) -> io::Result<FileId> {
    let file = look_at(path, FILE_READ_ATTRIBUTES)?;
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the handle is open, and the structure lives here.
    security::check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) })?;
    Ok(FileId {
        device: found.dwVolumeSerialNumber.into(),
        number: u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow),
    })
}

/// Takes the lock on a whole database file that no other process has any lock on. It ends with the file.
///
/// # Errors
/// When another process has a lock on any part of it.
pub fn lock_whole(file: &File) -> io::Result<()> {
    Ok(file.try_lock()?)
}
