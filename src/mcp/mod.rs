//! The Model Context Protocol and HTTP: from bytes to [`crate::tools::Table`] calls and back.
//!
//! One `server` answers on three transports, none of which keeps anything about a caller from one request
//! to the next: `stdio` (over `lines`), streamable HTTP at `/mcp` (rmcp's service), and the older HTTP+SSE
//! pair (`legacy_sse`). `client` is the other end of it, for the demonstration. Beside them the HTTP app has
//! `/events/{agent}` (`event_stream`) and `health`; `guard` stands before every one of its routes, `accept`
//! before `guard`, with `tls` if there is a certificate. (Under the feature `conformance`, for the MCP
//! conformance suite alone, its fixtures answer at `/mcp` in the server's place.)
//!
//! May use `tools`, `auth`, `events` and `domain`; must not know SQL, WebAssembly or any rule of the
//! business.

mod accept;
mod caller;
mod client;
#[cfg(feature = "conformance")]
mod conformance;
mod counters;
mod decode;
mod event_stream;
mod guard;
mod health;
mod http;
mod legacy_sse;
mod lenient;
mod lines;
mod linger;
mod options;
mod origin;
mod recent;
mod server;
mod sse;
mod stdio;
mod throttle;
mod tls;

pub use client::{Client, ClientError};
pub use http::serve_http;
pub use options::{HttpLimits, HttpOptions};
pub use origin::check_allowed;
pub use stdio::{serve_lines, serve_stdio};
pub use tls::{Tls, TlsError};

/// Whether a log event may be written. Below warnings, only our own are: rmcp prints whole requests there,
/// tokens in their arguments included, and no configuration of ours may let that through. So this belongs in
/// front of every log output: `layer.with_filter(filter_fn(loggable))`.
#[must_use]
pub fn loggable(metadata: &tracing::Metadata<'_>) -> bool {
    let ours = metadata.target().split("::").next() == Some("team_table");
    ours || *metadata.level() <= tracing::Level::WARN
}
