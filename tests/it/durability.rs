//! What a call leaves in the database by the time it is answered: all of it when it was carried out, nothing but
//! the decision when it was not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Agent, Desk, Home, UNLIMITED};

type Counts = BTreeMap<&'static str, i64>;

/// Rows of every table that a call may write, as another process sees them.
fn counts(desk: &Desk) -> Counts {
    ["decisions", "events", "audit", "messages", "inbox", "tasks", "context", "tokens", "escalations"]
        .into_iter()
        .map(|table| (table, desk.count(&format!("SELECT count(*) FROM {table}"))))
        .collect()
}

fn grown(desk: &Desk, before: &Counts) -> Vec<(&'static str, i64)> {
    counts(desk)
        .into_iter()
        .map(|(table, now)| (table, now - before[table]))
        .filter(|(_, more)| *more != 0)
        .collect()
}

#[test]
fn an_acknowledged_change_is_there_with_its_decision_event_and_audit_row() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    desk.join("carol");
    let record = [("audit", 1), ("decisions", 1), ("events", 1)];
    let check = |who: &Agent<'_>, tool: &str, arguments: Value, more: &[(&'static str, i64)]| {
        // What earlier reads have queued is not this call's.
        desk.flush();
        let before = counts(&desk);
        who.call(tool, arguments).ok();
        let mut expected = Counts::new();
        for (table, rows) in record.iter().chain(more) {
            *expected.entry(table).or_default() += rows;
        }
        assert_eq!(grown(&desk, &before).into_iter().collect::<Counts>(), expected, "{tool}");
        let (action, decision): (String, i64) = desk
            .sql()
            .query_row("SELECT action, decision_id FROM audit ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((action.as_str(), decision), (tool, desk.count("SELECT max(id) FROM decisions")));
    };
    check(
        &alice,
        "send_message",
        json!({ "recipient": "bob", "content": "c" }),
        &[("messages", 1), ("inbox", 1)],
    );
    check(&alice, "broadcast", json!({ "content": "c" }), &[("messages", 1), ("inbox", 2)]);
    check(&bob, "get_messages", json!({}), &[]);
    check(&alice, "create_task", json!({ "title": "t" }), &[("tasks", 1)]);
    check(&bob, "claim_task", json!({}), &[]);
    // Its creator hears of it: a message with its event.
    let told = [("messages", 1), ("inbox", 1), ("events", 1)];
    check(&bob, "update_task", json!({ "task_id": 1, "status": "done" }), &told);
    check(&bob, "share_context", json!({ "key": "k", "value": "v" }), &[("context", 1)]);
    check(&alice, "register", json!({}), &[("tokens", 1)]);
    check(&bob, "deregister", json!({}), &[]);
}

#[test]
fn a_read_is_recorded_and_nothing_else() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    desk.flush();
    for tool in ["heartbeat", "list_members", "list_tasks", "get_shared_context", "get_messages"] {
        let before = counts(&desk);
        alice.call(tool, json!({})).ok();
        desk.flush();
        assert_eq!(grown(&desk, &before), [("decisions", 1)], "{tool}");
    }
}

#[test]
fn of_a_refused_call_only_the_decision_is_left() {
    let desk = Desk::with_set(&format!("{UNLIMITED}[policy.settings.roles.coder]\ndeny = [\"*\"]\n"));
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    alice.call("create_task", json!({ "title": "t", "assignee": "alice" })).ok();
    alice.call("share_context", json!({ "key": "alice/k", "value": "v" })).ok();
    desk.flush();
    for (tool, arguments, code) in [
        ("send_message", json!({ "recipient": "nobody", "content": "c" }), "not_found"),
        ("send_message", json!({ "recipient": "alice", "content": "c", "reply_to": 9 }), "not_found"),
        ("create_task", json!({ "title": "t", "depends_on": [1, 9] }), "not_found"),
        ("create_task", json!({ "title": "t", "depends_on": [1], "parent_id": 9 }), "not_found"),
        ("claim_task", json!({ "task_id": 1 }), "permission_denied"),
        ("update_task", json!({ "task_id": 1, "status": "in_progress" }), "permission_denied"),
        ("share_context", json!({ "key": "alice/k", "value": "v" }), "permission_denied"),
        ("share_context", json!({ "key": "k", "value": "v", "expected_version": 3 }), "failed_precondition"),
    ] {
        let before = counts(&desk);
        bob.call(tool, arguments).refused(code);
        desk.flush();
        assert_eq!(grown(&desk, &before), [("decisions", 1)], "{tool}");
        let (outcome, done): (String, bool) = desk
            .sql()
            .query_row("SELECT outcome, done FROM decisions ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((outcome.as_str(), done), ("allow", false), "allowed, and then not done");
    }
    // By a policy: the decision is there with the answer, without waiting for anything.
    let coder = desk.call("register", json!({ "name": "cody", "role": "coder" }));
    assert!(coder.is_error, "all is denied to coders");
    let before = counts(&desk);
    desk.call("register", json!({ "name": "cody", "role": "coder" })).refused("permission_denied");
    assert_eq!(grown(&desk, &before), [("decisions", 1)]);
}

/// Who is not let in leaves nothing at all: strangers must not be able to fill the log.
#[test]
fn a_stranger_leaves_nothing() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    desk.flush();
    let before = counts(&desk);
    desk.call("heartbeat", json!({ "name": "alice" })).refused("unauthenticated");
    desk.call("broadcast", json!({ "sender": "alice", "content": "c", "token": "tt_wrong" }))
        .refused("unauthenticated");
    desk.call("broadcast", json!({ "sender": "bob", "content": "c", "token": alice.token }))
        .refused("permission_denied");
    desk.call("broadcast", json!({ "sender": "alice", "content": "", "token": alice.token }))
        .refused("invalid_argument");
    desk.flush();
    assert_eq!(grown(&desk, &before), []);
}

/// Neither a token nor a message's text belongs into the records about calls.
#[test]
fn records_hold_no_tokens_and_events_no_message_bodies() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let body = "the body of a message that nobody else reads";
    alice.send("bob", body);
    bob.read();
    alice.call("register", json!({})).ok();
    desk.flush();
    let found = |table: &str, column: &str, words: &str| {
        desk.count(&format!("SELECT count(*) FROM {table} WHERE instr({column}, '{words}') > 0"))
    };
    for token in [&alice.token, &bob.token] {
        for (table, column) in
            [("decisions", "input"), ("audit", "details"), ("events", "data"), ("blobs", "content")]
        {
            assert_eq!(found(table, column, token), 0, "a token in {table}");
        }
    }
    assert_eq!(found("events", "data", body), 0);
    assert_eq!(found("audit", "details", body), 0);
}

/// The answer comes after the commit: another process that asks right away sees it.
#[test]
fn acknowledged_changes_are_visible_to_other_processes() {
    let home = Home::unlimited();
    let (mut one, mut other) = (home.start(), home.start());
    let (alice, bob) = (one.join("alice"), other.join("bob"));
    for at in 0..50 {
        let message =
            json!({ "sender": "alice", "token": alice, "recipient": "bob", "content": format!("{at}") });
        one.call("send_message", message).ok();
        let inbox = other.call("get_messages", json!({ "token": bob })).ok();
        assert_eq!(inbox["messages"][0]["content"], format!("{at}"));
    }
}
