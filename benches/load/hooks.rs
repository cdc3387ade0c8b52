//! What a coding agent waits for at each event of its session: `team-table hook`, a process of its own that opens the database, looks for
//! news and ends.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::json;

use crate::Database;
use crate::client::{Clients, Program};
use crate::support::{Report, Times, rounds, show};

/// What a hook may take at the 95th percentile, in milliseconds.
const LIMIT: f64 = 20.0;
/// The kernel's switch that empties the page cache; root's.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";
/// The events, and whether there is news each time.
const EVENTS: [(&str, &str, bool); 4] = [
    ("tool", "PostToolBatch", false),
    ("tool", "PostToolBatch", true),
    ("prompt", "UserPromptSubmit", false),
    ("stop", "Stop", false),
];

pub(crate) fn measure(databases: &[Database; 2], targets: &mut crate::Targets) {
    println!("\n## Hooks of coding agents\n");
    let mut report = Report::new(&["table", "hook", "news", "warm p50", "p95", "cold p50", "p95"]);
    for Database { label, path, members } in databases {
        let session = std::process::id();
        hook(path, session, "start", "SessionStart");
        // A call from a child of this process binds the agent to this process' seat.
        let mut server = Clients::stdio(&Program::ours(), path, 1);
        let member = members.last().unwrap();
        server.all[0].tool("heartbeat", &json!({ "name": member.name, "token": member.token }));
        drop(server);
        let table = Connection::open(path).unwrap();
        for (event, name, news) in EVENTS.into_iter().filter(|(_, _, news)| !news || *label == "full") {
            let run = |count: usize, cold: bool| {
                let mut times = Times::default();
                for _ in 0..count {
                    let upto = if news { 0 } else { i64::MAX };
                    table.execute("UPDATE seat_members SET announced_upto = ?1", [upto]).unwrap();
                    if cold && !forget() {
                        return None;
                    }
                    let said = times.measure(|| hook(path, session, event, name));
                    assert_eq!(!said.is_empty(), news, "{label} {event}: {said}");
                }
                Some(times)
            };
            let warm = run(rounds(400), false).unwrap();
            let cold = run(rounds(40), true);
            let cell = |share| {
                cold.as_ref().map_or_else(|| "not root".to_owned(), |times| show(times.quantile(share)))
            };
            let news = if news { "yes" } else { "no" };
            let (p50, p95) = (warm.p50(), warm.quantile(0.95));
            report.row(&[*label, event, news, &show(p50), &show(p95), &cell(0.5), &cell(0.95)]);
            if *label == "full" {
                let what = format!("hook `{event}` on the full table, news: {news}, p95");
                targets.at_most(&what, &show(p95), p95.as_secs_f64() * 1e3, LIMIT, "ms");
            }
        }
    }
    report.print();
}

/// Runs a hook; what it printed.
fn hook(db: &Path, session: u32, event: &str, name: &str) -> String {
    let mut command = Program::ours().on(db);
    command.args(["hook", "claude", event]).env("CLAUDE_PID", session.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let input = json!({ "session_id": "s", "hook_event_name": name, "prompt": "go on", "cwd": "/" });
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Empties the page cache: the next process reads the program and the database from the disk.
fn forget() -> bool {
    Command::new("sync").status().is_ok_and(|status| status.success()) && fs::write(DROP_CACHES, "3").is_ok()
}
