//! What persons do at the table: who may do what, what agents are told, what the record says.

use serde_json::{Value, json};
use team_table::domain::message::Origin;
use team_table::domain::person::{Actor, Person, Role};
use team_table::domain::refusal::Code;
use team_table::domain::task::{Priority, Status, Task, TaskDraft};
use team_table::storage::{AuditFilter, AuditRow, Error, Recipient, Result, WriteTx};

use crate::harness::{Agent, Desk, numbers, strings};

fn person(name: &str, role: Role, agents: &[&str]) -> Actor {
    Actor::Person(Person {
        id: 1,
        name: name.into(),
        role,
        agents: agents.iter().map(|&agent| agent.to_owned()).collect(),
        created_at: 0,
        removed_at: None,
    })
}

fn anna() -> Actor {
    person("anna", Role::Operator, &[])
}

fn draft(title: &str, assignee: &str) -> TaskDraft {
    TaskDraft {
        title: title.into(),
        description: String::new(),
        assignee: assignee.into(),
        priority: Priority::High,
        depends_on: Vec::new(),
        parent_id: None,
        reviewer: String::new(),
        idempotency_key: None,
    }
}

/// An act, at the time of the table.
fn act<T: Send + 'static>(
    desk: &Desk,
    act: impl FnOnce(&WriteTx<'_>, i64) -> Result<T> + Send + 'static,
) -> Result<T> {
    let now = desk.clock.now();
    desk.db().write(move |tx| act(tx, now))
}

fn post(desk: &Desk, by: &Actor, draft: &TaskDraft) -> Result<Task> {
    let (by, draft) = (by.clone(), draft.clone());
    act(desk, move |tx, now| tx.post_task_as(&by, &draft, now))
}

fn shift(desk: &Desk, by: &Actor, id: i64, to: Status, text: &str) -> Result<Task> {
    let (by, text) = (by.clone(), text.to_owned());
    act(desk, move |tx, now| tx.move_task_as(&by, id, to, &text, now))
}

fn assign(desk: &Desk, by: &Actor, id: i64, assignee: &str) -> Result<Task> {
    let (by, assignee) = (by.clone(), assignee.to_owned());
    act(desk, move |tx, now| tx.assign_task_as(&by, id, &assignee, now))
}

fn comment(desk: &Desk, by: &Actor, id: i64, text: &str) -> Result<Task> {
    let (by, text) = (by.clone(), text.to_owned());
    act(desk, move |tx, now| tx.comment_task_as(&by, id, &text, now))
}

fn write(
    desk: &Desk,
    by: &Actor,
    to: &Recipient,
    reply_to: Option<i64>,
    text: &str,
) -> Result<team_table::domain::message::Message> {
    let (by, to, text) = (by.clone(), to.clone(), text.to_owned());
    act(desk, move |tx, now| tx.write_as(&by, &to, reply_to, &text, now))
}

fn to(agent: &str) -> Recipient {
    Recipient::Agent(agent.into())
}

/// `ok`, or the code of the refusal.
fn code<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::Refused(refusal)) => {
            assert!(!refusal.message.is_empty() && !refusal.hint.is_empty(), "{refusal:?}");
            refusal.code.as_str()
        }
        Err(other) => panic!("{other}"),
    }
}

fn newest_audit(desk: &Desk) -> AuditRow {
    let filter = AuditFilter { limit: 1, ..AuditFilter::default() };
    desk.db().read(|tx| tx.audit_rows(&filter)).unwrap().remove(0)
}

/// Everything unread of an agent, which is then read.
fn unread(agent: &Agent<'_>) -> Vec<Value> {
    agent.call("get_messages", json!({})).ok()["messages"].as_array().unwrap().clone()
}

/// An act of a person, and what came of it.
type Act = fn(&Desk, &Actor) -> &'static str;

/// A task that the operator has posted.
fn prepare(desk: &Desk, assignee: &str) -> i64 {
    post(desk, &Actor::Operator, &draft("t", assignee)).unwrap().id
}

