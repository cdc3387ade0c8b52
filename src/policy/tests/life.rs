//! The life of a set: it starts, is swapped, is kept when the new one fails to load, is rolled back, and survives a restart.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::guests::{call, guest, loader, message};
use crate::domain::decision::{Answer, Decision, Input, Mode, Outcome};
use crate::policy::file::{PolicyEntry, SET_FILE, SetEditor};
use crate::policy::{HostConfig, PolicyHost, Quarantine, SetStatus, Source, State};

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// One policy. Only fuel may decide: the machine is busy with other tests.
const SET: &str =
    "builtins = \"named\"\n[[policy]]\nname = \"p\"\nmodule = \"p.wasm\"\nlimits = { millis = 5000 }\n";

/// A policy directory, and what a process keeps beside it.
struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// With one policy `p`, whose module is this guest.
    fn with(guest_name: &str) -> Self {
        let home = Self::new();
        fs::create_dir(home.dir()).unwrap();
        home.put(guest_name);
        home.write(SET);
        home
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("policies")
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn put(&self, guest_name: &str) {
        fs::write(self.dir().join("p.wasm"), guest(guest_name)).unwrap();
    }

    fn write(&self, set_file: &str) {
        fs::write(self.dir().join(SET_FILE), set_file).unwrap();
    }

    fn start(&self) -> PolicyHost {
        let config = HostConfig {
            dir: self.dir(),
            cache_dir: Some(self.root.path().join("cache")),
            state_dir: Some(self.state()),
            clock: Arc::new(|| 1_767_225_600_000),
        };
        PolicyHost::start_with(config, loader(4)).unwrap()
    }
}

fn decide(host: &PolicyHost) -> Decision {
    host.current().authorize(&call(), &[])
}

fn outcome(host: &PolicyHost) -> Outcome {
    decide(host).outcome
}

/// Waits for a set newer than a generation.
fn newer(host: &PolicyHost, generation: u64) -> SetStatus {
    host.wait_for(PATIENCE, |status| status.generation > generation).expect("a new set")
}

/// Waits until the directory is refused for a reason that contains this.
fn refused(host: &PolicyHost, part: &str) -> SetStatus {
    let status =
        host.wait_for(PATIENCE, |status| status.error.as_ref().is_some_and(|error| error.contains(part)));
    status.unwrap_or_else(|| panic!("not refused for {part}, but {:?}", host.status()))
}

#[test]
fn without_a_directory_the_built_in_set_decides() {
    let home = Home::new();
    let host = home.start();
    let set = host.current();
    assert_eq!(set.policies().count(), 5);
    let status = host.status().unwrap();
    assert_eq!((status.generation, status.source, status.error), (1, Source::Directory, None));
    assert!(!set.fact_requests(&Input::Authorization(call())).is_empty());
}

#[test]
fn a_directory_that_is_made_later_is_seen() {
    let home = Home::new();
    let host = home.start();
    drop(host.current());
    fs::create_dir(home.dir()).unwrap();
    home.put("denies");
    home.write(SET);
    host.wait_for(PATIENCE, |status| {
        status.policies.iter().any(|policy| policy.name == "p" && policy.error.is_none())
    })
    .expect("the new directory's set");
    assert_eq!(outcome(&host), Outcome::Deny);
}

#[test]
fn a_changed_file_is_in_force_and_questions_keep_the_set_they_started_with() {
    let home = Home::with("abstains");
    let host = home.start();
    let old = host.current();
    assert_eq!(old.authorize(&call(), &[]).outcome, Outcome::Allow);
    home.put("denies");
    newer(&host, 1);
    let decision = decide(&host);
    assert_eq!(decision.outcome, Outcome::Deny);
    assert_ne!(decision.set, old.digest());
    let late = old.authorize(&call(), &[]);
    assert_eq!((late.outcome, late.set.as_str()), (Outcome::Allow, old.digest()));
}

