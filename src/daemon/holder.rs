//! Who holds a lease: this process, on this machine, since it started; and whether another holder is dead.

use std::fs;

/// The name under which this process holds leases: `pid@machine#start`.
#[derive(Debug, Clone)]
pub struct Holder(String);

impl Holder {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self(format!("{pid}@{}#{}", machine(), start_of(pid).unwrap_or_default()))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

/// Whether a holder is known to be dead: a process of this machine, since this boot, that is gone. Of other
/// machines nothing is known; their leases run out.
pub(super) fn is_dead(holder: &str) -> bool {
    let Some((pid, rest)) = holder.split_once('@') else { return false };
    let (Some((on, start)), Ok(pid)) = (rest.split_once('#'), pid.parse()) else { return false };
    // A number that was used again belongs to a process that started at another time.
    on == machine() && start_of(pid).unwrap_or_default() != start
}

/// The boot of this machine and the process numbers' namespace: a number means nothing on another machine,
/// after a restart, or in a container that shares the database.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), namespace.display())
}

/// Start time of a living process in clock ticks since boot: field 22 of its stat line, the 20th after the
/// parenthesised name. The first of these is its state; one that has ended and was not yet waited for is dead.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_is_not_dead_and_a_gone_one_is() {
        let alive = Holder::this_process();
        assert!(!is_dead(alive.name()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let name = format!("{}@{}#1", child.id(), machine());
        child.wait().unwrap();
        assert!(is_dead(&name), "it was waited for");
        assert!(!is_dead(&name.replace('@', "@elsewhere")), "another machine's process may well live");
        assert!(!is_dead("nonsense"));
    }
}
