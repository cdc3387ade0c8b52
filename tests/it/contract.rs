//! The contract, tool by tool: parameters, rules, limits, codes, the badge, lists.

use serde_json::{Value, json};
use team_table::domain::clock::{MINUTE, SECOND};
use team_table::domain::person::Actor;
use team_table::storage::Answer;
use team_table::tools::{Request, Transport};

use crate::harness::{Agent, Desk, Home, UNLIMITED, numbers, object, strings};

const RATE_LIMIT: &str = "[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\n";

fn badge(body: &Value) -> Option<i64> {
    body.get("_notification").map(|badge| badge["unread_messages"].as_i64().unwrap())
}

// ---------------------------------------------------------------- limits

/// Text of so many characters, each of two bytes, so that counting bytes would show.
fn text(characters: usize) -> String {
    "é".repeat(characters)
}

/// The operator lets a held call pass.
fn approve(desk: &Desk, escalation: i64) {
    let now = desk.clock.now();
    desk.db()
        .write(move |tx| tx.resolve_escalation(&Actor::Operator, escalation, &Answer::Approve, None, now))
        .unwrap();
}

#[test]
fn limits_are_in_characters_and_exact() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    desk.join("bob");
    let task = alice.post("t");
    let started = alice.post("started");
    alice.update(started, "in_progress").ok();
    let send = |content: String| ("send_message", json!({ "recipient": "bob", "content": content }));
    let broadcast = |content: String| ("broadcast", json!({ "content": content }));
    let title = |title: String| ("create_task", json!({ "title": title }));
    let describe = |text: String| ("create_task", json!({ "title": "t", "description": text }));
    let result =
        |text: String| ("update_task", json!({ "task_id": started, "status": "blocked", "result": text }));
    let key = |key: String| ("share_context", json!({ "key": key, "value": "v" }));
    let value = |value: String| ("share_context", json!({ "key": "k", "value": value }));
    let once = |key: String| ("broadcast", json!({ "content": "c", "idempotency_key": key }));
    let depends = |many: usize| ("create_task", json!({ "title": "t", "depends_on": vec![task; many] }));
    let good = [
        send(text(1)),
        send(text(10_000)),
        broadcast(text(10_000)),
        title(text(200)),
        describe(text(5_000)),
        describe(String::new()),
        result(text(5_000)),
        key(text(128)),
        value(text(50_000)),
        value(String::new()),
        once(text(128)),
        depends(50),
    ];
    for (tool, arguments) in good {
        alice.call(tool, arguments).ok();
    }
    alice.update(started, "in_progress").ok();
    let bad = [
        send(String::new()),
        send(" \n\t".into()),
        send(text(10_001)),
        broadcast(String::new()),
        broadcast(text(10_001)),
        title(String::new()),
        title("  ".into()),
        title(text(201)),
        describe(text(5_001)),
        result(text(5_001)),
        key(String::new()),
        key(" ".into()),
        key(text(129)),
        value(text(50_001)),
        once(String::new()),
        once(text(129)),
        depends(51),
    ];
    for (tool, arguments) in bad {
        alice.call(tool, arguments).refused("invalid_argument");
    }
}

#[test]
fn names_roles_and_capabilities_are_limited() {
    let desk = Desk::new();
    let long = "n".repeat(64);
    for name in ["a", "A1", "claude-code", "gpt 5.5", "x_y.z", long.as_str()] {
        assert_eq!(desk.call("register", json!({ "name": name })).ok()["name"], name);
    }
    for name in ["", " ", "-a", "a-", " a", "a ", "a/b", "é", "a\nb", "*", "a\0b", &"n".repeat(65)] {
        desk.call("register", json!({ "name": name })).refused("invalid_argument");
    }
    for role in ["", "Agent", "1a", "a b", &"r".repeat(33)] {
        desk.call("register", json!({ "name": "z", "role": role })).refused("invalid_argument");
    }
    let capabilities =
        |many: usize, length: usize| json!({ "name": "c", "capabilities": vec!["c".repeat(length); many] });
    for wrong in [capabilities(21, 1), capabilities(1, 65), capabilities(1, 0)] {
        desk.call("register", wrong).refused("invalid_argument");
    }
    desk.call("register", capabilities(20, 64)).ok();
}

#[test]
fn numbers_outside_their_range_are_refused_with_the_range() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    for tool in ["get_messages", "list_tasks", "get_shared_context"] {
        for limit in [0, -1, 201, i64::MAX, i64::MIN] {
            let refusal = alice.call(tool, json!({ "limit": limit })).refused("invalid_argument");
            assert!(refusal["hint"].as_str().unwrap().contains("200"), "{refusal}");
        }
        alice.call(tool, json!({ "limit": 200 })).ok();
    }
    for seconds in [-1, 56, i64::MAX] {
        let refusal =
            alice.call("get_messages", json!({ "wait_seconds": seconds })).refused("invalid_argument");
        assert!(refusal["hint"].as_str().unwrap().contains("55"), "{refusal}");
    }
    for ttl in [0, -1, i64::MAX] {
        let entry = json!({ "key": "k", "value": "v", "ttl_seconds": ttl });
        alice.call("share_context", entry).refused("invalid_argument");
    }
    let entry = json!({ "key": "k", "value": "v", "expected_version": -1 });
    alice.call("share_context", entry).refused("invalid_argument");
}

// ---------------------------------------------------------------- arguments

#[test]
fn arguments_are_read_leniently() {
    let desk = Desk::new();
    let joined =
        desk.call("register", json!({ "name": "alice", "capabilities": "[\"rust\", \"sql\"]" })).ok();
    assert_eq!(joined["capabilities"], json!(["rust", "sql"]));
    let blank = desk.call("register", json!({ "name": "dora", "capabilities": "" })).ok();
    assert_eq!(blank["capabilities"], json!([]));
    let alice = Agent::known(&desk, "alice", joined["token"].as_str().unwrap());
    let first = alice.post("first");
    let second = alice.call("create_task", json!({ "title": "s", "depends_on": format!("[{first}]") })).ok();
    assert_eq!(second["depends_on"], json!([first]));
    let claimed = alice.call("claim_task", json!({ "task_id": first.to_string() })).ok();
    assert_eq!(claimed["id"], first);
    alice.call("update_task", json!({ "task_id": 1.0, "status": "done" })).ok();
    alice.call("get_messages", json!({ "include_read": "true", "peek": "False", "limit": "5" })).ok();
    alice.call("get_messages", json!({ "thread_id": null, "before_id": null, "wait_seconds": null })).ok();
    // The Python Team Table's own parameter.
    alice.call("get_messages", json!({ "include_archived": true })).ok();
}

