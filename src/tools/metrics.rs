//! What is counted, as Prometheus text.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::policy::PolicyMetrics;
use crate::policy::monitor::{LATENCY_BOUNDS, PolicyCounts};

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    tool: String,
    code: String,
}

/// Upper bounds of the latency histogram in seconds: from a read in memory to a wait for a lock.
const BUCKETS: [f64; 10] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 1.0, 10.0];

pub(super) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("team_table");
        let calls = Family::default();
        let seconds = Histogram::new(BUCKETS);
        registry.register("tool_calls", "Tool calls by tool and canonical code", calls.clone());
        registry.register("tool_call_seconds", "Time from a decoded call to its answer", seconds.clone());
        Self { registry, calls, seconds }
    }
}

impl Metrics {
    pub(super) fn called(&self, tool: &str, code: &str, elapsed: Duration) {
        self.calls.get_or_create(&CallLabels { tool: tool.to_owned(), code: code.to_owned() }).inc();
        self.seconds.observe(elapsed.as_secs_f64());
    }

    pub(super) fn text(&self, policies: &PolicyMetrics, waiting: usize) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        let end = text.rfind("# EOF").unwrap_or(text.len());
        text.truncate(end);
        let gauges = [
            (
                "waiting_members",
                "Members with a stream or waiting call",
                i64::try_from(waiting).unwrap_or(i64::MAX),
            ),
            ("policy_set_generation", "Policy sets swapped in by this process", generation(policies)),
            (
                "policy_set_since_seconds",
                "When the present policy set was swapped in",
                policies.since / 1_000,
            ),
            (
                "policy_set_swap_millis",
                "How long the last swap took, from the first look at the directory",
                i64::try_from(policies.swap_millis).unwrap_or(i64::MAX),
            ),
            (
                "policy_set_refused",
                "1 when the last attempt to load the set was refused",
                i64::from(policies.refused),
            ),
        ];
        for (name, help, value) in gauges {
            let _ = write!(
                text,
                "# HELP team_table_{name} {help}.\n# TYPE team_table_{name} gauge\nteam_table_{name} {value}\n"
            );
        }
        write_policies(&mut text, &policies.policies);
        text
    }
}

/// What each policy answered, how it failed and how long it took. A policy's name needs no escaping: the set
/// file allows lower-case letters, digits and `-`.
fn write_policies(text: &mut String, policies: &[PolicyCounts]) {
    type Counts = fn(&PolicyCounts) -> &[(&'static str, u64)];
    let families: [(&str, &str, &str, Counts); 2] = [
        ("decisions", "Answers by policy and outcome, shadow ones included", "outcome", |it| &it.outcomes),
        ("errors", "Evaluations that came to no answer by policy and kind", "kind", |it| &it.failures),
    ];
    for (name, help, label, counts) in families {
        let name = format!("team_table_policy_{name}");
        let _ = write!(text, "# HELP {name} {help}.\n# TYPE {name} counter\n");
        for policy in policies {
            for (value, count) in counts(policy) {
                let _ = writeln!(
                    text,
                    "{name}_total{{policy=\"{}\",{label}=\"{value}\"}} {count}",
                    policy.policy
                );
            }
        }
    }
    let name = "team_table_policy_seconds";
    let _ = write!(text, "# HELP {name} Time of one evaluation by policy.\n# TYPE {name} histogram\n");
    for PolicyCounts { policy, latency, micros, .. } in policies {
        let bounds = LATENCY_BOUNDS.iter().map(|bound| seconds(*bound)).chain(["+Inf".to_owned()]);
        let mut so_far = 0;
        for (bound, count) in bounds.zip(latency) {
            so_far += count;
            let _ = writeln!(text, "{name}_bucket{{policy=\"{policy}\",le=\"{bound}\"}} {so_far}");
        }
        let _ = writeln!(text, "{name}_sum{{policy=\"{policy}\"}} {}", seconds(*micros));
        let _ = writeln!(text, "{name}_count{{policy=\"{policy}\"}} {so_far}");
    }
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn generation(policies: &PolicyMetrics) -> i64 {
    i64::try_from(policies.generation).unwrap_or(i64::MAX)
}