/// Who may do what: a row for each act, with what comes of it for each person.
#[test]
fn every_role_may_do_what_is_its_own_and_nothing_more() {
    let operators = [Actor::Operator, anna()];
    let approver = person("piet", Role::Approver, &["alice"]);
    let viewer = person("vera", Role::Viewer, &["alice"]);
    let (ok, denied) = ("ok", "permission_denied");
    let acts: [(&str, Act, &str); 19] = [
        ("post for nobody", |desk, by| code(&post(desk, by, &draft("t", ""))), ok),
        ("post for alice", |desk, by| code(&post(desk, by, &draft("t", "alice"))), ok),
        ("post for bob", |desk, by| code(&post(desk, by, &draft("t", "bob"))), denied),
        (
            "post for bob's review",
            |desk, by| code(&post(desk, by, &TaskDraft { reviewer: "bob".into(), ..draft("t", "alice") })),
            denied,
        ),
        (
            "move alice's",
            |desk, by| code(&shift(desk, by, prepare(desk, "alice"), Status::InProgress, "")),
            ok,
        ),
        (
            "move bob's",
            |desk, by| code(&shift(desk, by, prepare(desk, "bob"), Status::InProgress, "")),
            denied,
        ),
        ("cancel nobody's", |desk, by| code(&shift(desk, by, prepare(desk, ""), Status::Cancelled, "")), ok),
        (
            "cancel bob's",
            |desk, by| code(&shift(desk, by, prepare(desk, "bob"), Status::Cancelled, "")),
            denied,
        ),
        ("give nobody's to alice", |desk, by| code(&assign(desk, by, prepare(desk, ""), "alice")), ok),
        ("give nobody's to bob", |desk, by| code(&assign(desk, by, prepare(desk, ""), "bob")), denied),
        ("give alice's to bob", |desk, by| code(&assign(desk, by, prepare(desk, "alice"), "bob")), denied),
        ("give bob's to alice", |desk, by| code(&assign(desk, by, prepare(desk, "bob"), "alice")), denied),
        ("take alice's away", |desk, by| code(&assign(desk, by, prepare(desk, "alice"), "")), ok),
        ("comment alice's", |desk, by| code(&comment(desk, by, prepare(desk, "alice"), "x")), ok),
        ("comment nobody's", |desk, by| code(&comment(desk, by, prepare(desk, ""), "x")), ok),
        ("comment bob's", |desk, by| code(&comment(desk, by, prepare(desk, "bob"), "x")), denied),
        ("write to alice", |desk, by| code(&write(desk, by, &to("alice"), None, "x")), ok),
        ("write to bob", |desk, by| code(&write(desk, by, &to("bob"), None, "x")), denied),
        ("write to everyone", |desk, by| code(&write(desk, by, &Recipient::Everyone, None, "x")), denied),
    ];
    let desk = Desk::new();
    desk.join("alice");
    desk.join("bob");
    for (what, act, of_approver) in acts {
        for operator in &operators {
            assert_eq!(act(&desk, operator), ok, "{what}: {}", operator.name());
        }
        assert_eq!(act(&desk, &approver), of_approver, "{what}: approver");
        let rows = desk.count("SELECT count(*) FROM audit");
        assert_eq!(act(&desk, &viewer), denied, "{what}: viewer");
        let prepared = desk.count("SELECT count(*) FROM audit") - rows;
        assert!(prepared <= 1, "{what}: a refused act leaves a trace");
    }
    assert_eq!(code(&comment(&desk, &viewer, 99, "x")), denied, "a viewer is not told what there is");
    for missing in [comment(&desk, &anna(), 9_999, "x"), shift(&desk, &anna(), 9_999, Status::Done, "")] {
        assert_eq!(code(&missing), "not_found");
    }
}