#[test]
fn wrong_arguments_are_answered_with_what_is_taken() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let refusal = alice.call("send_message", json!({ "recipient": "bob" })).refused("invalid_argument");
    assert!(refusal["error"].as_str().unwrap().contains("content"), "{refusal}");
    assert!(refusal["hint"].as_str().unwrap().contains("content (string, required)"), "{refusal}");
    let refusal = alice.call("heartbeat", json!({ "nam": 1 })).refused("invalid_argument");
    assert!(refusal["error"].as_str().unwrap().contains("`nam`"), "{refusal}");
    for (tool, arguments) in [
        ("claim_task", json!({ "task_id": "one" })),
        ("claim_task", json!({ "task_id": 1.5 })),
        ("get_messages", json!({ "peek": 1 })),
        ("create_task", json!({ "title": "t", "depends_on": "x" })),
        ("create_task", json!({ "title": "t", "depends_on": [1.5] })),
        ("create_task", json!({ "title": "t", "priority": "urgent" })),
        ("list_tasks", json!({ "status": "open" })),
        ("update_task", json!({ "task_id": 1, "status": "finished" })),
        ("list_members", json!({ "include_inactive": "maybe" })),
        ("share_context", json!({ "key": "k", "value": { "a": 1 } })),
        ("list_members", json!({ "token": 1 })),
    ] {
        let answer = if arguments.get("token").is_some() {
            desk.call(tool, arguments)
        } else {
            alice.call(tool, arguments)
        };
        answer.refused("invalid_argument");
    }
}

/// A model that pours a file into the wrong place must not get the file back.
#[test]
fn an_error_repeats_only_a_little_of_what_was_wrong() {
    let desk = Desk::trusting();
    let alice = desk.join("alice");
    let huge = "x".repeat(100_000);
    let (mut unknown, nobody) = (json!({}), json!({ "agent_name": huge }));
    unknown[&huge] = json!(1);
    for (tool, arguments) in [
        ("heartbeat", unknown),
        ("create_task", json!({ "title": "t", "depends_on": [huge] })),
        ("create_task", json!({ "title": "t", "depends_on": huge })),
        ("create_task", json!({ "title": "t", "priority": huge })),
        ("claim_task", json!({ "task_id": huge })),
        ("update_task", json!({ "task_id": 1, "status": huge })),
        ("send_message", json!({ "recipient": huge, "content": "c" })),
        ("get_shared_context", json!({ "key": huge })),
        ("register", json!({ "role": huge })),
    ] {
        let refusal = alice.call(tool, arguments);
        assert!(refusal.is_error && refusal.body.to_string().len() < 2_000, "{tool}");
    }
    for (tool, arguments) in [
        ("list_tasks", nobody),
        ("register", json!({ "name": huge })),
        ("heartbeat", json!({ "name": huge })),
        ("heartbeat", json!({ "name": huge, "token": alice.token })),
    ] {
        let refusal = desk.call(tool, arguments);
        assert!(
            refusal.is_error && refusal.body.to_string().len() < 2_000,
            "{tool}: {}",
            refusal.body.to_string().len()
        );
    }
}

#[test]
fn an_unknown_tool_is_no_result() {
    let desk = Desk::new();
    let request = Request {
        seats: Vec::new(),
        tool: "delete_everything".into(),
        arguments: object(json!({})),
        bearer: None,
        transport: Transport::Stdio,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let unknown = runtime.block_on(desk.table.call(request)).unwrap_err();
    assert!(unknown.to_string().contains("delete_everything"));
}

// ---------------------------------------------------------------- errors, as agents read them

#[test]
fn errors_read_as_reviewed() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let bob = desk.join("bob");
    let mine =
        alice.call("create_task", json!({ "title": "t", "assignee": "alice", "reviewer": "bob" })).ok();
    let waits = alice.call("create_task", json!({ "title": "w", "depends_on": [1] })).ok();
    alice.call("share_context", json!({ "key": "alice/plan", "value": "v" })).ok();
    alice.call("share_context", json!({ "key": "shared", "value": "v" })).ok();
    let (mine, waits) = (mine["id"].clone(), waits["id"].clone());
    let mut errors = Vec::new();
    let mut error = |what: &str, answer: crate::harness::Answer| {
        assert!(answer.is_error, "{what}: {}", answer.body);
        errors.push(json!({ "when": what, "answer": answer.body }));
    };
    error("missing argument", alice.call("send_message", json!({ "recipient": "bob" })));
    error("unknown argument", alice.call("heartbeat", json!({ "x": 1 })));
    error("no token", desk.call("heartbeat", json!({ "name": "alice" })));
    error("bad token", desk.call("heartbeat", json!({ "name": "alice", "token": "tt_wrong" })));
    error("another's token", desk.call("heartbeat", json!({ "name": "bob", "token": alice.token })));
    error("taken name", desk.call("register", json!({ "name": "alice" })));
    error("self-given role", desk.call("register", json!({ "name": "eve", "role": "lead" })));
    error("unknown role", desk.call("register", json!({ "name": "eve", "role": "boss" })));
    error("unknown recipient", alice.call("send_message", json!({ "recipient": "bop", "content": "c" })));
    error("nobody like that", alice.call("send_message", json!({ "recipient": "zzzzzz", "content": "c" })));
    error("unknown reply_to", alice.call("broadcast", json!({ "content": "c", "reply_to": 9 })));
    error(
        "reply to nothing",
        alice.call("send_message", json!({ "recipient": "bob", "content": "c", "reply_to": 9 })),
    );
    error("unknown task", alice.call("claim_task", json!({ "task_id": 99 })));
    error("no ready task", bob.call("claim_task", json!({})));
    error("another's task", bob.call("claim_task", json!({ "task_id": mine })));
    error("waiting task", alice.call("claim_task", json!({ "task_id": waits })));
    error("impossible step", alice.call("update_task", json!({ "task_id": mine, "status": "blocked" })));
    alice.call("update_task", json!({ "task_id": mine, "status": "in_progress" })).ok();
    error("claimed task", bob.call("claim_task", json!({ "task_id": mine })));
    error("own review", alice.call("update_task", json!({ "task_id": mine, "status": "done" })));
    error("another's key", bob.call("share_context", json!({ "key": "alice/plan", "value": "v" })));
    error(
        "wrong version",
        bob.call("share_context", json!({ "key": "shared", "value": "v", "expected_version": 7 })),
    );
    error(
        "existing key",
        bob.call("share_context", json!({ "key": "shared", "value": "v", "expected_version": 0 })),
    );
    error("unknown key", bob.call("get_shared_context", json!({ "key": "nothing" })));
    error("bad name", desk.call("register", json!({ "name": "a/b" })));
    error("long wait", alice.call("get_messages", json!({ "wait_seconds": 56 })));
    bob.call("deregister", json!({})).ok();
    error("departed", bob.call("heartbeat", json!({})));
    insta::assert_json_snapshot!("errors", errors);
}

