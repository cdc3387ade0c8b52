//! The person's own command for escalations: a desktop notice, a chat webhook.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::storage::EscalationRow;

/// Longest run of the command.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often its end is looked for.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Runs the command on a thread of its own, the escalation as JSON on its standard input. A failure is
/// logged and changes nothing. Returns the thread, if there is one.
pub(super) fn run(command: &str, escalation: &EscalationRow) -> Option<JoinHandle<()>> {
    let command = command.to_owned();
    let json = serde_json::to_string(escalation).ok()?;
    let spawned = std::thread::Builder::new().name("on-escalation".into()).spawn(move || {
        if let Err(problem) = run_to_end(&command, &json) {
            tracing::warn!(%command, %problem, "the escalation command failed");
        }
    });
    spawned.inspect_err(|error| tracing::warn!(%error, "the escalation command was not run")).ok()
}

fn run_to_end(command: &str, json: &str) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(text)?;
    let deadline = Instant::now() + TIMEOUT;
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
                child.kill().and_then(|()| child.wait()).map_err(text)?;
                return Err(format!("still running after {} s, killed", TIMEOUT.as_secs()));
            }
        }
    }
}
