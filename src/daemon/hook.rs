//! The person's own command for escalations: a desktop notice, a chat webhook.

use std::io::Write;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::os::{self, Group};

/// Longest run of the command.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often its end is looked for.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Runs the command on a thread of its own, the escalation as JSON on its standard input. A failure changes nothing.
/// Returns the thread, if there is one; its result says what failed.
pub(super) fn run(command: &str, json: String) -> Option<JoinHandle<Result<(), String>>> {
    let command = command.to_owned();
    let spawned = std::thread::Builder::new().name("on-escalation".into()).spawn(move || {
        run_to_end(&command, &json, TIMEOUT).map_err(|problem| format!("{command}: {problem}"))
    });
    spawned.inspect_err(|error| tracing::warn!(%error, "the escalation command was not run")).ok()
}

fn run_to_end(command: &str, json: &str, timeout: Duration) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut group =
        Group::start(os::shell(command).stdin(Stdio::piped()).stdout(Stdio::null())).map_err(text)?;
    let deadline = Instant::now() + timeout;
    if let Some(mut input) = group.child().stdin.take() {
        let json = json.to_owned();
        // On a thread of its own: a command that does not read its input is no failure, and must not hold us.
        std::thread::spawn(move || input.write_all(json.as_bytes()));
    }
    loop {
        match group.child().try_wait().map_err(text)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if Instant::now() < deadline => std::thread::sleep(LOOK),
            None => {
                group.kill().map_err(text)?;
                return Err(format!("still running after {} s, killed", timeout.as_secs()));
            }
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timed_out_command_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // The reader gets its end when every process of the group that holds the pipe has ended.
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        let command = format!("exec 3> {}; echo started >&3; sleep 1000 & sleep 1000", pipe.display());
        let problem = run_to_end(&command, "{}", Duration::from_millis(300)).unwrap_err();
        assert!(problem.contains("killed"), "{problem}");
        assert_eq!(reader.join().unwrap(), b"started\n");
    }
}
