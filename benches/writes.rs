//! What a write costs: a tool call over standard input and output against a bare insertion with the same durability, many
//! writers against one, and the start of a process. What is compared is measured in turns, so that the machine's other work
//! falls on both alike.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it finds something amiss"
)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rusqlite::Connection;
use serde_json::{Value, json};
use support::{
    Agent, Bound, PER_AGENT, TEXT, Targets, Times, agents_for, call, conditions, folder, message, p50_p99,
    per_second, rounds, seat, show, table, usize_f64, wanted,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_team-table");

fn main() {
    conditions();
    if wanted("stdio") {
        stdio();
    }
    if wanted("writers") {
        writers();
    }
    if wanted("start") {
        start_up();
    }
}

/// A table of messages and nothing else, as durable as ours.
struct Bare(Connection);

impl Bare {
    fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(support::PATIENCE).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS messages
                   (id INTEGER PRIMARY KEY, sender TEXT, recipient TEXT, content TEXT, created_at INTEGER);",
            )
            .unwrap();
        Self(connection)
    }

    /// The log grows to a thousand pages and is then written from the start again, which makes a commit cheaper.
    fn grow_log(&self) {
        (0..rounds(1_200)).for_each(|n| self.insert(n));
    }

    fn insert(&self, n: usize) {
        let n = i64::try_from(n).unwrap();
        let mut statement = self
            .0
            .prepare_cached(
                "INSERT INTO messages (sender, recipient, content, created_at) VALUES (?1, ?2, ?3, ?4)",
            )
            .unwrap();
        statement.execute(rusqlite::params!["agent-1", "agent-2", TEXT, n]).unwrap();
    }
}

/// The program as a process, on standard input and output.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    line: String,
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .env("HOME", home)
        .env("TEAM_TABLE_DB", home.join("table.db"))
        .env("TEAM_TABLE_LOG", "error")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn call_line(tool: &str, arguments: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
        .to_string()
}

impl Process {
    fn start(home: &Path) -> Self {
        let mut child = program(home).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, line: String::new() }
    }

    /// Sends a line and waits for one.
    fn ask(&mut self, line: &str) -> &str {
        // In one write, as clients do.
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
        self.line.clear();
        self.output.read_line(&mut self.line).unwrap();
        &self.line
    }

    fn tool(&mut self, tool: &str, arguments: &Value) -> Value {
        let reply = self.ask(&call_line(tool, arguments));
        let mut reply: Value = serde_json::from_str(reply).unwrap();
        let result = reply["result"].take();
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        self.child.wait().unwrap();
    }
}

fn stdio() {
    let home = folder();
    let rounds = rounds(3_000);
    let mut process = Process::start(home.path());
    process.ask(INITIALIZE);
    let agents: Vec<Agent> = (0..agents_for(rounds + 50))
        .map(|i| {
            let name = format!("agent-{i}");
            let token = process.tool("register", &json!({ "name": name }))["token"].clone();
            Agent { name, token: token.as_str().unwrap().to_owned() }
        })
        .collect();
    let bare = Bare::open(&home.path().join("bare.db"));
    bare.grow_log();
    let (mut ping, mut insert, mut write, mut read) = <(Times, Times, Times, Times)>::default();
    let tasks = json!({ "agent_name": agents[0].name, "token": agents[0].token });
    for n in 0..rounds + 50 {
        let arguments = message(&agents, n);
        if n == 50 {
            // What came before was for warming up.
            (ping, insert, write, read) = Default::default();
        }
        let lines = [call_line("send_message", &arguments), call_line("list_tasks", &tasks)];
        ping.measure(|| process.ask(PING).len());
        insert.measure(|| bare.insert(n));
        let reply = write.measure(|| process.ask(&lines[0]).to_owned());
        assert!(!reply.contains("\"isError\":true"), "{reply}");
        read.measure(|| process.ask(&lines[1]).len());
    }
    println!(
        "conditions: a durable commit (a bare `rusqlite` insert, WAL, synchronous=FULL) takes {}",
        show(insert.p50())
    );
    let mut targets = Targets::new("One call after the other, over stdio: p50 / p99");
    for (what, it, bound) in
        [("`ping`, the transport alone", &ping, 0.25), ("`list_tasks`, a read", &read, 1.5)]
    {
        targets.time(what, it, "a bare durable insert", &insert, Bound::AtMost(bound));
    }
    let limit = insert.p50() + ping.p50();
    targets.against(
        "`send_message`: message, inbox, event, audit and decision, durable",
        &p50_p99(&write),
        &format!("a bare durable insert and a ping: {}", show(limit)),
        write.p50().as_secs_f64() / limit.as_secs_f64(),
        Bound::AtMost(1.5),
    );
    targets.print();
}

