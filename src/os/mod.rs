//! The operating system: everything that differs between Linux, macOS and Windows, and nothing else. The two sides, `unix` and
//! `windows`, have the same names; no other module asks which system it runs on. Must not depend on any other module.
//!
//! | question | Linux and macOS | Windows |
//! |---|---|---|
//! | a file or folder of this user alone | mode 600 or 700 | an ACL with this user, SYSTEM and Administrators, nothing inherited |
//! | who can use a file | owner and mode | owner and ACL |
//! | which file it is | device and inode | volume and file index |
//! | signals | TERM, INT; HUP reloads | Ctrl-C, Ctrl-Break, the closed console, the end of the session |
//! | a program that outlives us | a process group of its own | detached, a group of its own |
//! | a command and all that it started | a process group | a job object |
//! | a process | `/proc`; on macOS `proc_pidinfo` | process handle and snapshot |

#[cfg(any(windows, test))]
mod sddl;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command};

use tempfile::NamedTempFile;

pub use system::{
    ALWAYS_HAS_SCREEN, CPU_TICK, EndSignal, FILES_TAKE_ACCESS_OF_FOLDER, Group, HOME, KEPT, ParentWatch,
    ReloadSignal, WRITE_WATCH, become_owner_of, become_program, browser, copy_access, create_private_folder,
    host_name, is_closed_pipe, is_shared_folder, leave_running, lock_whole, make_private, memory_and_files,
    open_plain, other_owner_of_root, owner_number, parent_process, prepare_terminal, process, program_names,
    replace_file, shell, sync_folder, user_number,
};

/// What a file watch must be put on so that it tells of writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteWatch {
    /// The folder of the file.
    Folder,
    /// The file itself: a watch on a folder tells only of names that come and go.
    File,
    /// Nothing tells of each write in time.
    Nothing,
}

/// Where a system wants what programs keep.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// The environment variable with the folder that the others begin at.
    pub variable: &'static str,
    /// What can be made again.
    pub cache: &'static str,
    /// What must stay.
    pub state: &'static str,
}

/// Who may do what with a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Access {
    /// Whether it belongs to this user. On Windows also if to the administrators: what an elevated process makes is theirs.
    pub is_ours: bool,
    /// Whether anybody else can read, write or run it.
    pub others_use: bool,
    /// Whether anybody else can write to it.
    pub others_write: bool,
    /// Whether everybody on this machine can write to it.
    pub everybody_writes: bool,
    /// The same as the system writes it: `mode 644`, or who is in its ACL.
    pub shown: String,
}

impl Access {
    /// Of an open file.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of(file: &File) -> io::Result<Self> {
        system::access_of(file)
    }

    /// Of what is at a path.
    ///
    /// # Errors
    /// When there is nothing, or the system does not tell.
    pub fn at(path: &Path) -> io::Result<Self> {
        system::access_at(path)
    }

    /// What a person runs so that a file, or a folder, is its owner's alone.
    #[must_use]
    pub fn remedy(path: &Path) -> String {
        system::remedy(path)
    }
}

/// Who may read a file that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// This user alone.
    Owner,
    /// Whoever the folder lets in. Only this user may write.
    All,
}

/// Which file it is: two paths to one file have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    /// The device or volume.
    pub device: u64,
    /// The number there.
    pub number: u64,
}

impl FileId {
    /// Of the file or folder at a path; a symbolic link is followed.
    ///
    /// # Errors
    /// When there is none.
    pub fn at(path: &Path) -> io::Result<Self> {
        system::file_id(path)
    }
}

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessFacts {
    /// When it started, in units of the system: only to be compared.
    pub started: i64,
    /// The number of the process that started it. On Windows that one may be gone and its number taken by another.
    pub parent: u32,
    /// The file name of its program, without a folder.
    pub program: String,
    /// Whether it is one of this user's.
    pub is_ours: bool,
}

/// How a file of this user alone is opened for writing, and what becomes of one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Private {
    /// There must be none.
    New,
    /// Its content goes.
    Replace,
    /// What is written comes behind its content.
    Append,
    /// It stays as it is; for reading, too. What a lock is taken on is opened so: Windows locks no file that is opened only for
    /// appending.
    Keep,
}

/// Opens a file for writing; one that is made is this user's alone.
///
/// # Errors
/// Those of the system.
pub fn open_private(path: &Path, how: Private) -> io::Result<File> {
    system::open_private(path, how)
}

/// Makes a file under a name of its own in a folder, to be renamed to its real name when it is whole: see [`replace_file`].
///
/// # Errors
/// Those of the system.
pub fn new_beside(folder: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    system::new_beside(folder, readers)
}

/// Starts a program of the `PATH`, under whichever of its file names is there. `prepare` is given each command that is tried.
///
/// # Errors
/// `NotFound` when there is none; others of the system.
pub fn spawn(program: &str, prepare: impl Fn(&mut Command)) -> io::Result<Child> {
    for name in program_names(program) {
        let mut command = Command::new(name);
        prepare(&mut command);
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no program {program} on the PATH")))
}

#[cfg(test)]
mod tests;
