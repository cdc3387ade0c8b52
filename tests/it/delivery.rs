//! Reading is at least once: what an answer did not bring to its agent is unread again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use team_table::tools::{Reply, Request, Transport};

use crate::harness::{Agent, Desk, PATIENCE};
use crate::mcp_stdio::Process;
use crate::mcp_support::call;

/// An answer as a transport gets it, before it knows whether it arrives.
fn unconfirmed(desk: &Desk, reader: &Agent<'_>, more: &Value) -> Reply {
    let mut arguments: Map<String, Value> = more.as_object().unwrap().clone();
    arguments.insert("agent_name".into(), json!(reader.name));
    arguments.insert("token".into(), json!(reader.token));
    let request = Request {
        tool: "get_messages".into(),
        arguments,
        bearer: None,
        transport: Transport::Stdio,
        seats: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(desk.table.call_unconfirmed(request)).unwrap()
}

#[test]
fn an_answer_that_does_not_arrive_leaves_its_messages_unread() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    alice.send("bob", "one");
    alice.send("bob", "two");
    let lost = unconfirmed(&desk, &bob, &json!({ "limit": 1 }));
    assert_eq!(lost.body["messages"][0]["content"], "one");
    drop(lost);
    desk.flush();
    let mut reply = unconfirmed(&desk, &bob, &json!({}));
    assert_eq!(reply.body["messages"].as_array().unwrap().len(), 2, "{:?}", reply.body);
    reply.delivery.take().unwrap().arrived();
    desk.flush();
    assert_eq!(bob.read(), [] as [&str; 0]);
    // What was only looked at has no mark to take back.
    assert!(unconfirmed(&desk, &bob, &json!({ "peek": true })).delivery.is_none());
    let marks = "SELECT count(*) FROM audit WHERE action = 'undelivered'";
    assert_eq!(desk.count(marks), 1);
}

/// The client withdraws a waiting call within milliseconds of the message: whichever comes first, the message is not lost.
#[test]
fn a_cancelled_wait_eats_no_message() {
    const ROUNDS: i64 = 120;
    let mut process = Process::unlimited();
    let (alice, bob) = (process.register("alice"), process.register("bob"));
    let mut got: BTreeSet<String> = BTreeSet::new();
    let taken = |line: &str, id: i64| -> Option<Vec<String>> {
        let reply: Value = serde_json::from_str(line).unwrap();
        let messages =
            reply["result"]["structuredContent"]["messages"].as_array().filter(|_| reply["id"] == id)?;
        Some(messages.iter().map(|it| it["content"].as_str().unwrap().to_owned()).collect())
    };
    for round in 0..ROUNDS {
        let wait = json!({ "agent_name": "bob", "token": bob, "wait_seconds": 50 });
        process.say(call(1_000 + round, "get_messages", wait));
        let send =
            json!({ "sender": "alice", "recipient": "bob", "content": format!("m{round}"), "token": alice });
        process.say(call(10_000 + round, "send_message", send));
        // What has come by then is taken; what has not is withdrawn.
        let until = Instant::now() + Duration::from_millis(u64::try_from(round % 9).unwrap());
        let mut answered = false;
        while let Ok(line) = process.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Some(contents) = taken(&line, 1_000 + round) {
                got.extend(contents);
                answered = true;
                break;
            }
        }
        if !answered {
            process.say(
                json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1_000 + round } })
                    .to_string(),
            );
        }
    }
    let expected: BTreeSet<String> = (0..ROUNDS).map(|round| format!("m{round}")).collect();
    let deadline = Instant::now() + PATIENCE;
    for id in 0.. {
        if got == expected {
            break;
        }
        let lost: Vec<_> = expected.difference(&got).collect();
        assert!(Instant::now() < deadline, "lost: {lost:?}");
        process.say(call(
            id,
            "get_messages",
            json!({ "agent_name": "bob", "token": bob, "wait_seconds": 1 }),
        ));
        loop {
            let line = process.lines.recv_timeout(PATIENCE).expect("the server is silent");
            if let Some(contents) = taken(&line, id) {
                got.extend(contents);
                break;
            }
        }
    }
}