#[test]
fn a_policy_s_refusal_says_who_refused_and_where_it_is_written_down() {
    let desk = Desk::with_set(&format!("{UNLIMITED}{RATE_LIMIT}"));
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    for _ in 0..30 {
        alice.send("bob", "hi");
    }
    let refusal = alice
        .call("send_message", json!({ "recipient": "bob", "content": "one more" }))
        .refused("resource_exhausted");
    assert_eq!((&refusal["policy"], &refusal["reason"]), (&json!("rate-limit"), &json!("rate_limited")));
    let decision =
        desk.db().read(|tx| tx.decision(refusal["decision_id"].as_i64().unwrap())).unwrap().unwrap();
    assert_eq!((decision.agent.as_str(), decision.outcome.as_str(), decision.done), ("alice", "deny", false));
    assert_eq!(desk.count("SELECT count(*) FROM messages"), 30);
    // Another agent has a budget of its own, reading goes on, and a minute later all is well.
    bob.send("alice", "x");
    alice.call("get_messages", json!({})).ok();
    desk.clock.advance(61 * SECOND);
    alice.send("bob", "again");
}

#[test]
fn changes_are_limited_too() {
    let desk = Desk::with_defaults();
    let alice = desk.join("alice");
    for version in 1..=120 {
        let written = alice.call("share_context", json!({ "key": "k", "value": "v" })).ok();
        assert_eq!(written["version"], version);
    }
    alice.call("share_context", json!({ "key": "k", "value": "v" })).refused("resource_exhausted");
    alice.call("heartbeat", json!({})).ok();
    alice.call("list_tasks", json!({})).ok();
}

#[test]
fn a_held_call_names_its_escalation_and_passes_once_when_approved() {
    let set = format!("{UNLIMITED}[policy.settings.roles.agent]\nescalate = [\"broadcast\"]\n");
    let desk = Desk::with_set(&set);
    let alice = desk.join("alice");
    let bob = desk.join("bob");
    let call = || alice.call("broadcast", json!({ "content": "hear, hear" }));
    let held = call().refused("approval_required");
    let (escalation, decision) = (held["escalation_id"].as_i64().unwrap(), held["decision_id"].as_i64());
    assert_eq!(held["policy"], "tool-authorization");
    assert!(decision.is_some() && held["reason"].is_string(), "{held}");
    assert_eq!(
        call().refused("approval_required")["escalation_id"],
        escalation,
        "the same call, the same question"
    );
    assert_eq!(desk.count("SELECT count(*) FROM messages"), 0);
    assert!(bob.read().is_empty());
    approve(&desk, escalation);
    call().ok();
    assert_eq!(bob.read(), ["hear, hear"]);
    assert_ne!(call().refused("approval_required")["escalation_id"], escalation);
}

// ---------------------------------------------------------------- the badge

#[test]
fn every_result_but_the_inbox_carries_the_callers_own_badge() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    bob.call("share_context", json!({ "key": "k", "value": "v" })).ok();
    let task = bob.post("t");
    bob.call("claim_task", json!({ "task_id": task })).ok();
    let long = "m".repeat(150);
    for content in [long.as_str(), "second", "third"] {
        alice.send("bob", content);
    }
    let badge_of = |body: &Value| body["_notification"].clone();
    let expected = json!({
        "unread_messages": 3,
        "preview": [format!("alice: {}", "m".repeat(100)), "alice: second"],
        "action": "call get_messages to read them",
    });
    for (tool, arguments) in [
        ("heartbeat", json!({})),
        ("list_members", json!({})),
        ("send_message", json!({ "recipient": "alice", "content": "c" })),
        ("broadcast", json!({ "content": "c" })),
        ("create_task", json!({ "title": "t" })),
        ("list_tasks", json!({})),
        ("claim_task", json!({})),
        ("update_task", json!({ "task_id": task, "status": "done" })),
        ("share_context", json!({ "key": "k", "value": "v" })),
        ("get_shared_context", json!({ "key": "k" })),
        ("get_shared_context", json!({})),
    ] {
        assert_eq!(badge_of(&bob.call(tool, arguments).ok()), expected, "{tool}");
    }
    // On errors too: of the arguments, of their limits, of the rules.
    for (tool, arguments) in [
        ("list_tasks", json!({ "no_such": 1 })),
        ("create_task", json!({ "title": "" })),
        ("claim_task", json!({ "task_id": 99 })),
        ("get_shared_context", json!({ "key": "nothing" })),
    ] {
        let answer = bob.call(tool, arguments);
        assert!(answer.is_error);
        assert_eq!(badge_of(&answer.body), expected, "{tool}");
    }
    // Never on the inbox, never somebody else's, never without unread messages.
    assert_eq!(badge(&bob.call("get_messages", json!({ "peek": true })).ok()), None);
    for wrong in [json!({ "limit": 0 }), json!({ "no_such": 1 })] {
        assert_eq!(badge(&bob.call("get_messages", wrong).refused("invalid_argument")), None);
    }
    assert_eq!(badge(&alice.call("heartbeat", json!({})).ok()), Some(2), "alice has bob's two");
    assert_eq!(badge(&desk.call("heartbeat", json!({ "name": "bob" })).refused("unauthenticated")), None);
    bob.read();
    assert_eq!(badge(&bob.call("heartbeat", json!({})).ok()), None);
    // A renewed registration is a result for the same agent.
    alice.send("bob", "fourth");
    assert_eq!(badge(&bob.call("register", json!({})).ok()), Some(1));
}

#[test]
fn a_policy_s_refusal_carries_the_badge() {
    let desk =
        Desk::with_set(&format!("{UNLIMITED}[policy.settings.roles.agent]\ndeny = [\"create_task\"]\n"));
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    alice.send("bob", "x");
    let refusal = bob.call("create_task", json!({ "title": "t" })).refused("permission_denied");
    assert_eq!(badge(&refusal), Some(1));
    assert_eq!(refusal["policy"], "tool-authorization");
}