#[test]
fn a_task_of_a_person_is_the_operators_and_the_record_names_the_person() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let task =
        post(&desk, &anna(), &TaskDraft { reviewer: "bob".into(), ..draft("write it", "alice") }).unwrap();
    assert_eq!((task.creator.as_str(), task.creator_id, task.status), ("operator", None, Status::Pending));
    let row = newest_audit(&desk);
    let told = &unread(&alice)[0];
    assert_eq!((row.agent.as_str(), row.action.as_str()), ("person:anna", "create_task"));
    assert_eq!((row.target_type.as_str(), row.target_id), ("task", task.id.to_string()));
    assert_eq!(
        (&told["sender"], &told["person"], &told["origin"]),
        (&json!("operator"), &json!("anna"), &json!("task"))
    );
    assert!(told["content"].as_str().unwrap().contains("is assigned to you (priority high)"), "{told}");
    let event: (String, Option<i64>, Option<i64>) = desk
        .sql()
        .query_row("SELECT data, actor_id, audience FROM events WHERE kind = 'task_assigned'", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert!(
        event.0.contains("\"creator\":\"operator\"") && event.1.is_none() && event.2.is_some(),
        "{event:?}"
    );
    // Agents work on it as on any other.
    alice.call("claim_task", json!({ "task_id": task.id })).ok();
    alice.update(task.id, "awaiting_review").ok();
    bob.update(task.id, "done").ok();
    // The rules of a task hold for persons.
    for (wrong, expected) in [
        (draft(" ", ""), "invalid_argument"),
        (draft("t", "zoe"), "not_found"),
        (TaskDraft { depends_on: vec![99], ..draft("t", "") }, "not_found"),
        (TaskDraft { reviewer: "alice".into(), ..draft("t", "alice") }, "invalid_argument"),
    ] {
        assert_eq!(code(&post(&desk, &anna(), &wrong)), expected, "{wrong:?}");
    }
    let Err(Error::Refused(refusal)) = post(&desk, &anna(), &draft("t", "zoe")) else {
        panic!("not refused")
    };
    assert!(refusal.hint.contains("team-table agent list"), "a person has no tools: {}", refusal.hint);
    let keyed = TaskDraft { idempotency_key: Some("k".into()), ..draft("once", "") };
    let [first, second] = [0; 2].map(|_| post(&desk, &anna(), &keyed).unwrap().id);
    assert_eq!(first, second);
    assert_eq!(code(&post(&desk, &anna(), &TaskDraft { title: "other".into(), ..keyed })), "already_exists");
}

#[test]
fn a_person_moves_tasks_as_far_as_their_states_lead() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let base = bob.post("base");
    let task = json!({ "title": "t", "assignee": "alice", "depends_on": [base] });
    let task = bob.call("create_task", task).ok()["id"].as_i64().unwrap();
    unread(&alice);
    assert_eq!(code(&shift(&desk, &anna(), task, Status::InProgress, "")), "failed_precondition", "it waits");
    assert_eq!(
        code(&shift(&desk, &anna(), base, Status::InProgress, "")),
        "failed_precondition",
        "whose work?"
    );
    assert_eq!(code(&shift(&desk, &anna(), base, Status::Done, "")), "failed_precondition");
    assert_eq!(code(&shift(&desk, &anna(), task, Status::Cancelled, &"x".repeat(5_001))), "invalid_argument");
    assign(&desk, &anna(), base, "bob").unwrap();
    for to in [Status::InProgress, Status::Done] {
        shift(&desk, &anna(), base, to, "").unwrap();
    }
    unread(&alice);
    unread(&bob);
    // Every arrow there is; the assignee is told each time.
    let told = |content: &str| {
        let messages = unread(&alice);
        assert_eq!(messages.len(), 1, "{messages:?}");
        let message = messages[0]["content"].as_str().unwrap();
        assert!(message.contains(content) && message.contains("because"), "{message}");
    };
    for (to, content) in [
        (Status::InProgress, "was set to in_progress."),
        (Status::Blocked, "was set to blocked."),
        (Status::InProgress, "was set to in_progress."),
        (Status::AwaitingReview, "was set to awaiting_review."),
        (Status::InProgress, "was sent back to you after review."),
        (Status::Done, "is done."),
    ] {
        let moved = shift(&desk, &anna(), task, to, "because").unwrap();
        assert_eq!(moved.status, to);
        let row = newest_audit(&desk);
        assert_eq!((row.agent.as_str(), row.action.as_str()), ("person:anna", "update_task"));
        told(content);
        desk.clock.advance(1);
    }
    let result = desk.db().read(|tx| tx.task(task)).unwrap().unwrap().result;
    assert!(result.starts_with("anna (operator): because\n\nanna (operator): because"), "{result}");
    // The creator of a task that awaits review without a reviewer, and of one that is done, is told as ever.
    let heard: Vec<_> = unread(&bob).iter().map(|one| one["content"].as_str().unwrap().to_owned()).collect();
    assert!(heard.iter().any(|text| text.contains("awaits your review")), "{heard:?}");
    assert!(heard.iter().any(|text| text.contains("is done")), "{heard:?}");
    for to in Status::ALL {
        assert_eq!(
            code(&shift(&desk, &anna(), task, to, "")),
            "failed_precondition",
            "nothing final is opened again"
        );
    }
}

