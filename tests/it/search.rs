//! Full-text search for persons: what is found, where, and that nothing else is shown.

use serde_json::json;
use team_table::storage::{Hit, Page, Place, SearchKind, SearchQuery};

use crate::harness::{Agent, Desk};

fn page(desk: &Desk, query: &SearchQuery) -> Page<Hit> {
    desk.db().update_search().unwrap();
    assert!(!desk.db().read(|tx| tx.is_search_behind()).unwrap());
    let now = desk.clock.now();
    desk.db().read(|tx| tx.search(query, now)).unwrap()
}

fn text(text: &str) -> SearchQuery {
    SearchQuery { text: text.into(), limit: 50, ..SearchQuery::default() }
}

/// What is found, in short: `message 1`, `task 1`, `context KEY`.
fn found(desk: &Desk, query: &SearchQuery) -> Vec<String> {
    page(desk, query).rows.iter().map(place).collect()
}

fn place(hit: &Hit) -> String {
    match &hit.place {
        Place::Message { id, .. } => format!("message {id}"),
        Place::Task { id, .. } => format!("task {id}"),
        Place::Context { key } => format!("context {key}"),
    }
}

fn share(agent: &Agent<'_>, key: &str, value: &str, ttl_seconds: Option<i64>) {
    agent.call("share_context", json!({ "key": key, "value": value, "ttl_seconds": ttl_seconds })).ok();
}

#[test]
fn messages_tasks_and_context_are_found_newest_first() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let tick = || desk.clock.advance(1_000);
    let message = alice.send("bob", "The parser\nfails on empty input");
    tick();
    let task =
        bob.call("create_task", json!({ "title": "Mend it", "description": "the PARSER, please" })).ok();
    let task = task["id"].as_i64().unwrap();
    tick();
    share(&bob, "notes/parser", "see the grammar", None);
    tick();
    bob.send("alice", "something else");
    let all = page(&desk, &text("parser"));
    assert_eq!(all.next, None);
    assert_eq!(
        all.rows.iter().map(place).collect::<Vec<_>>(),
        ["context notes/parser".to_owned(), format!("task {task}"), format!("message {message}")]
    );
    let [of_context, of_task, of_message] = &all.rows[..] else { panic!("{all:?}") };
    let marked = |hit: &Hit| {
        hit.excerpt.matches.iter().map(|range| hit.excerpt.text[range.clone()].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of_context.title.as_str(), marked(of_context)), ("notes/parser", vec!["parser".to_owned()]));
    assert_eq!((of_task.title.as_str(), marked(of_task)), ("Mend it", vec!["PARSER".to_owned()]));
    assert_eq!((of_message.title.as_str(), marked(of_message)), ("The parser", vec!["parser".to_owned()]));
    assert_eq!(of_message.excerpt.text, "The parser fails on empty input");
    let place =
        Place::Message { id: message, thread_id: message, sender: "alice".into(), recipient: "bob".into() };
    assert_eq!((&of_message.place, of_message.at), (&place, desk.clock.now() - 3_000));
    // Every word must be there, in any order, the last one by its beginning.
    assert_eq!(found(&desk, &text("input pars")), [format!("message {message}")]);
    assert_eq!(found(&desk, &text("pars input")), [] as [&str; 0]);
    assert_eq!(
        found(&desk, &text("ÉMPTY Inp")),
        [format!("message {message}")],
        "accents and case do not count"
    );
    // By kind, by agent, and page by page.
    let tasks = SearchQuery { kinds: vec![SearchKind::Task], ..text("parser") };
    assert_eq!(found(&desk, &tasks), [format!("task {task}")]);
    let of_alice = SearchQuery { agent: Some("alice".into()), ..text("parser") };
    assert_eq!(found(&desk, &of_alice), [format!("message {message}")]);
    let of_bob = SearchQuery { agent: Some("bob".into()), ..text("parser") };
    assert_eq!(found(&desk, &of_bob).len(), 3, "he got the message");
    let (mut before, mut paged) = (None, Vec::new());
    for n in 0.. {
        let one = page(&desk, &SearchQuery { before, limit: 1, ..text("parser") });
        paged.extend(one.rows);
        before = one.next;
        if before.is_none() {
            assert_eq!(n, 2);
            break;
        }
    }
    assert_eq!(paged, all.rows);
}

