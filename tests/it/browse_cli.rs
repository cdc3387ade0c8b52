//! The table in the terminal: `board`, `task`, `message`, `context` and `search`.

use serde_json::{Value, json};
use team_table::domain::clock::Clock;
use team_table::domain::person::{Actor, Person, Role};
use team_table::domain::principal::Principal;
use team_table::domain::task::{Priority, Status, Task, TaskDraft};
use team_table::storage::{ContextWrite, Recipient};

use crate::cli::complaint;
use crate::harness::{numbers, strings};
use crate::office::Office;

/// What moves the cursor, changes colours, turns the direction, or pretends to be a line of the program's own.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}evil\r\t\u{2028}#1 nobody → you";

pub(crate) fn post(office: &Office, by: &Principal, draft: TaskDraft) -> i64 {
    let (by, now) = (by.clone(), Clock::System.now());
    office.db.write(move |tx| tx.create_task(&by, &draft, now)).unwrap().id
}

pub(crate) fn draft(title: &str) -> TaskDraft {
    TaskDraft {
        title: title.into(),
        description: String::new(),
        assignee: String::new(),
        priority: Priority::Medium,
        depends_on: Vec::new(),
        parent_id: None,
        reviewer: String::new(),
        idempotency_key: None,
    }
}

pub(crate) fn update(office: &Office, by: &Principal, id: i64, to: Status, result: &str) -> Task {
    let (by, result, now) = (by.clone(), result.to_owned(), Clock::System.now());
    office.db.write(move |tx| tx.update_task(&by, id, to, &result, now)).unwrap()
}

pub(crate) fn share(office: &Office, by: &Principal, key: &str, value: &str) {
    let (by, now) = (by.clone(), Clock::System.now());
    let entry =
        ContextWrite { key: key.into(), value: value.into(), expires_at: None, expected_version: None };
    office.db.write(move |tx| tx.share_context(&by, &entry, now)).unwrap();
}

fn read(office: &Office, arguments: &[&str]) -> Value {
    serde_json::from_str(&office.home.succeed(&[arguments, &["--json"]].concat())).unwrap()
}

/// The commands that show lists.
const LISTS: [&[&str]; 5] =
    [&["board"], &["task", "list"], &["message", "list"], &["context", "list"], &["search", "walnut"]];