#[test]
fn a_task_is_given_to_another_agent() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let rita = desk.join("rita");
    let task =
        rita.call("create_task", json!({ "title": "t", "reviewer": "rita" })).ok()["id"].as_i64().unwrap();
    let given = assign(&desk, &anna(), task, "alice").unwrap();
    assert_eq!((given.assignee.as_str(), given.status), ("alice", Status::Pending));
    assert!(given.assignee_id.is_some());
    let row = newest_audit(&desk);
    let details: Value = serde_json::from_str(&row.details).unwrap();
    assert_eq!((row.agent.as_str(), row.action.as_str()), ("person:anna", "assign_task"));
    assert_eq!((&details["assignee"], &details["previous_assignee"]), (&json!("alice"), &json!("")));
    assert!(unread(&alice)[0]["content"].as_str().unwrap().contains("is assigned to you"));
    alice.update(task, "in_progress").ok();
    // What she works on is taken from her, and she is told.
    let events = desk.count("SELECT count(*) FROM events");
    let given = assign(&desk, &anna(), task, "bob").unwrap();
    assert_eq!((given.assignee.as_str(), given.status), ("bob", Status::Pending));
    assert!(desk.count("SELECT count(*) FROM events") > events);
    let [lost, got] = [&alice, &bob].map(|agent| unread(agent)[0]["content"].as_str().unwrap().to_owned());
    assert!(
        lost.contains("is not yours any more: bob has it now") && lost.contains("stop working on it"),
        "{lost}"
    );
    assert!(got.contains("is assigned to you") && got.contains("claim_task"), "{got}");
    alice.update(task, "in_progress").refused("permission_denied");
    bob.call("claim_task", json!({ "task_id": task })).ok();
    // To the one who has it, nothing happens.
    let events = desk.count("SELECT count(*) FROM events");
    let same = assign(&desk, &anna(), task, "bob").unwrap();
    assert_eq!((same.status, desk.count("SELECT count(*) FROM events")), (Status::InProgress, events));
    assert_eq!(code(&assign(&desk, &anna(), task, "rita")), "permission_denied", "she reviews it");
    assert_eq!(code(&assign(&desk, &anna(), task, "zoe")), "not_found");
    let open = assign(&desk, &anna(), task, "").unwrap();
    assert_eq!((open.assignee.as_str(), open.assignee_id, open.status), ("", None, Status::Pending));
    assert!(unread(&bob)[0]["content"].as_str().unwrap().contains("is not yours any more."));
    alice.call("claim_task", json!({ "task_id": task })).ok();
    alice.update(task, "blocked").ok();
    assert_eq!(assign(&desk, &anna(), task, "bob").unwrap().status, Status::Pending, "bob begins anew");
    bob.call("claim_task", json!({ "task_id": task })).ok();
    bob.update(task, "awaiting_review").ok();
    assert_eq!(code(&assign(&desk, &anna(), task, "alice")), "failed_precondition");
    rita.update(task, "done").ok();
    assert_eq!(code(&assign(&desk, &anna(), task, "alice")), "failed_precondition");
}

