//! The Model Context Protocol and HTTP: from bytes to [`crate::tools::Table`] calls and back.
//!
//! `protocol::server` answers on three transports, none of which keeps anything about a caller from one request to the next:
//! `stdio`, streamable HTTP at `/mcp` (rmcp's service), and the older HTTP+SSE pair (`sse::legacy`). `http::router` has the
//! routes, among them `/events/{agent}` (`sse::event_stream`) and health; `http::guard` checks every request before its route,
//! `http::accept` every connection before that, with `http::tls` if there is a certificate; `http::state` is what the routes share.
//!
//! `client` is the other side: a table on another machine, whose tools `stdio::bridge` serves; `http::seats` answers the hooks of sessions
//! on other machines. `fetch` reads one document from an address that the user names.
//!
//! May use `tools`, `auth`, `events` and `domain`; must not depend on SQL, WebAssembly and the tools' rules.

mod client;
mod fetch;
mod http;
mod protocol;
mod sse;
mod stdio;

pub use client::{Answer, Remote, RemoteError};
pub use fetch::{FetchError, fetch_document};
#[cfg(feature = "conformance")]
pub use http::serve_http_with;
pub use http::{HttpLimits, HttpOptions, Tls, TlsError, check_allowed, serve_http};
pub use stdio::{serve_lines, serve_remote, serve_stdio};

/// Whether a log event may be written. Below warnings, only our own are: rmcp prints whole requests there,
/// tokens in their arguments included, and no configuration of ours may let that through. So this belongs in
/// front of every log output: `layer.with_filter(filter_fn(loggable))`.
#[must_use]
pub fn loggable(metadata: &tracing::Metadata<'_>) -> bool {
    let ours = metadata.target().split("::").next() == Some("team_table");
    ours || *metadata.level() <= tracing::Level::WARN
}