#[test]
fn a_reload_that_changes_nothing_swaps_nothing() {
    let home = Home::with("abstains");
    let host = home.start();
    drop(host.current());
    host.reload();
    let status = host.wait_for(PATIENCE, |status| status.attempts >= 2).unwrap();
    assert_eq!(status.generation, 1);
}

#[test]
fn invalid_module_keeps_previous_set_active() {
    let home = Home::with("denies");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Deny);
    for (guest_name, why) in [
        ("core_module", "a core module"),
        ("imports", "imports wasi:clocks/wall-clock@0.2.0"),
        ("wrong_types", "wrong type"),
        ("version_2", "this host supports version 1.0.0"),
        ("loops_in_configure", "out of fuel"),
        ("grows_in_configure", "out of memory"),
        ("traps_in_configure", "trap"),
        ("refuses_settings", "max must be 1 or more"),
        ("asks_unknown_fact", "there is no fact `weather.today`"),
        ("changes_tables", "cannot be snapshotted"),
    ] {
        home.put(guest_name);
        let status = refused(&host, why);
        assert_eq!(status.generation, 1);
        assert!(status.error.unwrap().starts_with("policy `p`: "));
        assert!(status.policies[0].error.as_ref().unwrap().contains(why));
        assert_eq!(outcome(&host), Outcome::Deny);
    }
}

#[test]
fn invalid_set_file_keeps_previous_set_active() {
    let home = Home::with("denies");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Deny);
    let policy = "[[policy]]\nname = \"p\"\nmodule = \"p.wasm\"\n";
    for (text, why) in [
        ("[[policy]\n".to_owned(), "policy-set.toml line 1"),
        (String::new(), "names no policy"),
        (format!("{policy}moed = \"off\"\n"), "line 4, column 1: unknown field `moed`"),
        (format!("{policy}{policy}"), "line 5, column 8: there are two policies named `p`"),
        (policy.replace("p.wasm", "q.wasm"), "module q.wasm: there is no such file"),
        (policy.replace("p.wasm", "../p.wasm"), "must be a file name in the policy directory"),
        (policy.replace("p.wasm", "builtin:nothing"), "no built-in policy `nothing`; there are"),
        (policy.replace("\"p\"", "\"P\""), "policy name `P` must match"),
        (format!("{policy}digest = \"{}\"\n", "0".repeat(64)), "but the set file pins 000"),
        (format!("{policy}digest = \"0\"\n"), "64 lower-case hexadecimal digits"),
        (format!("{policy}[policy.limits]\nfuel = 0\n"), "limit `fuel` must be from 1"),
        (format!("{policy}[policy.limits]\nfule = 0\n"), "unknown field `fule`"),
        (policy.replace("p.wasm", "builtin:rate-limit") + "settings = { burst = 1 }\n", "settings refused"),
        (
            policy.replace("p.wasm", "builtin:rate-limit") + "tools = [\"list_tasks\"]\n",
            "`tools` in the set file names list_tasks; the module judges calls of broadcast, claim_task, ",
        ),
    ] {
        home.write(&text);
        assert_eq!(refused(&host, why).generation, 1);
        assert_eq!(outcome(&host), Outcome::Deny);
    }
    fs::remove_file(home.dir().join("p.wasm")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/bin/sh", home.dir().join("p.wasm")).unwrap();
        home.write(policy);
        refused(&host, "symlinks are not followed");
    }
}

#[test]
fn a_half_written_file_is_waited_for() {
    let home = Home::with("abstains");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Allow);
    let whole = guest("denies");
    let path = home.dir().join("p.wasm");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(&host, "not a valid component");
    assert_eq!(outcome(&host), Outcome::Allow);
    fs::write(&path, &whole).unwrap();
    let status = newer(&host, 1);
    assert_eq!(status.error, None);
    assert_eq!(outcome(&host), Outcome::Deny);
}

#[test]
fn the_last_good_set_survives_a_restart() {
    let home = Home::with("denies");
    let digest = home.start().current().digest().to_owned();
    home.put("core_module");
    let host = home.start();
    let decision = decide(&host);
    assert_eq!((decision.outcome, decision.set), (Outcome::Deny, digest));
    let status = host.status().unwrap();
    assert_eq!(status.source, Source::LastGood);
    assert!(status.error.unwrap().contains("a core module"));
}