#[test]
fn where_there_is_nothing_it_is_said_what_to_do_next() {
    let office = Office::new();
    for (arguments, words) in LISTS.iter().zip([
        "agents post them with create_task",
        "agents post them with create_task",
        "agents write them with send_message",
        "agents write it with share_context",
        "every word must be there",
    ]) {
        let said = office.home.succeed(arguments);
        assert!(said.contains(words) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
    for (arguments, words) in [
        (&["task", "list", "--status", "done"][..], "team-table task list shows them all"),
        (&["message", "list", "--agent", "alice"], "team-table message list shows them all"),
        (&["context", "list", "--prefix", "x"], "team-table context list shows them all"),
    ] {
        assert!(office.home.succeed(arguments).contains(words), "{arguments:?}");
    }
    for (arguments, words) in [
        (&["task", "show", "7"][..], "there is no task 7; team-table task list"),
        (&["message", "thread", "7"], "there is no thread 7; team-table message list"),
        (&["context", "show", "x"], "there is no context entry \"x\"; team-table context list"),
        (&["search", "*"], "no word in \"*\" to search for; give one or more words"),
        (&["search", ""], "nothing to search for"),
    ] {
        let line = complaint(office.home.run(arguments), 1);
        assert!(line.contains(words), "{arguments:?}: {line}");
    }
    for arguments in [
        &["task", "list", "--status", "over"][..],
        &["task", "list", "--priority", "huge"],
        &["search", "x", "--kind", "mail"],
        &["search"],
        &["task", "show"],
    ] {
        let output = office.home.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let words = String::from_utf8(office.home.run(&["task", "list", "--status", "over"]).stderr).unwrap();
    assert!(words.contains("awaiting_review"), "what is allowed is said: {words}");
    let lists = ["columns", "tasks", "threads", "entries", "hits"];
    for (arguments, list) in LISTS.iter().zip(lists) {
        let body = read(&office, arguments);
        let empty = body[list].as_array().unwrap().iter().all(|column| column["count"] == 0);
        assert!(empty && body["next"].is_null(), "{arguments:?}: {body}");
    }
}

#[test]
fn the_views_never_make_a_database() {
    let home = crate::harness::Home::new();
    for arguments in LISTS {
        complaint(home.run(arguments), 1);
    }
    assert!(!home.db().exists());
}

#[test]
fn the_board_shows_tasks_by_state_with_what_holds_them_up() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let base = post(&office, &bob, TaskDraft { assignee: "alice".into(), ..draft("base") });
    let waits = post(&office, &bob, TaskDraft { depends_on: vec![base], ..draft("later") });
    let stuck = post(&office, &alice, TaskDraft { priority: Priority::High, ..draft("stuck") });
    update(&office, &alice, base, Status::InProgress, "");
    update(&office, &alice, stuck, Status::InProgress, "");
    update(&office, &alice, stuck, Status::Blocked, "no key");
    let said = office.home.succeed(&["board"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "pending (1)",
            &format!("    #{waits} later [nobody, medium, waits for #{base}]"),
            "in_progress (1)",
            &format!("    #{base} base [alice, medium]"),
            "blocked (1)",
            &format!("  ! #{stuck} stuck [alice, high]"),
        ]
    );
    office.home.sql().execute("UPDATE members SET last_heartbeat = 1", []).unwrap();
    office.home.sql().execute("UPDATE tasks SET updated_at = 1 WHERE id = ?1", [base]).unwrap();
    let said = office.home.succeed(&["board"]);
    assert!(said.contains(&format!("  ! #{base} base [alice, medium, stale]")), "{said}");
    let more: Vec<i64> = (0..3).map(|n| post(&office, &bob, draft(&format!("more {n}")))).collect();
    let said = office.home.succeed(&["board", "--limit", "2"]);
    assert!(said.contains("pending (4)") && said.contains("more 2") && !said.contains("more 0"), "{said}");
    assert!(
        said.contains(&format!("… team-table task list --status pending --before {}", more[1])),
        "{said}"
    );
    let body = read(&office, &["board", "--limit", "1"]);
    assert_eq!(strings(&body["columns"], "status"), Status::ALL.map(Status::as_str));
    assert_eq!(numbers(&body["columns"], "count"), [4, 1, 1, 0, 0, 0]);
    assert_eq!(numbers(&body["columns"][0]["tasks"], "id"), [more[2]]);
    assert_eq!(body["columns"][1]["tasks"][0]["stale"], true);
}

#[test]
fn tasks_are_listed_by_what_is_asked_for_and_shown_whole() {
    let office = Office::new();
    let (alice, bob, _) = (office.join("alice"), office.join("bob"), office.join("rita"));
    let whole = post(&office, &bob, draft("whole"));
    let base = post(&office, &alice, draft("base"));
    let task = TaskDraft {
        description: "first line\nsecond line".into(),
        assignee: "alice".into(),
        priority: Priority::High,
        depends_on: vec![base],
        parent_id: Some(whole),
        reviewer: "rita".into(),
        ..draft("the parser")
    };
    let task = post(&office, &bob, task);
    let after = post(&office, &bob, TaskDraft { depends_on: vec![task], ..draft("after") });
    let ids = |more: &[&str]| numbers(&read(&office, &[&["task", "list"], more].concat())["tasks"], "id");
    assert_eq!(ids(&[]), [after, task, base, whole]);
    assert_eq!(ids(&["--assignee", "alice"]), [task]);
    assert_eq!(ids(&["--assignee", ""]), [after, base, whole]);
    assert_eq!(ids(&["--creator", "alice"]), [base]);
    assert_eq!(ids(&["--priority", "high"]), [task]);
    assert_eq!(ids(&["--ready"]), [base, whole]);
    assert_eq!(ids(&["--status", "done"]), [] as [i64; 0]);
    assert_eq!(ids(&["--before", &task.to_string(), "--limit", "1"]), [base]);
    let cut = read(&office, &["task", "list", "--limit", "2"]);
    assert_eq!((numbers(&cut["tasks"], "id"), &cut["next"]), (vec![after, task], &json!(task)));
    let said = office.home.succeed(&["task", "list", "--limit", "2"]);
    assert!(said.contains("TITLE") && said.contains(&format!("waits for #{base}")), "{said}");
    assert!(said.trim_end().ends_with(&format!("there is more: add --before {task}")), "{said}");
    update(&office, &alice, base, Status::InProgress, "");
    update(&office, &alice, base, Status::Done, "");
    update(&office, &alice, task, Status::InProgress, "");
    update(&office, &alice, task, Status::AwaitingReview, "it works");
    let number = task.to_string();
    let said = office.home.succeed(&["task", "show", &number]);
    for words in [
        &format!("task      {task} the parser\n"),
        "status    awaiting_review\n",
        "priority  high\n",
        "assignee  alice, last seen ",
        "creator   bob\n",
        "reviewer  rita\n",
        &format!("part of   #{whole} pending: whole\n"),
        &format!("waits for\n    #{base} done: base\n"),
        &format!("needed by\n    #{after} pending: after\n"),
        "description\n    first line\n    second line\n",
        "result\n    it works\n",
        "changes\n    ",
        " alice update_task ",
        "team-table message thread ",
    ] {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
    let body = read(&office, &["task", "show", &number]);
    assert_eq!(body["task"]["title"], "the parser");
    assert_eq!((&body["task"]["waits_for"], &body["part_of"]["id"]), (&json!([]), &json!(whole)));
    assert_eq!(
        (numbers(&body["depends_on"], "id"), numbers(&body["needed_by"], "id")),
        (vec![base], vec![after])
    );
    assert_eq!(strings(&body["changes"], "action"), ["update_task", "update_task", "create_task"]);
    assert_eq!(numbers(&read(&office, &["task", "show", &whole.to_string()])["parts"], "id"), [task]);
}

#[test]
fn threads_are_listed_and_read() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let first = office.send(&alice, "bob", "what is\nthe plan?", None);
    office.mark_read(&bob, &first);
    let answer = office.send(&bob, "alice", "there is none", Some(first.id));
    let lunch = office.broadcast(&bob, "lunch");
    let anna = Actor::Person(Person {
        id: 1,
        name: "anna".into(),
        role: Role::Operator,
        agents: Vec::new(),
        created_at: 0,
        removed_at: None,
    });
    let now = office.db.now(&Clock::System);
    let told = office
        .db
        .write(move |tx| {
            tx.write_as(&anna, &Recipient::Agent("alice".into()), Some(answer.id), "make one", now)
        })
        .unwrap();
    let ids = |more: &[&str]| {
        numbers(&read(&office, &[&["message", "list"], more].concat())["threads"], "thread_id")
    };
    assert_eq!(ids(&[]), [first.id, lunch.id]);
    assert_eq!(ids(&["--before", &told.id.to_string()]), [lunch.id]);
    assert_eq!(ids(&["--limit", "1"]), [first.id]);
    assert_eq!(ids(&["--agent", "operator"]), [first.id]);
    let said = office.home.succeed(&["message", "list"]);
    let row = said.lines().nth(1).unwrap();
    for words in ["alice, bob, operator", "3", "what is…", "operator: make one"] {
        assert!(row.contains(words), "{words}: {row}");
    }
    let number = first.id.to_string();
    let said = office.home.succeed(&["message", "thread", &number]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with(&format!("#{number} ")), "{said}");
    assert!(lines[0].contains(" alice → bob (read "), "{said}");
    assert_eq!(lines[1..3], ["    what is", "    the plan?"]);
    assert!(lines[3].contains(&format!(" bob → alice (answers #{number}, not read yet)")), "{said}");
    assert!(lines[5].contains(" operator (anna) → alice (by a person, answers "), "{said}");
    assert_eq!(lines[6], "    make one");
    let body = read(&office, &["message", "thread", &number, "--limit", "2"]);
    assert_eq!(
        (numbers(&body["messages"], "id"), &body["next"]),
        (vec![answer.id, told.id], &json!(answer.id))
    );
    assert_eq!(body["messages"][1]["person"], "anna");
    let before = answer.id.to_string();
    let body = read(&office, &["message", "thread", &number, "--before", &before]);
    assert_eq!((numbers(&body["messages"], "id"), &body["next"]), (vec![first.id], &Value::Null));
    assert!(body["messages"][0]["read_at"].is_string() && body["messages"][0]["unread"] == false, "{body}");
    let said = office.home.succeed(&["message", "thread", &number, "--limit", "1"]);
    assert!(said.starts_with(&format!("there is more: add --before {}\n", told.id)), "{said}");
    let line = complaint(office.home.run(&["message", "thread", &before]), 1);
    assert!(line.contains(&format!("message {before} is part of thread {number}")), "{line}");
}

#[test]
fn shared_context_is_listed_and_shown_with_its_versions() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    share(&office, &alice, "plan", "one\ntwo");
    share(&office, &bob, "plan", "three\nfour");
    share(&office, &alice, "alice/notes", "x");
    let said = office.home.succeed(&["context", "list"]);
    assert!(said.lines().next().unwrap().contains("CHANGED") && said.contains("three…"), "{said}");
    let keys =
        |more: &[&str]| strings(&read(&office, &[&["context", "list"], more].concat())["entries"], "key");
    assert_eq!(keys(&[]), ["alice/notes", "plan"]);
    assert_eq!(keys(&["--prefix", "pl"]), ["plan"]);
    assert_eq!(keys(&["--after", "alice/notes"]), ["plan"]);
    let cut = read(&office, &["context", "list", "--limit", "1"]);
    assert_eq!(cut["next"], "alice/notes");
    assert!(
        office.home.succeed(&["context", "list", "--limit", "1"]).contains("add --after \"alice/notes\"")
    );
    let said = office.home.succeed(&["context", "show", "plan"]);
    assert!(said.starts_with("key       plan\nversion   2, by bob, "), "{said}");
    assert!(said.contains("value\n    three\n    four\nversions\n"), "{said}");
    assert!(said.contains(" 2 by bob\n") && said.contains(" 1 by alice\n"), "{said}");
    let body = read(&office, &["context", "show", "plan"]);
    assert_eq!(
        (&body["entry"]["value"], numbers(&body["versions"], "version")),
        (&json!("three\nfour"), vec![2, 1])
    );
}

#[test]
fn words_are_found_wherever_they_are() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let message = office.send(&alice, "bob", "The Wälnut\nis ripe", None);
    let task = post(&office, &bob, draft("crack walnuts"));
    share(&office, &bob, "trees/walnut", "green");
    let said = office.home.succeed(&["search", "walnut"]);
    assert!(
        said.contains(&format!(
            " message {}, alice → bob (team-table message thread {})\n    The Wälnut is ripe\n",
            message.id, message.id
        )),
        "{said}"
    );
    assert!(
        said.contains(&format!(" task {task}, pending: crack walnuts (team-table task show {task})\n")),
        "{said}"
    );
    assert!(said.contains(" context trees/walnut\n"), "{said}");
    let kinds = |more: &[&str]| strings(&read(&office, &[&["search"], more].concat())["hits"], "kind");
    assert_eq!(kinds(&["walnut"]), ["context", "task", "message"]);
    assert_eq!(kinds(&["ripe", "waln"]), ["message"], "several words");
    assert_eq!(kinds(&["walnut", "--kind", "task", "--kind", "context"]), ["context", "task"]);
    assert_eq!(kinds(&["walnut", "--agent", "alice"]), ["message"]);
    let cut = read(&office, &["search", "walnut", "--limit", "1"]);
    let next = cut["next"].as_i64().unwrap().to_string();
    assert_eq!(kinds(&["walnut", "--before", &next]), ["task", "message"]);
    let hit = &read(&office, &["search", "ripe"])["hits"][0];
    assert_eq!(
        (&hit["excerpt"], &hit["matches"]),
        (&json!("The Wälnut is ripe"), &json!([[14, 18]])),
        "in characters"
    );
    assert_eq!(hit["title"], "The Wälnut");
    assert_eq!(
        office.home.succeed(&["search", "ripe", "--", "--kind"]).lines().count(),
        1,
        "a word like any other"
    );
}

