//! Policies at work: a set is swapped as one, a cap is exact, a decision can be made again, a shadow changes
//! nothing, and what fails refuses.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::scope;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use team_table::domain::decision::{Answer as Said, Mode, PolicyErrorKind, Verdict};
use team_table::policy::{BUILTINS, Loader, Policy, PolicyEntry, PolicySet, settings_digest};
use team_table::storage::{Db, DecisionFilter, DecisionRow, OpenOptions};

use crate::guests::guest;
use crate::harness::{
    Agent, Answer, Desk, Home, Network, PATIENCE, PROGRAM, UNLIMITED, eventually, name_parameter, warm_up,
};

/// Every decision there is, oldest first.
fn decisions(db: &Db) -> Vec<DecisionRow> {
    let mut all = Vec::new();
    let mut before_id = None;
    loop {
        let filter = DecisionFilter { before_id, limit: 1_000, ..DecisionFilter::default() };
        let page = db.read(|tx| tx.decisions(&filter)).unwrap();
        all.extend(page.rows);
        before_id = page.next;
        if before_id.is_none() {
            break;
        }
    }
    all.reverse();
    all
}

/// The sets that decisions name, put together again from what the database says of them and the modules.
struct Sets {
    modules: HashMap<String, Vec<u8>>,
    known: HashMap<String, (Vec<PolicyEntry>, PolicySet)>,
}

impl Sets {
    fn new(guests: &[&str]) -> Self {
        let bytes = BUILTINS.iter().map(|it| it.bytes.to_vec()).chain(guests.iter().map(|name| guest(name)));
        let modules = bytes.map(|bytes| (blake3::hash(&bytes).to_hex().to_string(), bytes)).collect();
        Self { modules, known: HashMap::new() }
    }

    fn get(&mut self, db: &Db, loader: &Loader, digest: &str) -> &(Vec<PolicyEntry>, PolicySet) {
        let modules = &self.modules;
        self.known.entry(digest.to_owned()).or_insert_with(|| {
            let text = db.read(|tx| tx.policy_set(digest)).unwrap();
            let manifest: Vec<PolicyEntry> =
                serde_json::from_str(&text.expect("a set nobody described")).unwrap();
            let policy = |it: &PolicyEntry| {
                let module = loader.load(&modules[&it.module], &json!(it.settings), it.limits).unwrap();
                Policy::new(&it.name, it.mode, Arc::new(module))
            };
            let set = PolicySet::new(loader, manifest.iter().map(policy).collect(), 0);
            assert_eq!(set.digest(), digest, "the description is of another set");
            (manifest, set)
        })
    }
}

/// What a verdict says of the policy it came from.
fn origin(verdict: &Verdict) -> (String, Mode, String, String) {
    (verdict.policy.clone(), verdict.mode, verdict.module.clone(), verdict.settings.clone())
}

/// Every decision names one set, and its verdicts are of that set's policies and of no others.
fn assert_unmixed(rows: &[DecisionRow], db: &Db, loader: &Loader, guests: &[&str]) -> usize {
    let mut sets = Sets::new(guests);
    for row in rows {
        let (manifest, _) = sets.get(db, loader, &row.set_digest);
        let expected: Vec<_> = manifest
            .iter()
            .filter(|it| it.judges(&row.action))
            .map(|it| (it.name.clone(), it.mode, it.module.clone(), settings_digest(&json!(it.settings))))
            .collect();
        let found: Vec<_> = row.verdicts.iter().map(origin).collect();
        assert_eq!(found, expected, "decision {} mixes sets", row.id);
    }
    sets.known.len()
}

/// The time that 99 of 100 calls stay below.
fn p99(times: &Mutex<Vec<Duration>>) -> Duration {
    let mut times = times.lock().unwrap().clone();
    times.sort();
    times[times.len() * 99 / 100]
}

