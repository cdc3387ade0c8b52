//! What the benchmarks share: a table in this process, agents at it, times and the tables they are printed in.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use team_table::domain::clock::Clock;
use team_table::events::Hub;
use team_table::policy::{HostConfig, PolicyHost};
use team_table::storage::{Db, OpenOptions};
use team_table::tools::{Request, Table, TableOptions, Transport};
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Messages one agent sends within a minute: below the 30 that the built-in `rate-limit` allows, so that the built-in set is
/// measured as it comes, with the counts it meets in use.
pub(crate) const PER_AGENT: usize = 25;

/// As the program does, for what is measured in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a benchmark's messages say.
pub(crate) const TEXT: &str =
    "Task 12 is done: the export writes 40,000 rows in 3 s, tests are green, the branch is pushed.";

/// Whether to run few rounds, only to see that everything works: without `--bench`, as `cargo test` does, or with `--quick`.
pub(crate) fn quick() -> bool {
    let said = |what| std::env::args().any(|argument| argument == what);
    said("--quick") || !said("--bench")
}

/// `full` rounds, or few in a quick run.
pub(crate) fn rounds(full: usize) -> usize {
    if quick() { (full / 20).max(2) } else { full }
}

/// Whether this part is wanted: any argument that is no flag picks the parts whose names contain it.
pub(crate) fn wanted(part: &str) -> bool {
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| part.contains(&name))
}

/// A folder on the disk the build is on, not on one that is memory.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Times of one thing.
#[derive(Default, Clone)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Does something and notes how long it took.
    pub(crate) fn measure<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = what();
        self.add(start.elapsed());
        result
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The time that this share of all was faster than.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let at = (share * usize_f64(last)).round() as usize;
        sorted.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.quantile(0.99)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
pub(crate) fn usize_f64(number: usize) -> f64 {
    number as f64
}

/// Three digits and a unit.
pub(crate) fn show(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..9.95 => format!("{micros:.2} µs"),
        ..99.5 => format!("{micros:.1} µs"),
        ..999.5 => format!("{micros:.0} µs"),
        ..9_950.0 => format!("{:.2} ms", micros / 1e3),
        ..99_500.0 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.0} ms", micros / 1e3),
    }
}

/// What half of all were faster than, and 99 in a hundred.
pub(crate) fn p50_p99(times: &Times) -> String {
    format!("{} / {}", show(times.p50()), show(times.p99()))
}

/// `a` in terms of `b`.
pub(crate) fn ratio(a: Duration, b: Duration) -> String {
    times(a.as_secs_f64() / b.as_secs_f64())
}

/// A number with a comma after each three digits.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

pub(crate) fn per_second(rate: f64) -> String {
    format!("{}/s", grouped(rate))
}

pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        ..0.0995 => format!("{ratio:.3}×"),
        ..9.995 => format!("{ratio:.2}×"),
        _ => format!("{ratio:.0}×"),
    }
}

/// A markdown table.
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new(columns: &[&str]) -> Self {
        let rules = columns.iter().map(|_| "---").collect::<Vec<_>>();
        let mut report = Self(String::new());
        report.row(columns);
        report.row(&rules);
        report
    }

    pub(crate) fn row(&mut self, cells: &[impl AsRef<str>]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        writeln!(self.0, "| {} |", cells.join(" | ")).unwrap();
    }

    pub(crate) fn print(self) {
        println!("\n{}", self.0);
    }
}

/// What is promised about a ratio.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(crate) fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(bound) => ratio <= bound,
            Self::AtLeast(bound) => ratio >= bound,
        }
    }

    pub(crate) fn show(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}×"),
            Self::AtLeast(bound) => format!("≥ {bound}×"),
        }
    }
}

pub(crate) const fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "**no**" }
}

/// What was measured, beside the limit or the peer it is held against. `.ci/numbers` finds such a table by its heading and
/// puts it into the README.
pub(crate) struct Targets {
    heading: &'static str,
    rows: Option<Report>,
}

impl Targets {
    pub(crate) const fn new(heading: &'static str) -> Self {
        Self { heading, rows: None }
    }

    /// A value that has a limit of its own; both in `unit`.
    pub(crate) fn at_most(&mut self, what: &str, measured: &str, value: f64, limit: f64, unit: &str) {
        self.against(what, measured, &format!("{limit} {unit}"), value / limit, Bound::AtMost(1.0));
    }

    /// A time beside that of `peer`, both p50.
    pub(crate) fn time(&mut self, what: &str, it: &Times, peer: &str, its: &Times, bound: Bound) {
        let ratio = it.p50().as_secs_f64() / its.p50().as_secs_f64();
        self.against(what, &p50_p99(it), &format!("{peer}: {}", show(its.p50())), ratio, bound);
    }

