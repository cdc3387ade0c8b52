//! Many processes on one database: nothing is lost, nothing happens twice, nobody is told that it is locked.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::Duration;

use serde_json::{Value, json};
use team_table::events::Hub;
use team_table::storage::{ChainReport, Db, OpenOptions};
use team_table::tools::{Request, Transport};

use crate::harness::{Desk, Home, Process, eventually};

/// Integrity of the file, and the chain of the audit log, by the library and by the program.
#[track_caller]
fn sound(home: &Home) {
    let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
    assert_eq!(db.read(|tx| tx.integrity()).unwrap(), Vec::<String>::new());
    assert!(matches!(db.read(|tx| tx.verify_audit()).unwrap(), ChainReport::Intact { .. }));
    assert!(home.succeed(&["audit", "verify"]).starts_with("intact: "));
}

#[test]
fn sixteen_processes_make_two_hundred_calls_each_and_nothing_is_lost() {
    const PROCESSES: usize = 16;
    const ROUNDS: usize = 40;
    let home = Home::unlimited();
    let tokens: Vec<String> = {
        let mut first = home.start();
        (0..PROCESSES).map(|at| first.join(&format!("agent{at}"))).collect()
    };
    let start = Barrier::new(PROCESSES);
    let calls = AtomicUsize::new(PROCESSES);
    let (home_ref, tokens, start, calls_ref) = (&home, &tokens, &start, &calls);
    let claimed: Vec<i64> = scope(|scope| {
        let agents: Vec<_> = (0..PROCESSES)
            .map(|at| {
                scope.spawn(move || {
                    let mut process = home_ref.start();
                    let (name, token) = (format!("agent{at}"), &tokens[at]);
                    let next = format!("agent{}", (at + 1) % PROCESSES);
                    let mut call = |tool: &str, mut arguments: Value| {
                        arguments[crate::harness::name_parameter(tool)] = json!(name);
                        arguments["token"] = json!(token);
                        calls_ref.fetch_add(1, Ordering::Relaxed);
                        process.call(tool, arguments)
                    };
                    start.wait();
                    let mut claimed = Vec::new();
                    for round in 0..ROUNDS {
                        call(
                            "send_message",
                            json!({ "recipient": next, "content": format!("{at}/{round}") }),
                        )
                        .ok();
                        call("create_task", json!({ "title": format!("{at}/{round}") })).ok();
                        call("share_context", json!({ "key": "shared", "value": format!("{at}/{round}") }))
                            .ok();
                        call("share_context", json!({ "key": format!("{name}/{round}"), "value": "mine" }))
                            .ok();
                        // Somebody else may have taken the last one, which is no error of the database.
                        let answer = call("claim_task", json!({}));
                        match answer.code() {
                            "ok" => claimed.push(answer.body["id"].as_i64().unwrap()),
                            code => assert_eq!(code, "not_found", "{}", answer.body),
                        }
                    }
                    assert_eq!(process.end(), Some(0));
                    claimed
                })
            })
            .collect();
        agents.into_iter().flat_map(|agent| agent.join().unwrap()).collect()
    });
    assert!(calls.load(Ordering::Relaxed) >= PROCESSES * 200);
    let expected = i64::try_from(PROCESSES * ROUNDS).unwrap();
    for (what, sql) in [
        ("messages", "SELECT count(DISTINCT content) FROM messages"),
        ("inboxes", "SELECT count(*) FROM inbox"),
        ("tasks", "SELECT count(DISTINCT title) FROM tasks"),
        ("versions of one key", "SELECT version FROM context WHERE key = 'shared'"),
        ("keys of their own", "SELECT count(*) FROM context WHERE key <> 'shared'"),
        ("decisions on messages", "SELECT count(*) FROM decisions WHERE action = 'send_message' AND done"),
        ("audit rows of messages", "SELECT count(*) FROM audit WHERE action = 'send_message'"),
        ("events of messages", "SELECT count(*) FROM events WHERE kind = 'message'"),
    ] {
        assert_eq!(home.count(sql), expected, "{what}");
    }
    let distinct: BTreeSet<i64> = claimed.iter().copied().collect();
    assert_eq!(distinct.len(), claimed.len(), "a task was claimed twice");
    assert_eq!(
        home.count("SELECT count(*) FROM tasks WHERE status = 'in_progress'"),
        i64::try_from(claimed.len()).unwrap()
    );
    sound(&home);
}

