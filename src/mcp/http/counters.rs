//! The counters of the HTTP side for `/metrics`. Must not depend on how they are exported.

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) connections: Gauge,
    pub(super) connections_refused: Counter,
    pub(crate) sse_sessions: Gauge,
    pub(crate) event_streams: Gauge,
    responses: Family<Class, Counter>,
    pub(super) throttled: Counter,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Class {
    class: &'static str,
}

impl Counters {
    /// Fresh counters that `registry` shows from now on.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let new = Self::default();
        registry.register("http_connections", "Open HTTP connections", new.connections.clone());
        let refused = new.connections_refused.clone();
        registry.register("http_connections_refused", "Connections over the limit", refused);
        registry.register("sse_sessions", "Open HTTP+SSE sessions", new.sse_sessions.clone());
        registry.register("event_streams", "Open event streams", new.event_streams.clone());
        registry.register("http_responses", "HTTP responses by class of status", new.responses.clone());
        registry.register("http_throttled", "Requests refused for failed tokens", new.throttled.clone());
        new
    }

    /// A response left.
    pub(super) fn responded(&self, status: StatusCode) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.responses.get_or_create(&Class { class }).inc();
    }
}

/// Counts as one of something for as long as it lives.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_fall_when_what_they_count_ends() {
        let mut registry = Registry::default();
        let counters = Counters::register(&mut registry);
        let stream = Counted::new(&counters.event_streams);
        counters.responded(StatusCode::TOO_MANY_REQUESTS);
        let text = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        assert!(text().contains("\nevent_streams 1\n"), "{}", text());
        assert!(text().contains("\nhttp_responses_total{class=\"4xx\"} 1\n"), "{}", text());
        drop(stream);
        assert!(text().contains("\nevent_streams 0\n"));
    }
}
