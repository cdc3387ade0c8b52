//! What is counted while policies decide (for `/metrics`), and the watch over modules that fail again and again. Shared by
//! all sets of a process, so that counters survive a swap. Must not depend on how a policy is run.
//!
//! The rollback of a broken module begins here. A set has version 2 of the policy `p`, version 1 decided before, and no call
//! that version 2 judged was answered:
//!
//! | time | thread of | what happens |
//! |---|---|---|
//! | t0 | a call | version 2 traps; the call is refused; `PolicySet` calls [`Monitor::record_failure`], failure 1 |
//! | t1 … t4 | calls | failures 2 to 5 within [`WINDOW_MILLIS`]; with the fifth `History::is_broken` is true |
//! | t4 | the same call | `on_broken` sends the worker `Command::Broken` with a [`BrokenModule`]: `p` and the digest of version 2 |
//! | t5 | worker | `quarantine_broken`: version 2 still decides, and version 1 can take its place; `State::quarantine` writes `quarantine.json` |
//! | t6 | worker | `reload`: the set file names version 2, which is quarantined, so `load` takes version 1; the set is swapped |
//! | t7 | worker of another process | its watch reports `quarantine.json`: it does t6, too |
//!
//! A question that began before t6 finishes on the old set. Version 2 decides again only when a person says so
//! (`policy install`, `promote` or `enable`).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::domain::decision::{Answer, Mode, PolicyErrorKind, Verdict};

/// Failures within [`WINDOW_MILLIS`] after which a module may be rolled back.
pub(super) const MAX_FAILURES: usize = 5;
/// Agents whose questions must fail before a module counts as failing for all of them: one agent chooses its inputs, and must
/// not choose the module that judges them.
const MIN_AGENTS: usize = 3;
/// The window in which failures are counted, in milliseconds.
const WINDOW_MILLIS: i64 = 60_000;
/// Upper bounds of the latency histogram's buckets, in microseconds; one more bucket holds the rest.
pub const LATENCY_BOUNDS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000, 50_000];

/// Names of the outcomes that are counted, in the order of the counters.
const OUTCOMES: [&str; 7] = ["abstain", "allow", "deny", "escalate", "pass", "reply", "ignore"];
/// Names of the failures that are counted, in the order of the counters.
const FAILURES: [&str; 6] = ["trap", "out_of_fuel", "deadline", "out_of_memory", "malformed", "host"];

/// A clock that says milliseconds since 1970-01-01T00:00:00Z.
pub(super) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A module that failed too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokenModule {
    pub(super) policy: String,
    pub(super) digest: String,
    /// The last failure.
    pub(super) detail: String,
}

/// The counters of a process, and whom to tell of a broken module.
pub(crate) struct Monitor {
    clock: Clock,
    counters: Mutex<BTreeMap<String, Arc<Counters>>>,
    failures: Mutex<HashMap<(String, String), History>>,
    on_broken: Box<dyn Fn(BrokenModule) + Send + Sync>,
}

/// How one module has done under one policy name.
#[derive(Default)]
struct History {
    /// Whether it has answered rightly.
    answered: bool,
    /// When it failed, for which agent, and whether that may be the input's doing.
    failures: VecDeque<(i64, String, bool)>,
}

impl History {
    /// Whether the module itself is broken, by what is known of it. Fuel and memory are used up by inputs: of a module that
    /// has answered they say nothing, of one that never has only when they fail for several agents. Other failures of a
    /// module that has answered count when they come one after another, for several agents.
    fn is_broken(&self) -> bool {
        let enough =
            |count: usize, agents: BTreeSet<&str>| count >= MAX_FAILURES && agents.len() >= MIN_AGENTS;
        let own = || self.failures.iter().filter(|(_, _, by_input)| !by_input);
        let all = self.failures.iter().map(|(_, agent, _)| agent.as_str()).collect();
        let of_own = own().map(|(_, agent, _)| agent.as_str()).collect();
        if self.answered {
            enough(own().count(), of_own)
        } else {
            own().count() >= MAX_FAILURES || enough(self.failures.len(), all)
        }
    }
}

/// The counters of one policy name.
#[derive(Default)]
pub(crate) struct Counters {
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
    pub(super) fn new(clock: Clock, on_broken: impl Fn(BrokenModule) + Send + Sync + 'static) -> Self {
        Self { clock, counters: Mutex::default(), failures: Mutex::default(), on_broken: Box::new(on_broken) }
    }

    /// The counters of a policy name, the same for every set.
    pub(crate) fn counters(&self, policy: &str) -> Arc<Counters> {
        Arc::clone(self.counters.lock().entry(policy.to_owned()).or_default())
    }

    /// Everything counted so far.
    pub(super) fn counts(&self) -> Vec<PolicyCounts> {
        self.counters.lock().iter().map(|(policy, counters)| counters.read(policy)).collect()
    }

