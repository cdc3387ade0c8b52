//! What persons look at: pages of threads and of the board, a task's story, who works on what.

use serde_json::{Value, json};
use team_table::domain::message::{Message, Receipt};
use team_table::domain::task::{Priority, Status};
use team_table::storage::{
    BOARD_COUNT_CAP, BoardQuery, Page, THREAD_COUNT_CAP, TaskRef, ThreadQuery, ThreadRow, WALK,
};

use crate::harness::{Agent, Desk};

/// Answers a message.
#[track_caller]
fn reply(from: &Agent<'_>, to: &str, content: &str, reply_to: i64) -> i64 {
    let sent = json!({ "recipient": to, "content": content, "reply_to": reply_to });
    from.call("send_message", sent).ok()["id"].as_i64().unwrap()
}

fn threads(desk: &Desk, query: &ThreadQuery) -> Page<ThreadRow> {
    desk.db().read(|tx| tx.threads(query)).unwrap()
}

/// All pages of a list, one after the other: its rows, and how many pages it took.
fn all_pages<T>(mut page: impl FnMut(Option<i64>) -> Page<T>) -> (Vec<T>, usize) {
    let (mut rows, mut pages, mut before) = (Vec::new(), 0, None);
    loop {
        let Page { rows: more, next } = page(before);
        rows.extend(more);
        pages += 1;
        match next {
            Some(next) => assert!(before.is_none_or(|before| next < before), "the walk goes on"),
            None => return (rows, pages),
        }
        before = next;
    }
}

fn thread_ids(desk: &Desk, agent: Option<&str>, limit: i64) -> Vec<i64> {
    let agent = agent.map(str::to_owned);
    let page = |before| threads(desk, &ThreadQuery { agent: agent.clone(), before, limit });
    all_pages(page).0.into_iter().map(|row| row.thread_id).collect()
}

#[test]
fn a_thread_stands_at_its_latest_message() {
    let desk = Desk::new();
    assert_eq!(threads(&desk, &ThreadQuery { limit: 5, ..ThreadQuery::default() }).rows, []);
    let (alice, bob, carol) = (desk.join("alice"), desk.join("bob"), desk.join("carol"));
    let first = alice.send("bob", "first");
    let second = bob.send("carol", "second");
    let third = carol.call("broadcast", json!({ "content": "third" })).ok()["id"].as_i64().unwrap();
    let answer = reply(&bob, "alice", "answer", first);
    for limit in [1, 2, 3, 50] {
        assert_eq!(thread_ids(&desk, None, limit), [first, third, second], "{limit} a page");
    }
    let page = threads(&desk, &ThreadQuery { limit: 2, ..ThreadQuery::default() });
    assert_eq!(page.next, Some(third), "there is more");
    assert_eq!(threads(&desk, &ThreadQuery { limit: 3, ..ThreadQuery::default() }).next, None);
    let row = &page.rows[0];
    assert_eq!((row.first.id, row.last.id, row.messages), (first, answer, 2));
    assert_eq!((row.first.content.as_str(), row.last.content.as_str()), ("first", "answer"));
    assert_eq!(row.participants, ["alice", "bob"]);
    assert_eq!(page.rows[1].participants, ["carol"]);
    // A message that came later moves its thread; what was listed before it is not listed again.
    reply(&carol, "bob", "late", second);
    let rest = threads(&desk, &ThreadQuery { before: page.next, limit: 9, ..ThreadQuery::default() });
    assert_eq!(rest.rows, []);
    assert_eq!(thread_ids(&desk, None, 9), [second, first, third]);
}

#[test]
fn the_threads_of_one_agent_are_those_it_wrote_or_got_a_message_of() {
    let desk = Desk::new();
    let (alice, bob, carol) = (desk.join("alice"), desk.join("bob"), desk.join("carol"));
    let [written, other, got] =
        [alice.send("bob", "one"), bob.send("carol", "two"), carol.send("alice", "three")];
    let told = bob.call("broadcast", json!({ "content": "four" })).ok()["id"].as_i64().unwrap();
    desk.join("dave");
    for limit in [1, 9] {
        assert_eq!(thread_ids(&desk, Some("alice"), limit), [told, got, written]);
        assert_eq!(thread_ids(&desk, Some("bob"), limit), [told, other, written]);
        assert_eq!(thread_ids(&desk, Some("dave"), limit), [] as [i64; 0], "who came later got no broadcast");
        assert_eq!(thread_ids(&desk, Some("nobody"), limit), [] as [i64; 0]);
    }
    // Part of a thread is enough.
    let answer = json!({ "recipient": "dave", "content": "look", "reply_to": other });
    bob.call("send_message", answer).ok();
    assert_eq!(thread_ids(&desk, Some("dave"), 9), [other]);
}

