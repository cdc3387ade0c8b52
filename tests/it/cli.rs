//! The operator's commands: what they do, what they print, and how they fail.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Home, mode, set_mode, strings};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a command that must succeed, as JSON.
#[track_caller]
fn read(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&home.succeed(arguments)).unwrap()
}

/// A command that must fail with a status and one line; the line.
#[track_caller]
pub(crate) fn complaint(output: Output, status: i32) -> String {
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("team-table: "), "{line}");
    assert!(output.stdout.is_empty());
    line
}

/// A database with two agents; alice's token.
fn with_agents() -> (Home, String) {
    let home = Home::new();
    let mut process = home.start();
    let alice = process.join("alice");
    process.join("bob");
    process.call("create_task", json!({ "title": "t", "creator": "alice", "token": alice })).ok();
    (home, alice)
}

#[test]
fn version_and_help_need_no_database() {
    let home = Home::new();
    let version = home.succeed(&["--version"]);
    let begin = format!("team-table {} (", env!("CARGO_PKG_VERSION"));
    let built_from = version.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(")\n"));
    let (commit, target) = built_from.and_then(|rest| rest.split_once(", ")).expect(&version);
    assert!(!commit.is_empty() && target.starts_with(&format!("{}-", std::env::consts::ARCH)), "{version}");
    let help = home.succeed(&["--help"]);
    for words in
        ["Examples:", "agent grant alice lead", "claude mcp add", "doctor", "TEAM_TABLE_DB", "--transport"]
    {
        assert!(help.contains(words), "--help lacks {words}");
    }
    for command in ["serve", "agent", "audit", "doctor"] {
        assert!(home.succeed(&[command, "--help"]).contains("Usage:"), "{command}");
    }
    assert!(!home.db().exists());
}

