//! What every HTTP request passes before a route sees it, and every response on its way out: host and origin,
//! coding, size and speed of the body, CORS. One function in the order in which it happens, so that no
//! route can be added beside it. Must not depend on what the routes do.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::accept::PeerAddress;
use super::health;
use super::origin::{host_allowed, origin_allowed};
use super::state::{App, Refusal, refusal};
use crate::domain::origin;
use crate::mcp::protocol::{Caller, MAX_MESSAGE, bearer};

/// The layer in front of every route.
pub(super) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if let Some(credential) = request.headers_mut().get_mut(AUTHORIZATION) {
        // Shown as `Sensitive` wherever headers are printed.
        credential.set_sensitive(true);
    }
    // The console's pages are for itself alone: no other page is told that it may read them.
    let origin = request.headers().get(ORIGIN).filter(|_| !is_console(&app, &request)).cloned();
    let mut response = match admit(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    };
    if let Some(origin) = origin
        && response.status() != StatusCode::FORBIDDEN
    {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers
            .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate, retry-after"));
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    app.counters.responded(response.status());
    response
}

async fn admit(app: &App, mut request: Request) -> Result<Request, Response> {
    if !health::FOR_ANY_HOST.contains(&request.uri().path()) {
        check_host(app, &request).map_err(Refusal::into_response)?;
    }
    // The console takes forms from its own pages only, by whatever name it is reached; it looks itself.
    if !(is_console(app, &request) && is_own_origin(request.headers())) {
        check_origin(app, request.headers()).map_err(Refusal::into_response)?;
    }
    if let Some(answer) = preflight(&request) {
        return Err(answer);
    }
    let caller = Caller {
        bearer: bearer(request.headers()),
        address: request.extensions().get().map(|PeerAddress(address)| *address),
    };
    request.extensions_mut().insert(caller);
    check_coding(request.headers()).map_err(Refusal::into_response)?;
    read_body(app, request).await
}

/// A name that was rebound to our loopback address (DNS rebinding) makes a foreign page look like one of
/// ours.
fn check_host(app: &App, request: &Request) -> Result<(), Refusal> {
    if !app.check_host {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err((StatusCode::BAD_REQUEST, "exactly one Host header is needed"));
    };
    let allowed = |host: &str| host_allowed(host, &app.options.allowed_hosts);
    // `GET http://name/path` names the host a second time.
    let in_target = request.uri().authority().map(http::uri::Authority::as_str);
    if host.to_str().is_ok_and(allowed) && in_target.is_none_or(allowed) {
        Ok(())
    } else {
        app.told.once("TEAM_TABLE_ALLOWED_HOSTS", host);
        Err((StatusCode::FORBIDDEN, "this Host is not allowed here"))
    }
}

/// Whether a request is for a page of the console.
fn is_console(app: &App, request: &Request) -> bool {
    let path = request.uri().path();
    let is_below = path.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    app.options.console.is_some() && is_below
}

/// Whether a page of this very server sends the request.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) else { return false };
    headers.get_all(ORIGIN).iter().count() == 1 && origin::is_own(origin, host)
}

fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let allowed = |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| origin_allowed(origin, &app.options.allowed_origins))
    };
    match headers.get_all(ORIGIN).iter().find(|origin| !allowed(origin)) {
        None => Ok(()),
        Some(origin) => {
            app.told.once("TEAM_TABLE_ALLOWED_ORIGINS", origin);
            Err((StatusCode::FORBIDDEN, "this Origin is not allowed here"))
        }
    }
}

/// Nothing is ever inflated here: a kilobyte that says it is compressed can stand for gigabytes.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let plain = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        Ok(())
    } else {
        Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body is taken without Content-Encoding only"))
    }
}

/// The answer to a browser asking, from an origin that passed, whether it may send its real request.
fn preflight(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let asks = request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    (asks && headers.contains_key(ORIGIN)).then(|| {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let answer = response.headers_mut();
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            // MCP keeps adding headers (`Mcp-Param-*`), and an allowed page may send what it likes.
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        response
    })
}

/// Takes the body in whole, so that its size and time are bounded on every route alike.
async fn read_body(app: &App, request: Request) -> Result<Request, Response> {
    let too_large = || refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1048576 bytes");
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_MESSAGE) {
        return Err(too_large());
    }
    let (parts, body) = request.into_parts();
    let read = Limited::new(body, MAX_MESSAGE).collect();
    let body: Bytes = match tokio::time::timeout(app.options.limits.body_timeout, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(refusal(StatusCode::BAD_REQUEST, "the body is broken")),
        Err(_) => return Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    };
    Ok(Request::from_parts(parts, Body::from(body)))
}