fn writers() {
    let home = folder();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let counts = [1_usize, 16, 64];
    let calls =
        counts.map(|writers| rounds(if writers == 1 { 200 } else { 100 * writers.min(32) }).max(writers));
    let repeat = rounds(5);
    let blocks =
        counts.iter().zip(&calls).map(|(writers, calls)| (calls / writers).div_ceil(PER_AGENT) * writers);
    let total = blocks.sum::<usize>() * PER_AGENT * repeat;
    let (table, agents) = runtime.block_on(async {
        let table = table(home.path());
        let agents = seat(&table, agents_for(total)).await;
        (table, Arc::new(agents))
    });
    // Kept open, and its log grown to the size at which it is used again from the start, as ours is by now.
    let keeper = Bare::open(&home.path().join("bare.db"));
    keeper.grow_log();
    let next = Arc::new(AtomicUsize::new(0));
    let mut rates = counts.map(|_| Vec::new());
    let mut bare_rates = counts.map(|_| Vec::new());
    for _ in 0..repeat {
        for (i, (&writers, &calls)) in counts.iter().zip(&calls).enumerate() {
            let start = Instant::now();
            runtime.block_on(async {
                let each = calls / writers;
                let tasks: Vec<_> = (0..writers)
                    .map(|_| {
                        let (table, agents, next) = (table.clone(), Arc::clone(&agents), Arc::clone(&next));
                        // An agent belongs to one writer: calls of one agent that race are judged again, one after the other.
                        tokio::spawn(async move {
                            let mut block = 0;
                            for i in 0..each {
                                if i % PER_AGENT == 0 {
                                    block = next.fetch_add(1, Ordering::Relaxed) * PER_AGENT;
                                }
                                call(&table, "send_message", message(&agents, block + i % PER_AGENT)).await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            rates[i].push(usize_f64(calls / writers * writers) / start.elapsed().as_secs_f64());
            bare_rates[i].push(bare_writers(home.path(), writers, calls.min(800)));
        }
    }
    let mut targets = Targets::new("Writers at once, in one process: calls a second");
    let [ours, bare] = [rates, bare_rates].map(|rates| rates.map(middle));
    for (i, (alone, beside)) in [(1.0, 0.15), (2.5, 2.5), (15.0, 10.0)].into_iter().enumerate() {
        let (what, measured) = (format!("`send_message`, writers: {}", counts[i]), per_second(ours[i]));
        if i > 0 {
            let one = format!("one writer: {}", per_second(ours[0]));
            targets.against(&what, &measured, &one, ours[i] / ours[0], Bound::AtLeast(alone));
        }
        let bare_ones = format!("bare durable inserts, a connection each: {}", per_second(bare[i]));
        targets.against(&what, &measured, &bare_ones, ours[i] / bare[i], Bound::AtLeast(beside));
    }
    targets.print();
    table.close();
}

/// Insertions per second of threads that each have a connection.
fn bare_writers(dir: &Path, writers: usize, calls: usize) -> f64 {
    let path = dir.join("bare.db");
    let connections: Vec<_> = (0..writers).map(|_| Bare::open(&path)).collect();
    let each = (calls / writers).max(1);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for bare in connections {
            scope.spawn(move || (0..each).for_each(|n| bare.insert(n)));
        }
    });
    usize_f64(each * writers) / start.elapsed().as_secs_f64()
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn start_up() {
    let home = folder();
    let cache = home.path().join("table.db.policy-cache");
    let token = {
        let mut process = Process::start(home.path());
        process.ask(INITIALIZE);
        process.tool("register", &json!({ "name": "alice" }))["token"].clone()
    };
    let list = json!({ "agent_name": "alice", "token": token });
    let mut version = Times::default();
    // To the answer to `initialize`, and to the first tool call's.
    let mut started = [false, true].map(|cold| (cold, Times::default(), Times::default()));
    for _ in 0..rounds(20) {
        version.measure(|| program(home.path()).arg("--version").output().unwrap());
        for (cold, initialized, called) in &mut started {
            if *cold {
                fs::remove_dir_all(&cache).unwrap();
            }
            let start = Instant::now();
            let mut process = Process::start(home.path());
            process.ask(INITIALIZE);
            initialized.add(start.elapsed());
            process.tool("list_tasks", &list);
            called.add(start.elapsed());
        }
    }
    let mut targets = Targets::new("From the start of the process: p50 / p99");
    let [(_, initialized, called), (_, _, compiled)] = &started;
    for (what, it, bound) in [
        ("`initialize` is answered", initialized, 3.0),
        ("the first tool call is answered, policies compiled before", called, 6.0),
    ] {
        targets.time(what, it, "`team-table --version`", &version, Bound::AtMost(bound));
    }
    targets.at_most(
        "the first tool call is answered, policies compiled first (once per installation)",
        &p50_p99(compiled),
        compiled.p50().as_secs_f64(),
        2.0,
        "s",
    );
    targets.print();
}