#[test]
fn wrong_usage_has_status_two() {
    let home = Home::new();
    for arguments in
        [&["agent", "grant", "alice"][..], &["no-such"], &["--no-such"], &["audit", "list", "--limit", "x"]]
    {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn a_bad_value_is_named_in_one_line_with_what_is_allowed() {
    let home = Home::new();
    for (variable, flag, value, allowed) in [
        ("TEAM_TABLE_PORT", "--port", "http", "65535"),
        ("TEAM_TABLE_PORT", "--port", "70000", "65535"),
        ("TEAM_TABLE_HOST", "--host", "example.org", "127.0.0.1"),
        ("TEAM_TABLE_TRANSPORT", "--transport", "carrier-pigeon", "streamable-http"),
        ("TEAM_TABLE_REQUIRE_TOKENS", "--require-tokens", "maybe", "true or false"),
        ("TEAM_TABLE_DURABILITY", "--durability", "none", "full or normal"),
        ("TEAM_TABLE_LOG", "--log", "x=y=z", "info"),
    ] {
        let by_environment = home.command().env(variable, value).arg("serve").output().unwrap();
        let by_flag = home.run(&["serve", flag, value]);
        for output in [by_environment, by_flag] {
            let line = complaint(output, 2);
            for words in [variable, flag, value, allowed] {
                assert!(line.contains(words), "{line}");
            }
        }
    }
    let open = ["--transport", "sse", "--require-tokens", "false"];
    assert!(complaint(home.run(&open), 2).contains("TEAM_TABLE_HOST=0.0.0.0"));
    let homeless =
        home.command().env_remove("HOME").env_remove("TEAM_TABLE_DB").arg("serve").output().unwrap();
    assert!(complaint(homeless, 2).contains("TEAM_TABLE_DB"));
    assert!(!home.db().exists(), "nothing is made before the settings are right");
}

#[test]
fn agents_are_listed() {
    let (home, _) = with_agents();
    let listed = read(&home, &["agent", "list", "--json"]);
    assert_eq!(strings(&listed["members"], "name"), ["alice", "bob"]);
    assert_eq!(strings(&listed["members"], "presence"), ["online", "online"]);
    let table = home.succeed(&["agent", "list"]);
    assert!(table.lines().next().unwrap().contains("LAST SEEN"));
    assert_eq!(table.lines().count(), 3);
    home.succeed(&["agent", "revoke", "bob"]);
    assert_eq!(strings(&read(&home, &["agent", "list", "--json"])["members"], "name"), ["alice"]);
    assert_eq!(
        strings(&read(&home, &["agent", "list", "--all", "--json"])["members"], "status"),
        ["active", "inactive"]
    );
}

#[test]
fn a_role_is_granted_and_the_running_server_honours_it_at_once() {
    let (home, alice) = with_agents();
    let mut process = home.start();
    let register = |role: &str| json!({ "name": "alice", "token": alice, "role": role });
    process.call("register", register("lead")).refused("permission_denied");
    let bobs = json!({ "agent_name": "alice", "token": alice, "key": "bob/x", "value": "v" });
    process.call("share_context", bobs.clone()).refused("permission_denied");
    assert_eq!(home.succeed(&["agent", "grant", "alice", "lead"]), "alice is now lead\n");
    process.call("share_context", bobs).ok();
    assert_eq!(process.call("register", register("lead")).ok()["role"], "lead");
    assert!(home.succeed(&["agent", "list"]).contains("lead (granted)"));
    complaint(home.run(&["agent", "grant", "nobody", "lead"]), 1);
    complaint(home.run(&["agent", "grant", "alice", "Big Boss"]), 1);
}

#[test]
fn a_token_is_rotated_and_a_revoked_one_is_dead() {
    let (home, old) = with_agents();
    let mut process = home.start();
    let heartbeat = |token: &str| json!({ "name": "alice", "token": token });
    process.call("heartbeat", heartbeat(&old)).ok();
    let new = home.succeed(&["agent", "rotate-token", "alice"]);
    let new = new.trim_end();
    assert!(new.starts_with("tt_") && new.len() == 46, "{new}");
    process.call("heartbeat", heartbeat(&old)).refused("unauthenticated");
    process.call("heartbeat", heartbeat(new)).ok();
    assert_eq!(home.succeed(&["agent", "revoke", "alice"]), "alice is off the table, 1 token(s) revoked\n");
    process.call("heartbeat", heartbeat(new)).refused("unauthenticated");
    for command in ["revoke", "rotate-token"] {
        assert!(complaint(home.run(&["agent", command, "nobody"]), 1).contains("nobody"));
    }
}

#[test]
fn the_audit_log_is_listed_and_filtered() {
    let (home, _) = with_agents();
    home.succeed(&["agent", "grant", "alice", "lead"]);
    let list = |more: &[&str]| read(&home, &[&["audit", "list", "--json"], more].concat())["rows"].clone();
    assert_eq!(
        strings(&list(&[]), "action"),
        ["grant", "create_task", "register", "register"],
        "newest first"
    );
    assert_eq!(strings(&list(&["--agent", "alice"]), "action"), ["create_task", "register"]);
    assert_eq!(strings(&list(&["--action", "register"]), "agent"), ["bob", "alice"]);
    assert_eq!(strings(&list(&["--agent", "operator"]), "target_id"), ["alice"]);
    assert_eq!(list(&["--limit", "1"]).as_array().unwrap().len(), 1);
    assert_eq!(list(&["--since", "1h"]).as_array().unwrap().len(), 4);
    home.sql().execute("UPDATE audit SET at = at - 86400000 WHERE id <= 2", []).unwrap();
    assert_eq!(strings(&list(&["--since", "12h"]), "action"), ["grant", "create_task"]);
    let row = &list(&["--agent", "operator"])[0];
    assert_eq!(row["details"], json!({ "from": "agent", "role": "lead" }));
    assert!(row["at"].as_str().unwrap().ends_with("+00:00"));
    assert!(home.succeed(&["audit", "list"]).trim_start().starts_with("ID"));
    assert_eq!(home.succeed(&["audit", "list", "--agent", "nobody"]), "nothing to show\n");
    for wrong in ["yesterday", "2026-11-22T09:30", "2026-11-22T09:30:00", "2026-11-22 09:30"] {
        let refused = home.run(&["audit", "list", "--since", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
        let words = text(&refused.stderr);
        assert!(words.contains("--since") && words.contains("2026-11-22T09:30:00+01:00"), "{words}");
    }
}

/// Whatever is changed, the first row that does not follow is named, and the status says that something is
/// wrong.
#[test]
fn a_changed_audit_log_is_found_out() {
    for (what, sql, first) in [
        ("a field", "UPDATE audit SET details = '{}' WHERE id = 2", 2),
        ("the agent", "UPDATE audit SET agent = 'bob' WHERE id = 1", 1),
        ("the time", "UPDATE audit SET at = at + 1 WHERE id = 3", 3),
        ("the decision", "UPDATE audit SET decision_id = NULL WHERE id = 3", 3),
        (
            "two fields' border",
            "UPDATE audit SET agent = agent || 'r', action = substr(action, 2) WHERE id = 2",
            2,
        ),
        ("a hash", "UPDATE audit SET hash = randomblob(32) WHERE id = 2", 2),
        ("a hash's length", "UPDATE audit SET hash = x'00' WHERE id = 2", 2),
        ("a row removed", "DELETE FROM audit WHERE id = 2", 3),
        ("the first removed", "DELETE FROM audit WHERE id = 1", 2),
        ("the last removed", "DELETE FROM audit WHERE id = 4", 4),
        ("all removed", "DELETE FROM audit", 1),
        (
            "two swapped",
            "UPDATE audit SET id = 5 - id + 100 WHERE id IN (2, 3); UPDATE audit SET id = id - 100 WHERE id > 100",
            2,
        ),
        (
            "a row put before the first",
            "INSERT INTO audit SELECT 0, at, agent, action, target_type, target_id, details, decision_id, hash FROM audit WHERE id = 1",
            0,
        ),
        (
            "a row added",
            "INSERT INTO audit SELECT 5, at, agent, action, target_type, target_id, details, decision_id, hash FROM audit WHERE id = 4",
            5,
        ),
    ] {
        let (home, _) = with_agents();
        home.succeed(&["agent", "grant", "alice", "lead"]);
        assert_eq!(home.succeed(&["audit", "verify"]), "intact: 4 rows\n");
        assert_eq!(
            read(&home, &["audit", "verify", "--json"]),
            json!({ "intact": true, "sound_rows": 4, "first_broken_row": null })
        );
        home.sql().execute_batch(sql).unwrap();
        let output = home.run(&["audit", "verify"]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}{}", text(&output.stderr));
        assert!(said.starts_with(&format!("broken at row {first}: ")), "{what}: {said}");
        let report: Value = serde_json::from_slice(&home.run(&["audit", "verify", "--json"]).stdout).unwrap();
        assert_eq!(
            (&report["intact"], &report["first_broken_row"]),
            (&json!(false), &json!(first)),
            "{what}"
        );
    }
}

/// What an agent calls itself cannot play tricks on the operator's terminal.
#[test]
fn control_characters_of_agents_are_shown_and_not_obeyed() {
    let home = Home::new();
    home.start().call("register", json!({ "name": "alice", "capabilities": ["\u{1b}[31mred"] })).ok();
    for arguments in [["agent", "list"], ["audit", "list"]] {
        assert!(!home.succeed(&arguments).contains('\u{1b}'));
    }
}

// ---------------------------------------------------------------- doctor

pub(crate) fn doctor(home: &Home, more: &[&str]) -> (Option<i32>, Value) {
    let output = home.run(&[&["doctor", "--json"], more].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

pub(crate) fn finding<'a>(report: &'a Value, what: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["what"] == what).unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_healthy_table() {
    let (home, _) = with_agents();
    let (status, report) = doctor(&home, &["--transport", "sse", "--port", "0", "--host", "127.0.0.1"]);
    assert_eq!((status, &report["ok"]), (Some(0), &json!(true)), "{report}");
    for what in ["permissions", "database", "writing", "integrity", "audit chain", "policies", "port"] {
        assert_eq!(finding(&report, what)["ok"], true, "{report}");
    }
    assert!(finding(&report, "policies")["found"].as_str().unwrap().contains("tool-authorization"));
    assert!(home.succeed(&["doctor"]).lines().all(|line| line.starts_with("ok   ")));
}

#[test]
fn the_doctor_makes_no_database() {
    let home = Home::new();
    let db = home.path().join("new").join("table.db");
    let output = home.command().env("TEAM_TABLE_DB", &db).args(["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(!db.exists());
    let folder = db.parent().unwrap();
    if folder.exists() {
        assert_eq!(mode(folder), 0o700, "the folder it left is open to others");
    }
}

#[test]
fn the_doctor_says_what_is_wrong_and_how_to_mend_it() {
    type Break = fn(&Home);
    let cases: [(&str, &str, Break); 6] = [
        ("permissions", "chmod 600", |home| {
            set_mode(&home.db(), 0o644);
        }),
        ("database", "backup", |home| fs::write(home.db(), "garbage").unwrap()),
        ("database", "--db", |home| {
            home.sql().execute_batch("PRAGMA user_version = 99").unwrap();
        }),
        ("audit chain", "backup", |home| {
            home.sql().execute("UPDATE audit SET agent = 'x' WHERE id = 1", []).unwrap();
        }),
        ("integrity", "restore a backup", |home| {
            let sql = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '(status, id)', '(assignee, id)')
                        WHERE name = 'tasks_by_status'; PRAGMA writable_schema = OFF";
            home.sql().execute_batch(sql).unwrap();
        }),
        ("policies", "policy-set.toml", |home| {
            fs::create_dir_all(home.path().join("policies")).unwrap();
            fs::write(home.path().join("policies/policy-set.toml"), "[[policy]]\nname = 1\n").unwrap();
        }),
    ];
    for (what, mend, break_it) in cases {
        let (home, _) = with_agents();
        set_mode(home.path(), 0o700);
        break_it(&home);
        let (status, report) = doctor(&home, &[]);
        assert_eq!((status, &report["ok"]), (Some(1), &json!(false)), "{what}: {report}");
        let found = finding(&report, what);
        assert_eq!(found["ok"], false, "{report}");
        assert!(found["mend"].as_str().unwrap().contains(mend), "{found}");
        let output = home.run(&["doctor"]);
        let printed = text(&output.stdout);
        // The first look has already mended what opening a database mends.
        if what != "permissions" {
            assert!(
                printed.contains(&format!("WRONG  {what}: ")) && printed.contains("to mend it: "),
                "{printed}"
            );
        }
    }
}

#[test]
fn the_doctor_sees_a_taken_port() {
    let (home, _) = with_agents();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (status, report) = doctor(&home, &["--transport", "sse", "--host", "127.0.0.1", "--port", &port]);
    assert_eq!((status, &finding(&report, "port")["ok"]), (Some(1), &json!(false)));
    let served = home.run(&["serve", "--transport", "sse", "--host", "127.0.0.1", "--port", &port]);
    assert!(complaint(served, 1).contains("TEAM_TABLE_PORT"));
}
