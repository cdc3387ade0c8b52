//! Trouble: a full disk, a locked database, arguments of every wrong kind. The answer is always one the agent
//! can act on, nothing is half done, and afterwards all is well again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use team_table::tools::registry;

use crate::harness::{Desk, Home, Process};

// ---------------------------------------------------------------- a full disk

/// A process that may not let any file grow beyond `kib`, which to `SQLite` is a disk that takes no more.
/// `SIGXFSZ`, which would end it, is ignored; the limit is a soft one, so that it can be lifted.
fn on_a_small_disk(home: &Home, kib: u64) -> Process {
    let mut command = Command::new("sh");
    let plain = home.command();
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // What it would complain of is what the test brings about.
    command.env("TEAM_TABLE_LOG", "off");
    // `ulimit -f` counts in blocks of 512 bytes.
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\"", kib * 2);
    Process::spawn(command.args(["-c", &script]).arg(crate::harness::PROGRAM))
}

fn lift_the_limit(process: &Process) {
    let pid = process.child.id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status();
    assert!(lifted.expect("prlimit (util-linux) is needed").success());
}

#[test]
fn a_full_disk_is_unavailable_for_writing_and_reading_goes_on() {
    let home = Home::unlimited();
    let (alice, bob) = {
        let mut roomy = home.start();
        (roomy.join("alice"), roomy.join("bob"))
    };
    // The disk still takes what the cache and the log need to start with.
    let mut process = on_a_small_disk(&home, 600);
    process.call("list_members", json!({ "token": bob })).ok();
    let content = "x".repeat(9_000);
    let mut sent = 0_i64;
    let refusal = loop {
        let message = json!({ "sender": "alice", "token": alice, "recipient": "bob", "content": content });
        let answer = process.call("send_message", message);
        if answer.is_error {
            break answer.refused("unavailable");
        }
        sent += 1;
        assert!(sent < 1_000, "the disk never fills up");
    };
    assert!(sent > 0, "the disk was full from the start");
    let words = refusal.to_string().to_lowercase();
    for inside in ["sqlite", "disk i/o", "table.db", "errno"] {
        assert!(!words.contains(inside), "{refusal}");
    }
    // Nothing of the refused call is there, and what was there can be read.
    assert_eq!(home.count("SELECT count(*) FROM messages"), sent);
    for _ in 0..3 {
        process
            .call(
                "send_message",
                json!({ "sender": "alice", "token": alice, "recipient": "bob", "content": content }),
            )
            .refused("unavailable");
        let peek = process.call("get_messages", json!({ "token": bob, "peek": true })).ok();
        assert_eq!(peek["remaining"].as_i64().unwrap() + 1, sent);
        process.call("list_tasks", json!({ "token": bob })).ok();
    }
    lift_the_limit(&process);
    process
        .call(
            "send_message",
            json!({ "sender": "alice", "token": alice, "recipient": "bob", "content": "room again" }),
        )
        .ok();
    assert_eq!(home.count("SELECT count(*) FROM messages"), sent + 1);
    assert_eq!(process.end(), Some(0));
    assert!(home.succeed(&["audit", "verify"]).starts_with("intact"));
    assert_eq!(
        home.sql().query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(),
        "ok"
    );
}

/// A file system of 1 MiB in memory; gone when dropped.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    /// `None` where mounting is not allowed. The limit on file sizes above stands for it there.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]).arg(dir.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(dir))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// The same with a disk that is really full: `SQLite` has a code and a rollback of its own for it.
#[test]
fn a_disk_without_space_recovers_when_there_is_space() {
    let Some(tiny) = TinyDisk::mount() else {
        eprintln!("no right to mount a file system: covered by the limit on file sizes alone");
        return;
    };
    let desk = Desk::on(&tiny.0.path().join("table.db"));
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let filler = tiny.0.path().join("filler");
    std::fs::write(&filler, vec![0; 256 * 1024]).unwrap();
    let content = "x".repeat(9_000);
    let send = || alice.call("send_message", json!({ "recipient": "bob", "content": content }));
    let mut count = 0_i64;
    while !send().is_error {
        count += 1;
        assert!(count < 1_000, "the disk never fills up");
    }
    send().refused("unavailable");
    bob.call("get_messages", json!({ "peek": true })).ok();
    // What is smaller than a message may still fit, for a while.
    let mut others = (0..100).map(|n| desk.call("register", json!({ "name": format!("carol-{n}") })));
    others.find(|answer| answer.is_error).expect("the disk never fills up").refused("unavailable");
    assert_eq!(desk.count("SELECT count(*) FROM messages"), count);
    std::fs::remove_file(&filler).unwrap();
    send().ok();
    assert_eq!(desk.count("SELECT count(*) FROM messages"), count + 1);
    assert!(desk.db().read(|tx| tx.integrity()).unwrap().is_empty());
}

