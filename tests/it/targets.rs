//! Calls whose target is implied or plural: the policies judge what the call stands for.

use serde_json::json;

use team_table::domain::decision::Input;
use team_table::storage::DecisionFilter;

use crate::guests::guest;
use crate::harness::{Desk, numbers, strings};

const AUTHORIZATION: &str = "\
[[policy]]
name = \"tool-authorization\"
module = \"builtin:tool-authorization\"
[policy.settings.roles.agent]
";

fn ruled(deny: &str) -> Desk {
    Desk::with_set(&format!("{AUTHORIZATION}deny = [{deny}]\n"))
}

/// With a policy that refuses whatever is about an urgent task.
fn withholding_urgent() -> Desk {
    let set = "builtins = \"named\"\n[[policy]]\nname = \"guest\"\nmodule = \"guest.wasm\"\n";
    Desk::with_modules(set, &[("guest.wasm", guest("withholds_urgent"))])
}

#[test]
fn a_claim_without_a_number_is_judged_by_the_task_that_it_would_get() {
    let desk = withholding_urgent();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let post = |priority: &str| {
        let task = json!({ "title": "t", "priority": priority });
        alice.call("create_task", task).ok()["id"].as_i64().unwrap()
    };
    let (urgent, modest) = (post("high"), post("low"));
    bob.call("claim_task", json!({ "task_id": urgent })).refused("permission_denied");
    // The best is refused: the caller gets the best that it may have.
    assert_eq!(bob.call("claim_task", json!({})).ok()["id"], modest);
    // None is left that it may have: the refusal of the first.
    post("high");
    let refused = bob.call("claim_task", json!({})).refused("permission_denied");
    assert_eq!((&refused["policy"], &refused["reason"]), (&json!("guest"), &json!("no")));
    let rows =
        desk.db().read(|tx| tx.decisions(&DecisionFilter { limit: 1, ..Default::default() })).unwrap().rows;
    let Input::Authorization(call) = &rows[0].input else { panic!("not a call") };
    assert_eq!(call.arguments["task_id"], urgent, "the log says which task was meant");
    assert_eq!(rows[0].facts[0].value["id"], urgent);
}

#[test]
fn no_more_than_twenty_tasks_are_judged_for_one_claim() {
    let desk = withholding_urgent();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    for _ in 0..20 {
        alice.call("create_task", json!({ "title": "t", "priority": "high" })).ok();
    }
    let modest = alice.post("t");
    bob.call("claim_task", json!({})).refused("permission_denied");
    bob.call("claim_task", json!({ "task_id": modest })).ok();
}

#[test]
fn a_list_of_tasks_leaves_out_what_the_caller_may_not_see() {
    let desk = withholding_urgent();
    let alice = desk.join("alice");
    for priority in ["high", "low", "high", "medium"] {
        alice.call("create_task", json!({ "title": "t", "priority": priority })).ok();
    }
    assert_eq!(numbers(&alice.call("list_tasks", json!({})).ok()["tasks"], "id"), [2, 4]);
}

#[test]
fn a_rule_on_keys_governs_lists() {
    let desk = ruled("\"get_shared_context(key=secret/*)\"");
    let alice = desk.join("alice");
    for key in ["open/a", "secret/b", "secret/c", "zebra"] {
        alice.call("share_context", json!({ "key": key, "value": "v" })).ok();
    }
    alice.call("get_shared_context", json!({ "key": "secret/b" })).refused("permission_denied");
    let keys = |arguments| strings(&alice.call("get_shared_context", arguments).ok()["entries"], "key");
    assert_eq!(keys(json!({})), ["open/a", "zebra"]);
    assert_eq!(keys(json!({ "prefix": "secret/" })), [] as [&str; 0]);
    assert_eq!(keys(json!({ "prefix": "z" })), ["zebra"]);
}

#[test]
fn a_rule_on_recipients_governs_broadcasts() {
    let desk = ruled("\"broadcast(recipient=bob)\"");
    let (alice, bob, carol) = (desk.join("alice"), desk.join("bob"), desk.join("carol"));
    alice.call("broadcast", json!({ "content": "lunch" })).ok();
    assert_eq!(carol.read(), ["lunch"]);
    assert_eq!(bob.read(), [] as [&str; 0]);
    // Nobody is left: the first refusal, and nothing is sent.
    let desk = ruled("\"broadcast(recipient=b*)\"");
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let refused = alice.call("broadcast", json!({ "content": "lunch" })).refused("permission_denied");
    assert_eq!(refused["policy"], "tool-authorization");
    assert_eq!(bob.read(), [] as [&str; 0]);
    assert_eq!(desk.count("SELECT count(*) FROM messages"), 0);
}

#[test]
fn a_claim_goes_to_the_next_task_when_another_has_taken_the_best() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let ids: Vec<i64> = (0..3).map(|at| alice.post(&format!("t{at}"))).collect();
    let first = bob.call("claim_task", json!({})).ok();
    assert_eq!(first["id"], ids[0]);
    assert_eq!(numbers(&json!([alice.call("claim_task", json!({})).ok()]), "id"), [ids[1]]);
}

/// A looping agent fills no person's inbox; the same call, whatever the order of its arguments, is one question.
#[test]
fn held_calls_are_limited_and_equal_ones_join() {
    let desk = Desk::with_set(&format!("{AUTHORIZATION}escalate = [\"create_task\"]\n"));
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let open = || desk.count("SELECT count(*) FROM escalations WHERE status = 'open'");
    for _ in 0..3 {
        alice.call("create_task", json!({ "title": "t", "priority": "low" })).refused("approval_required");
        alice.call("create_task", json!({ "priority": "low", "title": "t" })).refused("approval_required");
    }
    assert_eq!(open(), 1);
    for at in 1..20 {
        desk.clock.advance(60_000);
        alice.call("create_task", json!({ "title": format!("t{at}") })).refused("approval_required");
    }
    desk.clock.advance(60_000);
    let refused = alice.call("create_task", json!({ "title": "t20" })).refused("resource_exhausted");
    assert!(refused["error"].as_str().unwrap().contains("20 of your calls wait"), "{refused}");
    alice.call("create_task", json!({ "title": "t1" })).refused("approval_required");
    assert_eq!(open(), 20);
    bob.call("create_task", json!({ "title": "mine" })).refused("approval_required");
    // The refused one is recorded all the same.
    let tried = "SELECT count(*) FROM decisions WHERE agent = 'alice' AND action = 'create_task'";
    assert_eq!(desk.count(tried), 6 + 19 + 1 + 1);
}
