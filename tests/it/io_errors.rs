//! A disk that fails: reads, writes and flushes of the database that end in an I/O error. It must not know how the
//! server finds out; it only holds it to what it answered, also after the crash that comes on top.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Home, PROGRAM, Process, strings};

/// A process whose `calls` to the system fail with an I/O error where the database is concerned: the `first` of each
/// thread, and each `every`th from there on. `None` where a process may not be traced.
fn on_a_failing_disk(home: &Home, calls: &str, first: usize, every: usize) -> Option<Process> {
    let can = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("no strace here, or no right to use it: an I/O error is only brought about by a limit");
        return None;
    }
    let mut command = Command::new("strace");
    let plain = home.command();
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // What it would complain of is what the test brings about.
    command.env("TEAM_TABLE_LOG", "off");
    // Beside the process and not around it, so that the process is the one to be killed.
    command.args(["-D", "-f", "-qq", "-o", "/dev/null"]);
    for suffix in ["", "-wal"] {
        command.arg("-P").arg(format!("{}{suffix}", home.db().display()));
    }
    command.args(["-e", &format!("trace={calls}")]);
    command.args(["-e", &format!("inject={calls}:error=EIO:when={first}+{every}")]);
    Some(Process::spawn(command.arg(PROGRAM)))
}

/// Sends until enough was refused, and the last was; then comes the crash. Whoever looks afterwards finds what was
/// acknowledged and nothing else.
fn told_is_true(calls: &str, first: usize, every: usize) {
    let home = Home::unlimited();
    let (alice, bob) = {
        let mut sound = home.start();
        (sound.join("alice"), sound.join("bob"))
    };
    let Some(mut process) = on_a_failing_disk(&home, calls, first, every) else { return };
    let (mut sent, mut refused) = (Vec::new(), 0);
    for at in 0..2_000 {
        let content = format!("{at}");
        let message = json!({ "sender": "alice", "token": alice, "recipient": "bob", "content": content });
        let answer = process.call("send_message", message);
        if !answer.is_error {
            sent.push(content);
            continue;
        }
        answer.refused("unavailable");
        refused += 1;
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "{calls}: the disk never failed");
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let mut sound = home.start();
    assert!(sent.len() <= 200, "more than a list holds");
    let inbox = json!({ "token": bob, "limit": 200, "peek": true });
    let inbox = sound.call("get_messages", inbox).ok();
    assert_eq!(strings(&inbox["messages"], "content"), sent, "{calls}");
    assert_eq!(sound.end(), Some(0));
    assert!(home.succeed(&["audit", "verify"]).starts_with("intact"));
    let found = home.sql().query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(found, "ok");
}

#[test]
fn a_flush_that_fails_now_and_then_loses_nothing_and_brings_nothing_back() {
    told_is_true("fsync,fdatasync", 3, 2);
}

#[test]
fn a_flush_that_always_fails_brings_nothing_back() {
    told_is_true("fsync,fdatasync", 4, 1);
}

#[test]
fn a_write_that_fails_now_and_then_loses_nothing() {
    told_is_true("pwrite64", 60, 11);
}
