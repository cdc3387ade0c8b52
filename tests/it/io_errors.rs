//! A disk that fails: reads, writes and flushes of the database that end in an I/O error. It must not know how the
//! server finds out; it only holds it to what it answered, also after the crash that comes on top.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Home, PROGRAM, Process, strings};

/// A process to whose `calls` to the system, where they concern the database, something happens. `None` where a process
/// may not be traced.
fn on_a_failing_disk(home: &Home, calls: &str, happens: &str) -> Option<Process> {
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
    for suffix in ["", "-wal", "-journal"] {
        command.arg("-P").arg(format!("{}{suffix}", home.db().display()));
    }
    command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{happens}")]);
    Some(Process::spawn(command.arg(PROGRAM)))
}

#[track_caller]
fn sound(home: &Home) {
    assert!(home.succeed(&["audit", "verify"]).starts_with("intact"));
    let found = home.sql().query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(found, "ok");
}

/// Sends until enough was refused, and the last was; then comes the crash. Whoever looks afterwards finds what was
/// acknowledged and nothing else.
fn told_is_true(calls: &str, when: &str) {
    let home = Home::unlimited();
    let (alice, bob) = {
        let mut healthy = home.start();
        (healthy.join("alice"), healthy.join("bob"))
    };
    let Some(mut process) = on_a_failing_disk(&home, calls, &format!("error=EIO:when={when}")) else {
        return;
    };
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
    let mut process = home.start();
    assert!(sent.len() <= 200, "more than a list holds");
    let inbox = json!({ "token": bob, "limit": 200, "peek": true });
    let inbox = process.call("get_messages", inbox).ok();
    assert_eq!(strings(&inbox["messages"], "content"), sent, "{calls}");
    assert_eq!(process.end(), Some(0));
    sound(&home);
}

#[test]
fn a_flush_that_fails_now_and_then_loses_nothing_and_brings_nothing_back() {
    told_is_true("fsync,fdatasync", "3+2");
}

#[test]
fn a_flush_that_always_fails_brings_nothing_back() {
    told_is_true("fsync,fdatasync", "4+");
}

#[test]
fn a_write_that_fails_now_and_then_loses_nothing() {
    told_is_true("pwrite64", "60+11");
}

/// Whatever a process was doing to a new database when it was killed, the next one makes a table of it.
#[test]
fn a_process_killed_at_any_write_of_a_database_s_birth_leaves_one_that_opens() {
    for call in ["pwrite64", "fsync", "fdatasync", "unlink"] {
        let mut survived = false;
        for at in 1..200 {
            let home = Home::unlimited();
            let Some(mut process) = on_a_failing_disk(&home, call, &format!("signal=KILL:when={at}")) else {
                return;
            };
            process.say("register", json!({ "name": "alice" }));
            survived = process.hear().is_some();
            let _ = process.child.kill();
            process.child.wait().unwrap();
            if survived {
                break;
            }
            home.start().join("bob");
            sound(&home);
        }
        assert!(survived, "{call}: a process never comes up");
    }
}
