//! Processes as macOS knows them.

use std::ffi::CStr;
use std::mem;

use crate::os::{Kept, ProcessFacts, WriteWatch};

/// What opens an address.
pub(super) const OPENER: &str = "open";
/// Whether a browser can be opened in any case.
pub const ALWAYS_HAS_SCREEN: bool = true;
/// kqueue tells of writes to what is watched, and of a folder only which names come and go.
pub const WRITE_WATCH: WriteWatch = WriteWatch::File;
/// Below the person's Library.
pub const KEPT: Option<Kept> = Some(Kept {
    variable: "HOME",
    cache: "Library/Caches/team-table",
    state: "Library/Application Support/team-table",
});

/// The process of this number; `None` if there is none. One that has ended and was not waited for is none.
#[must_use]
pub fn process(pid: u32) -> Option<ProcessFacts> {
    let number = i32::try_from(pid).ok()?;
    let size = i32::try_from(mem::size_of::<libc::proc_bsdinfo>()).ok()?;
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the structure holds numbers and bytes only, for which zero is a value; `proc_pidinfo` writes at most `size` bytes
    // to it and says how many, and it is used only when they were all of it.
    let found = unsafe {
        let mut found: libc::proc_bsdinfo = mem::zeroed();
        let place = std::ptr::from_mut(&mut found).cast();
        (libc::proc_pidinfo(number, libc::PROC_PIDTBSDINFO, 0, place, size) == size).then_some(found)?
    };
    // SZOMB of sys/proc.h.
    if found.pbi_status == 5 {
        return None;
    }
    let bytes: Vec<u8> = found.pbi_comm.iter().map(|byte| byte.cast_unsigned()).chain([0]).collect();
    let program = CStr::from_bytes_until_nul(&bytes).ok()?.to_string_lossy().into_owned();
    let micros = found.pbi_start_tvsec.checked_mul(1_000_000)?.checked_add(found.pbi_start_tvusec)?;
    Some(ProcessFacts {
        started: i64::try_from(micros).ok()?,
        parent: found.pbi_ppid,
        program,
        is_ours: found.pbi_uid == rustix::process::geteuid().as_raw(),
    })
}

/// Bytes of memory that this process has in use, and how many files it has open, as far as the system tells.
#[must_use]
pub const fn memory_and_files() -> (Option<u64>, Option<usize>) {
    (None, None)
}
