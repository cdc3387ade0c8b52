//! Every list has a way on: what `remaining` counts can be reached.

use serde_json::{Value, json};

use crate::harness::{Agent, Desk};

/// Walks a list page by page and gives what identifies its items, in the order in which they came.
fn walk(agent: &Agent<'_>, tool: &str, first: &Value, (list, id, after): (&str, &str, &str)) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    let mut arguments = first.clone();
    loop {
        let page = agent.call(tool, arguments.clone()).ok();
        let items = page[list].as_array().unwrap();
        assert!(!items.is_empty(), "{tool} says that there is more, and gives nothing: {page}");
        seen.extend(items.iter().map(|item| item[id].clone()));
        if page["remaining"] == 0 {
            return seen;
        }
        assert!(seen.len() < 10_000, "{tool} does not end");
        arguments[after] = seen.last().unwrap().clone();
    }
}

#[test]
fn every_list_can_be_walked_to_its_end() {
    const MANY: usize = 150;
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let long = "x".repeat(300);
    for at in 0..MANY {
        desk.call("register", json!({ "name": format!("m{at}"), "capabilities": ["rust", long[..60]] })).ok();
        alice.call("create_task", json!({ "title": format!("t{at}"), "description": long })).ok();
        alice.call("share_context", json!({ "key": format!("k{at:03}"), "value": long })).ok();
        alice.send("bob", &format!("{at} {long}"));
    }
    for (tool, arguments, names, expected) in [
        ("list_members", json!({}), ("members", "name", "after"), MANY + 2),
        ("list_tasks", json!({}), ("tasks", "id", "after_id"), MANY),
        ("get_shared_context", json!({}), ("entries", "key", "after"), MANY),
        ("get_shared_context", json!({ "prefix": "k0" }), ("entries", "key", "after"), 100),
        ("get_messages", json!({ "peek": true }), ("messages", "id", "after_id"), MANY),
    ] {
        let mut seen = walk(&bob, tool, &arguments, names);
        let count = seen.len();
        seen.sort_by_key(Value::to_string);
        seen.dedup();
        assert_eq!((seen.len(), count), (expected, expected), "{tool} {arguments}");
    }
    // History leads back instead.
    let mut history = 0;
    let mut before = i64::MAX;
    loop {
        let page =
            bob.call("get_messages", json!({ "include_read": true, "peek": true, "before_id": before })).ok();
        history += page["messages"].as_array().unwrap().len();
        before = page["messages"][0]["id"].as_i64().unwrap();
        if page["remaining"] == 0 {
            break;
        }
    }
    assert_eq!(history, MANY);
}