/// However long one thread is, a page looks at a bounded range of numbers, and the pages together miss nothing.
#[test]
fn a_page_of_threads_is_bounded() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let old = alice.send("bob", "old");
    let long = bob.send("alice", "long");
    desk.sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
             INSERT INTO messages (sender, recipient, content, created_at, thread_id)
             SELECT 'x', 'y', 'z', 1, ?1 FROM n",
            [long, 2 * WALK],
        )
        .unwrap();
    let page = |before| threads(&desk, &ThreadQuery { before, limit: 5, ..ThreadQuery::default() });
    let first = page(None);
    assert_eq!(first.rows.len(), 1);
    assert_eq!((first.rows[0].thread_id, first.rows[0].messages), (long, THREAD_COUNT_CAP));
    let (rows, pages) = all_pages(page);
    assert_eq!(rows.iter().map(|row| row.thread_id).collect::<Vec<_>>(), [long, old]);
    assert_eq!(pages, 3, "40,002 messages, 20,000 a page");
    // Who took part long ago is not looked for among all of them.
    assert_eq!(thread_ids(&desk, Some("alice"), 5), [old]);
    assert_eq!(thread_ids(&desk, Some("x"), 5), [long]);
}

#[test]
fn a_thread_is_read_in_pages_with_what_became_of_its_messages() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let first = alice.call("broadcast", json!({ "content": "one" })).ok()["id"].as_i64().unwrap();
    let second = reply(&bob, "alice", "two", first);
    alice.read();
    let read_at = desk.clock.now();
    desk.clock.advance(1_000);
    let third = reply(&alice, "bob", "three", second);
    let page = |before, limit| desk.db().read(|tx| tx.thread_page(first, before, limit)).unwrap();
    let ids =
        |page: &[(Message, Option<Receipt>)]| page.iter().map(|(message, _)| message.id).collect::<Vec<_>>();
    let all = page(None, 10);
    assert_eq!(ids(&all), [first, second, third]);
    let receipt = |at: usize| all[at].1.map(|receipt| receipt.read_at);
    assert_eq!((receipt(0), receipt(1), receipt(2)), (None, Some(Some(read_at)), Some(None)));
    assert_eq!(ids(&page(None, 2)), [second, third]);
    assert_eq!(ids(&page(Some(second), 2)), [first]);
    assert_eq!(desk.db().read(|tx| tx.thread_page(99, None, 10)).unwrap(), []);
}

fn board(desk: &Desk, query: &BoardQuery) -> Vec<i64> {
    let page = |before| {
        let query = BoardQuery { before, ..query.clone() };
        desk.db().read(|tx| tx.board(&query)).unwrap()
    };
    all_pages(page).0.into_iter().map(|task| task.id).collect()
}