// ---------------------------------------------------------------- messages

#[test]
fn messages_come_oldest_first_and_once() {
    let desk = Desk::new();
    let (alice, bob, carol) = (desk.join("alice"), desk.join("bob"), desk.join("carol"));
    alice.send("bob", "one");
    alice.call("broadcast", json!({ "content": "two" })).ok();
    carol.send("bob", "three");
    bob.send("carol", "not mine");
    let peeked = bob.call("get_messages", json!({ "peek": true })).ok();
    assert_eq!(strings(&peeked["messages"], "content"), ["one", "two", "three"]);
    assert!(peeked["messages"].as_array().unwrap().iter().all(|message| message["read"] == false));
    assert_eq!(bob.read(), ["one", "two", "three"], "peek marks nothing");
    assert!(bob.read().is_empty());
    assert_eq!(carol.read(), ["two", "not mine"], "broadcasts are read by each for themselves");
    assert!(alice.read().is_empty(), "a broadcast does not come back");
    let all = bob.call("get_messages", json!({ "include_read": true })).ok();
    assert_eq!(strings(&all["messages"], "content"), ["one", "two", "three"]);
    assert!(all["messages"].as_array().unwrap().iter().all(|message| message["read"] == true));
    assert_eq!(all["messages"][1]["recipient"], "*");
}

#[test]
fn a_broadcast_reaches_who_is_at_the_table_then() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    bob.call("deregister", json!({})).ok();
    alice.call("broadcast", json!({ "content": "early" })).ok();
    let carol = desk.join("carol");
    assert!(carol.read().is_empty());
    assert_eq!(desk.count("SELECT count(*) FROM inbox"), 0);
}

#[test]
fn an_unknown_recipient_is_answered_with_the_closest_names() {
    let desk = Desk::new();
    let (alice, gone) = (desk.join("alice"), desk.join("claude-front"));
    for name in ["claude-code", "claude-review", "zed"] {
        desk.join(name);
    }
    gone.call("deregister", json!({})).ok();
    let send = |to: &str| alice.call("send_message", json!({ "recipient": to, "content": "c" }));
    let hint = send("Claude-Cod").refused("not_found")["hint"].as_str().unwrap().to_owned();
    assert!(
        hint.contains("claude-code") && !hint.contains("zed") && !hint.contains("claude-front"),
        "{hint}"
    );
    send("claude-front").refused("not_found");
    send("*").refused("invalid_argument");
    // To oneself is allowed.
    send("alice").ok();
    assert_eq!(alice.read(), ["c"]);
}

#[test]
fn replies_join_the_thread() {
    let desk = Desk::new();
    let (alice, bob, carol) = (desk.join("alice"), desk.join("bob"), desk.join("carol"));
    let reply = |agent: &Agent<'_>, to: &str, id: i64| {
        agent.call("send_message", json!({ "recipient": to, "content": "re", "reply_to": id }))
    };
    let first = alice.send("bob", "hello");
    let second = reply(&bob, "alice", first).ok();
    assert_eq!((&second["thread_id"], &second["reply_to"]), (&json!(first), &json!(first)));
    let third = reply(&alice, "carol", second["id"].as_i64().unwrap()).ok();
    assert_eq!(third["thread_id"], first, "a thread may take others in");
    let other = bob.send("alice", "other");
    let of_thread = alice.call("get_messages", json!({ "thread_id": first })).ok();
    // The whole of it, what the reader said included.
    let whole = [first, second["id"].as_i64().unwrap(), third["id"].as_i64().unwrap()];
    assert_eq!(numbers(&of_thread["messages"], "id"), whole);
    assert_eq!(numbers(&alice.call("get_messages", json!({})).ok()["messages"], "id"), [other]);
    // Only who has seen a message can answer it: to others it is not there.
    let secret = alice.send("bob", "between us");
    reply(&carol, "alice", secret).refused("not_found");
    reply(&carol, "alice", 999).refused("not_found");
    let news = alice.call("broadcast", json!({ "content": "news" })).ok()["id"].as_i64().unwrap();
    assert_eq!(reply(&carol, "alice", news).ok()["thread_id"], news);
}

#[test]
fn a_repeated_idempotency_key_sends_nothing_and_answers_the_same() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let send = |agent: &Agent<'_>, to: &str, content: &str| {
        agent
            .call("send_message", json!({ "recipient": to, "content": content, "idempotency_key": "k" }))
            .ok()
    };
    let first = send(&alice, "bob", "once");
    desk.clock.advance(MINUTE);
    assert_eq!(send(&alice, "bob", "once"), first);
    // Under the same key, other content is no repeat: nothing is sent, and the caller is told.
    for (to, content) in [("bob", "twice"), ("alice", "once")] {
        let other = json!({ "recipient": to, "content": content, "idempotency_key": "k" });
        let refused = alice.call("send_message", other).refused("already_exists");
        let error = refused["error"].as_str().unwrap();
        assert!(error.contains("with other content (") && error.contains(" then, "), "{error}");
    }
    assert_ne!(send(&bob, "alice", "mine")["id"], first["id"], "another sender's key is another");
    assert_eq!(bob.read(), ["once"]);
    let announce = || alice.call("broadcast", json!({ "content": "b", "idempotency_key": "b" })).ok();
    assert_eq!(announce()["id"], announce()["id"]);
    assert_eq!(bob.read(), ["b"]);
    let post = || alice.call("create_task", json!({ "title": "t", "idempotency_key": "k" })).ok();
    assert_eq!(post()["id"], post()["id"]);
    alice.call("create_task", json!({ "title": "u", "idempotency_key": "k" })).refused("already_exists");
    assert_eq!(desk.count("SELECT count(*) FROM tasks"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM messages"), 3);
    // A repeat after the recipient has left still answers with what was done.
    bob.call("deregister", json!({})).ok();
    let again =
        alice.call("send_message", json!({ "recipient": "bob", "content": "once", "idempotency_key": "k" }));
    assert_eq!(again.ok()["id"], first["id"]);
}

#[test]
fn a_wait_ends_when_a_message_comes_from_another_process() {
    let home = Home::new();
    let (mut reader, mut writer) = (home.start(), home.start());
    let alice = reader.join("alice");
    let bob = writer.join("bob");
    assert!(reader.say("get_messages", json!({ "token": alice, "wait_seconds": 55 })));
    // Answered by the same process, so the wait above is under way.
    assert!(reader.say("list_members", json!({ "token": alice })));
    assert!(reader.hear().unwrap().ok()["members"].is_array());
    writer
        .call(
            "send_message",
            json!({ "sender": "bob", "token": bob, "recipient": "alice", "content": "wake" }),
        )
        .ok();
    // A wait for nothing that begins now, and is not over when the other is woken.
    assert!(writer.say("get_messages", json!({ "token": bob, "wait_seconds": 30 })));
    let heard = reader.hear().unwrap().ok();
    assert!(writer.lines.try_recv().is_err(), "the waiter was not woken");
    assert_eq!(strings(&heard["messages"], "content"), ["wake"]);
    assert_eq!(home.count("SELECT count(*) FROM inbox WHERE read_at IS NULL"), 0);
}

#[test]
fn a_wait_for_nothing_ends_in_time_and_one_with_messages_does_not_wait() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let begun = std::time::Instant::now();
    let nothing = alice.call("get_messages", json!({ "wait_seconds": 1 })).ok();
    assert_eq!(nothing, json!({ "messages": [], "remaining": 0 }));
    assert!(begun.elapsed().as_secs() >= 1, "it did not wait");
    bob.send("alice", "there");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| bob.call("get_messages", json!({ "wait_seconds": 30 })).ok());
        let heard = alice.call("get_messages", json!({ "wait_seconds": 55 })).ok();
        assert_eq!(heard["messages"][0]["content"], "there");
        assert!(!other.is_finished(), "it waited although there was a message");
        alice.send("bob", "enough");
    });
}

