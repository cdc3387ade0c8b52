//! Processes of clients, as the system knows them. A process number is used again, so a process is told by its number and the
//! time at which it started.

use crate::domain::seat::Seat;
use crate::os::{self, ProcessFacts};

/// Ancestors that are looked at.
const MAX_ANCESTORS: usize = 16;
/// Programs that only start another one.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "zsh", "fish", "env", "cmd", "powershell", "pwsh"];

/// A process of this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in units of the system.
    pub started: i64,
}

impl Process {
    /// The process of this number; `None` if there is none, or it is another user's.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        let found = os::process(pid).filter(|found| found.is_ours)?;
        Some(Self { pid, started: found.started })
    }

    /// The process that started this one.
    #[must_use]
    pub fn parent() -> Option<Self> {
        Self::find(os::parent_process())
    }

    /// The nearest process that this one descends from and that is no shell.
    #[must_use]
    pub fn starter() -> Option<Self> {
        Self::descent()
            .find(|(_, facts)| !SHELLS.contains(&facts.program.as_str()))
            .map(|(process, _)| process)
    }

    /// The processes that this one descends from, the nearest first.
    pub fn ancestors() -> impl Iterator<Item = Self> {
        Self::descent().map(|(process, _)| process)
    }

    fn descent() -> impl Iterator<Item = (Self, ProcessFacts)> {
        let of = |pid: u32| {
            let facts = os::process(pid).filter(|facts| facts.is_ours)?;
            Some((Self { pid, started: facts.started }, facts))
        };
        // A number that was taken again belongs to a process that started later than its supposed child.
        let parent = move |(child, facts): &(Self, ProcessFacts)| {
            of(facts.parent).filter(|(parent, _)| parent.started <= child.started)
        };
        std::iter::successors(of(os::parent_process()), parent).take(MAX_ANCESTORS)
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
        // The first process is the system's, unless the tests run in a container of their own.
        if let Some(first) = os::process(1) {
            assert_eq!(Process::find(1).is_some(), first.is_ours);
        }
        assert_eq!(Process::find(u32::MAX), None);
    }
}
