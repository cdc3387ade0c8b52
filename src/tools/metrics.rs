//! What `/metrics` shows: one registry, in the text form of `OpenMetrics`. Calls are counted as they happen; the database, the
//! policies and the process are looked at when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::clock::{Clock, HOUR, Millis};
use crate::events::Hub;
use crate::os;
use crate::policy::{LATENCY_BOUNDS, PolicyCounts, PolicyHost};
use crate::storage::Db;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    tool: &'static str,
    code: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ToolLabels {
    tool: &'static str,
}

/// Upper bounds of the latency histogram in seconds: from a read in memory to a wait for a lock.
const BUCKETS: [f64; 10] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 1.0, 10.0];

/// A call that took long.
#[derive(Debug, Clone)]
pub struct SlowCall {
    /// The tool.
    pub tool: &'static str,
    /// The canonical code of its answer.
    pub code: String,
    /// How long it took, waiting for messages excluded.
    pub took: Duration,
    /// When it was answered.
    pub at: Millis,
}

/// How many slow calls are remembered, and for how long.
const SLOW: usize = 10;
const SLOW_FOR: Millis = HOUR;

/// The slowest calls of the last hour.
#[derive(Default)]
struct Slowest {
    /// Microseconds that a call must take to be among them; most calls look no further.
    bar: AtomicU64,
    calls: Mutex<Vec<SlowCall>>,
}

impl Slowest {
    fn note(&self, call: impl FnOnce() -> SlowCall, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if micros < self.bar.load(Ordering::Relaxed) {
            return;
        }
        let call = call();
        let mut calls = self.calls.lock();
        calls.retain(|known| known.at > call.at - SLOW_FOR);
        calls.push(call);
        calls.sort_by_key(|call| std::cmp::Reverse(call.took));
        calls.truncate(SLOW);
        let least = calls.last().filter(|_| calls.len() == SLOW).map_or(Duration::ZERO, |call| call.took);
        self.bar.store(u64::try_from(least.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

pub(super) struct Metrics {
    registry: Mutex<Registry>,
    slowest: Slowest,
    clock: Clock,
    calls: Family<CallLabels, Counter>,
    seconds: Family<ToolLabels, Histogram>,
}

impl Metrics {
    pub(super) fn new(db: Db, policies: Arc<PolicyHost>, hub: Hub, clock: Clock) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process { since: clock.now() }));
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let calls = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        ours.register("tool_calls", "Tool calls by tool and canonical code", calls.clone());
        let help = "Time from a decoded call to its answer, by tool";
        ours.register_with_unit("tool_call", help, Unit::Seconds, seconds.clone());
        let build = [("version", env!("CARGO_PKG_VERSION")), ("arch", std::env::consts::ARCH)];
        ours.register("build", "The program", Info::new(build.to_vec()));
        ours.register_collector(Box::new(Seen { db, policies, hub, clock: clock.clone() }));
        Self { registry: Mutex::new(registry), slowest: Slowest::default(), clock, calls, seconds }
    }

    /// Lets another part of the program show its own numbers.
    pub(super) fn extend<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(self.registry.lock().sub_registry_with_prefix(PREFIX))
    }

    pub(super) fn called(&self, tool: &'static str, code: &str, elapsed: Duration) {
        self.calls.get_or_create(&CallLabels { tool, code: code.to_owned() }).inc();
        self.seconds.get_or_create(&ToolLabels { tool }).observe(elapsed.as_secs_f64());
        // A call that waits for messages is slow because it was asked to be.
        if tool != WAITS {
            let call = || SlowCall { tool, code: code.to_owned(), took: elapsed, at: self.clock.now() };
            self.slowest.note(call, elapsed);
        }
    }

    /// The slowest calls of the last hour, the slowest first.
    pub(super) fn slowest(&self) -> Vec<SlowCall> {
        let since = self.clock.now() - SLOW_FOR;
        self.slowest.calls.lock().iter().filter(|call| call.at > since).cloned().collect()
    }

    /// The text of a scrape. Reads the database: not for async threads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry.lock());
        text
    }
}

/// The tool whose calls may wait.
const WAITS: &str = "get_messages";

const PREFIX: &str = "team_table";