#[test]
fn with_nothing_to_load_everything_fails_closed() {
    let home = Home::with("core_module");
    let host = home.start();
    let decision = decide(&host);
    assert_eq!((decision.outcome, decision.generation), (Outcome::Error, 0));
    assert_eq!(host.current().review(&message("hello"), &[]).outcome, Outcome::Error);
    assert_eq!(host.status().unwrap().source, Source::Nothing);
    home.put("abstains");
    newer(&host, 0);
    assert_eq!(outcome(&host), Outcome::Allow);
}

#[test]
fn a_module_that_keeps_trapping_is_rolled_back_and_stays_so() {
    let home = Home::with("denies");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Deny);
    home.put("traps");
    let status = newer(&host, 1);
    for _ in 0..5 {
        assert_eq!(outcome(&host), Outcome::Error, "it fails closed until it is rolled back");
    }
    let status = newer(&host, status.generation);
    assert!(status.policies[0].rolled_back.as_ref().unwrap().contains("failed 5 times within a minute"));
    assert_eq!(outcome(&host), Outcome::Deny);
    drop(host);
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Deny, "a restart does not bring it back");
    // A new file is a new chance.
    let generation = host.status().unwrap().generation;
    home.put("abstains");
    newer(&host, generation);
    assert_eq!(outcome(&host), Outcome::Allow);
    assert!(State::open(&home.state()).unwrap().quarantined().unwrap().is_empty());
}

#[test]
fn with_nothing_to_go_back_to_a_trapping_module_keeps_failing_closed() {
    let home = Home::with("traps");
    let host = home.start();
    for _ in 0..7 {
        assert_eq!(outcome(&host), Outcome::Error);
    }
    host.reload();
    host.wait_for(PATIENCE, |status| status.attempts >= 2).unwrap();
    assert_eq!(outcome(&host), Outcome::Error);
    let counts = &host.metrics().policies[0];
    assert_eq!(counts.failures.iter().find(|(name, _)| *name == "trap").unwrap().1, 8);
}

#[test]
fn a_person_can_roll_back_and_release_in_another_process() {
    let home = Home::with("denies");
    let host = home.start();
    drop(host.current());
    home.put("abstains");
    let status = newer(&host, 1);
    assert_eq!(outcome(&host), Outcome::Allow);
    let state = State::open(&home.state()).unwrap();
    let digest = status.policies[0].digest.clone().unwrap();
    state.quarantine(Quarantine { policy: "p".into(), digest, since: 0, reason: "by hand".into() }).unwrap();
    let status = newer(&host, status.generation);
    assert_eq!(outcome(&host), Outcome::Deny);
    state.release("p").unwrap();
    newer(&host, status.generation);
    assert_eq!(outcome(&host), Outcome::Allow);
}

#[test]
fn two_installers_at_once_both_get_their_policy_in_and_the_comments_stay() {
    let home = Home::with("denies");
    home.write("# ours\nbuiltins = \"named\"\n[[policy]]\nname = \"p\" # the first\nmodule = \"p.wasm\"\n");
    std::thread::scope(|scope| {
        for i in 0..8 {
            let dir = home.dir();
            scope.spawn(move || {
                let mut editor = SetEditor::open(&dir).unwrap();
                let file = editor.add_module("q", &guest("abstains")).unwrap();
                editor
                    .put(&PolicyEntry { mode: Mode::Shadow, ..PolicyEntry::new(&format!("q{i}"), &file) })
                    .unwrap();
                editor.save().unwrap();
            });
        }
    });
    let text = fs::read_to_string(home.dir().join(SET_FILE)).unwrap();
    assert!(text.starts_with("# ours\n") && text.contains("name = \"p\" # the first"), "{text}");
    let host = home.start();
    assert_eq!(host.current().policies().count(), 9);
    assert_eq!(outcome(&host), Outcome::Deny);
}