    /// Anything that stands in this ratio to a limit or a peer.
    pub(crate) fn against(&mut self, what: &str, measured: &str, peer: &str, ratio: f64, bound: Bound) {
        let holds = bound.holds(ratio);
        self.row([what, measured, peer, &times(ratio), &bound.show()], holds);
    }

    /// What, measured, limit or peer, ratio and bound of anything else.
    pub(crate) fn row(&mut self, [what, measured, peer, ratio, bound]: [&str; 5], holds: bool) {
        let columns = ["what is measured", "measured", "limit or peer", "ratio", "bound", "holds"];
        let rows = self.rows.get_or_insert_with(|| Report::new(&columns));
        rows.row(&[what, measured, peer, ratio, bound, yes_or_no(holds)]);
    }

    pub(crate) fn print(self) {
        if let Some(rows) = self.rows {
            println!("\n## {}", self.heading);
            rows.print();
        }
    }
}

/// The circumstances of a run; the load is that of the machine's other work. `.ci/numbers` finds them by their first word.
pub(crate) fn conditions() {
    let first = |file: &str, start: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, value)| value).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = first("/proc/loadavg", "");
    let load = load.split(' ').next().unwrap_or_default();
    println!("conditions: {cores} cores, {}, load {load}", first("/proc/cpuinfo", "model name"));
    if quick() {
        println!("conditions: few rounds (`cargo bench` runs all): the numbers mean nothing");
    }
}

/// Compiled policies, kept between runs.
pub(crate) fn policy_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-policy-cache")
}

/// The policies of `dir/policies`, loaded.
pub(crate) fn policies(dir: &Path, cache_dir: &Path) -> PolicyHost {
    let host = PolicyHost::start(HostConfig {
        dir: dir.join("policies"),
        cache_dir: Some(cache_dir.to_owned()),
        state_dir: Some(dir.join("policy-state")),
        clock: Arc::new(|| Clock::System.now()),
    });
    let host = host.unwrap();
    let status = host.wait_for(PATIENCE, |_| true).expect("the policies do not load");
    assert_eq!(status.error, None);
    host
}

/// Writes a policy set into a folder whose policies have not started yet.
pub(crate) fn write_set(dir: &Path, set: &str) {
    fs::create_dir_all(dir.join("policies")).unwrap();
    fs::write(dir.join("policies").join("policy-set.toml"), set).unwrap();
}

/// An empty table under the policies of `dir`. To be called on a tokio runtime.
pub(crate) fn table(dir: &Path) -> Table {
    let policies = Arc::new(policies(dir, &policy_cache()));
    let db = Db::open(&dir.join("table.db"), OpenOptions::default()).unwrap();
    let options = TableOptions { require_tokens: true, clock: Clock::System };
    Table::new(db.clone(), policies, Hub::start(db), options)
}

/// A call that must go well.
pub(crate) async fn call(table: &Table, tool: &str, arguments: Value) -> Map<String, Value> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let request = Request {
        tool: tool.to_owned(),
        arguments,
        bearer: None,
        transport: Transport::Stdio,
        seats: Vec::new(),
    };
    let reply = table.call(request).await.unwrap();
    assert!(!reply.is_error, "{:?}", reply.body);
    reply.body
}

/// An agent and its token.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) token: String,
}

/// The arguments of the `n`th message of all: agents take turns of [`PER_AGENT`], each writes to the one after it.
pub(crate) fn message(agents: &[Agent], n: usize) -> Value {
    let (from, to) = (&agents[n / PER_AGENT % agents.len()], &agents[(n / PER_AGENT + 1) % agents.len()]);
    json!({ "sender": from.name, "token": from.token, "recipient": to.name, "content": TEXT })
}

/// How many agents may send so many messages.
pub(crate) fn agents_for(messages: usize) -> usize {
    messages / PER_AGENT + 2
}

/// Seats agents.
pub(crate) async fn seat(table: &Table, count: usize) -> Vec<Agent> {
    let joining: Vec<_> = (0..count)
        .map(|i| {
            let (table, name) = (table.clone(), format!("agent-{i}"));
            tokio::spawn(async move {
                let token = call(&table, "register", json!({ "name": name })).await["token"].clone();
                Agent { name, token: token.as_str().unwrap().to_owned() }
            })
        })
        .collect();
    let mut agents = Vec::with_capacity(count);
    for one in joining {
        agents.push(one.await.unwrap());
    }
    agents
}