/// Replaces a file as an editor does that knows its trade: nobody sees half of it.
fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// One of the calls that clients make all the time; `at` is the client, `round` counts its calls.
fn ordinary_call(at: usize, clients: usize, round: usize) -> (&'static str, Value) {
    let next = format!("agent{}", (at + 1) % clients);
    match round % 6 {
        0 => ("send_message", json!({ "recipient": next, "content": format!("{at}/{round}") })),
        1 => ("get_messages", json!({})),
        2 => ("share_context", json!({ "key": format!("k{at}"), "value": round.to_string() })),
        3 => ("list_tasks", json!({ "limit": 5 })),
        4 => ("heartbeat", json!({})),
        _ => ("list_members", json!({})),
    }
}

// ---------------------------------------------------------------- swaps

const CLIENTS: usize = 16;

/// The set of the swaps in its `n`th version. The guests' files have no `.wasm` in their names, so that only a
/// reload looks at them: what is swapped with them need not wait for a quiet moment.
fn swapping_set(n: u64) -> String {
    let messages = 1_000_000 + n;
    format!(
        r#"
builtins = "named"
[[policy]]
name = "left"
module = "left"
limits = {{ millis = 5000 }}

[[policy]]
name = "rate-limit"
module = "builtin:rate-limit"
settings = {{ max_messages = {messages}, max_changes = 1000000 }}

[[policy]]
name = "right"
module = "right"
limits = {{ millis = 5000 }}

[[policy]]
name = "tool-authorization"
module = "builtin:tool-authorization"
settings = {{ extra_roles = ["role{n}"] }}
"#
    )
}

#[test]
fn a_thousand_swaps_fail_no_call_and_no_decision_mixes_two_sets() {
    const SWAPS: u64 = 1_000;
    const BEFORE: usize = 60;
    const GUESTS: [&str; 2] = ["abstains", "remembers"];
    let guests = GUESTS.map(guest);
    let [left, right] = guests.clone();
    let desk = Desk::with_modules(&swapping_set(0), &[("left", left), ("right", right)]);
    let agents: Vec<Agent<'_>> = (0..CLIENTS).map(|at| desk.join(&format!("agent{at}"))).collect();
    let (quiet, swapping) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (start, done, calls) = (Barrier::new(CLIENTS + 1), AtomicBool::new(false), AtomicUsize::new(CLIENTS));
    let host = desk.table.policies();
    let took = scope(|scope| {
        for (at, agent) in agents.iter().enumerate() {
            let (start, done, calls, quiet, swapping) = (&start, &done, &calls, &quiet, &swapping);
            scope.spawn(move || {
                let mut times = Vec::new();
                let call = |round: usize, times: &mut Vec<Duration>| {
                    let (tool, arguments) = ordinary_call(at, CLIENTS, round);
                    let started = Instant::now();
                    let answer = agent.call(tool, arguments);
                    times.push(started.elapsed());
                    calls.fetch_add(1, Ordering::Relaxed);
                    answer.ok();
                };
                start.wait();
                (0..BEFORE).for_each(|round| call(round, &mut times));
                quiet.lock().unwrap().append(&mut times);
                start.wait();
                let mut round = 0;
                while !done.load(Ordering::Relaxed) {
                    call(round, &mut times);
                    round += 1;
                }
                swapping.lock().unwrap().append(&mut times);
            });
        }
        start.wait();
        start.wait();
        let started = Instant::now();
        let mut generation = host.status().unwrap().generation;
        let swapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut step = 0_u64;
            while generation <= SWAPS {
                step += 1;
                // The counting windows move on, or they would hold everything.
                desk.clock.advance(1_000);
                if step.is_multiple_of(10) {
                    replace(
                        &desk.policy_dir().join("policy-set.toml"),
                        swapping_set(step / 10 % 2).as_bytes(),
                    );
                } else {
                    let swap = usize::try_from((step + step / 10) % 2).unwrap();
                    replace(&desk.policy_dir().join("left"), &guests[swap]);
                    replace(&desk.policy_dir().join("right"), &guests[1 - swap]);
                    host.reload();
                }
                let status = host.wait_for(PATIENCE, |status| status.generation > generation);
                generation = status.unwrap_or_else(|| panic!("no swap: {:?}", host.status())).generation;
            }
        }));
        done.store(true, Ordering::Relaxed);
        swapped.unwrap();
        started.elapsed()
    });
    desk.flush();
    let rows = decisions(desk.db());
    let calls = calls.into_inner();
    assert_eq!(rows.len(), calls, "one decision for each call");
    assert!(rows.iter().all(|row| row.outcome == "allow" && row.done));
    let sets = assert_unmixed(&rows, desk.db(), host.loader(), &GUESTS);
    assert!(sets >= 4, "{sets}");
    println!(
        "{SWAPS} swaps in {took:?}, {calls} calls of {CLIENTS} clients under {sets} sets, none failed; p99 \
         {:?} without swaps, {:?} with",
        p99(&quiet),
        p99(&swapping)
    );
}