#[test]
fn the_board_is_listed_newest_first_by_what_is_asked_for() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let task = |by: &Agent<'_>, task: Value| {
        let mut task = task;
        task["title"] = json!("t");
        by.call("create_task", task).ok()["id"].as_i64().unwrap()
    };
    let one = task(&alice, json!({ "priority": "high" }));
    let two = task(&bob, json!({ "assignee": "alice" }));
    let three = task(&alice, json!({ "assignee": "bob", "priority": "high" }));
    let four = task(&alice, json!({ "depends_on": [one] }));
    alice.update(two, "in_progress").ok();
    let all = BoardQuery { limit: 1, ..BoardQuery::default() };
    let some = |text: &str| Some(text.to_owned());
    for limit in [1, 2, 9] {
        let all = BoardQuery { limit, ..all.clone() };
        let status = |status| BoardQuery { status: Some(status), ..all.clone() };
        assert_eq!(board(&desk, &all), [four, three, two, one]);
        assert_eq!(board(&desk, &status(Status::Pending)), [four, three, one]);
        assert_eq!(board(&desk, &status(Status::InProgress)), [two]);
        assert_eq!(board(&desk, &status(Status::Done)), [] as [i64; 0]);
        assert_eq!(board(&desk, &BoardQuery { assignee: some("alice"), ..all.clone() }), [two]);
        assert_eq!(board(&desk, &BoardQuery { assignee: some(""), ..all.clone() }), [four, one]);
        let of_alice = BoardQuery { assignee: some("alice"), ..status(Status::Pending) };
        assert_eq!(board(&desk, &of_alice), [] as [i64; 0]);
        assert_eq!(board(&desk, &BoardQuery { creator: some("alice"), ..all.clone() }), [four, three, one]);
        let high = BoardQuery { priority: Some(Priority::High), ..all.clone() };
        assert_eq!(board(&desk, &high), [three, one]);
        assert_eq!(board(&desk, &BoardQuery { assignee: some("bob"), ..high }), [three]);
        let ready = BoardQuery { ready: true, ..all.clone() };
        assert_eq!(board(&desk, &ready), [three, one], "four waits, two is begun");
        assert_eq!(board(&desk, &BoardQuery { status: Some(Status::Done), ..ready }), [] as [i64; 0]);
    }
    let counts = desk.db().read(|tx| tx.board_counts()).unwrap();
    assert_eq!(counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3, 1, 0, 0, 0, 0]);
}

/// What has no index is looked for among a bounded number of tasks, and the pages together miss nothing.
#[test]
fn a_page_of_the_board_is_bounded() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let old = alice.post("old");
    desk.sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO tasks (title, description, status, priority, creator, assignee, reviewer, created_at, updated_at)
             SELECT 'x', '', 'pending', 1, 'y', '', '', 1, 1 FROM n",
            [WALK + 5],
        )
        .unwrap();
    let query = BoardQuery { creator: Some("alice".into()), limit: 5, ..BoardQuery::default() };
    let page = |before| {
        let query = BoardQuery { before, ..query.clone() };
        desk.db().read(|tx| tx.board(&query)).unwrap()
    };
    let first = page(None);
    assert!(first.rows.is_empty() && first.next == Some(old + 6), "{first:?}");
    let (rows, pages) = all_pages(page);
    assert_eq!((rows.len(), rows[0].id, pages), (1, old, 2));
    let counts = desk.db().read(|tx| tx.board_counts()).unwrap();
    assert_eq!(counts[0], (Status::Pending, BOARD_COUNT_CAP));
}

#[test]
fn a_task_is_shown_with_all_that_belongs_to_it() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let base = alice.post("base");
    let whole = alice.post("whole");
    let task = json!({ "title": "part", "depends_on": [base], "parent_id": whole, "assignee": "bob" });
    let part = alice.call("create_task", task).ok()["id"].as_i64().unwrap();
    let after = alice.call("create_task", json!({ "title": "after", "depends_on": [part] })).ok();
    let after = after["id"].as_i64().unwrap();
    bob.update(base, "done").refused("permission_denied");
    alice.update(base, "in_progress").ok();
    alice.update(base, "done").ok();
    bob.update(part, "in_progress").ok();
    // Another task and a context entry, whose names are alike, are not its own.
    alice.call("share_context", json!({ "key": part.to_string(), "value": "v" })).ok();
    let story = |id| desk.db().read(|tx| tx.task_story(id)).unwrap();
    let named = |id, title: &str, status| TaskRef { id, title: title.into(), status };
    let of_part = story(part).unwrap();
    assert_eq!(of_part.task.title, "part");
    assert_eq!(of_part.waits_for, [named(base, "base", Status::Done)]);
    assert_eq!(of_part.needed_by, [named(after, "after", Status::Pending)]);
    assert_eq!(of_part.parent, Some(named(whole, "whole", Status::Pending)));
    assert_eq!(of_part.children, []);
    let thread = of_part.thread_id.unwrap();
    let told = desk.db().read(|tx| tx.thread_page(thread, None, 5)).unwrap();
    assert!(told[0].0.content.contains("is assigned to you"), "{told:?}");
    let actions: Vec<_> =
        of_part.changes.iter().map(|row| (row.action.as_str(), row.agent.as_str())).collect();
    assert_eq!(actions, [("update_task", "bob"), ("create_task", "alice")], "newest first");
    let of_whole = story(whole).unwrap();
    assert_eq!(of_whole.children, [named(part, "part", Status::InProgress)]);
    assert_eq!((of_whole.parent, of_whole.thread_id), (None, None));
    assert!(story(99).is_none());
}