#[test]
fn what_has_changed_is_found_by_what_it_says_now_and_stands_where_it_changed() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let task = alice.post("walnut");
    share(&alice, "plan", "walnut", None);
    desk.clock.advance(1_000);
    let message = alice.call("broadcast", json!({ "content": "walnut" })).ok()["id"].as_i64().unwrap();
    assert_eq!(found(&desk, &text("walnut")).len(), 3);
    desk.clock.advance(1_000);
    alice.update(task, "in_progress").ok();
    alice.call("update_task", json!({ "task_id": task, "status": "blocked", "result": "hazel" })).ok();
    share(&alice, "plan", "hazel", None);
    // Before anybody has brought the index up to date, what it still knows is not shown where it is no longer said.
    let now = desk.clock.now();
    let behind = desk.db().read(|tx| tx.search(&text("walnut"), now)).unwrap();
    assert_eq!(
        behind.rows.iter().map(place).collect::<Vec<_>>(),
        [format!("message {message}"), format!("task {task}")]
    );
    assert_eq!(found(&desk, &text("hazel")), ["context plan".to_owned(), format!("task {task}")]);
    assert_eq!(
        found(&desk, &text("walnut")),
        [format!("task {task}"), format!("message {message}")],
        "it moved up"
    );
    let documents = desk.count("SELECT count(*) FROM search_documents");
    assert_eq!(documents, 3, "each stands once in the index");
}

#[test]
fn expired_context_is_not_found_and_leaves_the_index_when_it_is_removed() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    share(&alice, "short", "walnut", Some(60));
    share(&alice, "long", "walnut", None);
    assert_eq!(found(&desk, &text("walnut")), ["context short", "context long"]);
    desk.clock.advance(61_000);
    assert_eq!(found(&desk, &text("walnut")), ["context long"]);
    // The next write removes what has expired.
    share(&alice, "other", "x", None);
    assert_eq!(desk.count("SELECT count(*) FROM context WHERE key = 'short'"), 0);
    assert_eq!(found(&desk, &text("walnut")), ["context long"]);
    assert_eq!(desk.count("SELECT count(*) FROM search_documents WHERE ref = 'short'"), 0);
    share(&alice, "short", "walnut again", None);
    assert_eq!(found(&desk, &text("walnut")), ["context short", "context long"]);
}

/// Whatever a person types is words, or is refused in words.
#[test]
fn no_text_is_a_query_language() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    for content in ["a OR b", "say \"hi\"", "NEAR the end", "text: column", "100% * 3"] {
        alice.call("broadcast", json!({ "content": content })).ok();
    }
    let long = "x".repeat(100_000);
    let many = "word ".repeat(10_000);
    let strange = [
        "\"",
        "\"\"",
        "a\"b",
        "NEAR(a b, 2)",
        "NEAR",
        "a NEAR/2 b",
        "a AND",
        "OR",
        "NOT a",
        "a NOT b",
        "*",
        "a*",
        "*a",
        "a**b",
        "^a",
        "text:a",
        "text : a",
        "{text}: a",
        "-a",
        "+a",
        "a + b",
        "(a",
        "a)",
        "((((",
        "a\0b",
        "\0",
        "'; DROP TABLE search; --",
        "\u{903}",
        "\u{903}a",
        "a \u{903}",
        "\u{200b}",
        "\u{f0ff}",
        "ﷺ",
        "🙂",
        "é",
        "e\u{301}",
        "漢字",
        "rank MATCH 'x'",
        "  ",
        "",
        &long,
        &many,
    ];
    desk.db().update_search().unwrap();
    for query in strange {
        let query = text(query);
        match desk.db().read(|tx| tx.search(&query, 0)) {
            Ok(_) => {}
            Err(team_table::storage::Error::Refused(refusal)) => {
                let shown: String = query.text.chars().take(20).collect();
                assert!(!query.text.chars().any(|c| c.is_ascii_alphanumeric()), "{shown:?}: {refusal:?}");
                assert!(refusal.message.contains("search for") && !refusal.hint.is_empty(), "{refusal:?}");
            }
            Err(other) => panic!("{:?}: {other}", query.text),
        }
    }
    // What looks like an operator is a word.
    assert_eq!(found(&desk, &text("a OR")), ["message 1"]);
    assert_eq!(found(&desk, &text("NEAR")), ["message 3"]);
    assert_eq!(found(&desk, &text("say \"hi\"")), ["message 2"]);
    assert_eq!(found(&desk, &text("text:column")), ["message 4"]);
    assert_eq!(found(&desk, &text("b NOT a")), [] as [&str; 0], "it is no word of the message");
}

