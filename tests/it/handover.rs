//! Tasks that pass from one agent to another: who hears of it, and who may do what afterwards.

use serde_json::{Value, json};

use crate::harness::{Agent, Desk, numbers};

/// The unread messages of an agent about tasks: sender, beginning, thread.
fn heard(agent: &Agent<'_>) -> Vec<(String, String, i64)> {
    let messages = agent.call("get_messages", json!({})).ok()["messages"].clone();
    let one = |message: &Value| {
        assert_eq!(message["origin"], "task", "{message}");
        let text = |field: &str| message[field].as_str().unwrap().to_owned();
        let beginning = text("content").lines().next().unwrap().to_owned();
        (text("sender"), beginning, message["thread_id"].as_i64().unwrap())
    };
    messages.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn every_hand_over_reaches_whom_it_concerns_in_the_thread_of_the_task() {
    let desk = Desk::new();
    let (ada, ben, rita) = (desk.join("ada"), desk.join("ben"), desk.join("rita"));
    let task =
        ada.call("create_task", json!({ "title": "parse", "assignee": "ben", "reviewer": "rita" })).ok();
    let id = task["id"].as_i64().unwrap();
    let later =
        ada.call("create_task", json!({ "title": "ship", "depends_on": [id], "assignee": "rita" })).ok();
    let said = |who: &str, what: &str| (who.to_owned(), format!("Task {id} \"parse\" {what}."));
    // The badge says so with any call.
    let badge = ben.call("heartbeat", json!({})).ok()["_notification"].clone();
    assert_eq!(badge["unread_messages"], 1, "{badge}");
    let [(from, text, thread)] = heard(&ben).try_into().unwrap();
    assert_eq!((from, text), said("ada", "is assigned to you (priority medium)"));
    assert_eq!(heard(&rita).len(), 1, "the one that waits is hers");
    ben.call("claim_task", json!({ "task_id": id })).ok();
    ben.call("update_task", json!({ "task_id": id, "status": "awaiting_review", "result": "parses" })).ok();
    assert_eq!(
        heard(&rita),
        [(said("ben", "awaits your review").0, said("ben", "awaits your review").1, thread)]
    );
    let reviewed = rita.call("list_tasks", json!({ "reviewer": "rita" })).ok();
    assert_eq!(numbers(&reviewed["tasks"], "id"), [id]);
    rita.call("update_task", json!({ "task_id": id, "status": "in_progress", "result": "needs tests" })).ok();
    let back = ben.call("get_messages", json!({ "peek": true })).ok()["messages"][0]["content"].clone();
    assert!(back.as_str().unwrap().contains("needs tests"), "{back}");
    assert_eq!(heard(&ben).len(), 1);
    ben.call("update_task", json!({ "task_id": id, "status": "awaiting_review", "result": "tested" })).ok();
    heard(&rita);
    let done = rita.call("update_task", json!({ "task_id": id, "status": "done", "result": "good" })).ok();
    assert_eq!(done["result"], "parses\n\nrita: needs tests\n\nben: tested\n\nrita: good");
    for agent in [&ada, &ben] {
        let [(from, text, in_thread)] = heard(agent).try_into().unwrap();
        assert_eq!(((from, text), in_thread), (said("rita", "is done"), thread));
    }
    // What waited for it is hers and was unblocked by herself: no message to oneself.
    assert_eq!(heard(&rita), []);
    rita.call("claim_task", json!({ "task_id": later["id"] })).ok();
}

#[test]
fn tasks_behind_a_cancelled_one_are_named_and_can_be_ended() {
    let desk = Desk::new();
    let (ada, ben) = (desk.join("ada"), desk.join("ben"));
    let first = ben.post("first");
    let second =
        ada.call("create_task", json!({ "title": "second", "depends_on": [first] })).ok()["id"].clone();
    // Withdrawn while nobody works on it: by its creator and nobody else.
    ada.call("update_task", json!({ "task_id": first, "status": "cancelled" })).refused("permission_denied");
    ben.call("update_task", json!({ "task_id": first, "status": "cancelled" })).ok();
    let [(_, text, _)] = heard(&ada).try_into().unwrap();
    assert_eq!(text, format!("Task {second} \"second\" depends on task {first}, which was cancelled."));
    ada.call("update_task", json!({ "task_id": second, "status": "cancelled" })).ok();
    let refused = ada
        .call("create_task", json!({ "title": "third", "depends_on": [first] }))
        .refused("failed_precondition");
    assert!(refused["error"].as_str().unwrap().contains("cancelled"), "{refused}");
}

#[test]
fn an_unblocked_task_is_announced_to_its_assignee() {
    let desk = Desk::new();
    let (ada, ben) = (desk.join("ada"), desk.join("ben"));
    let first = ada.post("first");
    let second = json!({ "title": "second", "depends_on": [first], "assignee": "ben" });
    let second = ada.call("create_task", second).ok()["id"].clone();
    heard(&ben);
    ada.call("claim_task", json!({ "task_id": first })).ok();
    ada.update(first, "done").ok();
    let [(from, text, _)] = heard(&ben).try_into().unwrap();
    assert_eq!(
        (from.as_str(), text),
        ("ada", format!("Task {second} \"second\" waits for no other task any more."))
    );
}

#[test]
fn an_assignee_and_a_reviewer_are_members_and_not_the_same() {
    let desk = Desk::new();
    let (ada, _ben) = (desk.join("ada"), desk.join("bobby"));
    for part in ["assignee", "reviewer"] {
        let refused = ada.call("create_task", json!({ "title": "t", part: "boby" })).refused("not_found");
        assert!(refused["hint"].as_str().unwrap().contains("did you mean bobby?"), "{refused}");
    }
    let both = json!({ "title": "t", "assignee": "bobby", "reviewer": "bobby" });
    ada.call("create_task", both).refused("invalid_argument");
    assert_eq!(desk.count("SELECT count(*) FROM tasks"), 0);
}

/// Who takes a name later is another agent: it reviews, finishes and claims nothing of the one before.
#[test]
fn names_pass_on_no_tasks() {
    let desk = Desk::new();
    let (ada, rita, ben) = (desk.join("ada"), desk.join("rita"), desk.join("ben"));
    let reviewed =
        ada.call("create_task", json!({ "title": "t", "reviewer": "rita" })).ok()["id"].as_i64().unwrap();
    ben.call("claim_task", json!({ "task_id": reviewed })).ok();
    ben.update(reviewed, "awaiting_review").ok();
    let assigned =
        ada.call("create_task", json!({ "title": "t", "assignee": "rita" })).ok()["id"].as_i64().unwrap();
    let own = rita.post("hers");
    rita.call("deregister", json!({})).ok();
    let other = desk.join("rita");
    for id in [reviewed, own] {
        other.update(id, "done").refused("permission_denied");
        other.update(id, "cancelled").refused("permission_denied");
    }
    other.call("claim_task", json!({ "task_id": assigned })).refused("permission_denied");
    assert_eq!(other.call("claim_task", json!({})).ok()["id"], own, "that one is anyone's");
    assert_eq!(heard(&other), []);
    // The creator still has a way out.
    for id in [reviewed, assigned] {
        ada.update(id, "cancelled").ok();
    }
}