#[test]
fn a_server_under_load_follows_every_change_of_its_set_file() {
    const SWAPS: u64 = 100;
    let set = |n: u64| {
        format!(
            "{UNLIMITED}settings = {{ extra_roles = [\"role{n}\"] }}\n\n[[policy]]\nname = \"rate-limit\"\n\
             module = \"builtin:rate-limit\"\nsettings = {{ max_messages = {}, max_changes = 1000000 }}\n",
            1_000_000 + n
        )
    };
    let home = Home::with_set(Some(&set(0)));
    let server = Network::start(&home);
    let tokens: Vec<String> = (0..CLIENTS)
        .map(|at| {
            let joined = server.client().call("register", json!({ "name": format!("agent{at}") })).ok();
            joined["token"].as_str().unwrap().to_owned()
        })
        .collect();
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(CLIENTS));
    scope(|scope| {
        for (at, token) in tokens.iter().enumerate() {
            let (server, done, calls) = (&server, &done, &calls);
            scope.spawn(move || {
                let client = server.client();
                let mut round = 0;
                while !done.load(Ordering::Relaxed) {
                    let (tool, mut arguments) = ordinary_call(at, CLIENTS, round);
                    arguments[name_parameter(tool)] = json!(format!("agent{at}"));
                    arguments["token"] = json!(token);
                    client.call(tool, arguments).ok();
                    calls.fetch_add(1, Ordering::Relaxed);
                    round += 1;
                }
            });
        }
        let file = home.path().join("policies/policy-set.toml");
        let swapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 1..=SWAPS {
                replace(&file, set(n % 2).as_bytes());
                let wanted = u32::try_from(n + 1).unwrap();
                server
                    .wait_for_metric("team_table_policy_set_generation", |value| value >= f64::from(wanted));
            }
        }));
        done.store(true, Ordering::Relaxed);
        swapped.unwrap();
    });
    drop(server);
    let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
    let rows = decisions(&db);
    // What only read is written with the next commit, and the server was not asked to finish.
    assert!(rows.len() > CLIENTS && rows.len() <= calls.into_inner());
    let loader = Loader::new(Some(&home.path().join("table.db.policy-cache"))).unwrap();
    assert_eq!(assert_unmixed(&rows, &db, &loader, &[]), 2);
}

// ---------------------------------------------------------------- caps

#[test]
fn of_eight_processes_racing_for_one_agent_exactly_thirty_messages_pass() {
    const PROCESSES: usize = 8;
    const EACH: usize = 10;
    let home = Home::new();
    let token = {
        let mut first = home.start();
        first.join("bob");
        first.join("alice")
    };
    let start = Barrier::new(PROCESSES);
    let (home_ref, token, start_ref) = (&home, &token, &start);
    let answers: Vec<Answer> = scope(|scope| {
        let racers: Vec<_> = (0..PROCESSES)
            .map(|at| {
                scope.spawn(move || {
                    let mut process = home_ref.start();
                    process.call("list_tasks", json!({ "token": token })).ok();
                    start_ref.wait();
                    let answers: Vec<_> = (0..EACH)
                        .map(|round| {
                            let content = format!("{at}/{round}");
                            let message = json!({
                                "sender": "alice", "recipient": "bob", "content": content, "token": token,
                            });
                            process.call("send_message", message)
                        })
                        .collect();
                    assert_eq!(process.end(), Some(0));
                    answers
                })
            })
            .collect();
        racers.into_iter().flat_map(|racer| racer.join().unwrap()).collect()
    });
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| !answer.is_error);
    assert_eq!((passed.len(), refused.len()), (30, PROCESSES * EACH - 30));
    for answer in refused {
        let refusal = answer.refused("resource_exhausted");
        assert_eq!((&refusal["policy"], &refusal["reason"]), (&json!("rate-limit"), &json!("rate_limited")));
        assert!(refusal["decision_id"].is_i64(), "{refusal}");
    }
    assert_eq!(home.count("SELECT count(*) FROM messages"), 30);
    for (outcome, count) in [("allow", 30), ("deny", 50)] {
        let sql = "SELECT count(*) FROM decisions WHERE action = 'send_message' AND outcome =";
        assert_eq!(home.count(&format!("{sql} '{outcome}'")), count);
    }
}