/// Two waits of one agent: what comes is returned to one of them, not to both.
#[test]
fn one_message_is_returned_to_one_of_two_waits() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    std::thread::scope(|scope| {
        let wait = || {
            alice.call("get_messages", json!({ "wait_seconds": 2 })).ok()["messages"]
                .as_array()
                .unwrap()
                .len()
        };
        let waits = [scope.spawn(wait), scope.spawn(wait)];
        bob.send("alice", "only once");
        let returned: usize = waits.into_iter().map(|wait| wait.join().unwrap()).sum();
        assert_eq!(returned, 1);
    });
}

// ---------------------------------------------------------------- long lists

#[test]
fn an_inbox_stops_before_twelve_thousand_characters_and_the_rest_stays_unread() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    // Quotes and newlines are longer on the wire than in memory.
    let content = "\"\n".repeat(500);
    for _ in 0..20 {
        alice.send("bob", &content);
    }
    let mut seen = Vec::new();
    let mut left = 20;
    while left > 0 {
        let page = bob.call("get_messages", json!({})).ok();
        assert!(page.to_string().chars().count() < 12_000, "{}", page.to_string().len());
        let ids = numbers(&page["messages"], "id");
        assert!(ids.len() > 1, "a page holds what fits");
        left -= i64::try_from(ids.len()).unwrap();
        assert_eq!(page["remaining"], left);
        assert_eq!(desk.count("SELECT count(*) FROM inbox WHERE read_at IS NULL"), left);
        seen.extend(ids);
    }
    assert_eq!(seen, (1..=20).collect::<Vec<i64>>());
    // A single larger message still comes whole.
    alice.send("bob", &"\"".repeat(10_000));
    alice.send("bob", "after");
    let page = bob.call("get_messages", json!({})).ok();
    assert_eq!(page["messages"][0]["content"].as_str().unwrap().len(), 10_000);
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["remaining"]), (1, &json!(1)));
    assert_eq!(bob.read(), ["after"]);
}

#[test]
fn limit_pages_the_inbox_and_before_id_leads_back_through_history() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    for at in 1..=7 {
        alice.send("bob", &format!("m{at}"));
    }
    let page = bob.call("get_messages", json!({ "limit": 3 })).ok();
    assert_eq!((numbers(&page["messages"], "id"), &page["remaining"]), (vec![1, 2, 3], &json!(4)));
    let history = |before: i64| {
        let page = bob
            .call(
                "get_messages",
                json!({ "include_read": true, "limit": 3, "before_id": before, "peek": true }),
            )
            .ok();
        (numbers(&page["messages"], "id"), page["remaining"].as_i64().unwrap())
    };
    assert_eq!(history(100), (vec![5, 6, 7], 4));
    assert_eq!(history(5), (vec![2, 3, 4], 1));
    assert_eq!(history(2), (vec![1], 0));
    assert_eq!(bob.read(), ["m4", "m5", "m6", "m7"]);
}

/// Every list, filled with the longest items that its limits allow, badge included.
#[test]
fn no_list_reaches_twelve_thousand_characters() {
    let desk = Desk::new();
    let long = |at: usize| format!("{at:02}{}", "n".repeat(62));
    let capabilities = vec!["c".repeat(64); 20];
    for at in 0..8 {
        desk.call("register", json!({ "name": long(at), "capabilities": capabilities, "role": "reviewer" }))
            .ok();
    }
    let alice = desk.join("alice");
    let other = desk.join(&long(90));
    for _ in 0..2 {
        other.send("alice", &"\u{1}".repeat(200));
    }
    for _ in 0..40 {
        alice.post("t");
    }
    let depends: Vec<i64> = (1..=50).map(|at| at % 40 + 1).collect();
    for _ in 0..40 {
        let task = json!({ "title": "t", "depends_on": depends, "assignee": long(1), "reviewer": long(2) });
        alice.call("create_task", task).ok();
    }
    for at in 0..40 {
        alice
            .call(
                "share_context",
                json!({ "key": format!("{}{at:02}", "k".repeat(126)), "value": "v".repeat(at * 50) }),
            )
            .ok();
    }
    for (tool, arguments, list) in [
        ("list_members", json!({}), "members"),
        ("list_tasks", json!({ "limit": 200 }), "tasks"),
        ("list_tasks", json!({ "limit": 200, "after_id": 40 }), "tasks"),
        ("get_shared_context", json!({ "limit": 200 }), "entries"),
    ] {
        let page = alice.call(tool, arguments).ok();
        let length = page.to_string().chars().count();
        assert!(length < 12_000, "{tool}: {length}");
        assert_eq!(badge(&page), Some(2));
        let (shown, left) = (page[list].as_array().unwrap().len(), page["remaining"].as_u64().unwrap());
        assert!(shown > 1 && left > 0, "{tool}: {shown} shown, {left} left");
    }
}

