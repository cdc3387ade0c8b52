//! Processes of clients, as the kernel knows them. A process number is used again, so a process is told by its number and the
//! time at which it started. Linux only: elsewhere no process is found, and nothing is bound to one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::parent_id;

use crate::domain::seat::Seat;

/// Ancestors that are looked at.
const MAX_ANCESTORS: usize = 16;
/// Programs that only start another one.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "fish", "env"];

/// A process of this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in the kernel's clock ticks since boot.
    pub started: i64,
}

impl Process {
    /// The process of this number; `None` if there is none, or it is another user's.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        let owner = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
        let this = fs::metadata("/proc/self").ok()?.uid();
        (owner == this).then(|| Some(Self { pid, started: field(pid, 22)? })).flatten()
    }

    /// The process that started this one.
    #[must_use]
    pub fn parent() -> Option<Self> {
        Self::find(parent_id())
    }

    /// The processes that this one descends from, the nearest first.
    pub fn ancestors() -> impl Iterator<Item = Self> {
        let parent = |pid: &u32| u32::try_from(field(*pid, 4)?).ok();
        std::iter::successors(Some(parent_id()), parent).take(MAX_ANCESTORS).map_while(Self::find)
    }

    /// The nearest ancestor that is no shell.
    #[must_use]
    pub fn starter() -> Option<Self> {
        let name =
            |process: &Self| fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
        Self::ancestors().find(|process| !SHELLS.contains(&name(process).trim()))
    }

    /// Whether it still runs: another process may have its number by now.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::find(self.pid) == Some(self)
    }

    /// Whether the process of a stored number and start time still runs.
    #[must_use]
    pub fn runs(pid: i64, started: i64) -> bool {
        u32::try_from(pid).is_ok_and(|pid| Self { pid, started }.is_alive())
    }

    /// What a client's hooks and its MCP process share.
    #[must_use]
    pub fn key(self) -> String {
        format!("pid:{}:{}", self.pid, self.started)
    }
}

/// A field of `/proc/PID/stat`, by its number in proc(5).
fn field(pid: u32, number: usize) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// Whether a seat's way to be woken is a process that is no longer there.
pub(super) fn is_gone(way: &str) -> bool {
    let Some(key) = way.strip_prefix(Seat::WAITS) else { return false };
    let pid = key.split(':').nth(1).and_then(|pid| pid.parse().ok());
    pid.and_then(Process::find).is_none_or(|process| process.key() != key)
}

/// Whether the session of a seat may still be there. One that is no process is taken for live; it is swept by its age.
#[must_use]
pub fn is_live(seat: &Seat) -> bool {
    let Some(pid) = seat.pid.and_then(|pid| u32::try_from(pid).ok()) else { return true };
    seat.started.is_some_and(|started| Process { pid, started }.is_alive())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_number_and_start() {
        let own = Process::find(std::process::id()).unwrap();
        assert!(own.started > 0);
        let seat = |started| Seat {
            id: 1,
            key: own.key(),
            pid: Some(i64::from(own.pid)),
            started: Some(started),
            wake: None,
            busy: false,
            attended: true,
            reserved: None,
            role: None,
            rung_at: None,
            continued: 0,
        };
        assert!(is_live(&seat(own.started)));
        assert!(!is_live(&seat(own.started + 1)), "another process had this number");
    }

    #[test]
    fn a_process_of_another_user_is_nobody_s_seat() {
        // Process 1 is root's; as root, one of our own is asked for through a number that no process has.
        let foreign = fs::metadata("/proc/1").map(|found| found.uid()).ok();
        if foreign != fs::metadata("/proc/self").map(|found| found.uid()).ok() {
            assert_eq!(Process::find(1), None);
        }
        assert_eq!(Process::find(u32::MAX), None);
    }
}