#[test]
fn swaps_under_load_drop_no_question_and_mix_no_sets() {
    let home = Home::with("abstains");
    let host = home.start();
    drop(host.current());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = std::collections::BTreeMap::new();
                    while !done.load(Ordering::SeqCst) {
                        let decision = decide(&host);
                        let modules: Vec<_> =
                            decision.verdicts.iter().map(|verdict| verdict.module.clone()).collect();
                        assert_eq!(modules.len(), 1);
                        assert!(matches!(decision.verdicts[0].answer, Answer::Abstain | Answer::Deny(_)));
                        let of_set =
                            seen.entry(decision.set).or_insert_with(|| (modules.clone(), decision.outcome));
                        assert_eq!(
                            *of_set,
                            (modules, decision.outcome),
                            "one set, one set of modules, one answer"
                        );
                    }
                    seen.len()
                })
            })
            .collect();
        for round in 0..30 {
            let generation = host.status().unwrap().generation;
            home.put(if round % 2 == 0 { "denies" } else { "abstains" });
            newer(&host, generation);
        }
        done.store(true, Ordering::SeqCst);
        for asker in askers {
            assert_eq!(asker.join().unwrap(), 2);
        }
    });
}

#[test]
fn a_changed_file_is_in_force() {
    let home = Home::with("abstains");
    let host = home.start();
    drop(host.current());
    home.put("denies");
    newer(&host, 1);
}

/// An agent chooses its inputs. It must not choose the module that judges them.
#[test]
fn fuel_and_memory_that_agents_use_up_take_no_module_out_of_force() {
    let home = Home::with("denies");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Deny);
    home.put("loops_in_call");
    newer(&host, 1);
    for _ in 0..20 {
        assert_eq!(outcome(&host), Outcome::Error, "each call fails closed");
    }
    host.reload();
    let status = host.wait_for(PATIENCE, |status| status.attempts >= 3).unwrap();
    assert_eq!(status.policies[0].rolled_back, None);
    assert_eq!(outcome(&host), Outcome::Error);
    assert!(State::open(&home.state()).unwrap().quarantined().unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_replaced_or_re_pointed_is_followed() {
    let home = Home::with("abstains");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Allow);
    // Replaced by another of the same name.
    let aside = home.root.path().join("aside");
    fs::rename(home.dir(), &aside).unwrap();
    fs::create_dir(home.dir()).unwrap();
    home.put("denies");
    home.write(SET);
    let status = newer(&host, 1);
    assert_eq!(outcome(&host), Outcome::Deny);
    // What happens in the new one is seen.
    home.put("abstains");
    let status = newer(&host, status.generation);
    assert_eq!(outcome(&host), Outcome::Allow);
    // Now a symlink, first to one and then to another.
    let other = home.root.path().join("other");
    fs::rename(home.dir(), &other).unwrap();
    fs::write(other.join("p.wasm"), guest("denies")).unwrap();
    std::os::unix::fs::symlink(&other, home.dir()).unwrap();
    let status = newer(&host, status.generation);
    assert_eq!(outcome(&host), Outcome::Deny);
    let link = home.root.path().join("link");
    std::os::unix::fs::symlink(&aside, &link).unwrap();
    fs::rename(&link, home.dir()).unwrap();
    newer(&host, status.generation);
    assert_eq!(outcome(&host), Outcome::Allow);
}

#[test]
fn a_directory_that_vanishes_leaves_the_last_set_in_force() {
    let home = Home::with("denies");
    let host = home.start();
    assert_eq!(outcome(&host), Outcome::Deny);
    fs::rename(home.dir(), home.root.path().join("away")).unwrap();
    let status = refused(&host, "is gone; put it back");
    assert_eq!((status.generation, status.deciding.len()), (1, 1));
    assert_eq!(outcome(&host), Outcome::Deny);
    fs::rename(home.root.path().join("away"), home.dir()).unwrap();
    host.wait_for(PATIENCE, |status| status.error.is_none()).expect("it is read again");
    assert_eq!(outcome(&host), Outcome::Deny);
}
