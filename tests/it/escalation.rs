//! The person's inbox: what a person sees, may answer, and is reminded of.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::{Value, json};
use team_table::daemon::{Daemon, Ended, Note, PollOptions};
use team_table::domain::clock::{Clock, MINUTE};
use team_table::events::Hub;
use team_table::storage::Answer;
use tokio_util::sync::CancellationToken;

use crate::harness::{PATIENCE, START, default_policies};
use crate::office::Office;

const HOLDING: &str = "\
[[policy]]
name = \"question-detection\"
module = \"builtin:question-detection\"
[[policy]]
name = \"tool-authorization\"
module = \"builtin:tool-authorization\"
settings.roles.agent = { escalate = [\"broadcast\"] }
";

fn read(office: &Office, arguments: &[&str]) -> Value {
    serde_json::from_str(&office.home.succeed(arguments)).unwrap()
}

/// A command that must fail with status 1; what it says.
#[track_caller]
fn refused(office: &Office, arguments: &[&str]) -> String {
    let output = office.home.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_question_is_listed_shown_and_answered_once() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    assert_eq!(office.home.succeed(&["escalation", "list"]), "nothing waits for a person\n");
    assert_eq!(read(&office, &["escalation", "list", "--json"]), json!({ "escalations": [] }));
    let first = office.send(&bob, "alice", "The branch is cut.", None);
    let asked = office.send(&bob, "alice", "Should we \u{1b}[31mrename it?", Some(first.id));
    office.once("alice", &[]);

    let list = office.home.succeed(&["escalation", "list"]);
    for part in ["N", "STATUS", "1", "open", "alice", "bob asks", "question-detection"] {
        assert!(list.contains(part), "{part} is not in {list}");
    }
    let row = read(&office, &["escalation", "list", "--json", "--agent", "alice"])["escalations"][0].clone();
    assert_eq!((&row["id"], &row["status"], &row["asker"]), (&json!(1), &json!("open"), &json!("bob")));
    assert_eq!(row["arguments"]["content"], "Should we \u{1b}[31mrename it?");
    assert_eq!(read(&office, &["escalation", "list", "--json", "--agent", "bob"])["escalations"], json!([]));

    let shown = office.home.succeed(&["escalation", "show", "1"]);
    for part in [
        "escalation 1 for alice: open",
        "policy   question-detection ",
        "reason   question: ",
        "\nfacts\n",
        "The branch is cut.",
        "(auto-reply from alice)",
        "> #",
        "rename it?",
        "[AUTO] This looks",
        "escalation resolve 1 --reply",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "control characters are made visible");
    let shown = read(&office, &["escalation", "show", "1", "--json"]);
    assert_eq!(shown["escalation"]["message_id"], asked.id);
    assert_eq!(shown["escalation"]["module"].as_str().unwrap().len(), 64);
    assert_eq!(shown["thread"].as_array().unwrap().len(), 4);

    // An event for the agent, and its badge.
    let events = office.db.read(|tx| tx.events_for(alice.id, 0, 100)).unwrap();
    let event = events.iter().find(|event| event.kind == "escalation").unwrap();
    let data: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!((&data["id"], &data["status"]), (&json!(1), &json!("open")));
    assert_eq!(office.db.read(|tx| tx.unread(alice.id)).unwrap().waiting_for_person, 1);

    for wrong in ["--approve", "--deny"] {
        let said = refused(&office, &["escalation", "resolve", "1", wrong]);
        assert!(said.contains("is a question") && said.contains("--reply"), "{said}");
    }
    assert!(refused(&office, &["escalation", "resolve", "1", "--reply", " "]).contains("content"));
    assert!(refused(&office, &["escalation", "resolve", "2"]).contains("there is no escalation 2"));
    assert!(refused(&office, &["escalation", "show", "2"]).contains("there is no escalation 2"));
    let both = office.home.run(&["escalation", "resolve", "1", "--approve", "--deny"]);
    assert_eq!(both.status.code(), Some(2));

    office.home.succeed(&[
        "escalation",
        "resolve",
        "1",
        "--reply",
        "Yes, rename it.",
        "--note",
        "asked the team",
    ]);
    assert_eq!(office.answers(&asked).last().unwrap(), "Yes, rename it.");
    let said = refused(&office, &["escalation", "resolve", "1", "--reply", "No."]);
    assert!(said.contains("resolved already"), "{said}");
    assert_eq!(office.answers(&asked).len(), 2, "the notice and one answer");
    assert_eq!(office.home.succeed(&["escalation", "list"]), "nothing waits for a person\n");
    let row = read(&office, &["escalation", "list", "--all", "--json"])["escalations"][0].clone();
    assert_eq!(
        (&row["status"], &row["reply"], &row["note"]),
        (&json!("resolved"), &json!("Yes, rename it."), &json!("asked the team"))
    );
    assert_eq!(office.db.read(|tx| tx.unread(alice.id)).unwrap().waiting_for_person, 0);
}

#[test]
fn a_held_call_is_approved_or_denied() {
    let office = Office::with_set(HOLDING);
    let mut server = office.home.start();
    let (alice, bob) = (server.join("alice"), server.join("bob"));
    let call = |text: &str| json!({ "sender": "alice", "token": alice, "content": text });
    let held = server.call("broadcast", call("one")).refused("approval_required");
    assert_eq!(held["escalation_id"], 1);
    server.call("broadcast", call("two")).refused("approval_required");
    let heartbeat = server.call("heartbeat", json!({ "name": "alice", "token": alice })).ok();
    assert!(heartbeat.to_string().contains("waiting for your person: 2"), "{heartbeat}");

    let list = office.home.succeed(&["escalation", "list"]);
    assert!(list.contains("alice wants to call broadcast"), "{list}");
    let shown = office.home.succeed(&["escalation", "show", "1"]);
    for part in ["call     broadcast", "one", "tool-authorization", "--approve (or --deny)"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains(&alice), "no token");
    for wrong in [&["escalation", "resolve", "1", "--reply", "yes"][..], &["escalation", "resolve", "1"]] {
        let said = refused(&office, wrong);
        assert!(said.contains("escalation 1") && said.contains("--approve or --deny"), "{said}");
    }

    office.home.succeed(&["escalation", "resolve", "1", "--approve"]);
    office.home.succeed(&["escalation", "resolve", "2", "--deny"]);
    for number in ["1", "2"] {
        assert!(refused(&office, &["escalation", "resolve", number, "--approve"]).contains("already"));
    }
    let inbox = server.call("get_messages", json!({ "agent_name": "alice", "token": alice })).ok();
    let told: Vec<_> = inbox["messages"].as_array().unwrap().iter().collect();
    assert!(told.iter().all(|message| message["sender"] == "operator"), "{inbox}");
    assert!(told[0]["content"].as_str().unwrap().contains("approved"), "{inbox}");
    assert!(told[1]["content"].as_str().unwrap().contains("denied"), "{inbox}");
    server.call("broadcast", call("one")).ok();
    let again = server.call("broadcast", call("one")).refused("approval_required");
    assert_eq!(again["escalation_id"], 3, "once is once");
    server.call("broadcast", call("two")).refused("approval_required");
    let inbox = server.call("get_messages", json!({ "agent_name": "bob", "token": bob })).ok();
    assert_eq!(inbox["messages"].as_array().unwrap().len(), 1);

    // Nobody else may speak in that voice.
    for name in ["operator", "Operator"] {
        server.call("register", json!({ "name": name })).refused("permission_denied");
    }
}

#[test]
fn a_repeated_question_joins_the_open_escalation() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &["--interval", "86400"]);
    let asked = office.send(&bob, "alice", "Is it done?", None);
    poll.next("escalated");
    let again = office.send(&bob, "alice", "Is it done by now?", Some(asked.id));
    assert_eq!(poll.next("joined")["escalation"], 1);
    let elsewhere = office.send(&bob, "alice", "Is it done over there?", None);
    assert_eq!(poll.next("escalated")["escalation"], 2, "another thread is another question");
    let statement = office.send(&bob, "alice", "It can wait.", Some(asked.id));
    let third = office.send(&bob, "alice", "Well, can we?", Some(asked.id));
    assert_eq!(poll.next("joined")["message"], third.id);
    assert!(office.answers(&again).is_empty(), "no second notice");
    assert_eq!(office.unread(&alice), [statement.id], "what else is said in the thread waits");
    let row = read(&office, &["escalation", "show", "1", "--json"])["escalation"].clone();
    assert_eq!(row["repeats"], 2);
    assert!(office.home.succeed(&["escalation", "show", "1"]).contains("asked again 2 time(s)"));
    assert_eq!(office.answers(&elsewhere).len(), 1);
    // Once resolved, the thread goes on.
    office.resolve(1, Answer::Dismiss);
    poll.next("replied");
    assert_eq!(office.answers(&statement).len(), 1);
}

