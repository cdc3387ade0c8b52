//! `team-table policy`: what it refuses, what it says, what it changes, and that running processes follow.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Barrier;
use std::thread::scope;
use std::time::Instant;

use serde_json::{Value, json};

use crate::guests::{guest, guest_with, guest_with_case, with_section};
use crate::harness::{Answer, Home, Network, NetworkClient, Process, UNLIMITED, eventually};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file beside the database.
fn file(home: &Home, name: &str, bytes: &[u8]) -> String {
    let path = home.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn set_file(home: &Home) -> PathBuf {
    home.path().join("policies/policy-set.toml")
}

/// Standard output of a command that must succeed, as JSON.
#[track_caller]
fn read(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&home.succeed(arguments)).unwrap()
}

/// The one line of a command that must fail; whichever stream it is on, no other line says what is wrong.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{}", text(&output.stdout));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    // Where something is printed, standard error may hold the log of the same.
    assert!(!out.is_empty() || err.lines().count() == 1, "{err}");
    let said = if out.is_empty() { &err } else { &out };
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said}");
    let lines: Vec<_> = out
        .lines()
        .chain(err.lines())
        .filter(|line| {
            ["team-table: ", "REFUSED: "].iter().any(|start| line.starts_with(start))
                || line.contains("FAILED: ")
        })
        .collect();
    let [line] = lines[..] else { panic!("not one line: {out}{err}") };
    line.to_owned()
}

/// A stdio process and an HTTP server on the same table, and alice at both.
struct Running {
    stdio: Process,
    server: Network,
    client: NetworkClient,
    alice: Value,
}

impl Running {
    fn start(home: &Home) -> Self {
        let mut stdio = home.start();
        let server = Network::start(home);
        let alice = json!({ "name": "alice", "token": stdio.join("alice") });
        Self { stdio, client: server.client(), server, alice }
    }

    fn ask(&mut self) -> [Answer; 2] {
        [self.stdio.call("heartbeat", self.alice.clone()), self.client.call("heartbeat", self.alice.clone())]
    }

    /// Both allow a call.
    #[track_caller]
    fn allowed(&mut self) {
        for answer in self.ask() {
            answer.ok();
        }
    }

    /// Calls until both answer so: `ok`, or the reason of a refusal. How long it took.
    #[track_caller]
    fn follow(&mut self, wanted: &str) -> u128 {
        let start = Instant::now();
        eventually(wanted, || {
            let all = self.ask().iter().all(|answer| {
                let found = if answer.is_error { answer.body["reason"].as_str() } else { Some("ok") };
                found == Some(wanted)
            });
            all.then_some(())
        });
        start.elapsed().as_millis()
    }
}

/// The digest of the set that made the newest decision.
fn deciding(home: &Home) -> String {
    home.sql()
        .query_row("SELECT set_digest FROM decisions ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .unwrap()
}

// ---------------------------------------------------------------- bad input

/// Every file that is no policy, and what is said of it.
fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut big = b"\0asm".to_vec();
    big.resize(4 * 1024 * 1024 + 1, 0);
    let mut cut = guest("abstains");
    cut.truncate(cut.len() / 2);
    let cases = |text: &str| with_section(guest("abstains"), "team-table:cases", text);
    vec![
        ("empty", Vec::new(), "not WebAssembly"),
        ("text", b"#!/bin/sh\nexit 0\n".to_vec(), "not WebAssembly"),
        ("half", cut, "not a valid component"),
        ("core", guest("core_module"), "a core module, not a component"),
        ("imports", guest("imports"), "imports wasi:clocks/wall-clock@0.2.0"),
        ("nothing", guest("exports_nothing"), "exports no hook"),
        ("no-metadata", guest("no_metadata"), "does not export team-table:policy/metadata@1.0.0"),
        ("types", guest("wrong_types"), "has the wrong type"),
        ("version", guest("version_2"), "this host supports version 1.0.0"),
        ("big", big, "at most 4194304 are allowed"),
        ("trap", guest("traps_in_configure"), "configure failed (trap)"),
        ("loop", guest("loops_in_configure"), "configure failed (out of fuel)"),
        ("grow", guest("grows_in_configure"), "configure failed (out of memory)"),
        ("settings", guest("refuses_settings"), "settings refused: max must be 1 or more"),
        (
            // 21 bytes, as the text it replaces.
            "red",
            guest_with("refuses_settings", "max must be 1 or more", "\\1b[31m must be\\0a1 more."),
            "settings refused: \\u{1b}[31m must be\\n1 more",
        ),
        ("fact", guest("asks_unknown_fact"), "weather.today"),
        ("table", guest("changes_tables"), "cannot be snapshotted"),
        ("case", guest_with_case("denies"), "expected abstain"),
        ("case-trap", guest_with_case("traps"), "trap"),
        ("case-loop", guest_with_case("loops_in_call"), "out of fuel"),
        ("case-grow", guest_with_case("grows_in_call"), "out of memory"),
        ("case-recurse", guest_with_case("recurses"), "trap"),
        ("case-megabytes", guest_with_case("returns_megabytes"), "expected abstain"),
        ("case-pointer", guest_with_case("returns_wild_pointer"), "expected abstain"),
        ("cases-typo", cases("[[case]]\nnmae = \"x\"\n"), "its embedded cases cannot be read"),
    ]
}

