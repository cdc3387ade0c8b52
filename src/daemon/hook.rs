//! The person's own command for escalations: a desktop notice, a chat webhook.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // A group of its own, so that what the shell has started can be ended with it.
        .process_group(0)
        .spawn()
        .map_err(text)?;
    let deadline = Instant::now() + timeout;
    if let Some(mut input) = child.stdin.take() {
        let json = json.to_owned();
        // On a thread of its own: a command that does not read its input is no failure, and must not hold us.
        std::thread::spawn(move || input.write_all(json.as_bytes()));
    }
    loop {
        match child.try_wait().map_err(text)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if Instant::now() < deadline => std::thread::sleep(LOOK),
            None => {
                let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                if let Some(group) = group {
                    // It fails only when all of it has ended by itself.
                    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                }
                child.wait().map_err(text)?;
                return Err(format!("still running after {} s, killed", timeout.as_secs()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timed_out_command_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
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