#[test]
fn tasks_are_paged_by_id_without_gaps() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    for at in 1..=60 {
        alice
            .call("create_task", json!({ "title": format!("t{at}"), "description": "d".repeat(at * 10) }))
            .ok();
    }
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = alice.call("list_tasks", json!({ "after_id": after, "limit": 25 })).ok();
        let ids = numbers(&page["tasks"], "id");
        assert!(!ids.is_empty() && ids.len() <= 25);
        after = *ids.last().unwrap();
        seen.extend(ids);
        assert_eq!(page["remaining"], 60 - i64::try_from(seen.len()).unwrap());
        if page["remaining"] == 0 {
            break;
        }
    }
    assert_eq!(seen, (1..=60).collect::<Vec<i64>>());
}

// ---------------------------------------------------------------- tasks

const STATUSES: [&str; 6] = ["pending", "in_progress", "blocked", "awaiting_review", "done", "cancelled"];

/// The arrows of the contract.
fn leads_to(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("pending" | "blocked", "in_progress" | "cancelled")
            | ("in_progress", "done" | "blocked" | "awaiting_review" | "cancelled")
            | ("awaiting_review", "done" | "in_progress" | "cancelled")
    )
}

#[test]
fn tasks_move_along_the_arrows_of_the_contract_and_no_others() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    for from in STATUSES {
        for to in STATUSES {
            let task = alice.post("t");
            match from {
                "pending" => {}
                "in_progress" => drop(alice.update(task, "in_progress").ok()),
                other => {
                    alice.update(task, "in_progress").ok();
                    alice.update(task, other).ok();
                }
            }
            let answer = alice.update(task, to);
            if leads_to(from, to) {
                assert_eq!(answer.ok()["status"], to);
            } else {
                answer.refused("failed_precondition");
            }
        }
    }
}

#[test]
fn a_task_has_the_fields_of_the_contract() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let _others = (desk.join("bob"), desk.join("rita"));
    let first = alice.post("first");
    let task = json!({
        "title": "second", "description": "d", "assignee": "bob", "priority": "high",
        "depends_on": [first, first], "parent_id": first, "reviewer": "rita",
    });
    let task = alice.call("create_task", task).ok();
    insta::assert_json_snapshot!(task, @r#"
    {
      "assignee": "bob",
      "created_at": "2026-11-22T09:30:00.000+00:00",
      "creator": "alice",
      "depends_on": [
        1
      ],
      "description": "d",
      "id": 2,
      "parent_id": 1,
      "priority": "high",
      "result": "",
      "reviewer": "rita",
      "stale": false,
      "status": "pending",
      "title": "second",
      "updated_at": "2026-11-22T09:30:00.000+00:00"
    }
    "#);
    for wrong in [json!({ "title": "t", "depends_on": [99] }), json!({ "title": "t", "parent_id": 99 })] {
        alice.call("create_task", wrong).refused("not_found");
    }
    alice.call("create_task", json!({ "title": "t", "reviewer": "no/name" })).refused("invalid_argument");
}

#[test]
fn task_transitions_check_the_caller() {
    let desk = Desk::new();
    let (carol, alice, rita, eve) =
        (desk.join("carol"), desk.join("alice"), desk.join("rita"), desk.join("eve"));
    let (lead, admin) = (desk.join_as("lena", "lead"), desk.join_as("adam", "admin"));
    let post = || {
        let task = json!({ "title": "t", "assignee": "alice", "reviewer": "rita" });
        carol.call("create_task", task).ok()["id"].as_i64().unwrap()
    };
    let claim = |who: &Agent<'_>, task: i64| who.call("claim_task", json!({ "task_id": task }));
    for stranger in [&eve, &carol, &rita] {
        claim(stranger, post()).refused("permission_denied");
    }
    for allowed in [&alice, &lead, &admin] {
        let claimed = claim(allowed, post()).ok();
        assert_eq!((&claimed["assignee"], &claimed["status"]), (&json!(allowed.name), &json!("in_progress")));
    }
    let started = || {
        let task = post();
        claim(&alice, task).ok();
        task
    };
    let again = started();
    claim(&alice, again).refused("failed_precondition");
    for allowed in [&carol, &alice, &rita, &lead, &admin] {
        allowed.update(started(), "blocked").ok();
    }
    eve.update(started(), "blocked").refused("permission_denied");
    eve.update(99, "blocked").refused("not_found");
    // Nobody approves their own work; only the reviewer, a lead or an admin approves what waits for review.
    alice.update(started(), "done").refused("permission_denied");
    let waiting = || {
        let task = started();
        alice.update(task, "awaiting_review").ok();
        task
    };
    for (who, code) in [
        (&alice, "permission_denied"),
        (&carol, "permission_denied"),
        (&eve, "permission_denied"),
        (&rita, "ok"),
        (&lead, "ok"),
        (&admin, "ok"),
    ] {
        assert_eq!(who.update(waiting(), "done").code(), code, "{}", who.name);
    }
    let returned = waiting();
    assert_eq!(rita.update(returned, "in_progress").ok()["assignee"], "alice");
    // Without a reviewer the assignee finishes it.
    let task = carol.post("plain");
    claim(&eve, task).ok();
    let done = eve.call("update_task", json!({ "task_id": task, "status": "done", "result": "42" })).ok();
    assert_eq!((&done["status"], &done["result"]), (&json!("done"), &json!("42")));
}

#[test]
fn the_best_ready_task_is_mine_then_urgent_then_old() {
    let desk = Desk::new();
    let (carol, alice, _bob) = (desk.join("carol"), desk.join("alice"), desk.join("bob"));
    let post = |arguments: Value| carol.call("create_task", arguments).ok()["id"].as_i64().unwrap();
    let low = post(json!({ "title": "low", "priority": "low" }));
    let first = post(json!({ "title": "first" }));
    let second = post(json!({ "title": "second" }));
    let waiting = post(json!({ "title": "waiting", "priority": "high", "depends_on": [low] }));
    let high = post(json!({ "title": "high", "priority": "high" }));
    let others = post(json!({ "title": "others", "priority": "high", "assignee": "bob" }));
    let mine = post(json!({ "title": "mine", "priority": "low", "assignee": "alice" }));
    let ready = numbers(&alice.call("list_tasks", json!({ "ready": true })).ok()["tasks"], "id");
    assert_eq!(ready, [low, first, second, high, others, mine]);
    let claim = || alice.call("claim_task", json!({}));
    for best in [mine, high, first, second, low] {
        assert_eq!(claim().ok()["id"], best);
    }
    claim().refused("not_found");
    alice.update(low, "done").ok();
    assert_eq!(claim().ok()["id"], waiting, "what it depended on is done");
}