#[test]
fn watch_prints_each_escalation_once() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    office.send(&bob, "alice", "Is it done?", None);
    office.once("alice", &[]);
    let mut command = office.home.command();
    // The same helper reads its lines: they have the fields of an escalation.
    let mut child = command
        .args(["escalation", "watch", "--json", "--agent", "alice"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut seen = BTreeSet::new();
    for line in lines {
        let row: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(seen.insert((row["id"].as_i64(), row["reminders"].as_i64())), "{row}");
        if seen.len() == 2 {
            break;
        }
        office.resolve(1, Answer::Dismiss);
        office.send(&bob, "alice", "Is that done?", None);
        office.once("alice", &[]);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen, BTreeSet::from([(Some(1), Some(0)), (Some(2), Some(0))]));
}

#[test]
fn a_person_is_reminded_three_times_and_then_it_is_overdue() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let clock = Clock::fixed(START + 400 * 24 * 60 * MINUTE);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (sender, notes) = channel();
    let options = PollOptions {
        register: true,
        agent: "alice".into(),
        interval: Duration::from_millis(5),
        max_messages: 13,
        once: false,
        on_escalation: None,
        exit_on_escalation: false,
        remind: Duration::from_mins(30),
    };
    let (db, stop) = (office.db.clone(), CancellationToken::new());
    let (told, daemon_clock) = (stop.clone(), clock.clone());
    let daemon = runtime.spawn(async move {
        let hub = Hub::start(db.clone());
        let tell = move |note: &Note| drop(sender.send(note.clone()));
        Daemon::new(db, default_policies(), options, daemon_clock, tell)?.run(&hub, &told).await
    });
    office.send(&bob, "alice", "Is it done?", None);
    let reminder = || loop {
        if let Note::Escalated { reminder, .. } = notes.recv_timeout(PATIENCE).unwrap() {
            return reminder;
        }
    };
    assert_eq!(reminder(), 0);
    let status = || read(&office, &["escalation", "list", "--json"])["escalations"][0]["status"].clone();
    for number in 1..=3 {
        assert_eq!(status(), "open");
        clock.advance(29 * MINUTE);
        assert!(notes.recv_timeout(Duration::from_millis(60)).is_err(), "too early");
        clock.advance(MINUTE);
        assert_eq!(reminder(), number);
    }
    clock.advance(24 * 60 * MINUTE);
    assert!(notes.recv_timeout(Duration::from_millis(100)).is_err(), "three are enough");
    assert_eq!(status(), "overdue");
    assert!(office.home.succeed(&["escalation", "list"]).contains("overdue"));
    stop.cancel();
    assert_eq!(runtime.block_on(daemon).unwrap().unwrap(), Ended::Stopped);
    let events = office.db.read(|tx| tx.events_for(alice.id, 0, 100)).unwrap();
    let data = events.iter().map(|event| serde_json::from_str::<Value>(&event.data).unwrap());
    let reminders: Vec<_> = data.filter_map(|data| data["reminder"].as_i64()).collect();
    assert_eq!(reminders, [1, 2, 3]);
}

