//! Counters count what they say, and names pass nothing on: neither tasks, reviews, keys nor counts.

use std::time::Duration;

use serde_json::{Value, json};
use team_table::domain::decision::FactRequest;
use team_table::domain::message::{Draft, Origin};
use team_table::events::Hub;
use team_table::storage::{ContextWrite, Db, FactScope, OpenOptions, REFUSED_BYTES, Registration};

use crate::harness::{Agent, Desk, PATIENCE, UNLIMITED};

const DAY: i64 = 86_400_000;

/// The newest decisions' count of a fact for a member.
fn fact(desk: &Desk, name: &str, member: i64, window: i64) -> i64 {
    let params = [("window_seconds".to_owned(), window.to_string())].into();
    let request = FactRequest { name: name.into(), params };
    let scope = FactScope {
        now: desk.clock.now(),
        principal: Some((member, "by id".into())),
        ..FactScope::default()
    };
    let facts = desk.db().read(|tx| tx.facts(std::slice::from_ref(&request), &scope)).unwrap();
    facts[0].value["count"].as_i64().unwrap()
}

fn id(desk: &Desk, name: &str) -> i64 {
    desk.db().read(|tx| tx.member(name)).unwrap().unwrap().id
}

/// A set with a budget of so many calls of `share_context` a day.
fn budget(max: u32) -> String {
    format!(
        "{UNLIMITED}\n[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\n\
         settings = {{ max_changes = {max}, max_messages = 1000, window_seconds = 86400 }}\n"
    )
}

#[test]
fn pruning_keeps_what_a_window_of_the_loaded_set_still_counts() {
    let desk = Desk::with_set(&budget(4));
    let alice = desk.join("alice");
    for n in 0..4 {
        alice.call("share_context", json!({ "key": format!("k{n}"), "value": "x".repeat(50_000) })).ok();
    }
    desk.flush();
    let now = desk.clock.now();
    while desk.db().write(move |tx| tx.prune_decisions(now, 0)).unwrap() {}
    alice.call("share_context", json!({ "key": "k", "value": "" })).refused("resource_exhausted");
    // A day later nothing counts them any more.
    desk.clock.advance(DAY + 1);
    let now = desk.clock.now();
    alice.call("heartbeat", json!({})).ok();
    desk.flush();
    while desk.db().write(move |tx| tx.prune_decisions(now, 0)).unwrap() {}
    assert_eq!(desk.db().read(|tx| tx.decision_ids(0)).unwrap().len(), 1);
}

#[test]
fn shared_blobs_count_once() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let bytes = || desk.db().read(|tx| tx.decision_bytes()).unwrap();
    let wrong = json!({ "key": "k", "value": "x".repeat(50_000), "expected_version": 7 });
    let share = || alice.call("share_context", wrong.clone()).refused("failed_precondition");
    share();
    desk.flush();
    let once = bytes();
    assert!(once > 50_000, "{once}");
    (0..20).for_each(|_| drop(share()));
    desk.flush();
    assert!(bytes() < once + 50_000, "{once} became {}", bytes());
}

#[test]
fn refused_calls_of_one_agent_store_a_bounded_amount_and_are_all_counted() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let before = desk.db().read(|tx| tx.decision_bytes()).unwrap();
    let calls = usize::try_from(REFUSED_BYTES).unwrap() / 50_000 + 20;
    for n in 0..calls {
        let value = format!("{n}{}", "x".repeat(49_000));
        let wrong = json!({ "key": "k", "value": value, "expected_version": 7 });
        alice.call("share_context", wrong).refused("failed_precondition");
    }
    desk.flush();
    let after = desk.db().read(|tx| tx.decision_bytes()).unwrap();
    assert!(after - before <= REFUSED_BYTES, "{}", after - before);
    assert_eq!(fact(&desk, "calls.attempted", id(&desk, "alice"), 60), i64::try_from(calls).unwrap());
    let last = *desk.db().read(|tx| tx.decision_ids(0)).unwrap().last().unwrap();
    assert!(!desk.db().read(|tx| tx.decision(last)).unwrap().unwrap().input.is_whole());
    // Another agent's refusals are stored whole, and so are this one's tomorrow.
    desk.clock.advance(DAY);
    alice
        .call("share_context", json!({ "key": "k", "value": "", "expected_version": 7 }))
        .refused("failed_precondition");
    desk.flush();
    let last = *desk.db().read(|tx| tx.decision_ids(0)).unwrap().last().unwrap();
    assert!(desk.db().read(|tx| tx.decision(last)).unwrap().unwrap().input.is_whole());
}

/// Gives `agent`'s name to a newcomer.
fn replaced<'a>(desk: &'a Desk, agent: &Agent<'a>, name: &str) -> Agent<'a> {
    agent.call("deregister", json!({})).ok();
    desk.join(name)
}

fn task(desk: &Desk, id: i64) -> Value {
    let carol = desk.join("onlooker");
    let tasks = carol.call("list_tasks", json!({})).ok();
    tasks["tasks"].as_array().unwrap().iter().find(|task| task["id"] == id).unwrap().clone()
}

