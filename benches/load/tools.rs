//! Each tool by itself, one call after the other: on an empty database, on a full one, and at another server, in turns.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Database;
use crate::client::{Client, Clients, Program, failed, request, result};
use crate::mix::Seats;
use crate::support::{Agent, Bound, Report, TEXT, Times, p50_p99, rounds, times, yes_or_no};

/// What only reads.
const READS: [&str; 5] =
    ["get_messages, none", "get_messages, one", "get_shared_context", "list_members", "list_tasks"];

/// How long all rounds take at most.
const TIME: Duration = Duration::from_mins(2);

/// Rounds of one pair of agents: four changes each, below every limit.
const ROUNDS_OF_A_PAIR: usize = 6;

/// A server under measurement.
struct Side {
    clients: Clients,
    seats: Seats,
    pair: Vec<Agent>,
    times: BTreeMap<&'static str, Times>,
    failures: usize,
}

impl Side {
    fn new(program: &Program, db: &Path, seats: Seats) -> Self {
        let clients = Clients::stdio(program, db, 1);
        Self { clients, seats, pair: Vec::new(), times: BTreeMap::new(), failures: 0 }
    }

    fn next_pair(&mut self) {
        let client = &mut self.clients.all[0];
        self.pair = self.seats.take(client, 2);
        // What a full table holds for them is read, so that the calls measured find the same everywhere.
        for Agent { name, token } in &self.pair {
            let line = request("get_messages", &json!({ "agent_name": name, "token": token }));
            while result(&client.ask(&line))["messages"].as_array().is_some_and(|some| !some.is_empty()) {}
        }
    }

    fn client(&mut self) -> &mut Client {
        &mut self.clients.all[0]
    }

    /// A call; what it returned, or null if it failed.
    fn call(&mut self, what: &'static str, arguments: &Value) -> Value {
        let line = request(what.split(',').next().unwrap(), arguments);
        let start = Instant::now();
        let reply = self.client().ask(&line);
        let time = start.elapsed();
        if failed(&reply) {
            self.failures += 1;
            return Value::Null;
        }
        self.times.entry(what).or_default().add(time);
        result(&reply)
    }

    /// Every tool once, or nearly.
    fn round(&mut self, n: usize) {
        if n.is_multiple_of(ROUNDS_OF_A_PAIR) {
            self.next_pair();
        }
        let (Agent { name, token }, to) = (self.pair[0].clone(), self.pair[1].clone());
        let own = json!({ "agent_name": name, "token": token });
        let with = |more: Value| {
            let (Value::Object(mut own), Value::Object(more)) = (own.clone(), more) else { unreachable!() };
            own.extend(more);
            Value::Object(own)
        };
        self.call("heartbeat", &json!({ "name": name, "token": token }));
        self.call("get_messages, none", &own);
        self.call("list_members", &own);
        self.call(
            "send_message",
            &json!({ "sender": name, "token": token, "recipient": to.name, "content": TEXT }),
        );
        self.call("get_messages, one", &json!({ "agent_name": to.name, "token": to.token }));
        self.call("share_context", &with(json!({ "key": "progress", "value": TEXT })));
        self.call("get_shared_context", &with(json!({ "key": "progress" })));
        let task =
            json!({ "title": "Write the export", "description": TEXT, "creator": name, "token": token });
        let id = self.call("create_task", &task)["id"].clone();
        self.call("claim_task", &with(json!({ "task_id": id })));
        self.call("list_tasks", &with(json!({ "status": "in_progress", "assignee": name })));
        self.call("update_task", &with(json!({ "task_id": id, "status": "done", "result": TEXT })));
    }
}

pub(crate) fn measure(home: &Path, databases: &[Database; 2]) {
    let (ours, peer) = (Program::ours(), Program::peer());
    let mut sides: Vec<Side> = databases
        .iter()
        .map(|it| Side::new(&ours, &it.path, Seats::of(it.members[it.members.len() * 4 / 5..].to_vec())))
        .collect();
    if let Some(peer) = &peer {
        let db = home.join("peer-tools").join("table.db");
        std::fs::create_dir_all(db.parent().unwrap()).unwrap();
        // As many members as ours has, so that lists of them are as long.
        let mut side = Side::new(peer, &db, Seats::registering());
        let members = side.seats.take(&mut side.clients.all[0], databases[0].members.len());
        side.seats = Seats::of(members);
        sides.push(side);
    }
    let (rounds, warm_up, start) = (rounds(400), ROUNDS_OF_A_PAIR, Instant::now());
    for n in 0..rounds + warm_up {
        if start.elapsed() > TIME {
            println!(
                "conditions: each tool was called {} times, no more in {} s",
                n - warm_up,
                TIME.as_secs()
            );
            break;
        }
        for side in &mut sides {
            if n == warm_up {
                side.times.clear();
            }
            side.round(n);
        }
    }
    println!("\n### Each tool, one call after the other, over stdio: p50 / p99");
    let columns = ["tool", "empty table", "full table", "ratio, ≤ 1.2×"];
    let of_peer = ["the peer, empty table", "ratio", "bound"];
    let of_peer = if peer.is_some() { &of_peer[..] } else { &[] };
    let mut report = Report::new(&[&columns[..], of_peer, &["holds"]].concat());
    for (what, empty) in &sides[0].times {
        let full = &sides[1].times[what];
        let against = |it: &Times| it.p50().as_secs_f64() / empty.p50().as_secs_f64();
        let grown = against(full);
        let mut holds = Bound::AtMost(1.2).holds(grown);
        let mut cells = vec![format!("`{what}`"), p50_p99(empty), p50_p99(full), times(grown)];
        if let Some(side) = sides.get(2) {
            let bound = Bound::AtLeast(if READS.contains(what) { 25.0 } else { 5.0 });
            if let Some(there) = side.times.get(what) {
                holds &= bound.holds(against(there));
                cells.extend([p50_p99(there), times(against(there)), bound.show()]);
            } else {
                cells.extend(["none went well".to_owned(), String::new(), bound.show()]);
            }
        }
        cells.push(yes_or_no(holds).to_owned());
        report.row(&cells);
    }
    report.print();
    for (side, name) in sides.iter().zip(["empty", "full", "peer"]).filter(|(side, _)| side.failures > 0) {
        println!("conditions: of the calls of each tool, {} failed ({name})", side.failures);
    }
}