/// Whatever agents call themselves, their tasks and their keys: no command passes it to the terminal as it is, and none of it
/// can pass for a line of the program's own.
#[test]
fn hostile_words_are_shown_and_not_obeyed() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let hostile = format!("walnut {HOSTILE}\npending (99)\nstatus    done");
    let message = office.send(&alice, "bob", &hostile, None);
    let base = post(&office, &bob, draft(&HOSTILE.replace('\r', "")));
    let task = TaskDraft {
        description: hostile.clone(),
        assignee: "alice".into(),
        depends_on: vec![base],
        ..draft(&format!("walnut {HOSTILE}"))
    };
    let task = post(&office, &bob, task);
    post(&office, &bob, TaskDraft { depends_on: vec![task], parent_id: Some(task), ..draft(HOSTILE) });
    share(&office, &bob, &format!("walnut{HOSTILE}"), &hostile);
    let (task, thread, key) = (task.to_string(), message.id.to_string(), format!("walnut{HOSTILE}"));
    let shows: [&[&str]; 3] =
        [&["task", "show", &task], &["message", "thread", &thread], &["context", "show", &key]];
    for arguments in LISTS.iter().chain(&shows) {
        let said = office.home.succeed(arguments);
        assert!(said.contains("evil"), "{arguments:?} does not show it: {said}");
        let tricky = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!said.contains(tricky), "{arguments:?}: {said:?}");
        for faked in ["pending (99)", "status    done", "#1 nobody"] {
            assert!(!said.lines().any(|line| line.starts_with(faked)), "{arguments:?}: {said}");
        }
        let json = office.home.succeed(&[arguments, &["--json"][..]].concat());
        assert!(!json.contains(tricky), "{arguments:?}: {json:?}");
        let _: Value = serde_json::from_str(&json).unwrap();
    }
}
