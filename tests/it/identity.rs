//! Who calls: no tool lets one agent act as another, and names and tokens change hands only as the contract
//! says.

use std::collections::BTreeSet;

use rusqlite::params;
use serde_json::{Value, json};
use team_table::tools::registry;

use crate::harness::{Agent, Desk, Home, name_parameter, strings};

/// A valid call of every tool, name and token left out. A tool that is not here fails the test below.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("register", json!({})),
        ("deregister", json!({})),
        ("list_members", json!({})),
        ("heartbeat", json!({})),
        ("send_message", json!({ "recipient": "carol", "content": "c" })),
        ("get_messages", json!({})),
        ("broadcast", json!({ "content": "c" })),
        ("create_task", json!({ "title": "t" })),
        ("list_tasks", json!({})),
        ("claim_task", json!({ "task_id": 1 })),
        ("update_task", json!({ "task_id": 1, "status": "in_progress" })),
        ("share_context", json!({ "key": "k", "value": "v" })),
        ("get_shared_context", json!({})),
    ]
}

#[test]
fn the_matrix_covers_every_tool() {
    let covered: BTreeSet<&str> = calls().into_iter().map(|(tool, _)| tool).collect();
    let all: BTreeSet<&str> = registry().map(|spec| spec.name).collect();
    assert_eq!(covered, all, "a tool without an identity test");
}

fn with(mut arguments: Value, more: &[(&str, Value)]) -> Value {
    for (name, value) in more {
        arguments[*name] = value.clone();
    }
    arguments
}

/// What a call could have changed.
fn state(desk: &Desk) -> Vec<i64> {
    desk.flush();
    ["messages", "tasks", "context", "events", "audit", "tokens", "members", "inbox"]
        .iter()
        .map(|table| desk.count(&format!("SELECT count(*) FROM {table}")))
        .chain([desk.count("SELECT count(*) FROM inbox WHERE read_at IS NULL")])
        .collect()
}

/// Every tool × every way to be the wrong one.
#[test]
fn no_tool_lets_one_agent_act_as_another() {
    let desk = Desk::new();
    let (alice, bob, carol) = (desk.join("alice"), desk.join("bob"), desk.join("carol"));
    let (gone, dora) = (desk.join("gone"), desk.join("dora"));
    let stale_token = dora.token.clone();
    dora.call("register", json!({})).ok();
    gone.call("deregister", json!({})).ok();
    carol.send("alice", "for alice only");
    carol.post("t");
    for (tool, arguments) in calls() {
        let name = name_parameter(tool);
        let before = state(&desk);
        let attempt = |who: &str, token: Value| {
            desk.call(tool, with(arguments.clone(), &[(name, json!(who)), ("token", token)]))
        };
        // Another's token, whoever's name it is.
        attempt("alice", json!(bob.token)).refused("permission_denied");
        attempt("nobody", json!(bob.token)).refused("permission_denied");
        // None, or none that is valid.
        let nothing = if tool == "register" { "already_exists" } else { "unauthenticated" };
        for missing in [Value::Null, json!(""), json!(" ")] {
            attempt("alice", missing).refused(nothing);
        }
        for invalid in ["tt_", "x", &format!("{}x", alice.token), &alice.token[1..], &stale_token] {
            attempt("alice", json!(invalid)).refused("unauthenticated");
        }
        attempt("dora", json!(stale_token)).refused("unauthenticated");
        // A departed agent's token only takes its own name back.
        if tool == "register" {
            attempt("alice", json!(gone.token)).refused("permission_denied");
        } else {
            attempt("gone", json!(gone.token)).refused("unauthenticated");
            attempt("alice", json!(gone.token)).refused("unauthenticated");
        }
        // Names are compared to the letter.
        for close in ["Alice", "alice ", " alice"] {
            let answer = attempt(close, json!(alice.token));
            assert!(answer.is_error, "{tool} as {close:?}");
        }
        assert_eq!(state(&desk), before, "{tool} left a trace");
    }
    assert_eq!(alice.read(), ["for alice only"]);
}

/// The token decides; a reading tool need not be told the name.
#[test]
fn reading_tools_take_the_caller_from_the_token() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    bob.send("alice", "hello");
    for tool in ["list_members", "list_tasks", "get_shared_context"] {
        let result = desk.call(tool, json!({ "token": alice.token })).ok();
        assert_eq!(result["_notification"]["unread_messages"], 1, "{tool}");
    }
    let inbox = desk.call("get_messages", json!({ "token": alice.token, "agent_name": "" })).ok();
    assert_eq!(strings(&inbox["messages"], "content"), ["hello"]);
}