#[test]
fn check_and_install_name_a_bad_file_in_one_line() {
    let home = Home::unlimited();
    let before = fs::read_to_string(set_file(&home)).unwrap();
    let (checks, missing) = (bad_files(), home.path().join("missing.wasm"));
    for (name, bytes, why) in &checks {
        let path = file(&home, &format!("{name}.wasm"), bytes);
        for command in ["check", "install"] {
            let line = refusal(&home.run(&["policy", command, &path]));
            assert!(line.contains(why), "{command} {name}: {line}");
        }
    }
    let line = refusal(&home.run(&["policy", "check", missing.to_str().unwrap()]));
    assert!(line.contains("missing.wasm"), "{line}");
    let good = file(&home, "good.wasm", &guest("abstains"));
    let line = refusal(&home.run(&["policy", "check", &good, "--settings", "nonsense"]));
    assert!(line.contains("is not name=value"), "{line}");
    let limit = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/dist/rate-limit.wasm");
    let line = refusal(&home.run(&["policy", "check", limit, "--settings", "max_mesages=3"]));
    assert!(line.contains("settings refused") && line.contains("max_mesages"), "{line}");
    assert_eq!(fs::read_to_string(set_file(&home)).unwrap(), before);
    let copied = fs::read_dir(home.path().join("policies")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(copied.filter(|path| path.extension() == Some("wasm".as_ref())).count(), 0);
}

#[test]
fn a_good_file_is_described() {
    let home = Home::new();
    let limit = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/dist/rate-limit.wasm");
    let plain = home.succeed(&["policy", "check", limit]);
    for words in ["rate-limit 1.0.0", "hooks   authorization", "messages.sent", "CASE", "FUEL", "KIB"] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    let report = read(&home, &["policy", "check", limit, "--json"]);
    assert_eq!(report["name"], "rate-limit");
    let cases = report["cases"].as_array().unwrap();
    assert!(!cases.is_empty() && cases.iter().all(|case| case["passed"] == true), "{report}");
    assert!(cases.iter().any(|case| case["fuel"].as_u64() > Some(0) && case["memory"].as_u64() > Some(0)));
}

#[test]
fn invalid_set_keeps_previous_set_active() {
    let home = Home::unlimited();
    let mut running = Running::start(&home);
    running.follow("ok");
    let old = deciding(&home);
    let guest_named =
        |module: &str| format!("{UNLIMITED}\n[[policy]]\nname = \"guest\"\nmodule = \"{module}\"\n");
    let pinned = format!("{}digest = \"{}\"\n", guest_named("text.wasm"), "0".repeat(64));
    let mut sets: Vec<(String, String)> = [
        ("[[policy]]\nname = \"x\"\nmodule = \"builtin:reply-cap\"\nmod = 1\n", "unknown field `mod`"),
        ("[[policy]\nname = \"x\"\n", "policy-set.toml line 1"),
        ("[[policy]]\nname = \"x\"\n", "missing field `module`"),
        ("", "names no policy"),
        ("[[policy]]\nname = \"x\"\nmodule = \"builtin:no-such\"\n", "no built-in policy `no-such`"),
        ("[[policy]]\nname = \"X y\"\nmodule = \"builtin:reply-cap\"\n", "must match [a-z]"),
        ("[[policy]]\nname = \"x\"\nmodule = \"../x.wasm\"\n", "must be a file name in the policy directory"),
        (
            "[[policy]]\nname = \"x\"\nmodule = \"builtin:rate-limit\"\nsettings = { max_messages = 0 }\n",
            "policy `x`: settings refused",
        ),
        (
            "[[policy]]\nname = \"x\"\nmodule = \"builtin:rate-limit\"\nlimits = { fuel = 0 }\n",
            "limit `fuel` must be from 1",
        ),
    ]
    .map(|(set, why)| (set.to_owned(), why.to_owned()))
    .into();
    let twice = UNLIMITED.replace("builtins = \"named\"\n", "");
    sets.push((format!("{UNLIMITED}{twice}"), "two policies named `tool-authorization`".into()));
    sets.push((guest_named("missing.wasm"), "there is no such file".into()));
    sets.push((pinned, "but the set file pins 0000".into()));
    for (name, bytes, why) in bad_files() {
        let module = format!("{name}.wasm");
        fs::write(home.path().join("policies").join(&module), bytes).unwrap();
        sets.push((guest_named(&module), why.to_owned()));
    }
    for (set, why) in sets {
        fs::write(set_file(&home), &set).unwrap();
        running.server.wait_for_metric("team_table_policy_set_refused", |value| value > 0.5);
        running.allowed();
        assert_eq!(deciding(&home), old, "{why}");
        let line = refusal(&home.run(&["policy", "list"]));
        assert!(line.starts_with("REFUSED: ") && line.contains(&why), "{why}: {line}");
        fs::write(set_file(&home), UNLIMITED).unwrap();
        running.server.wait_for_metric("team_table_policy_set_refused", |value| value < 0.5);
    }
    assert_eq!(running.server.metric("team_table_policy_set_generation"), Some(1.0));
    running.allowed();
    assert_eq!(deciding(&home), old);
}

// ---------------------------------------------------------------- the life of an installed policy

/// A set file with something to say on every line.
const COMMENTED: &str = "\
# the house rules
[[policy]] # the first
name = \"tool-authorization\" # who may what
module = \"builtin:tool-authorization\"

# agreed on Monday
[policy.settings]
extra_roles = [\"translator\"] # she asked for it
";

#[test]
fn an_installed_policy_decides_everywhere_until_it_is_removed() {
    let home = Home::with_set(Some(COMMENTED));
    let mut running = Running::start(&home);
    running.follow("ok");
    let denies = file(&home, "denies.wasm", &guest("denies"));
    let said = home.succeed(&["policy", "install", &denies]);
    assert!(said.starts_with("guest 1.0.0 (") && said.contains(") decides; set "), "{said}");
    println!("after `install` both processes refuse within {} ms", running.follow("no"));
    let set = fs::read_to_string(set_file(&home)).unwrap();
    let digest = blake3::hash(&guest("denies")).to_hex();
    assert!(set.starts_with(COMMENTED), "{set}");
    assert!(set.contains(&format!("digest = \"{digest}\"")), "{set}");

    let list = read(&home, &["policy", "list", "--json"]);
    let guest_row = list["policies"].as_array().unwrap().iter().find(|it| it["name"] == "guest").unwrap();
    assert_eq!((&guest_row["digest"], &guest_row["mode"]), (&json!(digest.as_str()), &json!("enforce")));
    let plain = home.succeed(&["policy", "list"]);
    assert!(plain.contains("guest") && plain.contains("does one thing"), "{plain}");

    assert_eq!(home.succeed(&["policy", "disable", "guest"]).split(';').next(), Some("guest is off"));
    running.follow("ok");
    home.succeed(&["policy", "enable", "guest"]);
    running.follow("no");
    home.succeed(&["policy", "remove", "guest"]);
    println!("after `remove` both processes allow within {} ms", running.follow("ok"));
    assert_eq!(fs::read_to_string(set_file(&home)).unwrap().trim_end(), COMMENTED.trim_end());
    for command in ["remove", "enable", "disable", "rollback"] {
        let line = refusal(&home.run(&["policy", command, "guest"]));
        assert!(line.contains("no policy `guest` in the set"), "{command}: {line}");
    }
}

#[test]
fn a_rollback_goes_to_the_module_before_and_the_set_file_says_so() {
    let home = Home::unlimited();
    let mut running = Running::start(&home);
    let (denies, abstains) = (guest("denies"), guest("abstains"));
    home.succeed(&["policy", "install", &file(&home, "a.wasm", &abstains)]);
    let line = refusal(&home.run(&["policy", "rollback", "guest"]));
    assert!(line.contains("no earlier module to go back to"), "{line}");
    let named = fs::read_to_string(set_file(&home)).unwrap();
    home.succeed(&["policy", "install", &file(&home, "d.wasm", &denies)]);
    running.follow("no");
    let said = home.succeed(&["policy", "rollback", "guest"]);
    assert!(said.contains("back at the module before"), "{said}");
    running.follow("ok");
    assert_eq!(
        fs::read_to_string(set_file(&home)).unwrap(),
        named,
        "a copy of the folder is rolled back, too"
    );
    // Asked once more, it does not go forward again.
    let line = refusal(&home.run(&["policy", "rollback", "guest"]));
    assert!(line.contains("no earlier module to go back to"), "{line}");
    running.allowed();
    home.succeed(&["policy", "install", &file(&home, "d.wasm", &denies)]);
    running.follow("no");
}

#[test]
fn every_change_of_the_policies_is_in_the_audit_log() {
    let home = Home::unlimited();
    let module = file(&home, "guest.wasm", &guest("abstains"));
    let denies = file(&home, "denies.wasm", &guest("denies"));
    let digest = |name: &str| json!(blake3::hash(&guest(name)).to_hex().as_str());
    for command in [
        vec!["install", &module],
        vec!["install", &denies],
        vec!["rollback", "guest"],
        vec!["disable", "guest"],
        vec!["enable", "guest"],
        vec!["install", &denies, "--shadow", "--name", "next"],
        vec!["promote", "next", "--instead-of", "guest"],
        vec!["remove", "next"],
    ] {
        home.succeed(&[&["policy"][..], &command].concat());
    }
    let history = read(&home, &["policy", "history", "--json"]);
    let rows = history["changes"].as_array().unwrap();
    let change = |at: usize| {
        let row = &rows[rows.len() - 1 - at];
        let side = |side: &str| row["details"][side]["module"].clone();
        (row["action"].as_str().unwrap().to_owned(), side("from"), side("to"))
    };
    let (old, new) = (digest("abstains"), digest("denies"));
    assert_eq!(rows.len(), 8, "{history:#}");
    assert_eq!(change(0), ("policy_install".into(), Value::Null, old.clone()));
    assert_eq!(change(1), ("policy_install".into(), old.clone(), new.clone()));
    assert_eq!(change(2), ("policy_rollback".into(), new.clone(), old.clone()));
    assert_eq!(change(3).0, "policy_disable");
    assert_eq!(rows[4]["details"]["to"]["mode"], "off", "{:#}", rows[4]);
    assert_eq!(change(4).0, "policy_enable");
    assert_eq!(change(6), ("policy_promote".into(), new.clone(), new.clone()));
    assert_eq!(change(7), ("policy_remove".into(), new, Value::Null));
    assert!(
        rows.iter().all(|row| row["agent"] == "operator" && row["details"]["uid"].is_u64()),
        "{history:#}"
    );
    assert!(home.succeed(&["policy", "history"]).contains("rollback"));
    assert!(home.succeed(&["audit", "verify"]).starts_with("intact"));
}

#[test]
fn a_set_file_edited_by_hand_is_in_the_audit_log() {
    let home = Home::unlimited();
    let mut server = home.start();
    server.join("alice");
    let changes = || read(&home, &["policy", "history", "--json"])["changes"].as_array().unwrap().clone();
    let recorded = |count: usize| {
        eventually("the set is recorded", || Some(changes()).filter(|changes| changes.len() == count))
    };
    recorded(1);
    fs::write(
        set_file(&home),
        "[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\nmode = \"off\"\n",
    )
    .unwrap();
    let change = &recorded(2)[0];
    assert_eq!(change["action"], "policy_set");
    let policies = change["details"]["policies"].as_array().unwrap();
    assert!(
        !policies.iter().any(|policy| policy["name"] == "rate-limit" && policy["mode"] != "off"),
        "{change:#}"
    );
}

/// An update names only the file: what the set says of the policy stays.
#[test]
fn an_update_without_a_name_keeps_settings_and_limits() {
    let home = Home::unlimited();
    let module = file(&home, "guest.wasm", &guest("abstains"));
    let update = file(&home, "update.wasm", &guest("denies"));
    home.succeed(&["policy", "install", &module, "--settings", "word=hello", "--limit", "fuel=20000000"]);
    let deciding = || read(&home, &["policy", "list", "--json"])["deciding"].clone();
    let guest_in = |list: &Value| {
        list.as_array().unwrap().iter().find(|policy| policy["name"] == "guest").cloned().unwrap()
    };
    let before = guest_in(&deciding());
    home.succeed(&["policy", "install", &update]);
    let after = guest_in(&deciding());
    assert_ne!(before["module"], after["module"], "{after:#}");
    assert_eq!((&before["settings"], &before["limits"]), (&after["settings"], &after["limits"]));
    let written = fs::read_to_string(set_file(&home)).unwrap();
    assert!(written.contains("hello") && written.contains("20000000"), "{written}");
}

#[test]
fn a_set_file_says_what_differs_and_what_does_not_decide_is_named() {
    let home = Home::new();
    let file = set_file(&home);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let one = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n";
    fs::write(&file, one).unwrap();
    let list = read(&home, &["policy", "list", "--json"]);
    assert_eq!((list["deciding"].as_array().unwrap().len(), &list["not_deciding"]), (5, &json!([])));
    fs::write(&file, format!("builtins = \"named\"\n{one}")).unwrap();
    let missing = "NOT DECIDING: question-detection, rate-limit, reply-cap, wake-cap";
    assert!(home.succeed(&["policy", "list"]).contains(missing));
    assert!(String::from_utf8(home.run(&["doctor"]).stdout).unwrap().contains(missing));
    let poll = String::from_utf8(home.run(&["poll", "alice", "--once", "--register"]).stdout).unwrap();
    assert!(poll.contains(missing), "{poll}");
    home.succeed(&["policy", "enable", "reply-cap"]);
    assert!(
        home.succeed(&["policy", "list"])
            .contains("NOT DECIDING: question-detection, rate-limit, wake-cap (")
    );
}

/// Trying rules elsewhere must not become what a server falls back to.
#[test]
fn looking_at_another_policy_directory_changes_nothing_that_is_kept() {
    let home = Home::unlimited();
    home.succeed(&["policy", "list"]);
    let kept = || fs::read_to_string(home.path().join("table.db.policy-state/in-force.json")).unwrap();
    let before = kept();
    let experiment = home.path().join("experiment");
    fs::create_dir(&experiment).unwrap();
    let off = "[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\nmode = \"shadow\"\n";
    fs::write(experiment.join("policy-set.toml"), off).unwrap();
    let listed = home.succeed(&["policy", "list", "--policies", experiment.to_str().unwrap()]);
    assert!(listed.contains("shadow"), "{listed}");
    assert_eq!(kept(), before);
}

#[test]
fn a_shadow_is_installed_beside_the_set_and_settings_decide() {
    let home = Home::unlimited();
    let mut running = Running::start(&home);
    let denies = file(&home, "denies.wasm", &guest("denies"));
    let said = home.succeed(&["policy", "install", &denies, "--shadow", "--name", "candidate"]);
    assert!(said.contains("is asked beside the live set"), "{said}");
    let recorded = eventually("a shadow verdict", || {
        running.allowed();
        let log = read(&home, &["policy", "log", "--agent", "alice", "--limit", "1", "--json"]);
        let verdicts = log["decisions"][0]["verdicts"].as_array()?.clone();
        verdicts.into_iter().find(|verdict| verdict["policy"] == "candidate")
    });
    assert_eq!((&recorded["mode"], &recorded["answer"]), (&json!("shadow"), &json!("deny")));

    let limit = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/dist/rate-limit.wasm");
    home.succeed(&[
        "policy",
        "install",
        limit,
        "--settings",
        "max_messages=2",
        "--settings",
        "window_seconds=600",
    ]);
    let mut send = || {
        let mut message = running.alice.clone();
        message["sender"] = message["name"].take();
        message.as_object_mut().unwrap().remove("name");
        message["recipient"] = json!("alice");
        message["content"] = json!("note to self");
        running.stdio.call("send_message", message)
    };
    let answer = eventually("the limit of two", || Some(send()).filter(|answer| answer.is_error));
    let refused = answer.refused("resource_exhausted");
    assert_eq!(refused["policy"], "rate-limit");

    // The refusal in the log, and explained.
    let id = refused["decision_id"].to_string();
    let log = home.succeed(&["policy", "log", "--outcome", "deny", "--since", "1h"]);
    assert!(log.contains(&id) && log.contains("rate-limit: rate_limited"), "{log}");
    assert!(home.succeed(&["policy", "log", "--agent", "nobody"]).contains("no decisions"));
    let explained = read(&home, &["policy", "explain", &id, "--json"]);
    assert_eq!((&explained["same"], &explained["decision"]["outcome"]), (&json!(true), &json!("deny")));
    let plain = home.succeed(&["policy", "explain", &id]);
    for words in ["send_message by alice came to deny, nothing was done", "messages.sent", "the same"] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    let line = refusal(&home.run(&["policy", "explain", "999999"]));
    assert!(line.contains("there is no decision 999999"), "{line}");
}

#[test]
fn a_new_version_keeps_what_the_operator_has_set() {
    let set = format!(
        "{UNLIMITED}\n[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\n\
         settings = {{ max_messages = 2, window_seconds = 600 }} # agreed\nlimits = {{ millis = 400 }}\n"
    );
    let home = Home::with_set(Some(&set));
    let limit = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/dist/rate-limit.wasm");
    home.succeed(&["policy", "install", limit, "--settings", "max_messages=3"]);
    let now = fs::read_to_string(set_file(&home)).unwrap();
    let expected = set.replace("max_messages = 2", "max_messages = 3");
    let digest = blake3::hash(&fs::read(limit).unwrap()).to_hex();
    let expected = expected.replace("builtin:rate-limit", &format!("rate-limit-{}.wasm", &digest[..12]));
    assert!(now.starts_with(&expected), "{now}");
    // What was set before is checked together with what is given now.
    let line = refusal(&home.run(&["policy", "install", limit, "--settings", "window_seconds=0"]));
    assert!(line.contains("settings refused"), "{line}");
    assert_eq!(fs::read_to_string(set_file(&home)).unwrap(), now);
}

#[test]
fn processes_that_install_at_once_lose_nothing() {
    const INSTALLERS: usize = 6;
    let home = Home::with_set(Some(COMMENTED));
    let module = file(&home, "guest.wasm", &guest("abstains"));
    let start = Barrier::new(INSTALLERS);
    scope(|scope| {
        for at in 0..INSTALLERS {
            let (home, module, start) = (&home, &module, &start);
            scope.spawn(move || {
                start.wait();
                home.succeed(&["policy", "install", module, "--name", &format!("guest{at}")]);
            });
        }
    });
    let list = read(&home, &["policy", "list", "--json"]);
    assert_eq!(list["policies"].as_array().unwrap().len(), INSTALLERS + 5);
    assert_eq!(list["error"], Value::Null);
    assert!(fs::read_to_string(set_file(&home)).unwrap().starts_with(COMMENTED));
}
