//! A table in use: the built program over standard input and output and over HTTP, under 1, 16 and 64 clients that do what
//! agents do all day, on an empty database and on one of a million messages; and what it owes against its limits.
//!
//! Beside the names of its parts (`mix`, `tools`, `hooks`, `start`, `streams`) it takes `--program=FILE` for another build, and
//! `--compare=COMMAND` for another server of the same tools on standard input and output, which is then measured in turns
//! with ours. The built-in policies and their limits stay on, there as here: an agent makes few calls, then the next one does.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, ends where it finds something amiss, and counts what is far below 2^52"
)]

mod support;

#[path = "load/client.rs"]
mod client;
#[path = "load/fill.rs"]
mod fill;
#[path = "load/hooks.rs"]
mod hooks;
#[path = "load/mix.rs"]
mod mix;
#[path = "load/start.rs"]
mod start;
#[path = "load/streams.rs"]
mod streams;
#[path = "load/tools.rs"]
mod tools;

use std::path::{Path, PathBuf};
use std::time::Instant;

use client::{Clients, Program};
use fill::{Size, fill};
use mix::{Outcome, Seats, Work};
use support::{
    Agent, Bound, Report, Targets, conditions, folder, grouped, per_second, quick, show, usize_f64, wanted,
};

/// Clients at once, the calls of each in the mix, and the messages each sends after it.
const RUNS: [(usize, usize, usize); 3] = [(1, 2_400, 200), (16, 420, 50), (64, 120, 25)];

/// The same for a quick run, in which most of the time goes into starting the peer.
const QUICK_RUNS: [(usize, usize, usize); 3] = [(1, 60, 5), (4, 10, 5), (8, 5, 5)];

fn runs() -> [(usize, usize, usize); 3] {
    if quick() { QUICK_RUNS } else { RUNS }
}

/// A database that is measured on, and who calls there.
struct Database {
    label: &'static str,
    path: PathBuf,
    members: Vec<Agent>,
}

fn main() {
    conditions();
    let home = folder();
    let size = if quick() {
        Size { members: 500, messages: 5_000, tasks: 500 }
    } else {
        Size { members: 1_000, messages: 1_000_000, tasks: 100_000 }
    };
    let databases = ["mix", "tools", "hooks"].into_iter().any(wanted).then(|| databases(home.path(), size));
    if let Some(databases) = databases.as_ref().filter(|_| wanted("mix")) {
        mix(home.path(), databases);
    }
    if let Some(databases) = databases.as_ref().filter(|_| wanted("tools")) {
        tools::measure(home.path(), databases);
    }
    let mut targets =
        Targets::new("At rest, at the events of a session, and with thousands of event streams");
    if let Some(databases) = databases.as_ref().filter(|_| wanted("hooks")) {
        hooks::measure(databases, &mut targets);
    }
    if wanted("start") {
        start::measure(home.path(), &mut targets);
    }
    if wanted("streams") {
        streams::measure(home.path(), &mut targets);
    }
    targets.print();
}

/// An empty database and a full one, with the same members.
fn databases(home: &Path, size: Size) -> [Database; 2] {
    let make = |label, size: &Size| {
        let start = Instant::now();
        let path = home.join(label).join("table.db");
        let members = fill(&path, size);
        let [people, messages, tasks] =
            [size.members, size.messages, size.tasks].map(|it| grouped(usize_f64(it)));
        println!(
            "conditions: the {label} table: {people} members, {messages} messages, {tasks} tasks, {} MiB, filled in {:.0} s",
            fill::bytes(&path) >> 20,
            start.elapsed().as_secs_f64()
        );
        Database { label, path, members }
    };
    [make("empty", &Size { messages: 0, tasks: 0, ..size }), make("full", &size)]
}

/// One run of the mix and one of messages only.
struct Measured {
    database: &'static str,
    way: &'static str,
    clients: usize,
    day: Outcome,
    messages: Outcome,
}