/// Tells which agent a credential turned out to be.
fn whoami(desk: &Desk, token: Option<&str>, bearer: Option<&str>) -> String {
    let answer =
        desk.call_as("create_task", json!({ "title": "t", "creator": "alice", "token": token }), bearer);
    if answer.is_error {
        answer.code().to_owned()
    } else {
        answer.body["creator"].as_str().unwrap().to_owned()
    }
}

#[test]
fn the_token_argument_counts_before_the_connection_s() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let (alice, bob) = (Some(alice.token.as_str()), Some(bob.token.as_str()));
    assert_eq!(whoami(&desk, alice, None), "alice");
    assert_eq!(whoami(&desk, None, alice), "alice");
    assert_eq!(whoami(&desk, alice, bob), "alice", "the argument decides");
    assert_eq!(whoami(&desk, bob, alice), "permission_denied", "the argument decides");
    assert_eq!(whoami(&desk, Some("tt_wrong"), alice), "unauthenticated", "a bad argument is not forgiven");
    assert_eq!(whoami(&desk, Some(""), alice), "alice", "a blank one is none");
    assert_eq!(whoami(&desk, None, Some("tt_wrong")), "unauthenticated");
    assert_eq!(whoami(&desk, None, None), "unauthenticated");
}

#[test]
fn a_process_takes_its_agent_s_token_from_the_environment() {
    let home = Home::new();
    let mut plain = home.start();
    let (alice, bob) = (plain.join("alice"), plain.join("bob"));
    let mut of_alice = crate::harness::Process::spawn(home.command().env("TEAM_TABLE_TOKEN", &alice));
    of_alice.call("heartbeat", json!({ "name": "alice" })).ok();
    of_alice.call("heartbeat", json!({ "name": "bob" })).refused("permission_denied");
    of_alice.call("heartbeat", json!({ "name": "bob", "token": bob })).ok();
    // A sub-agent on the same connection may register under a name of its own.
    let carol = of_alice.join("carol");
    of_alice.call("heartbeat", json!({ "name": "carol", "token": carol })).ok();
    plain.call("heartbeat", json!({ "name": "alice" })).refused("unauthenticated");
}

#[test]
fn two_agents_share_a_connection_without_mixing() {
    let home = Home::new();
    let mut process = home.start();
    let (alice, bob) = (process.join("alice"), process.join("bob"));
    let message = json!({ "sender": "alice", "token": alice, "recipient": "bob", "content": "psst" });
    process.call("send_message", message).ok();
    let seen = process.call("heartbeat", json!({ "name": "alice", "token": alice })).ok();
    assert!(seen.get("_notification").is_none(), "bob's message is none of alice's business");
    let seen = process.call("heartbeat", json!({ "name": "bob", "token": bob })).ok();
    assert_eq!(seen["_notification"]["unread_messages"], 1);
    assert!(
        process.call("get_messages", json!({ "token": alice })).ok()["messages"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        strings(&process.call("get_messages", json!({ "token": bob })).ok()["messages"], "content"),
        ["psst"]
    );
    process.call("heartbeat", json!({ "name": "alice" })).refused("unauthenticated");
}

#[test]
fn tokens_have_the_documented_form_and_are_stored_hashed() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let secret = alice.token.strip_prefix("tt_").unwrap();
    assert_eq!(secret.len(), 43);
    assert!(secret.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{secret}");
    alice.call("register", json!({})).ok();
    desk.flush();
    for suffix in ["", "-wal"] {
        let mut file = desk.path.clone().into_os_string();
        file.push(suffix);
        let bytes = std::fs::read(file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "a token in the database{suffix}");
    }
}

#[test]
fn registering_again_rotates_the_token() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    bob.send("alice", "keep me");
    let first_seen =
        desk.call("list_members", json!({ "token": alice.token })).ok()["members"][0]["registered_at"]
            .clone();
    desk.clock.advance(60_000);
    let renewed = alice.call("register", json!({ "capabilities": ["rust"] })).ok();
    assert_ne!(renewed["token"], json!(alice.token));
    assert_eq!(renewed["registered_at"], first_seen);
    alice.call("heartbeat", json!({})).refused("unauthenticated");
    let alice = Agent::known(&desk, "alice", renewed["token"].as_str().unwrap());
    assert_eq!(alice.read(), ["keep me"]);
    // The token that came with the connection is answered with the seat and stays good: it stands in the client's
    // configuration.
    let again = desk.call_as("register", json!({ "name": "alice" }), Some(&alice.token)).ok();
    assert_eq!(again["token"], json!(alice.token));
    alice.call("heartbeat", json!({})).ok();
    let argued = json!({ "name": "alice", "token": alice.token });
    let rotated = desk.call_as("register", argued, Some(&alice.token)).ok();
    assert_ne!(rotated["token"], json!(alice.token));
    alice.call("heartbeat", json!({})).refused("unauthenticated");
}