#[test]
fn a_comment_is_kept_with_the_task_and_reaches_its_assignee() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let task = post(&desk, &Actor::Operator, &draft("t", "alice")).unwrap().id;
    let thread = unread(&alice)[0]["thread_id"].clone();
    desk.clock.advance(1_000);
    let commented = comment(&desk, &anna(), task, "mind the tests").unwrap();
    assert_eq!(commented.result, "anna (operator): mind the tests");
    assert_eq!((commented.status, commented.updated_at), (Status::Pending, desk.clock.now()));
    let row = newest_audit(&desk);
    assert_eq!((row.agent.as_str(), row.action.as_str()), ("person:anna", "comment_task"));
    let message = &unread(&alice)[0];
    assert_eq!((&message["thread_id"], &message["person"]), (&thread, &json!("anna")));
    assert!(message["content"].as_str().unwrap().ends_with("has a comment.\nmind the tests"), "{message}");
    alice.update(task, "in_progress").ok();
    alice.call("update_task", json!({ "task_id": task, "status": "done", "result": "it works" })).ok();
    let commented = comment(&desk, &Actor::Operator, task, "thank you").unwrap();
    assert_eq!(
        commented.result, "anna (operator): mind the tests\n\nalice: it works\n\noperator: thank you",
        "a finished task too"
    );
    for wrong in [" ", &"x".repeat(5_001)] {
        assert_eq!(code(&comment(&desk, &anna(), task, wrong)), "invalid_argument");
    }
}

#[test]
fn a_person_writes_to_one_agent_or_to_all_and_in_a_thread() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let sent = write(&desk, &anna(), &to("alice"), None, "hello").unwrap();
    assert_eq!(
        (sent.sender.as_str(), sent.origin, sent.person.as_deref()),
        ("operator", Origin::Person, Some("anna"))
    );
    let row = newest_audit(&desk);
    assert_eq!((row.agent.as_str(), row.action.as_str()), ("person:anna", "send_message"));
    let message = &unread(&alice)[0];
    assert_eq!((&message["sender"], &message["person"]), (&json!("operator"), &json!("anna")));
    // A person may speak in any thread.
    let asked = alice.send("bob", "what now?");
    let answer = write(&desk, &anna(), &to("bob"), Some(asked), "wait").unwrap();
    assert_eq!((answer.thread_id, answer.reply_to), (asked, Some(asked)));
    assert_eq!(strings(&json!(unread(&bob)), "content"), ["what now?", "wait"]);
    let told = write(&desk, &anna(), &Recipient::Everyone, None, "lunch").unwrap();
    assert_eq!((told.recipient.as_str(), newest_audit(&desk).action.as_str()), ("*", "broadcast"));
    for agent in [&alice, &bob] {
        assert_eq!(strings(&json!(unread(agent)), "content"), ["lunch"]);
    }
    assert_eq!(code(&write(&desk, &anna(), &to("zoe"), None, "x")), "not_found");
    assert_eq!(code(&write(&desk, &anna(), &to("alice"), Some(99), "x")), "not_found");
    for wrong in ["", &"x".repeat(10_001)] {
        assert_eq!(code(&write(&desk, &anna(), &to("alice"), None, wrong)), "invalid_argument");
    }
}

