//! What policies cost: one evaluation of each that comes with the binary, a tool call with and without them, loading them,
//! changing them, and cutting one that hangs. What is compared is measured in turns, so that the machine's other work falls
//! on both alike.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it finds something amiss"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{
    Bound, PATIENCE, Report, TEXT, Targets, Times, agents_for, call, conditions, folder, grouped, message,
    p50_p99, policies, policy_cache, ratio, rounds, seat, show, table, usize_f64, wanted, write_set,
};
use team_table::domain::decision::{
    Answer, Fact, FactRequest, InboxMessage, Input, Mode, PolicyErrorKind, PrincipalView, ToolCall,
};
use team_table::policy::{BUILTINS, Limits, Loader, MAX_FUEL, Policy, PolicyHost, PolicySet, builtin};
use team_table::storage::{Db, DecisionRecord, OpenOptions};

/// 2026-11-22T09:30:00Z, in milliseconds.
const NOW: i64 = 1_795_339_800_000;

fn main() {
    conditions();
    let mut at_work = Targets::new("Policies at work");
    if wanted("evaluation") {
        evaluation();
    }
    if wanted("calls") {
        calls(&mut at_work);
    }
    if wanted("load") {
        load(&mut at_work);
    }
    if wanted("change") {
        change(&mut at_work);
    }
    if wanted("deadline") {
        hang(&mut at_work);
    }
    if wanted("replay") {
        replay(&mut at_work);
    }
    at_work.print();
}

/// A guest of the tests, in the frame that makes a policy of it.
fn guest(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/guests");
    let read = |name: &str| fs::read_to_string(dir.join(format!("{name}.wat"))).unwrap();
    let module =
        read(name).replace("(module\n", "(core module $main\n").replace("(;frame;)", &read("frame/core"));
    wat::parse_str(read("frame/component").replace("(;module;)", &module)).unwrap()
}

/// A set of one policy with its default settings.
fn alone(loader: &Loader, name: &str, bytes: &[u8], limits: Limits) -> PolicySet {
    let module = Arc::new(loader.load(bytes, &json!({}), limits).unwrap());
    PolicySet::new(loader, vec![Policy::new(name, Mode::Enforce, module)], 1)
}

fn principal(name: &str) -> PrincipalView {
    PrincipalView {
        name: name.to_owned(),
        role: "coder".to_owned(),
        capabilities: vec!["rust".to_owned()],
        authenticated: true,
    }
}

/// A call as agents make it.
fn tool_call() -> Input {
    Input::Authorization(ToolCall {
        tool: "send_message".to_owned(),
        principal: principal("alice"),
        arguments: json!({ "sender": "alice", "recipient": "bob", "content": TEXT }),
        transport: "stdio".to_owned(),
        now: NOW,
    })
}

/// A message as agents send it.
fn inbox_message(content: &str) -> Input {
    Input::Review(InboxMessage {
        id: 7,
        agent: "alice".to_owned(),
        sender: principal("bob"),
        content: content.to_owned(),
        thread: 5,
        reply_to: Some(6),
        broadcast: false,
        automatic: true,
        created_at: NOW - 500,
        now: NOW,
    })
}

/// What the host would find for these requests in the middle of a working day.
fn facts(requests: &[FactRequest]) -> Vec<Fact> {
    let value = |name: &str| match name {
        "limits.max_replies" => json!(13),
        "thread.auto_depth" => json!(2),
        "thread.participants" => json!(["alice", "bob"]),
        _ => json!({ "count": 3, "oldest": NOW - 20_000 }),
    };
    requests.iter().map(|it| Fact { request: it.clone(), value: value(&it.name) }).collect()
}

/// One question to one policy.
struct Question {
    what: String,
    set: PolicySet,
    input: Input,
    facts: Vec<Fact>,
}

impl Question {
    fn new(what: &str, set: PolicySet, input: Input) -> Self {
        let facts = facts(set.fact_requests(&input));
        let question = Self { what: what.to_owned(), set, input, facts };
        let verdict = &question.set.answer(&question.input, &question.facts).verdicts[0];
        assert!(matches!(verdict.answer, Answer::Abstain | Answer::Pass), "{what}: {verdict:?}");
        question
    }

    fn fuel(&self) -> u64 {
        self.set.answer(&self.input, &self.facts).verdicts[0].fuel
    }