// ---------------------------------------------------------------- a locked database

#[test]
fn a_locked_database_is_waited_for_and_then_unavailable() {
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let timeout = Duration::from_millis(300);
        let desk = Desk::impatient(timeout);
        let (alice, bob) = (desk.join("alice"), desk.join("bob"));
        alice.send("bob", "before");
        desk.flush();
        let other = desk.sql();
        other.execute_batch(lock).unwrap();
        let begun = Instant::now();
        alice.call("send_message", json!({ "recipient": "bob", "content": "during" })).refused("unavailable");
        assert!(begun.elapsed() >= timeout, "it did not wait");
        // Reading goes on; what would mark messages as read does not, and none is marked.
        bob.call("list_members", json!({})).ok();
        bob.call("get_messages", json!({})).refused("unavailable");
        let peek = bob.call("get_messages", json!({ "peek": true })).ok();
        assert_eq!(peek["messages"].as_array().unwrap().len(), 1);
        desk.call("register", json!({ "name": "carol" })).refused("unavailable");
        other.execute_batch("ROLLBACK").unwrap();
        desk.join("carol");
        assert_eq!(bob.read(), ["before"]);
        assert_eq!(desk.count("SELECT count(*) FROM messages"), 1);
    }
}

#[test]
fn a_lock_that_is_let_go_in_time_is_not_noticed() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let other = desk.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| alice.call("broadcast", json!({ "content": "patience" })));
        // It holds the lock for as long as the call takes to reach the reader, at least.
        bob.call("list_tasks", json!({})).ok();
        other.execute_batch("ROLLBACK").unwrap();
        call.join().unwrap().ok();
    });
    assert_eq!(bob.read(), ["patience"]);
}

/// Dropped by its caller, a call is still done wholly or not at all.
#[test]
fn a_closed_table_says_so() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    desk.table.close();
    alice.call("broadcast", json!({ "content": "late" })).refused("unavailable");
    alice.call("list_members", json!({})).ok();
}

// ---------------------------------------------------------------- garbage