// ---------------------------------------------------------------- replay

const MIXED: &str = r#"
builtins = "named"
[[policy]]
name = "question-detection"
module = "builtin:question-detection"

[[policy]]
name = "rate-limit"
module = "builtin:rate-limit"
settings = { max_messages = 6, max_changes = 20 }
limits = { millis = 5000 }

[[policy]]
name = "shadow"
module = "denies.wasm"
mode = "shadow"
limits = { millis = 5000 }

[[policy]]
name = "tool-authorization"
module = "builtin:tool-authorization"
limits = { millis = 5000 }
[policy.settings.roles.coder]
deny = ["send_message(recipient=qa*)"]
escalate = ["create_task(priority=high)"]
[policy.settings.roles.qa]
allow = ["register", "get_*", "list_*", "heartbeat", "update_task", "claim_task"]
"#;

/// Numbers that look as if thrown, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A call of any tool: allowed, denied, or refused by the tool's own rules, as it comes.
fn any_call(dice: &mut Dice, names: &[&str]) -> (&'static str, Value) {
    let name = |dice: &mut Dice| {
        let at = usize::try_from(dice.below(names.len() as u64 + 1)).unwrap();
        names.get(at).copied().unwrap_or("nobody").to_owned()
    };
    let task = i64::try_from(dice.below(60)).unwrap() + 1;
    match dice.below(12) {
        0 | 1 => {
            let content = if dice.below(8) == 0 { "long ".repeat(1_000) } else { "short".to_owned() };
            ("send_message", json!({ "recipient": name(dice), "content": content }))
        }
        2 => ("broadcast", json!({ "content": "to all" })),
        3 => {
            let priority = ["low", "medium", "high"][usize::try_from(dice.below(3)).unwrap()];
            ("create_task", json!({ "title": "t", "priority": priority }))
        }
        4 => ("claim_task", json!({ "task_id": task })),
        5 => {
            let status = ["done", "cancelled", "in_progress"][usize::try_from(dice.below(3)).unwrap()];
            ("update_task", json!({ "task_id": task, "status": status, "result": "r" }))
        }
        6 => ("share_context", json!({ "key": format!("k{task}"), "value": "v" })),
        7 => ("get_shared_context", json!({ "key": format!("k{task}") })),
        8 => ("get_messages", json!({ "limit": 3 })),
        9 => ("list_tasks", json!({ "limit": 3 })),
        10 => ("list_members", json!({})),
        _ => ("heartbeat", json!({})),
    }
}

