//! Thousands of idle event streams at one server: what each takes, and how long one event needs to reach them all.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Targets;
use crate::client::{Client, Connection, Program, Server, memory};
use crate::fill::{Size, fill};
use crate::start::watch;
use crate::support::{Agent, PATIENCE, TEXT, Times, quick, show};

/// Streams of one agent.
const OF_AN_AGENT: usize = 5;

/// Broadcasts that are measured.
const BROADCASTS: usize = 5;

/// How many streams: as many as open files allow, here and at the server.
fn streams() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: usize = files.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    files.saturating_sub(500).min(if quick() { 100 } else { 5_000 })
}

pub(crate) fn measure(home: &Path, targets: &mut Targets) {
    let (db, count) = (home.join("streams").join("table.db"), streams());
    // The one that calls has no stream.
    let mut agents = fill(&db, &Size { members: count.div_ceil(OF_AN_AGENT) + 1, messages: 0, tasks: 0 });
    let Agent { name, token } = agents.pop().unwrap();
    let server = Server::start(&Program::ours(), &db);
    // The first call waits for the policies, whose memory is no stream's.
    let first = json!({ "name": name, "token": token });
    Client::Http(Connection::open(server.address)).tool("heartbeat", &first);
    let before = memory(server.id(), "VmRSS");
    // One thread: the server gets the rest of the machine.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (heard, mut events) = unbounded_channel();
    let address = server.address;
    runtime.block_on(async {
        for n in 0..count {
            let (agent, heard) = (agents[n % agents.len()].clone(), heard.clone());
            let mut stream = BufReader::with_capacity(512, TcpStream::connect(address).await.unwrap());
            let request = format!(
                "GET /events/{} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
                agent.name, agent.token
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            until(&mut stream, "event: connected").await;
            tokio::spawn(listen(stream, heard));
        }
    });
    let each = (memory(server.id(), "VmRSS") - before) as f64 / count as f64;
    let share = watch(&[server.id()])[0];
    // A connection that idles for a minute is closed.
    let mut client = Client::Http(Connection::open(server.address));
    let mut broadcasts = Times::default();
    for _ in 0..BROADCASTS {
        broadcasts.add(broadcast(&mut client, &name, &token, &mut events, count, &runtime));
    }
    let slowest = broadcasts.quantile(0.5);
    targets.at_most(
        &format!("memory of an idle event stream, of {count}"),
        &format!("{each:.1} KiB"),
        each,
        20.0,
        "KiB",
    );
    targets.at_most(
        &format!("a broadcast, from the call to the last of {count} streams"),
        &format!("p50 {}, slowest {}", show(slowest), show(broadcasts.quantile(1.0))),
        slowest.as_secs_f64() * 1e3,
        250.0,
        "ms",
    );
    targets.at_most(
        &format!("processor time of a server with {count} idle streams, heartbeats included"),
        &format!("{share:.3} %"),
        share,
        0.1,
        "%",
    );
}

/// The time until all have heard of a broadcast.
fn broadcast(
    client: &mut Client,
    name: &str,
    token: &str,
    events: &mut UnboundedReceiver<Instant>,
    count: usize,
    runtime: &tokio::runtime::Runtime,
) -> Duration {
    let start = Instant::now();
    client.tool("broadcast", &json!({ "sender": name, "token": token, "content": TEXT }));
    let all = async {
        let mut last = start;
        for _ in 0..count {
            last = last.max(events.recv().await.unwrap());
        }
        last
    };
    let last = runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await });
    last.expect("an event did not reach every stream") - start
}

/// Says when a broadcast comes, as long as anybody wants to know.
async fn listen(mut stream: BufReader<TcpStream>, heard: UnboundedSender<Instant>) {
    loop {
        until(&mut stream, "event: broadcast").await;
        if heard.send(Instant::now()).is_err() {
            return;
        }
    }
}

/// Reads on to a line.
async fn until(stream: &mut BufReader<TcpStream>, line: &str) {
    let mut read = String::new();
    while read.trim_end() != line {
        read.clear();
        // The server ends before its streams are dropped.
        if !stream.read_line(&mut read).await.is_ok_and(|bytes| bytes > 0) {
            std::future::pending::<()>().await;
        }
        assert!(!read.starts_with("HTTP/1.1 ") || read.starts_with("HTTP/1.1 200"), "{read}");
    }
}