/// A table that all the garbage is thrown at.
fn garbage_desk() -> &'static (Desk, String) {
    static DESK: OnceLock<(Desk, String)> = OnceLock::new();
    DESK.get_or_init(|| {
        let desk = Desk::new();
        let token = {
            let alice = desk.join("alice");
            desk.join("bob");
            alice.post("a task");
            alice.token
        };
        (desk, token)
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![i64::MIN, -1, 0, 1, 2, 56, 201, i64::MAX]).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop::sample::select(vec![
            "",
            " ",
            "alice",
            "bob",
            "*",
            "\0",
            "a\0b",
            "1",
            "-1",
            "[]",
            "[1]",
            "[\"a\"]",
            "{}",
            "null",
            "true",
            "done",
            "in_progress",
            "high",
            "\u{fffd}\u{10ffff}",
            "'; DROP TABLE members; --",
            "%",
            "9223372036854775808",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A call of any tool, its parameters a mixture of garbage and what fits.
fn any_call() -> impl Strategy<Value = (&'static str, Map<String, Value>)> {
    let tools: Vec<(&'static str, Vec<String>)> = registry()
        // Not these two: they would end the session that the rest of the calls is made in.
        .filter(|spec| !["register", "deregister"].contains(&spec.name))
        .map(|spec| {
            let parameters = spec.input_schema["properties"].as_object().unwrap();
            (spec.name, parameters.keys().filter(|name| *name != "token").cloned().collect())
        })
        .collect();
    prop::sample::select(tools).prop_flat_map(|(tool, parameters)| {
        let values = prop::collection::vec(prop::option::weighted(0.6, any_json()), parameters.len());
        values.prop_map(move |values| {
            let given = parameters.iter().cloned().zip(values);
            (tool, given.filter_map(|(name, value)| Some((name, value?))).collect())
        })
    })
}

const CODES: [&str; 9] = [
    "ok",
    "invalid_argument",
    "unauthenticated",
    "permission_denied",
    "not_found",
    "already_exists",
    "failed_precondition",
    "resource_exhausted",
    "approval_required",
];

/// Calls a tool with what a client sent; the code of the answer. A wait is cut to nothing: what is looked for
/// here is not patience.
fn throw(tool: &str, mut arguments: Map<String, Value>) -> String {
    let (desk, token) = garbage_desk();
    arguments.insert("token".into(), json!(token));
    if arguments
        .get("wait_seconds")
        .is_some_and(|wait| wait.as_i64().is_some_and(|wait| (1..=55).contains(&wait)))
    {
        arguments.remove("wait_seconds");
    }
    let shown = format!("{tool} {arguments:?}");
    let answer = catch_unwind(AssertUnwindSafe(|| desk.call(tool, Value::Object(arguments))));
    let answer = answer.unwrap_or_else(|_| panic!("{shown} panicked"));
    assert!(CODES.contains(&answer.code()), "{shown}: {}", answer.body);
    answer.code().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_garbage_breaks_a_tool((tool, arguments) in any_call()) {
        throw(tool, arguments);
    }

    #[test]
    fn no_garbage_breaks_joining(name in any_json(), role in any_json(), capabilities in any_json(), token in any_json()) {
        let (desk, _) = garbage_desk();
        let arguments = json!({ "name": name, "role": role, "capabilities": capabilities, "token": token });
        let answer = desk.call("register", arguments.clone());
        prop_assert!(CODES.contains(&answer.code()), "{arguments}: {}", answer.body);
    }
}

/// Every kind of value for every parameter of every tool, the others as they should be.
#[test]
fn every_parameter_of_every_tool_takes_every_kind_of_value() {
    let good = |tool: &str, name: &str| match (tool, name) {
        (_, "name" | "sender" | "agent_name" | "creator") => json!("alice"),
        (_, "recipient") => json!("bob"),
        (_, "task_id") => json!(1),
        ("update_task", "status") => json!("in_progress"),
        _ => json!("some text"),
    };
    let kinds = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("text\0with a zero"),
        json!("x".repeat(60_000)),
        json!([]),
        json!([1, "a", null]),
        json!({}),
        json!({ "a": { "b": [] } }),
    ];
    let mut thrown = 0;
    for spec in registry().filter(|spec| spec.name != "deregister") {
        let required =
            spec.input_schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for parameter in spec.input_schema["properties"].as_object().unwrap().keys() {
            for kind in &kinds {
                let names = required.iter().map(|name| name.as_str().unwrap());
                let mut arguments: Map<String, Value> =
                    names.map(|name| (name.to_owned(), good(spec.name, name))).collect();
                arguments.insert(parameter.clone(), kind.clone());
                if parameter == "token" || spec.name == "register" {
                    let answer = garbage_desk().0.call(spec.name, Value::Object(arguments.clone()));
                    assert!(CODES.contains(&answer.code()), "{} {arguments:?}: {}", spec.name, answer.body);
                } else {
                    throw(spec.name, arguments);
                }
                thrown += 1;
            }
        }
    }
    assert!(thrown > 500);
}

/// What was stored of all that comes back as it was.
#[test]
fn odd_text_survives_the_way_through_the_database() {
    let desk = Desk::new();
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    for text in [
        "a\0b",
        "\u{10ffff}",
        "'; DROP TABLE messages; --",
        "\u{202e}abc",
        "🎉\u{200d}",
        "\r\n\t",
        "\\u0000",
        "{\"a\":1}",
    ] {
        if text.trim().is_empty() {
            continue;
        }
        alice.send("bob", text);
        assert_eq!(bob.read(), [text]);
        alice.call("share_context", json!({ "key": text, "value": text })).ok();
        let entry = bob.call("get_shared_context", json!({ "key": text })).ok();
        assert_eq!((&entry["key"], &entry["value"]), (&json!(text), &json!(text)));
        let listed = bob.call("get_shared_context", json!({ "prefix": text })).ok();
        assert_eq!(listed["entries"].as_array().unwrap().len(), 1, "{text:?}");
    }
}
