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
    pub(super) fn called(&self, tool: &str, code: &str, took: Duration) {
        self.calls.get_or_create(&CallLabels { tool: tool.to_owned(), code: code.to_owned() }).inc();
        self.seconds.observe(took.as_secs_f64());
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
        text
    }
}

fn generation(policies: &PolicyMetrics) -> i64 {
    i64::try_from(policies.generation).unwrap_or(i64::MAX)
}