#[test]
fn a_task_waits_for_all_it_depends_on() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let (one, two) = (alice.post("one"), alice.post("two"));
    let task = alice.call("create_task", json!({ "title": "t", "depends_on": [two, one] })).ok()["id"]
        .as_i64()
        .unwrap();
    for dependency in [one, two] {
        alice.call("claim_task", json!({ "task_id": task })).refused("failed_precondition");
        alice.update(task, "in_progress").refused("failed_precondition");
        alice.update(dependency, "in_progress").ok();
        alice.update(dependency, "done").ok();
    }
    alice.call("claim_task", json!({ "task_id": task })).ok();
    // One that is done already is waited for no more.
    let late = alice.call("create_task", json!({ "title": "late", "depends_on": [one] })).ok();
    alice.call("claim_task", json!({ "task_id": late["id"] })).ok();
}

#[test]
fn an_abandoned_task_is_stale_and_can_be_taken_over() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let task = alice.post("t");
    alice.call("claim_task", json!({ "task_id": task })).ok();
    let stale = || bob.call("list_tasks", json!({})).ok()["tasks"][0]["stale"].clone();
    desk.clock.advance(15 * MINUTE);
    assert_eq!(stale(), false);
    bob.call("claim_task", json!({ "task_id": task })).refused("failed_precondition");
    desk.clock.advance(1);
    assert_eq!(stale(), true);
    // Any sign of life ends it.
    alice.call("heartbeat", json!({})).ok();
    assert_eq!(stale(), false);
    desk.clock.advance(15 * MINUTE + 1);
    let taken = bob.call("claim_task", json!({ "task_id": task })).ok();
    assert_eq!((&taken["assignee"], &taken["stale"]), (&json!("bob"), &json!(false)));
    alice.call("claim_task", json!({ "task_id": task })).refused("failed_precondition");
    // One whose assignee has left was last seen when it last changed.
    bob.call("deregister", json!({})).ok();
    alice.call("claim_task", json!({ "task_id": task })).refused("failed_precondition");
    desk.clock.advance(15 * MINUTE + 1);
    alice.call("claim_task", json!({ "task_id": task })).ok();
}

#[test]
fn tasks_are_filtered_by_status_assignee_and_readiness() {
    let desk = Desk::new();
    let (alice, _bob) = (desk.join("alice"), desk.join("bob"));
    let post = |assignee: &str| {
        alice.call("create_task", json!({ "title": "t", "assignee": assignee })).ok()["id"].as_i64().unwrap()
    };
    let (free, bobs, mine) = (post(""), post("bob"), post("alice"));
    alice.update(mine, "in_progress").ok();
    let list = |filter: Value| numbers(&alice.call("list_tasks", filter).ok()["tasks"], "id");
    assert_eq!(list(json!({})), [free, bobs, mine]);
    assert_eq!(list(json!({ "status": "pending" })), [free, bobs]);
    assert_eq!(list(json!({ "assignee": "bob" })), [bobs]);
    assert_eq!(list(json!({ "assignee": "alice", "status": "in_progress" })), [mine]);
    assert_eq!(list(json!({ "assignee": "alice", "status": "pending" })), Vec::<i64>::new());
    assert_eq!(list(json!({ "ready": true, "assignee": "bob" })), [bobs]);
    assert_eq!(list(json!({ "ready": true, "status": "in_progress" })), Vec::<i64>::new());
    assert_eq!(list(json!({ "after_id": free })), [bobs, mine]);
}

// ---------------------------------------------------------------- context

#[test]
fn context_versions_grow_by_one_and_guard_against_overwriting() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let share = |who: &Agent<'_>, expected: Option<i64>| {
        who.call("share_context", json!({ "key": "plan", "value": who.name, "expected_version": expected }))
    };
    let refused = share(&alice, Some(1)).refused("failed_precondition");
    assert!(refused["hint"].as_str().unwrap().contains("expected_version=0"), "{refused}");
    assert_eq!(share(&alice, Some(0)).ok()["version"], 1);
    share(&bob, Some(0)).refused("failed_precondition");
    assert_eq!(share(&bob, Some(1)).ok()["version"], 2);
    let refused = share(&alice, Some(1)).refused("failed_precondition");
    assert!(refused["hint"].as_str().unwrap().contains("expected_version=2"), "{refused}");
    assert_eq!(share(&alice, None).ok()["version"], 3);
    let entry = bob.call("get_shared_context", json!({ "key": "plan" })).ok();
    let expected = json!({
        "key": "plan", "value": "alice", "set_by": "alice", "version": 3, "expires_at": null,
        "updated_at": "2026-11-22T09:30:00.000+00:00",
    });
    assert_eq!(entry, expected);
}

#[test]
fn a_key_with_a_member_s_name_is_that_member_s() {
    let desk = Desk::new();
    let (alice, bob, lead) = (desk.join("alice"), desk.join("bob"), desk.join_as("lena", "lead"));
    let admin = desk.join_as("adam", "admin");
    let share = |who: &Agent<'_>, key: &str| who.call("share_context", json!({ "key": key, "value": "v" }));
    share(&alice, "alice/notes").ok();
    share(&bob, "alice/notes").refused("permission_denied");
    share(&bob, "alice/other").refused("permission_denied");
    share(&lead, "alice/notes").ok();
    share(&admin, "alice/notes").ok();
    for free in ["alice", "alicia/notes", "/alice", "project/alice", "Alice/notes"] {
        share(&bob, free).ok();
    }
    assert_eq!(bob.call("get_shared_context", json!({ "key": "alice/notes" })).ok()["version"], 3);
    // Still hers when she is away for good.
    alice.call("deregister", json!({})).ok();
    share(&bob, "alice/notes").refused("permission_denied");
}

#[test]
fn an_expired_entry_is_gone_for_every_reader() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let share = |ttl: Value| {
        alice.call("share_context", json!({ "key": "lock", "value": "v", "ttl_seconds": ttl })).ok()
    };
    assert_eq!(share(json!(60))["expires_at"], "2026-11-22T09:31:00.000+00:00");
    let read = || alice.call("get_shared_context", json!({ "key": "lock" }));
    let listed = || alice.call("get_shared_context", json!({})).ok()["entries"].as_array().unwrap().len();
    desk.clock.advance(60 * SECOND - 1);
    read().ok();
    assert_eq!(listed(), 1);
    desk.clock.advance(1);
    read().refused("not_found");
    assert_eq!(listed(), 0);
    // It may be made anew as if it had never been; without a ttl it stays.
    let again = json!({ "key": "lock", "value": "w", "expected_version": 0 });
    assert_eq!(alice.call("share_context", again).ok()["version"], 1);
    desk.clock.advance(1_000 * MINUTE);
    assert_eq!(read().ok()["expires_at"], Value::Null);
    share(json!(60));
    assert_eq!(share(Value::Null)["expires_at"], Value::Null, "a later write without a ttl keeps it");
}

