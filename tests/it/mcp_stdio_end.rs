//! How a process that serves on standard input and output ends on Unix: signals, its parent's end, the sockets of Node.js.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::PROGRAM;
use crate::mcp_stdio::command;
use crate::mcp_support::{call, rpc};

/// Starts a process on `input`, waits until it answers, lets `finish` end it and checks that it goes, and
/// well.
fn ends_before_its_waits(
    input: OwnedFd,
    output: OwnedFd,
    mut say: impl Write,
    hear: impl Read,
    finish: impl FnOnce(u32),
) {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(&home).stdin(Stdio::from(input)).stdout(Stdio::from(output)).spawn().unwrap();
    let mut hear = BufReader::new(hear);
    let mut line = String::new();
    // A long poll of 50 s, which must not hold up the end, and something to know that it has begun.
    writeln!(say, "{}", call(1, "register", json!({"name": "alice"}))).unwrap();
    hear.read_line(&mut line).unwrap();
    let reply: Value = serde_json::from_str(&line).unwrap();
    let token = &reply["result"]["structuredContent"]["token"];
    writeln!(say, "{}", call(2, "get_messages", json!({"token": token, "wait_seconds": 50}))).unwrap();
    writeln!(say, "{}", rpc(3, "ping", json!({}))).unwrap();
    hear.read_line(&mut line).unwrap();
    finish(child.id());
    let mut rest = String::new();
    hear.read_to_string(&mut rest).unwrap();
    let code = child.wait().unwrap().code();
    // A wait that runs to its end is answered with no messages.
    assert!(!rest.contains("\"messages\""), "waited for the long poll: {rest}");
    assert_eq!(code, Some(0));
    drop(say);
}

fn kill(signal: &'static str) -> impl FnOnce(u32) {
    move |pid| assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success())
}

#[test]
fn signals_end_it_and_its_waits_on_pipes() {
    for signal in ["-TERM", "-INT"] {
        let (input, say) = std::io::pipe().unwrap();
        let (hear, output) = std::io::pipe().unwrap();
        ends_before_its_waits(input.into(), output.into(), say, hear, kill(signal));
    }
}

#[test]
fn signals_end_it_and_its_waits_on_the_sockets_node_uses() {
    let (input, say) = UnixStream::pair().unwrap();
    let (hear, output) = UnixStream::pair().unwrap();
    ends_before_its_waits(input.into(), output.into(), say, hear, kill("-TERM"));
}

#[test]
fn end_of_input_ends_it_and_its_waits_on_the_sockets_node_uses() {
    let (input, say) = UnixStream::pair().unwrap();
    let (hear, output) = UnixStream::pair().unwrap();
    let end = say.try_clone().unwrap();
    ends_before_its_waits(input.into(), output.into(), say, hear, move |_| {
        end.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn it_does_not_outlive_its_parent_even_if_its_input_stays_open() {
    let home = tempfile::tempdir().unwrap();
    let (input, mut say) = std::io::pipe().unwrap();
    let (hear, output) = std::io::pipe().unwrap();
    // The shell waits for the first answer to be read by us, then dies; our end of the input stays open.
    let (gate, mut open_gate) = std::io::pipe().unwrap();
    let mut shell = Command::new("sh")
        .args(["-c", r#"exec 4<&0; "$PROGRAM" <&4 2>/dev/null & exec 1>&-; read -r line <"$GATE""#])
        .env("PROGRAM", PROGRAM)
        .env("GATE", format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&gate)))
        .env("HOME", home.path())
        .env("TEAM_TABLE_DB", home.path().join("t.db"))
        .stdin(Stdio::from(OwnedFd::from(input)))
        .stdout(Stdio::from(OwnedFd::from(output)))
        .spawn()
        .unwrap();
    let mut hear = BufReader::new(hear);
    let mut line = String::new();
    writeln!(say, "{}", rpc(1, "ping", json!({}))).unwrap();
    hear.read_line(&mut line).unwrap();
    assert!(line.contains("\"id\":1"), "{line}");
    writeln!(open_gate, "go").unwrap();
    shell.wait().unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(hear.read_to_string(&mut String::new())));
    let end = end.recv_timeout(Duration::from_secs(2));
    // Only now: the end of its input would end it too.
    drop((say, gate));
    assert_eq!(end.expect("it outlives its parent").unwrap(), 0);
}
