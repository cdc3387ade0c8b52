//! The processes at a table, as the kernel knows them: those that use a file that is gone, and one that is stopped while it
//! holds what others wait for. Linux only; elsewhere nothing is found.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::clock::{self, Millis};
use crate::os::FileId;

/// SQLite's write lock in WAL mode: this byte of the `-shm` file.
const WRITE_LOCK: &str = "120";

/// A process that somebody should look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// The name of its program.
    pub(super) program: String,
}

impl Process {
    fn of(pid: u32) -> Self {
        let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Self { pid, program: program.trim().to_owned() }
    }

    /// Whether it is suspended.
    fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The name is in parentheses and may hold anything.
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
        matches!(state, Some("T" | "t"))
    }
}

fn beside(db: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = db.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Processes that go on with a file that was removed from this path, or replaced there.
pub(super) fn with_a_lost_file(db: &Path) -> Vec<Process> {
    let db = fs::canonicalize(db).unwrap_or_else(|_| db.to_owned());
    let gone = beside(&db, " (deleted)");
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            open.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|link| link == gone))
        })
        .map(Process::of)
        .collect()
}

/// When a change was last written to the database, as the file system tells: a writer that holds others up got the lock
/// after that.
pub(super) fn last_write(db: &Path) -> Option<Millis> {
    let written = |suffix: &str| Some(clock::of(fs::metadata(beside(db, suffix)).ok()?.modified().ok()?));
    written("-wal").max(written(""))
}

/// The process that is suspended while it holds the write lock, or its turn in the line before it.
pub(super) fn stopped_writer(db: &Path) -> Option<Process> {
    let inode = |suffix: &str| FileId::at(&beside(db, suffix)).ok().map(|id| format!(":{}", id.number));
    let (shared, turn) = (inode("-shm"), inode("-turn"));
    let of = |file: &str, inode: &Option<String>| inode.as_ref().is_some_and(|inode| file.ends_with(inode));
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, kind, _, "WRITE", pid, file, first, ..] = fields.as_slice() else { return None };
        let holds = match *kind {
            "POSIX" => *first == WRITE_LOCK && of(file, &shared),
            "FLOCK" => of(file, &turn),
            _ => false,
        };
        let process = Process::of(pid.parse().ok().filter(|_| holds)?);
        process.is_stopped().then_some(process)
    })
}
