//! What a process costs that does nothing: its start, its memory, its processor time.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Targets;
use crate::client::{Client, Clients, Connection, Process, Program, Server, cpu, memory};
use crate::support::{Times, quick, rounds, show};

/// How long what should do nothing is watched.
pub(crate) fn watch(processes: &[u32]) -> Vec<f64> {
    let time = Duration::from_secs(if quick() { 2 } else { 60 });
    let before: Vec<Duration> = processes.iter().map(|id| cpu(*id)).collect();
    std::thread::sleep(time);
    let used = processes.iter().zip(before).map(|(id, before)| cpu(*id).saturating_sub(before));
    used.map(|used| 100.0 * used.as_secs_f64() / time.as_secs_f64()).collect()
}

pub(crate) fn measure(home: &Path, targets: &mut Targets) {
    let (ours, db) = (Program::ours(), home.join("start").join("table.db"));
    let mut clients = Clients::stdio(&ours, &db, 1);
    let process = clients.processes()[0];
    let token = clients.all[0].tool("register", &json!({ "name": "alice" }))["token"].clone();
    clients.all[0].tool("list_tasks", &json!({ "agent_name": "alice", "token": token }));
    // The first process compiled the policies; the ones after it are what people have many of.
    let compiled = memory(process, "VmRSS") as f64 / 1024.0;
    let mut clients = Clients::stdio(&ours, &db, 1);
    let process = clients.processes()[0];
    clients.all[0].tool("heartbeat", &json!({ "name": "alice", "token": token }));
    let mut warm = Times::default();
    for _ in 0..rounds(40) {
        let start = Instant::now();
        let mut process = Process::spawn(&ours, &db);
        process.initialize();
        warm.add(start.elapsed());
        drop(Client::Stdio(process));
    }
    let start = warm.p50();
    targets.at_most(
        "from the start of a process to `initialize`, compiled policies cached",
        &format!("p50 {}, p95 {}", show(start), show(warm.quantile(0.95))),
        start.as_secs_f64() * 1e3,
        15.0,
        "ms",
    );
    let server = Server::start(&ours, &home.join("idle").join("table.db"));
    Client::Http(Connection::open(server.address)).tool("register", &json!({ "name": "alice" }));
    for (what, share) in ["stdio process", "HTTP server"].iter().zip(watch(&[process, server.id()])) {
        targets.at_most(
            &format!("processor time of an idle {what}"),
            &format!("{share:.3} %"),
            share,
            0.1,
            "%",
        );
    }
    let resident = memory(process, "VmRSS") as f64 / 1024.0;
    targets.at_most(
        "resident memory of an idle stdio process",
        &format!("{resident:.1} MiB; {compiled:.1} MiB in the one that compiled the policies"),
        resident,
        40.0,
        "MiB",
    );
}
