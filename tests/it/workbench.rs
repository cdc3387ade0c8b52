//! The policy author's workbench: what a candidate would have decided is exactly what it would have decided, a shadow
//! reports what it would have changed and is promoted, and what cannot be done is said in a line.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use serde_json::{Value, json};
use team_table::domain::decision::{
    Fact, FactRequest, Hook, InboxMessage, Input, Outcome, PrincipalView, ToolCall,
};
use team_table::storage::{Db, DecisionRecord, OpenOptions};

use crate::guests::{guest, guest_with_case};
use crate::harness::{Home, START, default_policies, eventually, set_mode};

/// Decisions in the log of the replay's test.
const RECORDED: u64 = 20_000;

#[track_caller]
fn read(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&home.succeed(arguments)).unwrap()
}

/// The one line of a command that was used wrongly.
#[track_caller]
fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn file(home: &Home, name: &str, bytes: &[u8]) -> String {
    let path = home.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

// ---------------------------------------------------------------- replay

/// How many messages the caller of decision `i` had sent: 0 to 36.
const fn sent(i: u64) -> u64 {
    i % 37
}

const fn is_message(i: u64) -> bool {
    i.is_multiple_of(3)
}

/// The `i`th question: a message, another change, or a read; every tenth is a review.
fn question(i: u64) -> Input {
    let principal = PrincipalView {
        name: format!("agent{}", i % 7),
        role: "agent".into(),
        capabilities: vec![],
        authenticated: true,
    };
    let now = START + i64::try_from(i).unwrap();
    if i % 10 == 9 {
        return Input::Review(InboxMessage {
            id: now,
            agent: "alice".into(),
            sender: principal,
            content: if i % 20 == 9 { "green again?".into() } else { "all green".into() },
            thread: 1,
            reply_to: None,
            broadcast: false,
            automatic: false,
            created_at: now,
            now,
        });
    }
    let tool = if is_message(i) {
        "send_message"
    } else {
        ["create_task", "list_tasks"][usize::from(i.is_multiple_of(2))]
    };
    let arguments = json!({ "recipient": "bob", "content": "x".repeat(usize::try_from(i % 50).unwrap()) });
    Input::Authorization(ToolCall { tool: tool.into(), principal, arguments, transport: "stdio".into(), now })
}

fn fact(request: &FactRequest, i: u64) -> Fact {
    let count = json!({ "count": sent(i), "oldest": START });
    let value = match request.name.as_str() {
        "limits.max_replies" => json!(13),
        "thread.auto_depth" => json!(0),
        "thread.participants" => json!(["alice", "bob"]),
        "replies.sent" | "replies.sent_to_sender" => json!({ "count": i % 13, "oldest": START }),
        "messages.sent" => count,
        _ if request.name.starts_with("calls.") => json!({ "count": 0, "oldest": null }),
        _ => Value::Null,
    };
    Fact { request: request.clone(), value }
}

/// Fills the log with decisions of the built-in policies, made as the server makes them; the messages they allowed, by number.
fn record(home: &Home) -> BTreeSet<i64> {
    let set = default_policies().current();
    let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
    let mut allowed = BTreeSet::new();
    for batch in 0..RECORDED / 1_000 {
        let records: Vec<_> = (batch * 1_000..(batch + 1) * 1_000)
            .map(|i| {
                let input = question(i);
                let requests = set.fact_requests(&input);
                let facts: Vec<_> = requests.iter().map(|request| fact(request, i)).collect();
                let decision = set.answer(&input, &facts);
                let at = START + i64::try_from(i).unwrap();
                let new_set = set.record();
                let message = (is_message(i) && decision.hook == Hook::Authorization).then_some(sent(i));
                let passed = message.filter(|_| decision.outcome == Outcome::Allow);
                (
                    passed,
                    DecisionRecord {
                        at,
                        agent_id: None,
                        input: input.into(),
                        facts,
                        decision,
                        done: true,
                        micros: 1,
                        new_set,
                    },
                )
            })
            .collect();
        let written = db.write(move |tx| {
            records
                .iter()
                .map(|(passed, record)| Ok((*passed, tx.record_decision(record)?)))
                .collect::<Result<Vec<_>, _>>()
        });
        let messages = written.unwrap().into_iter();
        allowed.extend(messages.filter_map(|(passed, id)| passed.filter(|sent| *sent >= 20).map(|_| id)));
    }
    allowed
}

fn flipped(report: &Value) -> BTreeSet<i64> {
    let kinds = report["flips"].as_array().unwrap().iter();
    kinds
        .flat_map(|kind| kind["examples"].as_array().unwrap())
        .map(|it| it["decision"].as_i64().unwrap())
        .collect()
}

#[test]
fn a_replay_flips_what_the_changed_rule_touches_and_nothing_else() {
    let home = Home::new();
    let over_twenty = record(&home);
    assert!(over_twenty.len() > 1_000, "{}", over_twenty.len());
    let total = i64::try_from(RECORDED).unwrap();

    // The same modules flip nothing.
    for name in ["rate-limit", "tool-authorization", "question-detection", "reply-cap", "wake-cap"] {
        let same = read(&home, &["policy", "replay", &format!("builtin:{name}"), "--json", "--fail-on-flip"]);
        assert_eq!(
            (&same["replayed"], &same["flipped"], &same["own_answer_differs"], &same["not_replayed"]),
            (&json!(total), &json!(0), &json!(0), &json!([])),
            "{same}"
        );
    }

    // One number of one rule: exactly the messages between the old limit and the new.
    let stricter =
        ["policy", "replay", "builtin:rate-limit", "--settings", "max_messages=20", "--examples", "99999"];
    let report = read(&home, &[&stricter[..], &["--json"]].concat());
    assert_eq!(flipped(&report), over_twenty);
    let kind = &report["flips"][0];
    assert_eq!((&kind["from"], &kind["to"]), (&json!("allow"), &json!("deny")));
    assert_eq!(report["flips"].as_array().unwrap().len(), 1, "{}", report["flips"]);
    let now = kind["examples"][0]["now"].as_str().unwrap();
    assert!(now.starts_with("rate-limit: rate_limited: "), "{now}");

    // For people the same, and for scripts a status.
    let output = home.run(&[&stricter[..5], &["--fail-on-flip"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("{} would flip", over_twenty.len())), "{text}");
    assert!(text.contains(&format!("allow → deny: {}", over_twenty.len())), "{text}");

    // Another module in its place: nothing that was allowed is.
    let denies = file(&home, "denies.wasm", &guest("denies"));
    let report = read(
        &home,
        &["policy", "replay", &denies, "--name", "rate-limit", "--json", "--hook", "authorization"],
    );
    let calls = home.count("SELECT count(*) FROM decisions WHERE hook = 'authorization'");
    let allowed = home.count("SELECT count(*) FROM decisions WHERE outcome = 'allow'");
    assert_eq!((&report["replayed"], &report["flipped"]), (&json!(calls), &json!(allowed)), "{report}");

    // Messages are another hook: a rule less lets them through, and only them.
    let silent = read(
        &home,
        &["policy", "replay", "builtin:question-detection", "--settings", "question_mark=false", "--json"],
    );
    let asked = home.count("SELECT count(*) FROM decisions WHERE code = 'question'");
    assert_eq!(
        (&silent["flips"][0]["from"], &silent["flips"][0]["to"]),
        (&json!("escalate"), &json!("pass"))
    );
    assert_eq!((silent["flipped"].as_i64(), asked > 0), (Some(asked), true));

    // A fact that nobody recorded cannot be made up.
    let window =
        read(&home, &["policy", "replay", "builtin:rate-limit", "--settings", "window_seconds=61", "--json"]);
    assert_eq!(window["flipped"], 0);
    let missing = &window["not_replayed"][0];
    assert!(missing["why"].as_str().unwrap().contains("was not recorded"), "{window}");
    assert_eq!(missing["count"].as_i64().unwrap() + window["replayed"].as_i64().unwrap(), total);

    // None are as young as that.
    let later = read(&home, &["policy", "replay", "builtin:rate-limit", "--since", "2100-01-01", "--json"]);
    assert_eq!(later["replayed"], 0, "{later}");
    let since = home.run(&["policy", "replay", "builtin:rate-limit", "--since", "soon"]);
    assert_eq!(since.status.code(), Some(2));
    assert!(String::from_utf8(since.stderr).unwrap().contains("use 90s, 30m, 12h, 7d"));
}

// ---------------------------------------------------------------- shadow

#[test]
fn a_shadow_reports_what_it_would_have_changed_and_is_promoted() {
    let home = Home::new();
    let mut process = home.start();
    let alice = json!({ "name": "alice", "token": process.join("alice") });
    let denies = file(&home, "denies.wasm", &guest("denies"));
    let said = home.succeed(&["policy", "install", &denies, "--shadow", "--name", "stern"]);
    assert!(said.contains("is asked beside the live set"), "{said}");
    let shadowed = || home.count("SELECT count(*) FROM decisions WHERE verdicts LIKE '%stern%'");
    eventually("the shadow is asked", || {
        process.call("heartbeat", alice.clone()).ok();
        process
            .call(
                "share_context",
                json!({ "key": "k", "value": "v", "agent_name": "alice", "token": alice["token"] }),
            )
            .ok();
        (shadowed() > 0).then_some(())
    });
    drop(process);
    let report = read(&home, &["policy", "shadow-report", "stern", "--json"]);
    let asked = shadowed();
    assert_eq!(
        [&report["asked"], &report["disagreed"], &report["agreed"], &report["failed"]],
        [&json!(asked), &json!(asked), &json!(0), &json!(0)],
        "{report}"
    );
    let example = &report["disagreements"][0]["examples"][0];
    assert_eq!((&example["agent"], &report["disagreements"][0]["from"]), (&json!("alice"), &json!("allow")));
    // Each is linked to its explanation.
    let id = example["decision"].to_string();
    let explained = read(&home, &["policy", "explain", &id, "--json"]);
    assert_eq!(explained["same"], true, "{explained}");
    let text = home.succeed(&["policy", "shadow-report", "stern"]);
    assert!(
        text.contains(&format!("would have changed {asked}")) && text.contains("policy promote stern"),
        "{text}"
    );

    // Another version in the shadow of itself would take the live one out of force.
    home.succeed(&["policy", "promote", "stern"]);
    let mut process = home.start();
    assert_eq!(process.call("heartbeat", alice.clone()).refused("permission_denied")["policy"], "stern");
    let again = home.run(&["policy", "install", &denies, "--shadow", "--name", "stern"]);
    assert!(complaint(&again).contains("--name stern-next"), "{again:?}");
    home.succeed(&[
        "policy",
        "install",
        &file(&home, "abstains.wasm", &guest("abstains")),
        "--shadow",
        "--name",
        "mild",
    ]);
    home.succeed(&["policy", "promote", "mild", "--instead-of", "stern"]);
    eventually("the stern one is gone", || {
        (!process.call("heartbeat", alice.clone()).is_error).then_some(())
    });
    let unknown = home.run(&["policy", "shadow-report", "stern"]);
    assert!(complaint(&unknown).contains("there is no policy \"stern\""), "{unknown:?}");
}

#[test]
fn an_earlier_version_s_verdicts_are_no_part_of_the_report() {
    let home = Home::new();
    let denies = file(&home, "denies.wasm", &guest("denies"));
    home.succeed(&["policy", "install", &denies, "--shadow", "--name", "stern"]);
    let mut process = home.start();
    process.join("alice");
    drop(process);
    home.succeed(&[
        "policy",
        "install",
        &file(&home, "abstains.wasm", &guest("abstains")),
        "--shadow",
        "--name",
        "stern",
    ]);
    let report = read(&home, &["policy", "shadow-report", "stern", "--json"]);
    assert_eq!((&report["asked"], &report["by_earlier_versions"]), (&json!(0), &json!(1)), "{report}");
}

// ---------------------------------------------------------------- limits, bench, new, build

#[test]
fn limits_are_given_on_the_command_line_and_kept() {
    let home = Home::new();
    let guest = file(&home, "denies.wasm", &guest("denies"));
    for (limit, what) in [
        ("fuel", "not name=value"),
        ("fuel=0", "from 1 to"),
        ("fuel=many", "invalid type"),
        ("colour=1", "unknown field `colour`"),
        ("memory_mib=257", "from 1 to 256"),
    ] {
        let output = home.run(&["policy", "install", &guest, "--limit", limit]);
        let said = complaint(&output);
        assert!(said.contains(what), "{limit}: {said}");
    }
    home.succeed(&["policy", "install", &guest, "--limit", "fuel=12345", "--limit", "module_mib=9"]);
    let set = fs::read_to_string(home.path().join("policies/policy-set.toml")).unwrap();
    assert!(set.contains("fuel = 12345") && set.contains("module_mib = 9"), "{set}");
    // Installed anew they stay.
    home.succeed(&["policy", "install", &guest]);
    let set = fs::read_to_string(home.path().join("policies/policy-set.toml")).unwrap();
    assert!(set.contains("fuel = 12345") && set.contains("module_mib = 9"), "{set}");
}

#[test]
fn a_built_in_policy_is_a_module_like_any_other() {
    let home = Home::new();
    home.succeed(&["policy", "install", "builtin:rate-limit", "--settings", "max_messages=1"]);
    let set = fs::read_to_string(home.path().join("policies/policy-set.toml")).unwrap();
    assert!(set.contains("module = \"builtin:rate-limit\"") && set.contains("max_messages = 1"), "{set}");
    assert!(!set.contains("digest"), "it changes with the program: {set}");
    assert!(complaint(&home.run(&["policy", "check", "builtin:nothing"])).contains("no built-in policy"));
}

#[test]
fn a_bench_tells_what_every_case_costs() {
    let home = Home::new();
    let guest = file(&home, "abstains.wasm", &guest_with_case("abstains"));
    let report = read(&home, &["policy", "bench", &guest, "--json"]);
    let cases = report["cases"].as_array().unwrap();
    assert_eq!((cases.len(), &cases[0]["name"]), (1, &json!("an ordinary call")), "{report}");
    for case in cases {
        let micros = |which: &str| case[which].as_f64().unwrap();
        assert!(micros("p50_micros") > 0.0 && micros("p50_micros") <= micros("p99_micros"), "{case}");
        assert!(case["fuel"].as_u64().unwrap() > 0 && case["memory"].as_u64().unwrap() >= 65_536, "{case}");
    }
    assert_eq!(report["built_in"].as_array().unwrap().len(), 5);
}

#[test]
fn a_new_policy_is_a_crate_or_nothing() {
    let home = Home::new();
    let new = |arguments: &[&str]| {
        let mut command = home.command();
        command.args(["policy", "new"]).args(arguments).current_dir(home.path());
        command.output().unwrap()
    };
    for name in ["", "No", "1st", "a b", "../x", "a--b", "a-", "ä"] {
        let said = complaint(&new(&[name]));
        assert!(said.contains("is not a policy name"), "{name:?}: {said}");
    }
    for (hook, export) in [
        ("authorization", "authorization"),
        ("escalation", "escalation"),
        ("both", "authorization + escalation"),
    ] {
        let name = format!("my-{hook}");
        let output = new(&[&name, "--hook", hook]);
        assert!(output.status.success(), "{output:?}");
        let crate_dir = home.path().join(&name);
        let policy = fs::read_to_string(crate_dir.join("src/lib.rs")).unwrap();
        let files = "cases = \"cases/cases.toml\", settings = \"src/settings.toml\"";
        assert!(policy.contains(&format!(": {export}, {files});")), "{policy}");
        let described = fs::read_to_string(crate_dir.join("src/settings.toml")).unwrap();
        assert_eq!(described.matches("[[setting]]").count(), 1, "{described}");
        assert!(policy.contains(&format!("NAME: &'static str = \"{name}\"")), "{policy}");
        assert_eq!(
            fs::read_to_string(crate_dir.join("cases/cases.toml")).unwrap().matches("[[case]]").count(),
            3
        );
        for file in ["Cargo.toml", "README.md", ".gitignore"] {
            let text = fs::read_to_string(crate_dir.join(file)).unwrap();
            assert!(!text.contains("my-rule") && !text.contains("SETTINGS") && !text.is_empty(), "{text}");
        }
    }
    assert!(complaint(&new(&["my-both"])).contains("is there already"));
}

#[test]
fn a_compiler_without_the_target_is_told_of_it() {
    let home = Home::new();
    let new = home.command().args(["policy", "new", "mine"]).current_dir(home.path()).output().unwrap();
    assert!(new.status.success());
    // A compiler that has never heard of WebAssembly.
    let rustc = home.path().join("rustc");
    fs::write(&rustc, "#!/bin/sh\necho /nowhere\n").unwrap();
    set_mode(&rustc, 0o755);
    let build = |rustc: &str, dir: &str, command: &str| {
        let mut run = home.command();
        run.args(["policy", command, dir]).current_dir(home.path()).env("TEAM_TABLE_WASM_RUSTC", rustc);
        complaint(&run.output().unwrap())
    };
    for command in ["build", "test"] {
        let said = build(rustc.to_str().unwrap(), "mine", command);
        assert!(said.contains("run `rustup target add wasm32-unknown-unknown`"), "{said}");
        assert!(said.contains("TEAM_TABLE_WASM_RUSTC"), "{said}");
        assert!(build("/no/such/rustc", "mine", command).contains("cannot run /no/such/rustc"));
        assert!(build("rustc", ".", command).contains("team-table policy new NAME"));
    }
}
