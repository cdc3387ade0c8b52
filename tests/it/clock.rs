//! A machine whose clock is set back: nothing in the database runs backwards, and nothing freezes for long.

use serde_json::json;
use team_table::domain::clock::{HOUR, MINUTE};

use crate::harness::{Desk, Home};

const LIMIT: &str = r#"
builtins = "named"

[[policy]]
name = "rate-limit"
module = "builtin:rate-limit"
settings = { max_messages = 3 }
"#;

#[test]
fn no_time_that_is_stored_is_before_one_stored_earlier() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    alice.send("bob", "one");
    let task = alice.post("first");
    desk.clock.advance(-HOUR);
    let back = desk.db().now(&desk.clock);
    alice.send("bob", "two");
    alice.call("share_context", json!({"key": "k", "value": "v"})).ok();
    bob.call("claim_task", json!({"task_id": task})).ok();
    assert_eq!(bob.read(), ["one", "two"]);
    desk.flush();
    for (table, order) in [("events", "at"), ("decisions", "at"), ("audit", "at"), ("messages", "created_at")]
    {
        let inverted = format!(
            "SELECT count(*) FROM {table} a JOIN {table} b ON b.id = a.id + 1 WHERE b.{order} < a.{order}"
        );
        assert_eq!(desk.count(&inverted), 0, "{table}");
    }
    assert!(desk.count("SELECT min(updated_at) FROM tasks") >= back);
    assert!(desk.count("SELECT min(updated_at) FROM context") >= back);
    assert!(desk.count("SELECT min(last_heartbeat) FROM members") >= back);

    desk.clock.advance(HOUR + MINUTE);
    assert_eq!(desk.db().now(&desk.clock), desk.clock.now(), "the clock is right again");
}

#[test]
fn a_limit_holds_over_the_jump_and_ends_when_the_clock_is_right() {
    let desk = Desk::with_set(LIMIT);
    let alice = desk.join("alice");
    desk.join("bob");
    let ask = || alice.call("send_message", json!({"recipient": "bob", "content": "hello"}));
    for _ in 0..3 {
        ask().ok();
    }
    ask().refused("resource_exhausted");
    desk.clock.advance(-HOUR);
    ask().refused("resource_exhausted");
    desk.clock.advance(HOUR + 2 * MINUTE);
    ask().ok();
    // What was counted during the jump did not move the window into the past.
    for _ in 0..2 {
        ask().ok();
    }
    ask().refused("resource_exhausted");
}

#[test]
fn the_doctor_says_that_the_clock_jumped() {
    let home = Home::new();
    home.start().join("alice");
    assert!(!home.succeed(&["doctor"]).contains("clock"));
    home.sql().execute("UPDATE events SET at = at + 3600000", []).unwrap();
    let output = home.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("the clock of this machine jumped") && words.contains("NTP"), "{words}");
}