    /// Asks as often as said, on so many threads at once.
    fn ask(&self, threads: usize, times_each: usize) -> Times {
        let some = || {
            let mut times = Times::default();
            for _ in 0..times_each {
                times.measure(|| self.set.answer(&self.input, &self.facts));
            }
            times
        };
        if threads == 1 {
            return some();
        }
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
            let mut times = Times::default();
            for thread in all {
                times.extend(thread.join().unwrap());
            }
            times
        })
    }
}

fn evaluation() {
    let loader = Loader::new(Some(&policy_cache())).unwrap();
    let of = |name: &str| {
        let builtin = builtin(name).unwrap();
        alone(&loader, name, builtin.bytes, builtin.limits)
    };
    let bare = alone(&loader, "guest", &guest("abstains"), Limits::default());
    let prose = TEXT.repeat(11);
    let questions = [
        Question::new("a guest that abstains at once", bare, tool_call()),
        Question::new("`tool-authorization`, a message", of("tool-authorization"), tool_call()),
        Question::new("`rate-limit`, a message", of("rate-limit"), tool_call()),
        Question::new("`reply-cap`, a message", of("reply-cap"), inbox_message(TEXT)),
        Question::new("`question-detection`, 93 characters", of("question-detection"), inbox_message(TEXT)),
        Question::new(
            "`question-detection`, 1,000 characters",
            of("question-detection"),
            inbox_message(&prose),
        ),
    ];
    let threads = [1, 8];
    let mut all: Vec<[Times; 2]> = questions.iter().map(|_| Default::default()).collect();
    for _ in 0..rounds(60) {
        for (question, times) in questions.iter().zip(&mut all) {
            for (times, threads) in times.iter_mut().zip(threads) {
                times.extend(question.ask(threads, 100));
            }
        }
    }
    let mut targets = Targets::new("One policy evaluation, in a fresh instance: p50 / p99");
    for ((question, [one, _]), bound) in
        questions.iter().zip(&all).zip([1.0, 3.0, 3.0, 3.0, 3.0, 10.0]).skip(1)
    {
        targets.time(&question.what, one, &questions[0].what, &all[0][0], Bound::AtMost(bound));
    }
    targets.print();
    let mut report = Report::new(&[
        "one evaluation, fresh instance",
        "fuel",
        "p50",
        "p99",
        "p50, 8 threads",
        "p99, 8 threads",
        "against the bare guest",
    ]);
    for (question, [one, eight]) in questions.iter().zip(&all) {
        report.row(&[
            question.what.clone(),
            question.fuel().to_string(),
            show(one.p50()),
            show(one.p99()),
            show(eight.p50()),
            show(eight.p99()),
            ratio(one.p50(), all[0][0].p50()),
        ]);
    }
    report.print();
}

/// A set in which nothing decides.
const OFF: &str = "[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\nmode = \"off\"\n";

fn calls(targets: &mut Targets) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (judged, free) = (folder(), folder());
    write_set(free.path(), OFF);
    let rounds = rounds(3_000);
    let (tables, agents): (Vec<_>, Vec<_>) = runtime.block_on(async {
        let tables = [table(judged.path()), table(free.path())];
        let agents = [
            seat(&tables[0], agents_for(rounds + 50)).await,
            seat(&tables[1], agents_for(rounds + 50)).await,
        ];
        (tables.into(), agents.into())
    });
    let mut times: [[Times; 2]; 2] = Default::default();
    for n in 0..rounds + 50 {
        if n == 50 {
            // What came before was for warming up.
            times = Default::default();
        }
        for ((table, agents), times) in tables.iter().zip(&agents).zip(&mut times) {
            let (write, reader) = (message(agents, n), &agents[0]);
            let read = json!({ "agent_name": reader.name, "token": reader.token });
            // As the transports do: on a thread of the runtime.
            let on_runtime = |tool: &'static str, arguments: Value| {
                let table = table.clone();
                let task = runtime.spawn(async move {
                    let start = Instant::now();
                    call(&table, tool, arguments).await;
                    start.elapsed()
                });
                runtime.block_on(task).unwrap()
            };
            times[0].add(on_runtime("send_message", write));
            times[1].add(on_runtime("list_tasks", read));
        }
    }
    let [on, off] = &times;
    let write = "`send_message` in the process, all built-in policies on: p50 / p99";
    targets.time(write, &on[0], "none on", &off[0], Bound::AtMost(1.1));
    let more = on[1].p50().saturating_sub(off[1].p50());
    targets.at_most(
        "`list_tasks` in the process, all built-in policies on, by an agent of thousands of calls a minute",
        &format!("{} more than the {} with none on", show(more), show(off[1].p50())),
        more.as_secs_f64() * 1e6,
        60.0,
        "µs more",
    );
    tables.iter().for_each(team_table::tools::Table::close);
}