#[test]
fn names_that_differ_only_by_case_are_not_both_seated() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    for name in ["Alice", "ALICE"] {
        let refused = desk.call("register", json!({ "name": name })).refused("already_exists");
        assert!(refused["hint"].as_str().unwrap().contains("register as alice"), "{refused}");
    }
    // Letters of other scripts and widths are in no name.
    for name in ["\u{430}lice", "\u{ff41}lice", "al\u{131}ce"] {
        let refused = desk.call("register", json!({ "name": name })).refused("invalid_argument");
        assert!(refused["hint"].as_str().unwrap().contains("ASCII"), "{refused}");
    }
    for (tool, arguments) in [
        ("send_message", json!({ "recipient": "Alice", "content": "c" })),
        ("create_task", json!({ "title": "t", "assignee": "ALICE" })),
    ] {
        let refused = bob.call(tool, arguments).refused("not_found");
        assert!(refused["hint"].as_str().unwrap().contains("did you mean alice?"), "{refused}");
    }
    alice.call("deregister", json!({})).ok();
    desk.join("Alice");
    desk.call("register", json!({ "name": "alice", "token": alice.token })).refused("already_exists");
}

/// Whatever a lost token leads to, the way back to one's own seat is named.
#[test]
fn every_refusal_that_a_lost_token_can_end_in_names_the_way_back() {
    let desk = Desk::new();
    let (_alice, bob) = (desk.join("alice"), desk.join("bob"));
    for (tool, arguments) in [
        ("heartbeat", json!({ "name": "alice" })),
        ("heartbeat", json!({ "name": "alice", "token": "tt_lost" })),
        ("heartbeat", json!({ "name": "alice", "token": bob.token })),
        ("register", json!({ "name": "alice" })),
        ("register", json!({ "name": "alice", "token": "tt_lost" })),
    ] {
        let reply = desk.call(tool, arguments.clone());
        let hint = reply.body["hint"].as_str().unwrap().replace('"', "");
        assert!(
            reply.is_error && hint.contains("team-table agent rotate-token alice"),
            "{arguments}: {hint}"
        );
    }
}