#[test]
fn every_decision_of_a_mixed_run_can_be_made_again() {
    const CALLS: usize = 2_000;
    const GUESTS: [&str; 2] = ["denies", "traps"];
    let modules = [("denies.wasm", guest("denies")), ("traps.wasm", guest("traps"))];
    let desk = Desk::with_modules(MIXED, &modules);
    let names = ["coder1", "coder2", "qa1", "tester1", "agent1", "agent2"];
    let join = |name: &str| {
        let role = name.trim_end_matches(char::is_numeric);
        desk.call("register", json!({ "name": name, "role": role }))
    };
    let agents = names.map(|name| {
        let token = join(name).ok()["token"].as_str().unwrap().to_owned();
        Agent::known(&desk, name, &token)
    });
    let mut dice = Dice(7);
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |answer: Answer| *codes.entry(answer.code().to_owned()).or_default() += 1;
    for round in 0..CALLS {
        desk.clock.advance(500);
        match round % 50 {
            10 => count(join("wizard1")),
            20 => {
                let joined = join("agent9");
                match joined.body["token"].as_str() {
                    Some(token) => {
                        let passing = Agent::known(&desk, "agent9", token);
                        count(passing.call("deregister", json!({})));
                    }
                    None => count(joined),
                }
            }
            _ => {
                let (tool, arguments) = any_call(&mut dice, &names);
                let agent = &agents[usize::try_from(dice.below(agents.len() as u64)).unwrap()];
                count(agent.call(tool, arguments));
            }
        }
        if round == CALLS - 50 {
            // From here on every call meets a policy that fails.
            let set = format!("{MIXED}\n[[policy]]\nname = \"traps\"\nmodule = \"traps.wasm\"\n");
            replace(&desk.policy_dir().join("policy-set.toml"), set.as_bytes());
            let two = desk.table.policies().wait_for(PATIENCE, |status| status.generation == 2);
            assert!(two.is_some(), "{:?}", desk.table.policies().status());
        }
    }
    desk.flush();
    println!("{CALLS} calls: {codes:?}");
    let rows = decisions(desk.db());
    assert!(rows.len() >= CALLS, "{}", rows.len());
    let mut sets = Sets::new(&GUESTS);
    let mut kinds: BTreeMap<(String, bool), Vec<i64>> = BTreeMap::new();
    let mut tools: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let (_, set) = sets.get(desk.db(), desk.table.policies().loader(), &row.set_digest);
        let again = set.answer(&row.input, &row.facts);
        let answers = |verdicts: &[Verdict]| -> Vec<_> {
            verdicts.iter().map(|it| (origin(it), it.answer.clone(), it.fuel)).collect()
        };
        assert_eq!(answers(&again.verdicts), answers(&row.verdicts), "decision {}", row.id);
        let reason = again.reason.as_ref().map(|reason| (reason.code.as_str(), reason.message.as_str()));
        assert_eq!(
            (again.outcome.as_str(), again.policy.as_deref(), reason),
            (
                row.outcome.as_str(),
                row.policy.as_deref(),
                row.code.as_deref().map(|code| (code, row.message.as_deref().unwrap_or_default()))
            ),
            "decision {}",
            row.id
        );
        kinds.entry((row.outcome.clone(), row.done)).or_default().push(row.id);
        *tools.entry(row.action.clone()).or_default() += 1;
    }
    assert_eq!(tools.len(), 13, "{tools:?}");
    let found: Vec<_> = kinds.keys().map(|(outcome, done)| (outcome.as_str(), *done)).collect();
    assert_eq!(
        found,
        [("allow", false), ("allow", true), ("deny", false), ("error", false), ("escalate", false)]
    );
    let sizes: Vec<_> = kinds.iter().map(|(kind, ids)| (kind, ids.len())).collect();
    println!("{} decisions made again: {sizes:?}", rows.len());
    let explained = explained(&desk, kinds.values().flat_map(|ids| ids.iter().step_by(ids.len() / 6 + 1)));
    println!("{explained} of them by `policy explain`");
}

/// The program makes these decisions again, too; how many.
fn explained<'a>(desk: &Desk, ids: impl Iterator<Item = &'a i64>) -> usize {
    warm_up(&desk.path);
    let mut count = 0;
    for id in ids {
        let output = Command::new(PROGRAM)
            .args(["policy", "explain", &id.to_string(), "--json"])
            .env_clear()
            .env("TEAM_TABLE_DB", &desk.path)
            .env("TEAM_TABLE_POLICIES", desk.policy_dir())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let explained: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&explained["decision"]["id"], &explained["same"]), (&json!(id), &json!(true)), "{text}");
        let asked = explained["verdicts"].as_array().unwrap().len();
        let not_asked = explained["not_asked"].as_array().unwrap().len();
        assert!(asked >= 2 && asked + not_asked >= 3, "{text}");
        count += 1;
    }
    count
}

// ---------------------------------------------------------------- shadow, failures, metrics