/// The log has no index on what its rows are about.
#[test]
fn the_changes_of_a_task_are_looked_for_among_the_newest_rows() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let task = alice.post("t");
    alice.update(task, "in_progress").ok();
    let flood = |rows: i64| {
        desk.sql()
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO audit (at, agent, action, target_type, target_id, details, hash)
                 SELECT (SELECT max(at) FROM audit), 'x', 'y', 'z', '', '', x'' FROM n",
                [rows],
            )
            .unwrap();
        let story = desk.db().read(|tx| tx.task_story(task)).unwrap().unwrap();
        story.changes.iter().map(|row| row.action.clone()).collect::<Vec<_>>()
    };
    assert_eq!(flood(WALK - 2), ["update_task", "create_task"]);
    assert_eq!(flood(1), ["update_task"]);
    assert_eq!(flood(1), [] as [String; 0]);
}

#[test]
fn it_is_told_who_works_on_what_and_has_how_much_unread() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let [one, two] = [alice.post("one"), alice.post("two")];
    alice.post("not begun");
    for task in [one, two] {
        alice.update(task, "in_progress").ok();
    }
    bob.send("alice", "hi");
    bob.send("alice", "there");
    let (working, unread) = desk.db().read(|tx| Ok((tx.working_on()?, tx.unread_counts()?))).unwrap();
    let id = |name: &str| desk.db().read(|tx| tx.member(name)).unwrap().unwrap().id;
    let (alice_id, bob_id) = (id("alice"), id("bob"));
    assert_eq!(working[&alice_id], [(two, "two".to_owned()), (one, "one".to_owned())]);
    assert_eq!((working.get(&bob_id), unread[&alice_id], unread[&bob_id]), (None, 2, 0));
    alice.read();
    assert_eq!(desk.db().read(|tx| tx.unread_counts()).unwrap()[&alice_id], 0);
}

#[test]
fn context_is_listed_by_its_beginnings_and_tells_its_versions() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let share = |by: &Agent<'_>, key: &str, value: &str, ttl: Option<i64>| {
        by.call("share_context", json!({ "key": key, "value": value, "ttl_seconds": ttl })).ok();
        desk.clock.advance(1_000);
    };
    let begun = desk.clock.now();
    share(&alice, "plan/a", &"é".repeat(300), None);
    share(&bob, "plan/a", &"é".repeat(201), None);
    share(&bob, "plan/b", "short", Some(60));
    share(&bob, "other", "x", None);
    let heads = |prefix: &str, after: &str, limit| {
        let now = desk.clock.now();
        desk.db().read(|tx| tx.context_heads(prefix, after, limit, now)).unwrap()
    };
    let keys = |prefix: &str, after: &str, limit| {
        heads(prefix, after, limit).into_iter().map(|head| head.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("", "", 9), ["other", "plan/a", "plan/b"]);
    assert_eq!(keys("plan/", "", 9), ["plan/a", "plan/b"]);
    assert_eq!(keys("plan/", "plan/a", 9), ["plan/b"]);
    assert_eq!(keys("", "", 2), ["other", "plan/a"]);
    let head = heads("plan/a", "", 1).remove(0);
    assert_eq!((head.beginning, head.length), ("é".repeat(200), 201));
    assert_eq!((head.set_by.as_str(), head.version, head.expires_at), ("bob", 2, None));
    desk.clock.advance(61_000);
    assert_eq!(keys("", "", 9), ["other", "plan/a"], "the other has expired");
    let versions = desk.db().read(|tx| tx.context_versions("plan/a", 9)).unwrap();
    let versions: Vec<_> = versions.iter().map(|one| (one.version, one.set_by.as_str(), one.at)).collect();
    assert_eq!(versions, [(2, "bob", begun + 1_000), (1, "alice", begun)]);
    assert_eq!(desk.db().read(|tx| tx.context_versions("plan/a", 1)).unwrap().len(), 1);
    assert_eq!(desk.db().read(|tx| tx.context_versions("none", 9)).unwrap(), []);
}
