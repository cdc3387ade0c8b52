//! `POST /seat/event`, `/seat/ring`, `/seat/news`: the hooks of sessions on other machines, which bring their agent's token.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bearer;
use super::state::App;
use crate::mcp::protocol::Caller;
use crate::tools::AccessError;

/// What happened in a session; what its client is answered.
pub(super) async fn event(app: State<Arc<App>>, caller: Extension<Caller>, body: Bytes) -> Response {
    answer(app, caller, &body, async |app, token, report| app.table.seat_event(token, report).await).await
}

/// Whether a session is rung, once it is.
pub(super) async fn ring(app: State<Arc<App>>, caller: Extension<Caller>, body: Bytes) -> Response {
    let ask = async |app: &App, token: Option<&str>, question| {
        app.table.seat_ring(token, question, &app.closing).await
    };
    answer(app, caller, &body, ask).await
}

/// What an agent was not told of yet, once there is something.
pub(super) async fn news(app: State<Arc<App>>, caller: Extension<Caller>, body: Bytes) -> Response {
    let ask =
        async |app: &App, token: Option<&str>, question| app.table.news(token, question, &app.closing).await;
    answer(app, caller, &body, ask).await
}

async fn answer<Q: DeserializeOwned, A: Serialize>(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    body: &[u8],
    ask: impl AsyncFnOnce(&App, Option<&str>, Q) -> Result<A, AccessError>,
) -> Response {
    if let Some(refused) = bearer::throttled(&app, &caller).await {
        return refused;
    }
    let question = match serde_json::from_slice(body) {
        Ok(question) => question,
        Err(error) => {
            let words = format!("the body is not what it should be: {error}");
            return (StatusCode::BAD_REQUEST, words).into_response();
        }
    };
    match ask(&app, caller.bearer.as_deref(), question).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => bearer::refused(&app, &caller, &error),
    }
}