#[test]
fn context_is_listed_by_prefix() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    for key in ["b", "a/2", "a/1", "a", "ab", "é/1", "a%"] {
        alice.call("share_context", json!({ "key": key, "value": "v" })).ok();
    }
    let list = |arguments: Value| {
        let page = alice.call("get_shared_context", arguments).ok();
        (strings(&page["entries"], "key"), page["remaining"].as_i64().unwrap())
    };
    let all = ["a", "a%", "a/1", "a/2", "ab", "b", "é/1"].map(str::to_owned).to_vec();
    assert_eq!(list(json!({})), (all.clone(), 0));
    assert_eq!(list(json!({ "prefix": "a/" })), (vec!["a/1".into(), "a/2".into()], 0));
    assert_eq!(list(json!({ "prefix": "é" })), (vec!["é/1".into()], 0));
    assert_eq!(list(json!({ "prefix": "%" })), (vec![], 0));
    assert_eq!(list(json!({ "limit": 2 })), (all[..2].to_vec(), 5));
}

// ---------------------------------------------------------------- presence and roles

#[test]
fn any_call_refreshes_presence() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let seen = |of: &str| {
        let members = bob.call("list_members", json!({})).ok();
        let all = members["members"].as_array().unwrap();
        let member = all.iter().find(|member| member["name"] == of).unwrap();
        (
            member["presence"].as_str().unwrap().to_owned(),
            member["last_heartbeat"].as_str().unwrap().to_owned(),
        )
    };
    desk.clock.advance(5 * MINUTE);
    assert_eq!(seen("alice").0, "online");
    desk.clock.advance(1);
    assert_eq!(seen("alice").0, "away");
    for (tool, arguments, code) in [
        ("heartbeat", json!({}), "ok"),
        ("list_tasks", json!({}), "ok"),
        ("get_messages", json!({}), "ok"),
        ("get_messages", json!({ "peek": true }), "ok"),
        ("create_task", json!({ "title": "t" }), "ok"),
        ("claim_task", json!({ "task_id": 99 }), "not_found"),
        ("create_task", json!({ "title": "" }), "invalid_argument"),
        ("list_tasks", json!({ "no_such": 1 }), "invalid_argument"),
    ] {
        desk.clock.advance(10 * MINUTE);
        assert_eq!(alice.call(tool, arguments).code(), code);
        desk.flush();
        let now = team_table::domain::clock::format(desk.clock.now());
        assert_eq!(seen("alice"), ("online".into(), now), "{tool} {code}");
    }
}

#[test]
fn members_are_listed_with_those_who_left_only_when_asked_for() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    assert_eq!(bob.call("deregister", json!({})).ok(), json!({ "status": "deregistered", "name": "bob" }));
    let list =
        |all: bool| alice.call("list_members", json!({ "include_inactive": all })).ok()["members"].clone();
    assert_eq!(strings(&list(false), "name"), ["alice"]);
    let all = list(true);
    assert_eq!(strings(&all, "name"), ["alice", "bob"]);
    assert_eq!(strings(&all, "status"), ["active", "inactive"]);
    assert_eq!(strings(&all, "presence"), ["online", "away"]);
}

#[test]
fn privileged_roles_come_from_the_operator_and_stay() {
    let desk = Desk::new();
    for role in ["admin", "lead"] {
        desk.call("register", json!({ "name": "eve", "role": role })).refused("permission_denied");
    }
    let alice = desk.join_as("alice", "lead");
    let renewed = alice.call("register", json!({ "role": "coder" })).ok();
    assert_eq!(renewed["role"], "lead", "a re-registration does not drop a granted role");
    // Leaving and coming back with the token neither; whoever takes the name without it starts anew.
    let alice = Agent::known(&desk, "alice", renewed["token"].as_str().unwrap());
    alice.call("deregister", json!({})).ok();
    let back = alice.call("register", json!({})).ok();
    assert_eq!(back["role"], "lead");
    let alice = Agent::known(&desk, "alice", back["token"].as_str().unwrap());
    alice.call("deregister", json!({})).ok();
    assert_eq!(desk.call("register", json!({ "name": "alice" })).ok()["role"], "agent");
    // A role one gives oneself may change.
    let bob = desk.join("bob");
    assert_eq!(bob.call("register", json!({ "role": "coder" })).ok()["role"], "coder");
}

#[test]
fn a_held_call_that_a_person_approved_counts_against_the_limits() {
    let set = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n\
               [policy.settings.roles.agent]\nescalate = [\"broadcast\"]\n\
               [[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\n\
               [policy.settings]\nmax_changes = 1\n";
    let desk = Desk::with_set(set);
    let alice = desk.join("alice");
    let call = || alice.call("broadcast", json!({ "content": "hear, hear" }));
    let escalation = call().refused("approval_required")["escalation_id"].as_i64().unwrap();
    approve(&desk, escalation);
    call().ok();
    let refused =
        alice.call("share_context", json!({ "key": "k", "value": "v" })).refused("resource_exhausted");
    assert_eq!(refused["reason"], "rate_limited");
}

#[test]
fn an_approved_return_is_for_the_one_who_proved_who_it_is() {
    let set = format!("{UNLIMITED}[policy.settings.roles.agent]\nescalate = [\"register\"]\n");
    let desk = Desk::with_set(&set);
    let arguments = || json!({ "name": "alice" });
    let newcomer = desk.call("register", arguments()).refused("approval_required");
    approve(&desk, newcomer["escalation_id"].as_i64().unwrap());
    let token = desk.call("register", arguments()).ok()["token"].as_str().unwrap().to_owned();
    desk.call("deregister", json!({ "name": "alice", "token": token })).ok();
    let proven = || json!({ "name": "alice", "token": token });
    approve(
        &desk,
        desk.call("register", proven()).refused("approval_required")["escalation_id"].as_i64().unwrap(),
    );
    desk.call("register", arguments()).refused("approval_required");
    desk.call("register", proven()).ok();
}