/// The lines for a person, without `--json`.
#[test]
fn a_person_can_follow_at_the_terminal() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    office.send(&bob, "alice", "It is \u{7}done.", None);
    office.send(&bob, "alice", "Is it?", None);
    let text = office.home.succeed(&["poll", "alice", "--once"]);
    for part in [
        "answering for alice: at most 13",
        "← bob  #1 It is \\u{7}done.",
        "→ bob  reply 1/13: Acknowledged",
        "⚠ escalation 1 from bob: question-detection says question: ",
        "team-table escalation resolve 1 --reply",
        "no longer answering for alice",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains('\u{1b}'), "colour only on a terminal");
}

/// What was meant for one who left does not go to whoever has taken the name since.
#[test]
fn an_answer_is_for_the_one_who_asked() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    office.send(&alice, "bob", "Should we sell?", None);
    office.once("bob", &[]);
    assert_eq!(office.received(&alice).len(), 1, "the notice");
    office.send(&alice, "bob", "And then?", None);
    office.home.succeed(&["agent", "revoke", "alice"]);
    let other = office.join("alice");
    assert_ne!(other.id, alice.id);
    let output = office.home.run(&["escalation", "resolve", "1", "--reply", "yes, at 40"]);
    assert!(!output.status.success());
    office.home.succeed(&["escalation", "resolve", "1", "--dismiss"]);
    office.once("bob", &[]);
    assert_eq!(office.unread(&bob), Vec::<i64>::new(), "it was looked at");
    assert!(office.received(&other).is_empty(), "{:?}", office.received(&other));
}