/// What is read when it is asked for.
struct Seen {
    db: Db,
    policies: Arc<PolicyHost>,
    hub: Hub,
    clock: Clock,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let policies = self.policies.metrics();
        let mut gauge = |name, help, unit: Option<Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)
        };
        gauge(
            "waiting_members",
            "Members with a stream or waiting call",
            None,
            real(self.hub.waiting() as u64),
        )?;
        gauge(
            "policy_set_generation",
            "Policy sets swapped in by this process",
            None,
            real(policies.generation),
        )?;
        let since = millis(policies.since);
        gauge("policy_set_since", "When the present policy set was swapped in", Some(Unit::Seconds), since)?;
        let help = "How long the last swap took, from the first look at the directory";
        gauge("policy_set_swap", help, Some(Unit::Seconds), real(policies.swap_millis) / 1_000.0)?;
        let help = "1 when the last attempt to load the set was refused";
        gauge("policy_set_refused", help, None, f64::from(u8::from(policies.refused)))?;
        // A database that cannot be read now has no numbers now.
        if let Ok(size) = self.db.read(|tx| tx.size()) {
            gauge("database_size", "Pages of the database", Some(Unit::Bytes), real(size.bytes))?;
            gauge("audit_rows", "Rows of the audit log", None, real(size.audit_rows))?;
            gauge(
                "escalations_open",
                "Escalations that wait for a person",
                None,
                real(size.open_escalations),
            )?;
            let age =
                size.oldest_open_escalation.map_or(0, |since| self.clock.now().saturating_sub(since).max(0));
            let help = "Age of the oldest escalation that waits for a person";
            gauge("escalations_oldest", help, Some(Unit::Seconds), millis(age))?;
        }
        encode_policies(&mut encoder, &policies.policies)
    }
}

/// What each policy answered, how it failed and how long it took.
fn encode_policies(encoder: &mut DescriptorEncoder, policies: &[PolicyCounts]) -> std::fmt::Result {
    type Counts = fn(&PolicyCounts) -> &[(&'static str, u64)];
    let families: [(&str, &str, &str, Counts); 2] = [
        ("policy_decisions", "Answers by policy and outcome, shadow ones included", "outcome", |it| {
            &it.outcomes
        }),
        ("policy_errors", "Evaluations that came to no answer by policy and kind", "kind", |it| &it.failures),
    ];
    for (name, help, label, counts) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for policy in policies {
            for (value, count) in counts(policy) {
                let labels = [("policy", policy.policy.as_str()), (label, value)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    let help = "Time of one evaluation by policy";
    let unit = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor("policy", help, unit, MetricType::Histogram)?;
    for policy in policies {
        let labels = [("policy", policy.policy.as_str())];
        encode_latency(family.encode_family(&labels)?, policy)?;
    }
    Ok(())
}

fn encode_latency(mut encoder: MetricEncoder, policy: &PolicyCounts) -> std::fmt::Result {
    let bounds = LATENCY_BOUNDS.iter().map(|bound| micros(*bound)).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(policy.latency.iter().copied()).collect();
    let count = policy.latency.iter().sum();
    encoder.encode_histogram::<[(&str, &str); 0]>(micros(policy.micros), count, &buckets, None)
}

/// The process, under the names that every Prometheus dashboard knows.
#[derive(Debug)]
struct Process {
    /// In milliseconds since 1970-01-01T00:00:00Z.
    since: Millis,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let mut gauge = |name, help, unit: Option<Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)
        };
        gauge("process_start_time", "When the process started", Some(Unit::Seconds), millis(self.since))?;
        let (memory, files) = os::memory_and_files();
        if let Some(bytes) = memory {
            gauge("process_resident_memory", "Memory in use", Some(Unit::Bytes), real(bytes))?;
        }
        if let Some(open) = files {
            gauge("process_open_fds", "Open file descriptors", None, real(open as u64))?;
        }
        let used = ConstCounter::new(cpu_time::ProcessTime::now().as_duration().as_secs_f64());
        let help = "Processor time used";
        let unit = Some(&Unit::Seconds);
        used.encode(encoder.encode_descriptor("process_cpu", help, unit, used.metric_type())?)
    }
}

/// Exact up to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "see above")]
const fn real(count: u64) -> f64 {
    count as f64
}

/// Milliseconds as seconds.
fn millis(millis: i64) -> f64 {
    real(millis.unsigned_abs()) / 1_000.0
}

/// Microseconds as seconds.
fn micros(micros: u64) -> f64 {
    real(micros) / 1_000_000.0
}