/// The answer of the policy `guest` in the newest decision.
fn last_of_guest(desk: &Desk) -> (DecisionRow, Verdict) {
    desk.flush();
    let row = decisions(desk.db()).pop().unwrap();
    let verdict = row.verdicts.iter().find(|it| it.policy == "guest").unwrap().clone();
    (row, verdict)
}

fn with_guest(name: &str, mode: &str) -> Desk {
    let set = format!(
        "{UNLIMITED}\n[[policy]]\nname = \"guest\"\nmodule = \"guest.wasm\"\nmode = \"{mode}\"\n\
         limits = {{ millis = 5000 }}\n"
    );
    Desk::with_modules(&set, &[("guest.wasm", guest(name))])
}

#[test]
fn a_shadow_is_asked_and_recorded_and_changes_nothing() {
    let desk = with_guest("denies", "shadow");
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    alice.send("bob", "hello");
    let (row, verdict) = last_of_guest(&desk);
    assert_eq!((row.action.as_str(), row.outcome.as_str(), row.done), ("send_message", "allow", true));
    assert_eq!((row.policy, row.code), (None, None));
    assert_eq!(verdict.mode, Mode::Shadow);
    assert!(matches!(&verdict.answer, Said::Deny(reason) if reason.code == "no"), "{verdict:?}");
    assert_eq!(bob.read(), ["hello"]);
}

#[test]
fn a_shadow_that_fails_again_and_again_changes_nothing_either() {
    let desk = with_guest("traps", "shadow");
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    for _ in 0..10 {
        alice.send("bob", "hello");
    }
    let (row, verdict) = last_of_guest(&desk);
    assert_eq!((row.outcome.as_str(), row.policy), ("allow", None));
    assert!(matches!(verdict.answer, Said::Error { kind: PolicyErrorKind::Trap, .. }), "{verdict:?}");
    assert_eq!(bob.read().len(), 10);
    assert_eq!(desk.table.policies().status().unwrap().generation, 1);
}

#[test]
fn a_policy_that_traps_refuses_and_tells_the_reason_to_the_operator_alone() {
    let desk = with_guest("traps", "enforce");
    let refusal = desk.call("register", json!({ "name": "alice" })).refused("permission_denied");
    assert_eq!(refusal["reason"], "policy_error", "{refusal}");
    for inside in ["unreachable", "trap", "wasm"] {
        assert!(!refusal.to_string().contains(inside), "{refusal}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM members"), 0);
    let (row, verdict) = last_of_guest(&desk);
    assert_eq!(
        (row.outcome.as_str(), row.done, json!(row.id)),
        ("error", false, refusal["decision_id"].clone())
    );
    assert!(matches!(verdict.answer, Said::Error { kind: PolicyErrorKind::Trap, .. }), "{verdict:?}");
}

#[test]
fn without_any_set_every_call_is_refused_and_the_operator_is_not() {
    let home = Home::unlimited();
    let token = home.start().join("alice");
    let file = home.path().join("policies/policy-set.toml");
    fs::write(&file, "[[policy]]\nnmae = \"typo\"\n").unwrap();
    fs::remove_dir_all(home.path().join("table.db.policy-state")).unwrap();
    let mut process = home.start();
    for (tool, mut arguments) in [
        ("register", json!({ "name": "bob" })),
        ("list_members", json!({})),
        ("heartbeat", json!({})),
        ("send_message", json!({ "recipient": "alice", "content": "c" })),
        ("broadcast", json!({ "content": "c" })),
        ("get_messages", json!({})),
        ("create_task", json!({ "title": "t" })),
        ("claim_task", json!({})),
        ("update_task", json!({ "task_id": 1, "status": "done" })),
        ("list_tasks", json!({})),
        ("share_context", json!({ "key": "k", "value": "v" })),
        ("get_shared_context", json!({})),
        ("deregister", json!({})),
    ] {
        if tool != "register" {
            arguments[name_parameter(tool)] = json!("alice");
            arguments["token"] = json!(token);
        }
        let refusal = process.call(tool, arguments).refused("permission_denied");
        assert_eq!(refusal["reason"], "policy_error", "{tool}: {refusal}");
    }
    assert_eq!(home.count("SELECT count(*) FROM members WHERE current = 1"), 1);
    let list = home.run(&["policy", "list"]);
    assert_eq!(list.status.code(), Some(1));
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("REFUSED: policy-set.toml line 2, column 1: unknown field `nmae`"), "{list}");
    assert!(list.contains("every call is refused") && !list.contains("is allowed"), "{list}");
    let log = home.succeed(&["policy", "log", "--outcome", "error", "--json"]);
    let log: Value = serde_json::from_str(&log).unwrap();
    let decisions = log["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 13);
    let detail = decisions[0]["verdicts"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("unknown field `nmae`"), "{detail}");
    home.succeed(&["agent", "list"]);
    home.succeed(&["agent", "grant", "alice", "lead"]);
    home.succeed(&["audit", "verify"]);
    home.succeed(&["escalation", "list"]);
    fs::write(&file, UNLIMITED).unwrap();
    eventually("the mended set decides", || {
        let answer = process.call("heartbeat", json!({ "name": "alice", "token": token }));
        (!answer.is_error).then_some(())
    });
}

