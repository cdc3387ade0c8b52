//! What a person meets first: completions, manual pages, settings as clients write them.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::Home;

#[test]
fn completions_and_manual_pages_name_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.succeed(&["completions", shell]);
        for command in ["escalation", "backup", "rotate-token"] {
            assert!(script.contains(command), "{command} is not in the completions for {shell}");
        }
    }
    let pages = home.path().join("share/man");
    home.succeed(&["man", pages.to_str().unwrap()]);
    for page in ["team-table.1", "team-table-poll.1", "team-table-policy-install.1"] {
        assert!(fs::read_to_string(pages.join(page)).unwrap().contains(".TH"), "{page}");
    }
}

/// Packagers build these without a person's folder.
#[test]
fn completions_and_manual_pages_need_no_home() {
    let home = Home::new();
    let pages = home.path().join("man");
    for arguments in [&["completions", "bash"][..], &["man", pages.to_str().unwrap()]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_team-table"));
        let output = command.args(arguments).env_clear().output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let file = home.path().join("a-file");
    fs::write(&file, "").unwrap();
    let refused = home.run(&["man", file.join("man").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("a-file/man"));
}

#[test]
fn a_command_that_looks_makes_nothing() {
    let home = Home::new();
    let files = || fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let before = files();
    for arguments in [
        &["agent", "list"][..],
        &["audit", "list"],
        &["audit", "verify"],
        &["escalation", "list"],
        &["policy", "log"],
        &["policy", "explain", "1"],
        &["policy", "replay", "builtin:rate-limit"],
        &["backup", "copy.db"],
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.contains("there is no database at") && words.contains("--db"),
            "{arguments:?}: {words}"
        );
    }
    for arguments in [&["policy", "list"][..], &["doctor"], &["policy", "check", "builtin:rate-limit"]] {
        let output = home.run(arguments);
        assert!(!output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(files(), before);
}

#[test]
fn the_help_of_a_command_shows_its_own_flags_first() {
    let home = Home::new();
    let help = home.succeed(&["audit", "list", "-h"]);
    let at = |words: &str| help.find(words).unwrap_or_else(|| panic!("{words} is not in {help}"));
    assert!(at("--since") < at("Global options"), "{help}");
    assert!(at("Global options") < at("--db"), "{help}");
    assert!(!help.contains("--tls-cert"), "a server's flags are not shown: {help}");
    assert!(home.succeed(&["serve", "--help"]).contains("--tls-cert"));
}

#[test]
fn a_command_that_changes_something_answers_in_json() {
    let home = Home::new();
    home.start().join("alice");
    let read = |arguments: &[&str]| -> Value { serde_json::from_str(&home.succeed(arguments)).unwrap() };
    assert_eq!(read(&["agent", "grant", "alice", "lead", "--json"])["role"], "lead");
    let rotated = read(&["--json", "agent", "rotate-token", "alice"]);
    assert!(rotated["token"].as_str().unwrap().len() > 20, "{rotated}");
    let enabled = read(&["policy", "disable", "rate-limit", "--json"]);
    assert!(enabled.is_object(), "{enabled}");
    for arguments in [&["serve", "--json"][..], &["completions", "bash", "--json"]] {
        let refused = home.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8(refused.stderr).unwrap().contains("--json"));
    }
}

#[test]
fn a_server_for_clients_refuses_a_database_that_depends_on_the_folder() {
    let home = Home::new();
    let output = home.run(&["--db", "t.db"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("use an absolute path or ~/"), "{said}");
}

#[test]
fn the_demo_tells_its_story_to_the_end() {
    let home = Home::new();
    let story = home.succeed(&["demo"]);
    assert!(
        story.contains("its audit chain is whole") && story.contains("That was the whole story"),
        "{story}"
    );
}
