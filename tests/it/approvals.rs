//! Calls that several persons must approve: who counts, what passes, and that no way round leads past the second person.

use serde_json::{Value, json};
use team_table::domain::person::{Actor, Role};
use team_table::storage::{Answer, Db, Error, EscalationRow, Invitation, OpenOptions};

use crate::harness::{Desk, eventually};
use crate::office::Office;

const HELD_BY_TWO: &str = "\
[[policy]]
name = \"tool-authorization\"
module = \"builtin:tool-authorization\"
approvals = 2
settings.roles.agent = { escalate = [\"broadcast\"] }
";

/// A policy set of these policies, which hold what they name for so many persons.
fn holding(policies: &[(&str, &str, i64, &str)]) -> String {
    let entry = |(name, mode, approvals, rule): &(&str, &str, i64, &str)| {
        format!(
            "[[policy]]\nname = \"{name}\"\nmodule = \"builtin:tool-authorization\"\nmode = \"{mode}\"\n\
             approvals = {approvals}\nsettings.roles.agent = {{ escalate = [\"{rule}\"] }}\n"
        )
    };
    policies.iter().map(entry).collect()
}

/// An operator who was invited.
fn person(db: &Db, name: &str) -> Actor {
    let link = *blake3::hash(name.as_bytes()).as_bytes();
    let wanted = Invitation { name: name.to_owned(), role: Some(Role::Operator), agents: None, link };
    let now = db.now(&team_table::domain::clock::Clock::System);
    Actor::Person(db.write(move |tx| tx.invite(&Actor::Operator, &wanted, now)).unwrap())
}

fn resolve(db: &Db, by: &Actor, id: i64, answer: Answer) -> Result<String, Error> {
    let (by, now) = (by.clone(), db.now(&team_table::domain::clock::Clock::System));
    db.write(move |tx| tx.resolve_escalation(&by, id, &answer, None, now))
}

fn escalation(db: &Db, id: i64) -> EscalationRow {
    db.read(|tx| tx.escalation(id)).unwrap().unwrap()
}

#[test]
fn a_held_call_that_needs_two_persons_passes_after_the_second_and_not_after_the_first() {
    let office = Office::with_set(HELD_BY_TWO);
    let db = Db::open(&office.home.db(), OpenOptions::default()).unwrap();
    let mut server = office.home.start();
    let (alice, _bob) = (server.join("alice"), server.join("bob"));
    let call = |text: &str| json!({ "sender": "alice", "token": alice, "content": text });
    let held = server.call("broadcast", call("one")).refused("approval_required");
    let said = held.to_string();
    assert!(said.contains("waits for 2 persons") && said.contains("ask 2 persons to approve it"), "{said}");
    let (run, read) = (
        |arguments: &[&str]| office.home.run(arguments),
        |arguments: &[&str]| serde_json::from_str::<Value>(&office.home.succeed(arguments)).unwrap(),
    );
    assert!(office.home.succeed(&["escalation", "list"]).contains("broadcast (0 of 2 approvals)"));

    let said = office.home.succeed(&["escalation", "resolve", "1", "--approve"]);
    assert!(said.contains("approved by 1 of 2: another person must approve it too"), "{said}");
    let again = server.call("broadcast", call("one")).refused("approval_required");
    assert_eq!(again["escalation_id"], 1, "still open");
    assert!(office.home.succeed(&["escalation", "list"]).contains("broadcast (1 of 2 approvals: operator)"));
    assert!(office.home.succeed(&["escalation", "show", "1"]).contains("\n1 of 2 approvals: operator\n"));
    let row = read(&["escalation", "list", "--json"])["escalations"][0].clone();
    assert_eq!((&row["approvals"], &row["approved_by"]), (&json!(2), &json!(["operator"])));
    let row = read(&["escalation", "show", "1", "--json"])["escalation"].clone();
    assert_eq!((&row["status"], &row["approved_by"]), (&json!("open"), &json!(["operator"])));

    // The same person is one person.
    let twice = run(&["escalation", "resolve", "1", "--approve"]);
    let said = String::from_utf8(twice.stderr).unwrap();
    assert!(!twice.status.success() && said.contains("operator has approved escalation 1 already"), "{said}");
    assert!(said.contains("it needs 2 persons: another one must approve it too"), "{said}");
    server.call("broadcast", call("one")).refused("approval_required");

    let anna = person(&db, "anna");
    assert!(resolve(&db, &anna, 1, Answer::Approve).unwrap().contains("may make this call once"));
    server.call("broadcast", call("one")).ok();
    assert_eq!(server.call("broadcast", call("one")).refused("approval_required")["escalation_id"], 2);

    // Whoever approved, one who denies is enough.
    office.home.succeed(&["escalation", "resolve", "2", "--approve"]);
    resolve(&db, &anna, 2, Answer::Deny).unwrap();
    let row = escalation(&db, 2);
    assert_eq!((row.status.as_str(), row.resolved_by.as_deref()), ("denied", Some("anna")));
    assert_eq!(server.call("broadcast", call("one")).refused("approval_required")["escalation_id"], 3);
    let list = read(&["policy", "list", "--json"]);
    let policy = list["deciding"].as_array().unwrap().iter().find(|it| it["name"] == "tool-authorization");
    assert_eq!(policy.unwrap()["approvals"], 2);
    assert!(office.home.succeed(&["policy", "list"]).contains("enforce, 2 persons"));
}

#[test]
fn a_person_who_was_removed_has_no_vote() {
    let desk = Desk::with_set(HELD_BY_TWO);
    let (alice, db) = (desk.join("alice"), desk.db());
    let held = alice.call("broadcast", json!({ "content": "hear" })).refused("approval_required");
    let id = held["escalation_id"].as_i64().unwrap();
    let [anna, ben, carl] = ["anna", "ben", "carl"].map(|name| person(db, name));
    assert!(resolve(db, &anna, id, Answer::Approve).unwrap().contains("approved by 1 of 2"));
    let now = db.now(&team_table::domain::clock::Clock::System);
    db.write(move |tx| tx.remove_person(&Actor::Operator, "anna", now)).unwrap();
    assert!(resolve(db, &ben, id, Answer::Approve).unwrap().contains("approved by 1 of 2"));
    assert!(resolve(db, &carl, id, Answer::Approve).unwrap().contains("may make this call once"));
}

#[test]
fn of_several_policies_that_hold_a_call_the_one_that_asks_for_most_persons_counts() {
    let desk = Desk::with_set(&holding(&[
        ("a", "enforce", 1, "broadcast"),
        ("b", "enforce", 3, "broadcast"),
        ("c", "enforce", 4, "create_task"),
        ("d", "shadow", 5, "broadcast"),
    ]));
    let alice = desk.join("alice");
    let held = |tool: &str, arguments: Value| {
        let held = alice.call(tool, arguments).refused("approval_required");
        let row = escalation(desk.db(), held["escalation_id"].as_i64().unwrap());
        (row.policy, row.approvals)
    };
    assert_eq!(held("broadcast", json!({ "content": "hear" })), ("a".into(), 3));
    assert_eq!(held("create_task", json!({ "title": "t" })), ("c".into(), 4));
    assert_eq!(held("create_task", json!({ "title": "t", "assignee": "alice" })).1, 4);
}

#[test]
fn what_one_person_approved_does_not_pass_what_needs_two_by_now() {
    let office = Office::with_set(&HELD_BY_TWO.replace("approvals = 2", "approvals = 1"));
    let db = Db::open(&office.home.db(), OpenOptions::default()).unwrap();
    let mut server = office.home.start();
    let (alice, _bob) = (server.join("alice"), server.join("bob"));
    let mut held = |text: &str| {
        let call = json!({ "sender": "alice", "token": alice, "content": text });
        server.call("broadcast", call).refused("approval_required")["escalation_id"].as_i64().unwrap()
    };
    assert_eq!((held("approved"), held("open")), (1, 2));
    let anna = person(&db, "anna");
    resolve(&db, &anna, 1, Answer::Approve).unwrap();
    office.swap_set(HELD_BY_TWO);
    // The set of the running process is another although no module and no setting is.
    eventually("the open escalation to need two persons", || {
        assert_eq!(held("open"), 2);
        (escalation(&db, 2).approvals == 2).then_some(())
    });
    assert_eq!(held("approved"), 3);
    for by in [&anna, &Actor::Operator] {
        resolve(&db, by, 3, Answer::Approve).unwrap();
    }
    let call = json!({ "sender": "alice", "token": alice, "content": "approved" });
    server.call("broadcast", call.clone()).ok();
    // What is left of the first approval is not enough.
    server.call("broadcast", call).refused("approval_required");
}

#[test]
fn a_part_that_needs_two_persons_does_not_pass_with_a_whole_that_one_approved() {
    let desk = Desk::with_set(&holding(&[
        ("a", "enforce", 1, "broadcast"),
        ("b", "enforce", 2, "broadcast(recipient=bob)"),
    ]));
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let call = || alice.call("broadcast", json!({ "content": "hear" }));
    let approve = |id: i64, names: &[&str]| {
        let now = desk.clock.now();
        for name in names {
            let by = person(desk.db(), name);
            desk.db().write(move |tx| tx.resolve_escalation(&by, id, &Answer::Approve, None, now)).unwrap();
        }
    };
    assert_eq!(call().refused("approval_required")["escalation_id"], 1);
    approve(1, &["anna"]);
    assert_eq!(call().refused("approval_required")["escalation_id"], 2);
    assert_eq!(escalation(desk.db(), 2).approvals, 2);
    assert!(bob.read().is_empty());
    approve(2, &["anna", "ben"]);
    call().ok();
    assert_eq!(bob.read(), ["hear"]);
}

#[test]
fn a_rollback_and_other_settings_keep_the_number_of_persons() {
    let office = Office::with_set(HELD_BY_TWO);
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/dist/tool-authorization.wasm");
    let frozen = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/frozen/v1/tool-authorization.wasm");
    let file = || std::fs::read_to_string(office.home.path().join("policies/policy-set.toml")).unwrap();
    for install in [module, frozen] {
        office.home.succeed(&["policy", "install", install, "--settings", "extra_roles=[\"x\"]"]);
    }
    // What the state kept is from before.
    std::fs::write(
        office.home.path().join("policies/policy-set.toml"),
        file().replace("approvals = 2", "approvals = 3"),
    )
    .unwrap();
    office.home.succeed(&["policy", "rollback", "tool-authorization"]);
    assert!(file().contains("approvals = 3"), "{}", file());
    let changes =
        serde_json::from_str::<Value>(&office.home.succeed(&["policy", "history", "--json"])).unwrap();
    assert_eq!(changes["changes"][0]["details"]["to"]["approvals"], 3);
}