#[test]
fn of_thirty_two_racing_claims_exactly_one_wins_a_hundred_times() {
    const PROCESSES: usize = 8;
    const EACH: usize = 4;
    const ROUNDS: usize = 100;
    let home = Home::unlimited();
    let mut boss = home.start();
    let token = boss.join("boss");
    let agents: Vec<Vec<(String, String)>> = (0..PROCESSES)
        .map(|process| {
            (0..EACH)
                .map(|at| {
                    let name = format!("racer {process}.{at}");
                    let token = boss.join(&name);
                    (name, token)
                })
                .collect()
        })
        .collect();
    let tasks: Vec<i64> = (0..ROUNDS)
        .map(|round| {
            let task = json!({ "title": format!("{round}"), "creator": "boss", "token": token });
            boss.call("create_task", task).ok()["id"].as_i64().unwrap()
        })
        .collect();
    let start = Barrier::new(PROCESSES);
    let (home_ref, tasks_ref, start) = (&home, &tasks, &start);
    let answers: Vec<(i64, Vec<String>)> = scope(|scope| {
        let racers: Vec<_> = agents
            .iter()
            .map(|agents| {
                scope.spawn(move || {
                    let mut process = home_ref.start();
                    process.call("list_tasks", json!({ "token": agents[0].1 })).ok();
                    tasks_ref
                        .iter()
                        .map(|task| {
                            start.wait();
                            for (name, token) in agents {
                                assert!(process.say(
                                    "claim_task",
                                    json!({ "task_id": task, "agent_name": name, "token": token })
                                ));
                            }
                            // Judged when all is over: a thread that ended here would leave the others waiting.
                            let answer = |_| {
                                process.hear().map_or("gone".to_owned(), |answer| answer.code().to_owned())
                            };
                            (*task, agents.iter().map(answer).collect::<Vec<String>>())
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        racers.into_iter().flat_map(|racer| racer.join().unwrap()).collect()
    });
    for task in &tasks {
        let mut codes: Vec<&str> = answers
            .iter()
            .filter(|(of, _)| of == task)
            .flat_map(|(_, codes)| codes.iter().map(String::as_str))
            .collect();
        codes.sort_unstable();
        let mut expected = vec!["failed_precondition"; PROCESSES * EACH - 1];
        expected.push("ok");
        assert_eq!(codes, expected, "task {task}");
    }
    assert_eq!(
        home.count("SELECT count(*) FROM audit WHERE action = 'claim_task'"),
        i64::try_from(ROUNDS).unwrap()
    );
    sound(&home);
}

/// Calls under way when the kill comes, so that it falls into work.
const AHEAD: usize = 8;

/// One life of a writing process: the contents it was told are sent before it was killed.
fn write_until_killed(home: &Home, life: usize, token: &str) -> Vec<String> {
    let mut process = home.start();
    let mut acknowledged = Vec::new();
    let send = |process: &mut Process, at: usize| {
        let content = format!("{life}/{at}");
        process.say(
            "send_message",
            json!({ "sender": "alice", "token": token, "recipient": "bob", "content": content }),
        )
    };
    // How far it gets differs from life to life.
    let last = 5 + life * 3;
    for at in 0..AHEAD {
        assert!(send(&mut process, at));
    }
    for at in 0..last {
        let answer = process.hear().expect("the process ended by itself").ok();
        acknowledged.push(answer["content"].as_str().unwrap().to_owned());
        send(&mut process, at + AHEAD);
    }
    process.child.kill().unwrap();
    // What it had still written before the signal counts as well.
    while let Some(answer) = process.hear() {
        acknowledged.push(answer.ok()["content"].as_str().unwrap().to_owned());
    }
    process.child.wait().unwrap();
    acknowledged
}

#[test]
fn acknowledged_changes_survive_a_killed_process() {
    let home = Home::unlimited();
    let token = {
        let mut first = home.start();
        first.join("bob");
        first.join("alice")
    };
    let mut acknowledged = Vec::new();
    for life in 0..24 {
        acknowledged.extend(write_until_killed(&home, life, &token));
    }
    assert!(acknowledged.len() >= 24 * 5);
    let connection = home.sql();
    let mut all = connection.prepare("SELECT content FROM messages").unwrap();
    let stored: BTreeSet<String> = all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|content| !stored.contains(*content)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    // Nothing half done: each message has its inbox row, event, audit row and decision.
    let messages = home.count("SELECT count(*) FROM messages");
    for half in [
        "SELECT count(*) FROM inbox",
        "SELECT count(*) FROM events WHERE kind = 'message'",
        "SELECT count(*) FROM audit WHERE action = 'send_message'",
        "SELECT count(*) FROM decisions WHERE action = 'send_message'",
    ] {
        assert_eq!(home.count(half), messages, "{half}");
    }
    sound(&home);
}

#[test]
fn racing_processes_keep_one_audit_chain() {
    let home = Home::unlimited();
    let mut boss = home.start();
    for at in 0..6 {
        boss.join(&format!("agent{at}"));
    }
    scope(|scope| {
        for at in 0..6 {
            let home = &home;
            scope.spawn(move || {
                for role in ["coder", "tester", "agent"] {
                    home.succeed(&["agent", "grant", &format!("agent{at}"), role]);
                }
            });
        }
    });
    assert_eq!(home.count("SELECT count(*) FROM audit WHERE action = 'grant'"), 18);
    sound(&home);
}

/// However calls and the end of the writer fall together, an answer is true: what was done is there, what was not is not.
#[test]
fn calls_that_race_with_the_end_are_done_or_refused() {
    const CALLERS: usize = 4;
    let mut done = 0;
    for round in 0..40 {
        let desk = Desk::new();
        let alice = desk.join("alice");
        let sent = AtomicUsize::new(0);
        let start = Barrier::new(CALLERS + 1);
        let (alice, sent_ref, start_ref) = (&alice, &sent, &start);
        scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(move || {
                    start_ref.wait();
                    while !alice.call("broadcast", json!({ "content": "c" })).is_error {
                        sent_ref.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            start.wait();
            // The end falls on another moment of a commit each time.
            while sent.load(Ordering::SeqCst) < round {
                std::hint::spin_loop();
            }
            desk.table.close();
        });
        let acknowledged = i64::try_from(sent.into_inner()).unwrap();
        assert_eq!(desk.count("SELECT count(*) FROM messages"), acknowledged, "round {round}");
        alice.call("broadcast", json!({ "content": "late" })).refused("unavailable");
        done += acknowledged;
    }
    assert!(done > 0, "nothing was ever under way");
}

/// The runtime lends 512 threads to what blocks. Calls that wait for a locked database must leave some to others.
#[test]
fn calls_that_wait_for_the_database_leave_room_for_streams() {
    let desk = Desk::impatient(Duration::from_mins(1));
    let alice = desk.join("alice");
    let lock = desk.sql();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let table = desk.table.clone();
    let token = alice.token.clone();
    let request = move |n: usize| Request {
        seats: Vec::new(),
        tool: "share_context".into(),
        arguments: json!({"agent_name": "alice", "key": format!("k{n}"), "value": "v"})
            .as_object()
            .unwrap()
            .clone(),
        bearer: Some(token.clone()),
        transport: Transport::Http,
    };
    desk.runtime().block_on(async {
        let calls: Vec<_> = (0..700)
            .map(|n| {
                let (table, request) = (table.clone(), request(n));
                tokio::spawn(async move { table.call(request).await.map(drop) })
            })
            .collect();
        let blocked = || std::fs::read_dir("/proc/self/task").unwrap().count();
        tokio::task::block_in_place(|| eventually("the calls wait", || (blocked() > 384).then_some(())));
        let stream = table.event_stream(Some(&alice.token), "alice", None);
        let opened = tokio::time::timeout(Duration::from_secs(10), stream).await;
        assert!(matches!(opened, Ok(Ok(_))), "a stream waits for the calls");
        lock.execute_batch("ROLLBACK").unwrap();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
}

/// The last two that wait for a member may go at once; the dispatcher must find nobody left and rest.
#[test]
fn dropped_subscriptions_leave_no_waiter() {
    let desk = Desk::new();
    let hub = desk.runtime().block_on(async { Hub::start(desk.db().clone()) });
    for round in 0..2_000 {
        let both = [hub.subscribe(1), hub.subscribe(1)];
        let together = Barrier::new(2);
        scope(|threads| {
            for subscription in both {
                let together = &together;
                threads.spawn(move || {
                    together.wait();
                    drop(subscription);
                });
            }
        });
        assert_eq!(hub.waiting(), 0, "round {round}");
    }
}
