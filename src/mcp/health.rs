//! What an operator's machines ask: alive, ready, numbers. No token needed, and nothing told that needs one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::guard::refusal;
use super::http::App;

/// These routes look at no token, so an address throttled for its tokens may still probe.
pub(super) const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// The database can be written.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.table.ready().await {
        Ok(()) => "ready".into_response(),
        Err(reason) => {
            // For the operator's log only: it may name paths.
            tracing::warn!(%reason, "not ready");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "the database cannot be written")
        }
    }
}

/// Prometheus text in its `OpenMetrics` form: the table's and ours.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    const END: &str = "# EOF\n";
    let table = app.table.metrics();
    let text = [table.strip_suffix(END).unwrap_or(&table), &app.counters.text(), END].concat();
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