#[test]
fn a_name_given_up_can_be_taken_with_an_empty_inbox() {
    let desk = Desk::new();
    let (bob, former) = (desk.join("bob"), desk.join("alice"));
    bob.send("alice", "for the first alice");
    let first = bob.send("alice", "another");
    former.call("deregister", json!({})).ok();
    for (tool, arguments) in
        [("heartbeat", json!({})), ("get_messages", json!({})), ("deregister", json!({}))]
    {
        former.call(tool, arguments).refused("unauthenticated");
    }
    let latter = desk.join("alice");
    bob.send("alice", "for the second alice");
    assert_eq!(latter.read(), ["for the second alice"]);
    let history = latter.call("get_messages", json!({ "include_read": true })).ok();
    assert_eq!(strings(&history["messages"], "content"), ["for the second alice"]);
    assert!(
        latter.call("get_messages", json!({ "thread_id": first })).ok()["messages"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // The former holder is nobody now, and cannot come back while the name is taken.
    former.call("heartbeat", json!({})).refused("unauthenticated");
    former.call("register", json!({})).refused("already_exists");
    former.call("get_messages", json!({})).refused("unauthenticated");
    assert_eq!(latter.call("heartbeat", json!({})).ok()["name"], "alice");
}

#[test]
fn a_departed_agent_comes_back_to_its_inbox_with_its_token() {
    let desk = Desk::new();
    let (bob, alice) = (desk.join("bob"), desk.join("alice"));
    bob.send("alice", "before");
    alice.call("deregister", json!({})).ok();
    bob.call("send_message", json!({ "recipient": "alice", "content": "into the void" }))
        .refused("not_found");
    let back = alice.call("register", json!({})).ok();
    assert_eq!(back["status"], "active");
    let alice = Agent::known(&desk, "alice", back["token"].as_str().unwrap());
    assert_eq!(alice.read(), ["before"]);
}

/// A former holder's keys of idempotency and messages are not the next one's.
#[test]
fn nothing_of_a_former_holder_passes_to_the_next() {
    let desk = Desk::new();
    let (bob, former) = (desk.join("bob"), desk.join("alice"));
    let keyed = json!({ "recipient": "bob", "content": "first", "idempotency_key": "k" });
    let sent = former.call("send_message", keyed.clone()).ok();
    former.call("deregister", json!({})).ok();
    let latter = desk.join("alice");
    let again = latter.call("send_message", keyed).ok();
    assert_ne!(sent["id"], again["id"]);
    let reply = json!({ "recipient": "bob", "content": "c", "reply_to": sent["id"] });
    latter.call("send_message", reply).refused("not_found");
    assert_eq!(bob.read().len(), 2);
}

#[test]
fn an_invalid_token_is_counted_and_a_missing_or_foreign_one_is_not() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let heartbeat = |name: &str, token: Value| {
        desk.counts_as_bad_token("heartbeat", json!({ "name": name, "token": token }))
    };
    assert!(heartbeat("alice", json!("tt_guess")));
    assert!(!heartbeat("alice", Value::Null));
    assert!(!heartbeat("bob", json!(alice.token)));
    assert!(!heartbeat("alice", json!(alice.token)));
    assert!(desk.counts_as_bad_token("register", json!({ "name": "bob", "token": "tt_guess" })));
}

#[test]
fn without_required_tokens_the_name_is_believed_and_a_token_still_decides() {
    let desk = Desk::trusting();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    desk.call("send_message", json!({ "sender": "alice", "recipient": "bob", "content": "trusted" })).ok();
    assert_eq!(
        strings(&desk.call("get_messages", json!({ "agent_name": "bob" })).ok()["messages"], "content"),
        ["trusted"]
    );
    // A token that is given is not ignored.
    desk.call("heartbeat", json!({ "name": "alice", "token": bob.token })).refused("permission_denied");
    desk.call("heartbeat", json!({ "name": "alice", "token": "tt_wrong" })).refused("unauthenticated");
    desk.call("heartbeat", json!({ "name": "nobody" })).refused("unauthenticated");
    // Reading needs no name, except for what is one's own.
    desk.call("list_members", json!({})).ok();
    desk.call("list_tasks", json!({})).ok();
    desk.call("get_shared_context", json!({})).ok();
    desk.call("get_messages", json!({})).refused("unauthenticated");
    // An active name is not taken all the same.
    desk.call("register", json!({ "name": "alice" })).refused("already_exists");
    alice.call("deregister", json!({})).ok();
    desk.call("heartbeat", json!({ "name": "alice" })).refused("unauthenticated");
}

/// As the Python Team Table kept them: the sha-256 of the token, in hexadecimal there.
#[test]
fn a_legacy_token_is_honoured_until_it_is_rotated() {
    use sha2::{Digest, Sha256};
    let desk = Desk::new();
    let alice = desk.join("alice");
    let legacy = "Zm9yIGEgdGVzdCBvbmx5LCBub3QgYSBzZWNyZXQ";
    let insert = |hash: &[u8], flag: i64| {
        desk.sql()
            .execute(
                "INSERT INTO tokens (hash, member_id, legacy, created_at) VALUES (?1, 1, ?2, 0)",
                params![hash, flag],
            )
            .unwrap();
    };
    let hash: [u8; 32] = Sha256::digest(legacy.as_bytes()).into();
    insert(&hash, 1);
    let old = Agent::known(&desk, "alice", legacy);
    old.call("heartbeat", json!({})).ok();
    // The hash itself is no token, in either form.
    let hex = hash.map(|byte| format!("{byte:02x}")).concat();
    Agent::known(&desk, "alice", &hex).call("heartbeat", json!({})).refused("unauthenticated");
    // A sha-256 hash counts only where it is marked as one.
    insert(&Sha256::digest(b"other"), 0);
    Agent::known(&desk, "alice", "other").call("heartbeat", json!({})).refused("unauthenticated");
    let renewed = old.call("register", json!({})).ok();
    assert!(renewed["token"].as_str().unwrap().starts_with("tt_"));
    old.call("heartbeat", json!({})).refused("unauthenticated");
    alice.call("heartbeat", json!({})).refused("unauthenticated");
}

#[test]
fn a_revoked_agent_is_off_the_table_at_once() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join_as("alice", "admin"), desk.join("bob"));
    let now = desk.clock.now();
    desk.db().write(move |tx| tx.revoke("alice", now)).unwrap();
    alice.call("heartbeat", json!({})).refused("unauthenticated");
    alice.call("register", json!({})).refused("unauthenticated");
    bob.call("send_message", json!({ "recipient": "alice", "content": "c" })).refused("not_found");
    assert_eq!(desk.call("register", json!({ "name": "alice" })).ok()["role"], "agent");
}