fn load(targets: &mut Targets) {
    let root = folder();
    let (mut engine, mut cold, mut warm) = <(Times, Times, Times)>::default();
    let mut each: Vec<[Times; 2]> = BUILTINS.iter().map(|_| Default::default()).collect();
    for round in 0..rounds(20).min(10) {
        let dir = root.path().join(round.to_string());
        let cache = dir.join("cache");
        fs::create_dir(&dir).unwrap();
        cold.measure(|| policies(&dir, &cache));
        warm.measure(|| policies(&dir, &cache));
        let cache = dir.join("each");
        let fresh = engine.measure(|| Loader::new(Some(&cache)).unwrap());
        let cached = Loader::new(Some(&cache)).unwrap();
        for (builtin, [cold, warm]) in BUILTINS.iter().zip(&mut each) {
            for (loader, times) in [(&fresh, cold), (&cached, warm)] {
                times.measure(|| loader.load(builtin.bytes, &json!({}), builtin.limits).map(drop).unwrap());
            }
        }
    }
    let mut report = Report::new(&[
        "ready to decide",
        "cold: gate, configure, snapshot, compile, cases",
        "from the cache",
        "ratio",
    ]);
    report.row(&["the engine alone".to_owned(), show(engine.p50()), "–".to_owned(), "–".to_owned()]);
    for (builtin, [cold, warm]) in BUILTINS.iter().zip(&each) {
        let what = format!("`{}`, {} KiB", builtin.name, builtin.bytes.len() / 1024);
        report.row(&[what, show(cold.p50()), show(warm.p50()), ratio(cold.p50(), warm.p50())]);
    }
    let what = "the built-in set, engine included".to_owned();
    report.row(&[what, show(cold.p50()), show(warm.p50()), ratio(cold.p50(), warm.p50())]);
    report.print();
    let what = "the built-in set is ready to decide, compiled before";
    targets.time(what, &warm, "compiled first", &cold, Bound::AtMost(0.05));
}

/// The same module with other bytes: a custom section more.
fn renamed(module: &[u8], round: usize) -> Vec<u8> {
    let content = format!("\u{5}round{round:08}");
    let mut bytes = module.to_vec();
    bytes.push(0);
    bytes.push(u8::try_from(content.len()).unwrap());
    bytes.extend(content.as_bytes());
    bytes
}

/// Puts a file in its place in one step, as editors and `policy install` do.
fn replace(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let new = dir.join(format!("{name}.new"));
    fs::write(&new, bytes).unwrap();
    fs::rename(new, dir.join(name)).unwrap();
}