#[test]
fn metrics_count_answers_failures_and_time_by_policy() {
    let desk = with_guest("traps", "shadow");
    let alice = desk.join("alice");
    desk.call("register", json!({ "name": "bob", "role": "wizard" })).refused("permission_denied");
    for _ in 0..3 {
        alice.call("heartbeat", json!({})).ok();
    }
    let text = desk.table.metrics();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    };
    let whole = |name: &str, wanted: u32| {
        assert!((value(name) - f64::from(wanted)).abs() < 1e-9, "{name} is not {wanted}: {text}");
    };
    whole(r#"team_table_policy_decisions_total{policy="tool-authorization",outcome="deny"}"#, 1);
    whole(r#"team_table_policy_decisions_total{policy="guest",outcome="abstain"}"#, 0);
    whole(r#"team_table_policy_errors_total{policy="guest",kind="trap"}"#, 5);
    whole(r#"team_table_policy_errors_total{policy="tool-authorization",kind="trap"}"#, 0);
    let answered = ["allow", "abstain", "deny"].map(|outcome| {
        value(&format!(
            "team_table_policy_decisions_total{{policy=\"tool-authorization\",outcome=\"{outcome}\"}}"
        ))
    });
    assert!((answered.iter().sum::<f64>() - 5.0).abs() < 1e-9, "{text}");
    for policy in ["guest", "tool-authorization"] {
        let (bucket, end) = ("team_table_policy_seconds_bucket{le=\"", format!("\",policy=\"{policy}\"}} "));
        let buckets: Vec<(f64, f64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix(bucket)?.split_once(&end))
            .map(|(bound, count)| (bound.parse().unwrap(), count.parse().unwrap()))
            .collect();
        assert_eq!(buckets.len(), 11, "{text}");
        assert!(buckets.is_sorted(), "{text}");
        assert!(buckets[0].0 < 0.000_011 && buckets[10].0.is_infinite(), "{text}");
        assert!((buckets[10].1 - 5.0).abs() < 1e-9, "{text}");
        whole(&format!("team_table_policy_seconds_count{{policy=\"{policy}\"}}"), 5);
        assert!(value(&format!("team_table_policy_seconds_sum{{policy=\"{policy}\"}}")) > 0.0, "{text}");
    }
    whole("team_table_policy_set_generation", 1);
    whole("team_table_policy_set_refused", 0);
    value("team_table_policy_set_swap_seconds");
    for number in ["database_size_bytes", "audit_rows", "escalations_open", "escalations_oldest_seconds"] {
        value(&format!("team_table_{number}"));
    }
    assert!(value("process_open_fds") > 3.0 && value("process_resident_memory_bytes") > 1e6, "{text}");
    whole(
        &format!(
            "team_table_build_info{{version=\"{}\",arch=\"{}\"}}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH
        ),
        1,
    );
    let families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(families.iter().collect::<std::collections::BTreeSet<_>>().len(), families.len());
}
