//! Processes as Linux knows them. On other systems without `/proc` none is found.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::os::{Kept, ProcessFacts, WriteWatch};

/// What opens an address.
pub(super) const OPENER: &str = "xdg-open";
/// Whether a browser can be opened in any case. A screen tells by the environment.
pub const ALWAYS_HAS_SCREEN: bool = false;
/// A watch on a folder tells of writes to the files in it.
pub const WRITE_WATCH: WriteWatch = WriteWatch::Folder;
/// Everything is kept beside the database.
pub const KEPT: Option<Kept> = None;

/// The process of this number; `None` if there is none. One that has ended and was not waited for is none.
#[must_use]
pub fn process(pid: u32) -> Option<ProcessFacts> {
    let owner = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, and may hold anything.
    let (name, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // By their numbers in proc(5), of which the first two are cut off: 3 is the state, 4 the parent, 22 the start in clock ticks.
    let field = |number: usize| fields.get(number - 3).copied();
    if matches!(field(3), Some("Z" | "X")) {
        return None;
    }
    Some(ProcessFacts {
        started: field(22)?.parse().ok()?,
        parent: field(4)?.parse().ok()?,
        program: name.split_once('(').map_or("", |(_, name)| name).to_owned(),
        is_ours: owner == rustix::process::geteuid().as_raw(),
    })
}

/// Bytes of memory that this process has in use, and how many files it has open, as far as the system tells.
#[must_use]
pub fn memory_and_files() -> (Option<u64>, Option<usize>) {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    let files = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    (pages.map(|pages| pages * rustix::param::page_size() as u64), files)
}