fn change(targets: &mut Targets) {
    let root = folder();
    let dir = root.path().join("policies");
    let text = |changed: &str| format!("{OFF}\n[[policy]]\nname = \"p\"\nmodule = \"p.wasm\"\n{changed}");
    let bytes = builtin("rate-limit").unwrap().bytes;
    write_set(root.path(), &text(""));
    fs::write(dir.join("p.wasm"), bytes).unwrap();
    let host = policies(root.path(), &root.path().join("cache"));
    let wait = |host: &PolicyHost, change: &dyn Fn()| {
        let before = host.status().unwrap();
        let start = Instant::now();
        change();
        let status = host.wait_for(PATIENCE, |status| status.digest != before.digest).unwrap();
        (start.elapsed(), Duration::from_millis(status.swap_millis))
    };
    let (mut mode, mut settings, mut module) = <([Times; 2], [Times; 2], [Times; 2])>::default();
    // The set file's text after every step differs from the one before in what the step is about, and in nothing else.
    let settings_of = |round: usize| format!("[policy.settings]\nmax_messages = {}", round + 40);
    let mut current = String::new();
    for round in 0..rounds(20) {
        let shadow = if round % 2 == 0 { "mode = \"shadow\"\n" } else { "" };
        let changed = text(&format!("{shadow}{current}"));
        current = settings_of(round);
        let limit = format!("{shadow}{current}");
        let other = renamed(bytes, round);
        let kinds: [(&mut [Times; 2], &dyn Fn()); 3] = [
            (&mut mode, &|| replace(&dir, "policy-set.toml", &changed)),
            (&mut settings, &|| replace(&dir, "policy-set.toml", text(&limit))),
            (&mut module, &|| replace(&dir, "p.wasm", &other)),
        ];
        for ([all, loading], change) in kinds {
            let (time, load) = wait(&host, change);
            all.add(time);
            loading.add(load);
        }
    }
    let kib = bytes.len() / 1024;
    for (what, [all, loading], limit) in [
        ("a mode in the set file".to_owned(), &mode, 100.0),
        ("a setting of `rate-limit`".to_owned(), &settings, 1_000.0),
        (format!("a new module of {kib} KiB"), &module, 1_000.0),
    ] {
        targets.at_most(
            &format!("from the file change to its being in force: {what}"),
            &format!("{}, of it loading {}", p50_p99(all), show(loading.p50())),
            all.p50().as_secs_f64() * 1e3,
            limit,
            "ms",
        );
    }
}

fn hang(targets: &mut Targets) {
    let loader = Loader::new(None).unwrap();
    let limits = Limits { fuel: MAX_FUEL, ..Limits::default() };
    let set = alone(&loader, "guest", &guest("loops_in_call"), limits);
    let Input::Authorization(call) = tool_call() else { unreachable!() };
    assert!(set.fact_requests(&tool_call()).is_empty());
    let mut over = Times::default();
    for _ in 0..rounds(60) {
        let start = Instant::now();
        let decision = set.authorize(&call, &[]);
        let time = start.elapsed();
        let cut =
            matches!(decision.verdicts[0].answer, Answer::Error { kind: PolicyErrorKind::Deadline, .. });
        assert!(cut, "{decision:?}");
        over.add(time.saturating_sub(Duration::from_millis(limits.millis.into())));
    }
    targets.at_most(
        "a policy that loops for ever is cut so long after its deadline",
        &p50_p99(&over),
        over.p50().as_secs_f64() * 1e3,
        limits.millis.into(),
        "ms, the deadline again",
    );
}

/// 100,000 recorded decisions put to one policy by the program itself, as an author does it.
fn replay(targets: &mut Targets) {
    let (folder, recorded) = (folder(), rounds(100_000));
    let cache = folder.path().join("table.db.policy-cache");
    let set = policies(&folder.path().join("none"), &cache).current();
    let db = Db::open(&folder.path().join("table.db"), OpenOptions::default()).unwrap();
    let input = tool_call();
    let facts = facts(set.fact_requests(&input));
    let decision =
        set.authorize(if let Input::Authorization(call) = &input { call } else { unreachable!() }, &facts);
    let record = DecisionRecord {
        at: NOW,
        agent_id: None,
        input: input.into(),
        facts,
        decision,
        done: true,
        micros: 1,
        new_set: set.record(),
    };
    for part in (0..recorded).collect::<Vec<_>>().chunks(1_000) {
        let (record, count) = (record.clone(), part.len());
        db.write(move |tx| (0..count).try_for_each(|_| tx.record_decision(&record).map(drop))).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_team-table"));
    for name in ["rate-limit", "tool-authorization"] {
        let mut command = Command::new(program);
        command.args(["policy", "replay", &format!("builtin:{name}"), "--json"]);
        command.env("TEAM_TABLE_DB", folder.path().join("table.db"));
        let out = command.output().unwrap();
        let said: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&said["replayed"], &said["flipped"]), (&json!(recorded), &json!(0)), "{said}");
        let (seconds, each) =
            (said["seconds"].as_f64().unwrap(), said["per_second_per_core"].as_f64().unwrap());
        targets.at_most(
            &format!("`{name}` replayed over {} recorded decisions", grouped(usize_f64(recorded))),
            &format!("{seconds:.1} s, {} per second and core", grouped(each)),
            seconds,
            usize_f64(recorded) / 20_000.0,
            "s",
        );
    }
}