#[test]
fn a_new_holder_of_a_name_has_no_rights_over_the_former_one_s_tasks_and_reviews() {
    let desk = Desk::new();
    let (alice, bob, rita) = (desk.join("alice"), desk.join("bob"), desk.join("rita"));
    let draft = json!({ "title": "t", "assignee": "bob", "reviewer": "rita" });
    let id = alice.call("create_task", draft.clone()).ok()["id"].as_i64().unwrap();
    let waiting = alice.call("create_task", draft).ok()["id"].as_i64().unwrap();
    bob.call("claim_task", json!({ "task_id": id })).ok();
    bob.update(id, "awaiting_review").ok();
    let rita = replaced(&desk, &rita, "rita");
    rita.update(id, "done").refused("permission_denied");
    let bob = replaced(&desk, &bob, "bob");
    bob.update(id, "in_progress").refused("permission_denied");
    bob.call("claim_task", json!({ "task_id": waiting })).refused("permission_denied");
    bob.call("claim_task", json!({})).refused("not_found");
    let alice = replaced(&desk, &alice, "alice");
    alice.update(waiting, "cancelled").refused("permission_denied");
    assert_eq!(task(&desk, id)["status"], "awaiting_review");
}

#[test]
fn a_new_holder_of_a_name_does_not_write_the_former_one_s_keys() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    alice.call("share_context", json!({ "key": "alice/plan", "value": "old" })).ok();
    let alice = replaced(&desk, &alice, "alice");
    alice.call("share_context", json!({ "key": "alice/plan", "value": "new" })).refused("permission_denied");
    alice.call("share_context", json!({ "key": "alice/mine", "value": "new" })).ok();
    let entry = alice.call("get_shared_context", json!({ "key": "alice/plan" })).ok();
    assert_eq!(entry["value"], "old");
}

#[test]
fn a_new_holder_of_a_name_begins_with_counters_of_its_own() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    (0..3).for_each(|_| drop(alice.call("heartbeat", json!({})).ok()));
    desk.flush();
    let first = id(&desk, "alice");
    assert_eq!(fact(&desk, "calls.allowed", first, 60), 3);
    replaced(&desk, &alice, "alice");
    desk.flush();
    let second = id(&desk, "alice");
    assert_ne!(first, second);
    assert_eq!(fact(&desk, "calls.attempted", second, 60), 0);
    assert_eq!(fact(&desk, "calls.attempted", first, 60), 4);
}

#[test]
fn a_call_that_the_server_s_rules_refuse_is_counted_before_it_is_answered() {
    let desk = Desk::with_set(&budget(100));
    let alice = desk.join("alice");
    for n in 1..=5 {
        let wrong = json!({ "key": "k", "value": "", "expected_version": 7 });
        alice.call("share_context", wrong).refused("failed_precondition");
        assert_eq!(fact(&desk, "calls.attempted", id(&desk, "alice"), 60), n);
    }
}

#[test]
fn a_hint_says_when_to_repeat_a_call_and_whom_to_ask() {
    let desk = Desk::with_set(&budget(1));
    let alice = desk.join("alice");
    alice.call("share_context", json!({ "key": "k", "value": "" })).ok();
    let late = alice.call("share_context", json!({ "key": "k", "value": "" })).refused("resource_exhausted");
    assert_eq!(late["hint"], "wait 86400 s, then repeat the same call");
}

#[tokio::test]
async fn the_task_board_wakes_none_who_wait_for_messages() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("t.db"), OpenOptions::default()).unwrap();
    let hub = Hub::start(db.clone());
    let draft = |content: &str| Draft {
        content: content.to_owned().into(),
        reply_to: None,
        idempotency_key: None,
        origin: Origin::Agent,
        person: None,
    };
    let join = |name: &str, token: u8| {
        let wanted = Registration {
            name: name.into(),
            role: "agent".into(),
            capabilities: Vec::new(),
            proof: None,
            token: Some([token; 32]),
        };
        db.write(move |tx| tx.register(&wanted, 1)).unwrap().into_principal(true)
    };
    let (alice, bob) = (join("alice", 1), join("bob", 2));
    let (mut waiter, mut watcher) = (hub.subscribe(alice.id), hub.subscribe(alice.id));
    // The dispatcher begins with what was there before.
    watcher.changed().await;
    waiter.message().await;
    let entry = ContextWrite { key: "k".into(), value: "v".into(), expires_at: None, expected_version: None };
    let writer = bob.clone();
    db.write(move |tx| tx.share_context(&writer, &entry, 2)).unwrap();
    watcher.changed().await;
    assert!(tokio::time::timeout(Duration::ZERO, waiter.message()).await.is_err());
    let message = draft("hello");
    db.write(move |tx| tx.send_message(&bob, "alice", &message, 3)).unwrap();
    tokio::time::timeout(PATIENCE, waiter.message()).await.unwrap();
}