#[test]
fn an_agent_answers_the_operator_who_wrote_to_it_and_nobody_else_can() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let say = |agent: &Agent<'_>, reply_to: Option<i64>| {
        let message = json!({ "recipient": "operator", "content": "yes", "reply_to": reply_to });
        agent.call("send_message", message)
    };
    let refused = say(&alice, None).refused("not_found");
    assert!(refused["hint"].as_str().unwrap().contains("reply_to"), "{refused}");
    let asked = write(&desk, &anna(), &to("alice"), None, "ready?").unwrap().id;
    say(&alice, None).refused("not_found");
    say(&bob, Some(asked)).refused("not_found");
    let answer = say(&alice, Some(asked)).ok();
    assert_eq!((&answer["recipient"], &answer["thread_id"]), (&json!("operator"), &json!(asked)));
    let id = answer["id"].as_i64().unwrap();
    assert_eq!(desk.count(&format!("SELECT count(*) FROM inbox WHERE message_id = {id}")), 0);
    let (kind, audience): (String, Option<i64>) = desk
        .sql()
        .query_row("SELECT kind, audience FROM events ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((kind.as_str(), audience), ("message", None));
    let row = newest_audit(&desk);
    assert_eq!(
        (row.agent.as_str(), row.action.as_str(), row.target_id),
        ("alice", "send_message", id.to_string())
    );
    // On its own answer it can go on, and sees both in the thread.
    say(&alice, Some(id)).ok();
    let thread = alice.call("get_messages", json!({ "thread_id": asked })).ok();
    assert_eq!(numbers(&thread["messages"], "id"), [asked, id, id + 1]);
    assert_eq!(desk.db().read(|tx| tx.thread_page(asked, None, 9)).unwrap().len(), 3);
    // An idempotency key holds here as anywhere.
    let keyed =
        json!({ "recipient": "operator", "content": "once", "reply_to": asked, "idempotency_key": "k" });
    let [first, second] = [0; 2].map(|_| alice.call("send_message", keyed.clone()).ok()["id"].clone());
    assert_eq!(first, second);
    // In a thread of its own with another agent the operator has not spoken to it.
    let between = alice.send("bob", "hm");
    say(&alice, Some(between)).refused("not_found");
    write(&desk, &anna(), &to("bob"), Some(between), "what?").unwrap();
    say(&alice, Some(between)).refused("not_found");
    say(&bob, Some(between)).ok();
    // What the board tells in the operator's name can be answered too.
    post(&desk, &anna(), &draft("t", "bob")).unwrap();
    let told = unread(&bob).last().unwrap()["id"].as_i64().unwrap();
    say(&bob, Some(told)).ok();
}

/// The operator's message is found among many in the thread, or by the number that is answered.
#[test]
fn in_a_long_thread_the_operator_is_answered_by_the_message_itself() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let asked = write(&desk, &anna(), &to("alice"), None, "ready?").unwrap().id;
    let own = alice
        .call("send_message", json!({ "recipient": "operator", "content": "a", "reply_to": asked }))
        .ok();
    desk.sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO messages (sender, recipient, content, created_at, thread_id)
             SELECT 'x', 'y', 'z', 1, ?1 FROM n",
            [asked],
        )
        .unwrap();
    let say = |reply_to: i64| {
        let message = json!({ "recipient": "operator", "content": "yes", "reply_to": reply_to });
        alice.call("send_message", message)
    };
    say(own["id"].as_i64().unwrap()).refused(Code::NotFound.as_str());
    say(asked).ok();
}

/// A policy that forbids messages forbids this one.
#[test]
fn policies_judge_an_answer_to_the_operator_as_any_call() {
    let set = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n\
               [policy.settings.roles.agent]\ndeny = [\"send_message(recipient=operator)\"]\n";
    let desk = Desk::with_set(set);
    let alice = desk.join("alice");
    let asked = write(&desk, &anna(), &to("alice"), None, "ready?").unwrap().id;
    let message = json!({ "recipient": "operator", "content": "yes", "reply_to": asked });
    let refused = alice.call("send_message", message).refused("permission_denied");
    assert_eq!(refused["policy"], "tool-authorization");
}
