//! What the HTTP side counts for `/metrics`, as plain numbers. Must not know who reads them.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

/// The counters of one server.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) connections_refused: AtomicU64,
    pub(super) sse_sessions: AtomicU64,
    pub(super) event_streams: AtomicU64,
    /// By hundreds of the status: 1xx first.
    responses: [AtomicU64; 5],
    throttled: AtomicU64,
}

impl Counters {
    /// A response left.
    pub(super) fn responded(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.responses.get(class) {
            counter.fetch_add(1, Relaxed);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.throttled.fetch_add(1, Relaxed);
        }
    }

    /// The metric families of these counters, in `OpenMetrics` text without its end mark.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, &AtomicU64)]| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            let suffix = if kind == "counter" { "_total" } else { "" };
            for (labels, value) in samples {
                let _ = writeln!(out, "{name}{suffix}{labels} {}", value.load(Relaxed));
            }
        };
        family("team_table_http_connections", "gauge", "Open HTTP connections.", &[("", &self.connections)]);
        let refused = [("", &self.connections_refused)];
        family("team_table_http_connections_refused", "counter", "Connections over the limit.", &refused);
        family("team_table_sse_sessions", "gauge", "Open HTTP+SSE sessions.", &[("", &self.sse_sessions)]);
        family("team_table_event_streams", "gauge", "Open event streams.", &[("", &self.event_streams)]);
        let [c1, c2, c3, c4, c5] = &self.responses;
        let classes = [
            ("{class=\"1xx\"}", c1),
            ("{class=\"2xx\"}", c2),
            ("{class=\"3xx\"}", c3),
            ("{class=\"4xx\"}", c4),
            ("{class=\"5xx\"}", c5),
        ];
        family("team_table_http_responses", "counter", "HTTP responses by class of status.", &classes);
        let throttled = [("", &self.throttled)];
        family("team_table_http_throttled", "counter", "Requests refused for failed tokens.", &throttled);
        out
    }
}

/// Counts as one of something for as long as it lives.
pub(super) struct Gauge {
    counters: Arc<Counters>,
    of: fn(&Counters) -> &AtomicU64,
}

impl Gauge {
    pub(super) fn new(counters: &Arc<Counters>, of: fn(&Counters) -> &AtomicU64) -> Self {
        of(counters).fetch_add(1, Relaxed);
        Self { counters: Arc::clone(counters), of }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.of)(&self.counters).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_fall_when_what_they_count_ends() {
        let counters = Arc::new(Counters::default());
        let gauge = Gauge::new(&counters, |c| &c.event_streams);
        counters.responded(StatusCode::TOO_MANY_REQUESTS);
        let text = counters.text();
        assert!(text.contains("\nteam_table_event_streams 1\n"), "{text}");
        assert!(text.contains("\nteam_table_http_responses_total{class=\"4xx\"} 1\n"), "{text}");
        assert!(text.contains("\nteam_table_http_throttled_total 1\n"), "{text}");
        drop(gauge);
        assert!(counters.text().contains("\nteam_table_event_streams 0\n"));
    }
}
