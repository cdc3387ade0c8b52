//! What is counted while policies decide (for `/metrics`), and the watch over modules that fail again and again. Shared by
//! all sets of a process, so that counters survive a swap. Knows nothing of how a policy is run.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::domain::decision::{Answer, Mode, PolicyErrorKind, Verdict};

/// Failures within [`WINDOW_MILLIS`] after which a module is rolled back.
pub const MAX_FAILURES: usize = 5;
/// The window in which failures are counted, in milliseconds.
pub const WINDOW_MILLIS: i64 = 60_000;
/// Upper bounds of the latency histogram's buckets, in microseconds; one more bucket holds the rest.
pub const LATENCY_BOUNDS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000, 50_000];

/// Names of the outcomes that are counted, in the order of the counters.
const OUTCOMES: [&str; 7] = ["abstain", "allow", "deny", "escalate", "pass", "reply", "ignore"];
/// Names of the failures that are counted, in the order of the counters.
const FAILURES: [&str; 6] = ["trap", "out_of_fuel", "deadline", "out_of_memory", "malformed", "host"];

/// A clock that says milliseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A module that failed too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failing {
    pub(super) policy: String,
    pub(super) digest: String,
    /// The last failure.
    pub(super) detail: String,
}

/// The counters of a process, and where failing modules are reported.
pub(super) struct Monitor {
    clock: Clock,
    counters: Mutex<BTreeMap<String, Arc<Counters>>>,
    failures: Mutex<HashMap<(String, String), VecDeque<i64>>>,
    report: Box<dyn Fn(Failing) + Send + Sync>,
}

/// The counters of one policy name.
#[derive(Default)]
pub(super) struct Counters {
    outcomes: [AtomicU64; OUTCOMES.len()],
    failures: [AtomicU64; FAILURES.len()],
    latency: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The counters of one policy, read out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCounts {
    /// The policy's name.
    pub policy: String,
    /// Answers by outcome.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Failures by kind.
    pub failures: Vec<(&'static str, u64)>,
    /// Evaluations by latency: as many as [`LATENCY_BOUNDS`], and one more for the rest. Not cumulative.
    pub latency: Vec<u64>,
    /// Microseconds spent in all evaluations.
    pub micros: u64,
}

impl Monitor {
    pub(super) fn new(clock: Clock, report: impl Fn(Failing) + Send + Sync + 'static) -> Self {
        Self { clock, counters: Mutex::default(), failures: Mutex::default(), report: Box::new(report) }
    }

    /// The counters of a policy name, the same for every set.
    pub(super) fn counters(&self, policy: &str) -> Arc<Counters> {
        Arc::clone(self.counters.lock().entry(policy.to_owned()).or_default())
    }

    /// Everything counted so far.
    pub(super) fn counts(&self) -> Vec<PolicyCounts> {
        self.counters.lock().iter().map(|(policy, counters)| counters.read(policy)).collect()
    }

    /// Takes note of a verdict that was a failure; reports the module when it is one too many.
    pub(super) fn failed(&self, verdict: &Verdict, kind: PolicyErrorKind, detail: &str) {
        // What the host could not do is not the module's fault, nor is a busy machine: a module that hangs runs out of
        // fuel long before it runs out of time. And what a shadow does affects nothing.
        let innocent = matches!(kind, PolicyErrorKind::Host | PolicyErrorKind::Deadline);
        if innocent || verdict.mode != Mode::Enforce {
            return;
        }
        let now = (self.clock)();
        let mut failures = self.failures.lock();
        let times = failures.entry((verdict.policy.clone(), verdict.module.clone())).or_default();
        times.push_back(now);
        while times.front().is_some_and(|first| now - first > WINDOW_MILLIS) {
            times.pop_front();
        }
        if times.len() >= MAX_FAILURES {
            times.clear();
            let failing = Failing {
                policy: verdict.policy.clone(),
                digest: verdict.module.clone(),
                detail: detail.to_owned(),
            };
            drop(failures);
            (self.report)(failing);
        }
    }
}

impl Counters {
    pub(super) fn count(&self, answer: &Answer, micros: u64) {
        let cell = match answer {
            Answer::Abstain => self.outcomes.first(),
            Answer::Allow => self.outcomes.get(1),
            Answer::Deny(_) => self.outcomes.get(2),
            Answer::Escalate(_) => self.outcomes.get(3),
            Answer::Pass => self.outcomes.get(4),
            Answer::Reply { .. } => self.outcomes.get(5),
            Answer::Ignore(_) => self.outcomes.get(6),
            Answer::Error { kind, .. } => self.failures.get(match kind {
                PolicyErrorKind::Trap => 0,
                PolicyErrorKind::OutOfFuel => 1,
                PolicyErrorKind::Deadline => 2,
                PolicyErrorKind::OutOfMemory => 3,
                PolicyErrorKind::Malformed => 4,
                PolicyErrorKind::Host => 5,
            }),
        };
        let bucket = LATENCY_BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(LATENCY_BOUNDS.len());
        for cell in [cell, self.latency.get(bucket)].into_iter().flatten() {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self, policy: &str) -> PolicyCounts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        PolicyCounts {
            policy: policy.to_owned(),
            outcomes: OUTCOMES.into_iter().zip(self.outcomes.iter().map(read)).collect(),
            failures: FAILURES.into_iter().zip(self.failures.iter().map(read)).collect(),
            latency: self.latency.iter().map(read).collect(),
            micros: read(&self.micros),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;
    use std::sync::mpsc;

    use super::*;

    fn verdict(mode: Mode) -> Verdict {
        Verdict {
            policy: "p".into(),
            module: "d".into(),
            settings: String::new(),
            mode,
            answer: Answer::Abstain,
            fuel: 0,
            micros: 0,
        }
    }

    #[test]
    fn five_failures_within_a_minute_are_reported() {
        let now = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now);
        let (report, reported) = mpsc::channel();
        let monitor = Monitor::new(Arc::new(move || clock.load(Ordering::SeqCst)), move |failing| {
            report.send(failing).unwrap();
        });
        let fail = |at: i64, mode, kind| {
            now.store(at, Ordering::SeqCst);
            monitor.failed(&verdict(mode), kind, "boom");
        };
        for i in 0..20 {
            fail(i * 15_001, Mode::Enforce, PolicyErrorKind::Trap);
            fail(i * 15_001, Mode::Shadow, PolicyErrorKind::Trap);
            fail(i * 15_001, Mode::Enforce, PolicyErrorKind::Host);
            fail(i * 15_001, Mode::Enforce, PolicyErrorKind::Deadline);
        }
        assert!(
            reported.try_recv().is_err(),
            "four a minute, shadows, a busy machine and the host's own failures are borne"
        );
        for _ in 0..5 {
            fail(10_000_000, Mode::Enforce, PolicyErrorKind::OutOfFuel);
        }
        assert_eq!(reported.try_recv().unwrap().policy, "p");
        assert!(reported.try_recv().is_err(), "reported once");
    }
}
