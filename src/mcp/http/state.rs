//! What the routes share, and the plain refusals that all of them give.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::options::HttpOptions;
use super::throttle::Throttles;
use crate::mcp::protocol::Server;
use crate::mcp::sse::Sessions;
use crate::tools::Table;

/// What the routes share.
pub(crate) struct App {
    pub(crate) table: Table,
    pub(crate) options: HttpOptions,
    /// Whether `Host` is checked at all.
    pub(super) check_host: bool,
    pub(crate) throttles: Arc<Throttles>,
    /// What was refused for its host or origin.
    pub(super) told: Told,
    pub(crate) counters: Arc<Counters>,
    /// The server behind HTTP+SSE sessions.
    pub(crate) sse_server: Server,
    pub(crate) sessions: Sessions,
    /// Cancelled when the server stops: endless responses end then.
    pub(crate) closing: CancellationToken,
    /// What the beats of the event streams are counted from.
    pub(crate) started: Instant,
}

/// Hosts and origins that were refused. The operator who forgot one reads it in the log, once: a page that tries for ever
/// must not fill it.
#[derive(Default)]
pub(super) struct Told(Mutex<BTreeSet<(&'static str, String)>>);

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
pub(crate) fn refusal(status: StatusCode, line: &'static str) -> Response {
    (status, line).into_response()
}
