//! What the routes share, and the plain refusals that all of them give.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::mcp::http::counters::Counters;
use crate::mcp::http::options::HttpOptions;
use crate::mcp::http::throttle::Throttles;
use crate::mcp::protocol::server::Server;
use crate::mcp::sse::sessions::Sessions;
use crate::tools::Table;

/// What the routes share.
pub(in crate::mcp) struct App {
    pub(in crate::mcp) table: Table,
    pub(in crate::mcp) options: HttpOptions,
    /// Whether `Host` is checked at all.
    pub(in crate::mcp) check_host: bool,
    pub(in crate::mcp) throttles: Arc<Throttles>,
    /// What was refused for its host or origin.
    pub(in crate::mcp) told: Told,
    pub(in crate::mcp) counters: Arc<Counters>,
    /// The server behind HTTP+SSE sessions.
    pub(in crate::mcp) sse_server: Server,
    pub(in crate::mcp) sessions: Sessions,
    /// Cancelled when the server stops: endless responses end then.
    pub(in crate::mcp) closing: CancellationToken,
    /// What the beats of the event streams are counted from.
    pub(in crate::mcp) started: Instant,
}

/// Hosts and origins that were refused. The operator who forgot one reads it in the log, once: a page that tries for ever
/// must not fill it.
#[derive(Default)]
pub(in crate::mcp) struct Told(Mutex<BTreeSet<(&'static str, String)>>);

/// Different values that are logged at most.
const MAX_TOLD: usize = 64;

impl Told {
    pub(super) fn once(&self, setting: &'static str, value: &HeaderValue) {
        let value: String = String::from_utf8_lossy(value.as_bytes()).chars().take(256).collect();
        let mut told = self.0.lock();
        if told.len() < MAX_TOLD && told.insert((setting, value.clone())) {
            tracing::warn!("refused a request of {value:?}: to let it through, put it into {setting}");
        }
    }
}

/// A status and one line for a person.
pub(super) type Refusal = (StatusCode, &'static str);

/// The response of a [`Refusal`].
pub(in crate::mcp) fn refusal(status: StatusCode, line: &'static str) -> Response {
    (status, line).into_response()
}
