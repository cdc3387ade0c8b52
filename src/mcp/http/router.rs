//! The HTTP side put together: which routes there are, what they share, and how long they are served.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post, post_service};
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, StatusCode};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::accept;
use super::counters::Counters;
use super::guard::guard;
use super::health;
use super::lenient;
use super::options::{HttpLimits, HttpOptions};
use super::seats;
use super::state::{App, Told};
use super::throttle::{Throttle, Throttles};
use crate::mcp::protocol::{MAX_MESSAGE, Server};
use crate::mcp::sse::{Sessions, event_stream, legacy};
use crate::tools::{Table, Transport};

/// The first revision without sessions.
const STATELESS_SINCE: &str = "2026-07-28";

/// Serves MCP over streamable HTTP (`/mcp`) and HTTP+SSE (`/sse`, `/messages`), the event streams and the
/// health routes on `listener`, until `shutdown` is cancelled; calls under way then have ten seconds to
/// finish.
///
/// # Errors
///
/// If the listener's address cannot be read. What clients do is no error.
pub async fn serve_http(
    table: Table,
    listener: TcpListener,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    serve(table, listener, options, shutdown, |app| {
        Server::network(app.table.clone(), Transport::Http, Arc::clone(&app.throttles))
    })
    .await
}

/// As [`serve_http`], but `handler` answers at `/mcp` in place of the table's tools: the conformance suite's fixtures pass
/// the same guard and transport as the tools do.
///
/// # Errors
///
/// If the listener's address cannot be read.
#[cfg(feature = "conformance")]
pub async fn serve_http_with<H: rmcp::ServerHandler + Clone>(
    table: Table,
    listener: TcpListener,
    handler: H,
    shutdown: CancellationToken,
) -> io::Result<()> {
    serve(table, listener, HttpOptions::default(), shutdown, |_| handler).await
}

async fn serve<H: rmcp::ServerHandler + Clone>(
    table: Table,
    listener: TcpListener,
    options: HttpOptions,
    shutdown: CancellationToken,
    handler: impl FnOnce(&App) -> H,
) -> io::Result<()> {
    let limits = options.limits;
    let counters = Arc::new(table.register_metrics(Counters::register));
    let throttles = Arc::new(Throttles {
        failed_tokens: Throttle::new(limits.failed_tokens, limits.failed_token_window),
        newcomers: Throttle::new(limits.newcomers, limits.newcomer_window),
        refused: counters.throttled.clone(),
    });
    let app = Arc::new(App {
        check_host: accept::is_loopback(&listener)? || !options.allowed_hosts.is_empty(),
        sse_server: Server::network(table.clone(), Transport::Sse, Arc::clone(&throttles)),
        table,
        options,
        throttles,
        told: Told::default(),
        counters,
        sessions: Sessions::default(),
        closing: CancellationToken::new(),
        started: Instant::now(),
    });
    let cut_off = CancellationToken::new();
    let router = router(&app, streamable(&app, handler(&app), &cut_off));
    let (tls, counters, closing) = (app.options.tls.clone(), Arc::clone(&app.counters), app.closing.clone());
    accept::serve(listener, tls, router, limits, counters, shutdown, closing).await;
    cut_off.cancel();
    Ok(())
}

fn router<H: rmcp::ServerHandler + Clone>(
    app: &Arc<App>,
    mcp: StreamableHttpService<H, NeverSessionManager>,
) -> Router {
    let tools = Router::new()
        .route("/mcp", post_service(mcp).layer(from_fn(lenient::front)).delete(end_session))
        .route("/sse", get(legacy::open))
        .route("/messages", post(legacy::post))
        .route("/events/{agent}", get(event_stream::open))
        .route("/seat/event", post(seats::event))
        .route("/seat/ring", post(seats::ring))
        .route("/seat/news", post(seats::news));
    let tools = if app.options.only_console { Router::new() } else { tools };
    let routes = tools
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(Arc::clone(app));
    let routes = match &app.options.console {
        Some(console) => {
            let to = format!("{}/console", app.options.path_prefix);
            routes.nest("/console", console.clone()).route("/", get(async move || Redirect::to(&to)))
        }
        None => routes,
    };
    let routes = routes
        .fallback(async || StatusCode::NOT_FOUND)
        // Last, so that it stands before all of the above and the fallback.
        .layer(from_fn_with_state(Arc::clone(app), guard));
    let prefix: Arc<str> = app.options.path_prefix.as_str().into();
    // Around the routes, not on them: what it changes is the path that they are found by.
    Router::new().fallback_service(routes).layer(map_request(move |request: Request| {
        let request = lenient::plain_path(request, &prefix);
        async { request }
    }))
}

/// rmcp's service, one request at a time: no sessions, so clients go on after a restart, and plain JSON
/// replies. A call that has progress to tell is answered as an event stream instead, which rmcp does by
/// itself.
fn streamable<H: rmcp::ServerHandler + Clone>(
    app: &App,
    handler: H,
    cut_off: &CancellationToken,
) -> StreamableHttpService<H, NeverSessionManager> {
    let HttpLimits { keep_alive, .. } = app.options.limits;
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // The event this would send first, with empty data, makes Gemini CLI drop the server.
        .with_sse_retry(None)
        .with_sse_keep_alive(Some(keep_alive))
        .with_max_request_body_bytes(MAX_MESSAGE)
        // `guard` has checked the host, on every route.
        .disable_allowed_hosts()
        .with_cancellation_token(cut_off.clone());
    StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), config)
}

/// `DELETE /mcp`: clients of the older revisions end their session, of which there is none. From 2026-07-28
/// on the method does not exist.
async fn end_session(headers: HeaderMap) -> Response {
    let version = headers.get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    if version.is_some_and(|version| version >= STATELESS_SINCE) {
        let allow = [(ALLOW, HeaderValue::from_static("POST"))];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    StatusCode::NO_CONTENT.into_response()
}
