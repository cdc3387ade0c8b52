//! Requests other than calls that an agent's token must come with: invalid tokens are counted against the address.

use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::state::{App, refusal};
use crate::mcp::protocol::Caller;
use crate::tools::AccessError;

/// The refusal for an address that has presented too many invalid tokens. A valid one passes all the same.
pub(crate) async fn throttled(app: &App, caller: &Caller) -> Option<Response> {
    let wait = app.throttles.failed_tokens.blocked(caller.address?, Instant::now())?;
    if app.table.knows_token(caller.bearer.as_ref()?).await {
        return None;
    }
    app.throttles.refused.inc();
    let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, "too many invalid tokens from this address");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    Some(response)
}

/// The response to what was not served.
pub(crate) fn refused(app: &App, caller: &Caller, error: &AccessError) -> Response {
    match error {
        AccessError::Unauthenticated => {
            if let (Some(address), Some(token)) = (caller.address, &caller.bearer) {
                app.throttles.failed_tokens.record(address, Some(token), Instant::now());
            }
            let challenge = if caller.bearer.is_some() { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            let mut response = refusal(StatusCode::UNAUTHORIZED, "a valid bearer token is needed");
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            response
        }
        AccessError::Forbidden => refusal(StatusCode::FORBIDDEN, "this token belongs to another agent"),
        AccessError::Invalid(_) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        AccessError::Unavailable => {
            refusal(StatusCode::SERVICE_UNAVAILABLE, "the database is not available now")
        }
    }
}