/// The index is made in steps, each of which is bounded, while the table is in use.
#[test]
fn ten_thousand_messages_are_indexed_in_steps() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    let (task, key) = (alice.post("needle in a task"), "k");
    share(&alice, key, "needle in context", None);
    desk.sql()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO messages (sender, recipient, content, created_at, thread_id)
             SELECT 'alice', 'bob', 'hay ' || i || CASE WHEN i % 2500 = 0 THEN ' needle' ELSE '' END, 5, i FROM n",
        )
        .unwrap();
    let steps = || {
        let mut steps = 1;
        while desk.db().write(|tx| tx.index_for_search(1_000)).unwrap() {
            steps += 1;
            let indexed = desk.count("SELECT count(*) FROM search_documents");
            assert!(indexed <= steps * 1_000, "{indexed} after {steps} steps");
            // Somebody writes meanwhile.
            if steps == 3 {
                alice.update(task, "in_progress").ok();
                share(&alice, key, "needle in changed context", None);
            }
        }
        steps
    };
    assert_eq!(steps(), 11, "10,000 messages, a task and an entry");
    assert_eq!(steps(), 1);
    assert_eq!(desk.count("SELECT count(*) FROM search_documents"), 10_002);
    let query = SearchQuery { limit: 3, ..text("needle") };
    let first = page(&desk, &query);
    assert_eq!(first.rows.len(), 3);
    let second = page(&desk, &SearchQuery { before: first.next, ..query.clone() });
    assert_eq!((second.rows.len(), second.next), (3, None));
    assert_eq!(found(&desk, &text("hay 7777")), ["message 7777"]);
    // What is rare among what matches is found page by page.
    let rare = SearchQuery { agent: Some("carol".into()), ..text("hay") };
    let nobody = page(&desk, &rare);
    assert!(nobody.rows.is_empty() && nobody.next.is_some(), "a page looks at 500");
}

/// One step takes no more than about 256 KiB of text.
#[test]
fn a_step_of_the_index_is_bounded_by_the_length_of_texts_too() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    for n in 0..12 {
        share(&alice, &format!("k{n}"), &"long text ".repeat(5_000), None);
    }
    let mut steps = 1;
    while desk.db().write(|tx| tx.index_for_search(1_000)).unwrap() {
        steps += 1;
    }
    assert_eq!(steps, 3, "600 kB");
    assert_eq!(found(&desk, &text("long")).len(), 12);
}

/// Agents' calls write nothing for the index, and searching changes nothing that agents could see.
#[test]
fn searching_is_for_persons_only() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    alice.post("walnut");
    share(&alice, "k", "walnut", None);
    alice.call("broadcast", json!({ "content": "walnut" })).ok();
    assert_eq!(desk.count("SELECT count(*) FROM search_documents"), 0);
    let counts =
        || ["events", "audit", "decisions"].map(|table| desk.count(&format!("SELECT count(*) FROM {table}")));
    desk.flush();
    let before = counts();
    assert_eq!(found(&desk, &text("walnut")).len(), 3);
    assert_eq!(counts(), before);
}