    /// Takes note of a verdict that was no failure.
    pub(crate) fn record_answer(&self, verdict: &Verdict) {
        let mut failures = self.failures.lock();
        let history = failures.entry((verdict.policy.clone(), verdict.module.clone())).or_default();
        history.answered = true;
        history.failures.clear();
    }

    /// Takes note of a verdict that was a failure, to a question of `agent`; tells `on_broken` when the module is broken by that.
    pub(crate) fn record_failure(&self, verdict: &Verdict, kind: PolicyErrorKind, detail: &str, agent: &str) {
        // What the host could not do is not the module's fault, nor is a busy machine: a module that hangs runs out of
        // fuel long before it runs out of time. And what a shadow does affects nothing.
        let innocent = matches!(kind, PolicyErrorKind::Host | PolicyErrorKind::Deadline);
        if innocent || verdict.mode != Mode::Enforce {
            return;
        }
        let now = (self.clock)();
        let mut failures = self.failures.lock();
        let history = failures.entry((verdict.policy.clone(), verdict.module.clone())).or_default();
        let by_input = matches!(kind, PolicyErrorKind::OutOfFuel | PolicyErrorKind::OutOfMemory);
        history.failures.push_back((now, agent.to_owned(), by_input));
        while history.failures.len() > MAX_FAILURES * 20
            || history.failures.front().is_some_and(|(first, ..)| now - first > WINDOW_MILLIS)
        {
            history.failures.pop_front();
        }
        if history.is_broken() {
            history.failures.clear();
            let broken = BrokenModule {
                policy: verdict.policy.clone(),
                digest: verdict.module.clone(),
                detail: detail.to_owned(),
            };
            drop(failures);
            (self.on_broken)(broken);
        }
    }
}

impl Counters {
    pub(crate) fn count(&self, answer: &Answer, micros: u64) {
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

    /// A monitor at a clock that stands where told, and what it reports.
    fn monitor() -> (Monitor, Arc<AtomicI64>, mpsc::Receiver<BrokenModule>) {
        let now = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now);
        let (report, reported) = mpsc::channel();
        let clock: Clock = Arc::new(move || clock.load(Ordering::SeqCst));
        (Monitor::new(clock, move |broken| report.send(broken).unwrap()), now, reported)
    }

    #[test]
    fn five_failures_of_a_module_that_never_answered_are_reported() {
        let (monitor, now, reported) = monitor();
        let fail = |at: i64, mode, kind| {
            now.store(at, Ordering::SeqCst);
            monitor.record_failure(&verdict(mode), kind, "boom", "alice");
        };
        for i in 0..20 {
            fail(i * 15_001, Mode::Enforce, PolicyErrorKind::Trap);
            fail(i * 15_001, Mode::Shadow, PolicyErrorKind::Trap);
            fail(i * 15_001, Mode::Enforce, PolicyErrorKind::Host);
            fail(i * 15_001, Mode::Enforce, PolicyErrorKind::Deadline);
        }
        assert!(
            reported.try_recv().is_err(),
            "four a minute, shadows, a busy machine and the host's own failures are tolerated"
        );
        for _ in 0..5 {
            fail(10_000_000, Mode::Enforce, PolicyErrorKind::Trap);
        }
        assert_eq!(reported.try_recv().unwrap().policy, "p");
        assert!(reported.try_recv().is_err(), "reported once");
    }

    #[test]
    fn input_driven_failures_never_roll_back_a_module() {
        let (monitor, _now, reported) = monitor();
        let fail = |kind, agent: &str| monitor.record_failure(&verdict(Mode::Enforce), kind, "boom", agent);
        for _ in 0..100 {
            fail(PolicyErrorKind::OutOfFuel, "alice");
            fail(PolicyErrorKind::OutOfMemory, "bob");
        }
        assert!(reported.try_recv().is_err(), "two agents' inputs, before any answer");
        monitor.record_answer(&verdict(Mode::Enforce));
        for _ in 0..100 {
            for agent in ["alice", "bob", "carol", "dave"] {
                fail(PolicyErrorKind::OutOfFuel, agent);
                fail(PolicyErrorKind::OutOfMemory, agent);
            }
            fail(PolicyErrorKind::Trap, "alice");
            fail(PolicyErrorKind::Malformed, "bob");
        }
        assert!(reported.try_recv().is_err(), "it has answered, and does not trap for three agents");
        monitor.record_answer(&verdict(Mode::Enforce));
        for agent in ["alice", "bob", "carol"] {
            fail(PolicyErrorKind::Trap, agent);
        }
        monitor.record_answer(&verdict(Mode::Enforce));
        for agent in ["alice", "bob"] {
            fail(PolicyErrorKind::Trap, agent);
        }
        assert!(reported.try_recv().is_err(), "it answers in between");
        for agent in ["carol", "alice", "bob"] {
            fail(PolicyErrorKind::Trap, agent);
        }
        assert!(reported.try_recv().is_ok(), "it traps for everybody");
    }
}