fn mix(home: &Path, databases: &[Database; 2]) {
    let (ours, peer) = (Program::ours(), Program::peer());
    let peer_db = home.join("peer").join("table.db");
    std::fs::create_dir_all(peer_db.parent().unwrap()).unwrap();
    // Before the load, one after the other: a process of the peer that met a lock may keep one until it ends.
    let people = peer.iter().flat_map(|peer| {
        let mut at = Clients::stdio(peer, &peer_db, 1);
        Seats::registering().take(&mut at.all[0], if quick() { 400 } else { 500 })
    });
    let mut peer_seats = Seats::of(people.collect());
    // Those at the end are left to the part that measures call by call.
    let most = |database: &Database| database.members[..database.members.len() * 4 / 5].to_vec();
    let mut seats: Vec<Seats> = databases.iter().map(|it| Seats::of(most(it))).collect();
    let mut all = Vec::new();
    for (clients, calls, messages) in runs() {
        let mut measure =
            |database, way, at: &dyn Fn() -> Clients, seats: &mut Seats, db: &Path, calls, messages| {
                // Clients of their own for each, as that lock would fail the second run.
                let day = mix::run(&mut at(), seats, db, Work::Day, calls);
                let messages = mix::run(&mut at(), seats, db, Work::Messages, messages);
                for (count, first) in [&day.failures, &messages.failures] {
                    if let Some(first) = first {
                        println!(
                            "{database}, {way}, {clients} clients: {count} calls failed, the first: {first}"
                        );
                    }
                }
                println!(
                    "{database}, {way}, {clients} clients: {:.0} calls/s, {:.0} messages/s",
                    day.per_second, messages.per_second
                );
                all.push(Measured { database, way, clients, day, messages });
            };
        for (database, seats) in databases.iter().zip(&mut seats) {
            let (label, db) = (database.label, &database.path);
            let stdio = || Clients::stdio(&ours, db, clients);
            measure(label, "stdio", &stdio, seats, db, calls, messages);
            measure(label, "http", &|| Clients::http(&ours, db, clients), seats, db, calls, messages);
        }
        if let Some(peer) = &peer {
            let at = || Clients::stdio(peer, &peer_db, clients);
            measure("empty", "peer, stdio", &at, &mut peer_seats, &peer_db, calls, messages);
        }
    }
    overall(&all);
    by_tool(&all);
    throughput(&all);
}

fn overall(all: &[Measured]) {
    let mut report = Report::new(&[
        "database",
        "way",
        "clients",
        "calls/s",
        "p50",
        "p95",
        "p99",
        "CPU a call",
        "peak memory, all processes",
        "growth a call",
        "failed",
        "`send_message` alone/s",
    ]);
    for Measured { database, way, clients, day, messages } in all {
        report.row(&[
            (*database).to_owned(),
            (*way).to_owned(),
            clients.to_string(),
            format!("{:.0}", day.per_second),
            show(day.all.p50()),
            show(day.all.quantile(0.95)),
            show(day.all.p99()),
            show(day.cpu_per_call),
            format!("{:.0} MiB", day.memory),
            format!("{:.0} B", day.grown_per_call),
            (day.failures.0 + messages.failures.0).to_string(),
            format!("{:.0}", messages.per_second),
        ]);
    }
    report.print();
}

fn by_tool(all: &[Measured]) {
    let counts = runs().map(|(clients, ..)| clients);
    let columns = counts.map(|clients| format!("clients: {clients}"));
    let mut report =
        Report::new(&["database, way, tool: p50 / p95 / p99", &columns[0], &columns[1], &columns[2]]);
    for Measured { database, way, day, .. } in all.iter().filter(|it| it.clients == 1) {
        for tool in day.times.keys() {
            let cell = |clients| {
                let same = |it: &&Measured| (it.database, it.way, it.clients) == (database, way, clients);
                let times = all.iter().find(same).and_then(|it| it.day.times.get(tool));
                times.map_or_else(String::new, |times| {
                    [0.5, 0.95, 0.99].map(|share| show(times.quantile(share))).join(" / ")
                })
            };
            let [few, some, many] = counts.map(cell);
            report.row(&[format!("{database}, {way}, `{tool}`"), few, some, many]);
        }
    }
    report.print();
}

fn throughput(all: &[Measured]) {
    let mut targets = Targets::new("What agents do all day, many at once: calls a second");
    let of =
        |way, clients| all.iter().find(|it| it.database == "empty" && it.way == way && it.clients == clients);
    for (clients, ..) in runs() {
        let Some(peer) = of("peer, stdio", clients) else { continue };
        for way in ["stdio", "http"] {
            let Some(ours) = of(way, clients) else { continue };
            let messages = if clients == 1 { 5.0 } else { 40.0 };
            for (what, ours, peer, bound) in [
                ("the mix", &ours.day, &peer.day, 1.0),
                ("`send_message` alone", &ours.messages, &peer.messages, messages),
            ] {
                let (failed, ours, peer) = (peer.failures.0, ours.per_second, peer.per_second);
                let what = format!("{what}, clients: {clients}, {way}");
                let failed =
                    if failed > 0 { format!(", {failed} calls failed or unanswered") } else { String::new() };
                let its = format!("the peer over stdio: {}{failed}", per_second(peer));
                targets.against(&what, &per_second(ours), &its, ours / peer, Bound::AtLeast(bound));
            }
        }
    }
    let failed = |is_peer: bool| {
        let outcomes = all.iter().filter(|it| (it.way == "peer, stdio") == is_peer);
        outcomes
            .flat_map(|it| [&it.day, &it.messages])
            .fold((0, 0), |(failed, calls), it| (failed + it.failures.0, calls + it.calls))
    };
    let ((ours, calls), (peer, its)) = (failed(false), failed(true));
    let of = |failed, calls| format!("{failed} of {}", grouped(usize_f64(calls)));
    let beside = if its > 0 { format!("the peer: {}", of(peer, its)) } else { String::new() };
    targets.row(["calls that failed or were not answered", &of(ours, calls), &beside, "", "none"], ours == 0);
    targets.print();
}
