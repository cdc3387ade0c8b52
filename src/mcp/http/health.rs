//! What an operator's machines ask: alive, ready, numbers. No token needed, and nothing told that needs one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::state::{App, refusal};

/// Routes for probes, which name a host of their own choosing or, in HTTP/1.0, none. They tell a page that was led here by
/// a rebound name nothing but that we are here.
pub(super) const FOR_ANY_HOST: [&str; 2] = ["/healthz", "/readyz"];

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

/// Prometheus text in its `OpenMetrics` form.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let table = app.table.clone();
    let Ok(text) = tokio::task::spawn_blocking(move || table.metrics()).await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the numbers cannot be read");
    };
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
