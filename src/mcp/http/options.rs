//! What an operator can set about the HTTP side, with the limits a server on an open network needs as
//! defaults.

use std::sync::Arc;
use std::time::Duration;

use super::tls::Tls;

/// Who may reach the HTTP server, and how much of it one client may take.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// Browser origins let through besides loopback ones, such as `https://app.example.com` (scheme, host,
    /// and port unless it is the scheme's own).
    pub allowed_origins: Vec<String>,
    /// Names a request's `Host` may carry besides loopback ones: `table.example.com` (any port) or
    /// `table.example.com:8741`. `Host` is checked when the listener is bound to loopback or this is not
    /// empty.
    pub allowed_hosts: Vec<String>,
    /// What a proxy puts in front of every path, such as `/team`; empty for nothing. Requests are served with it and
    /// without, and the address in the `endpoint` event of HTTP+SSE begins with it.
    pub path_prefix: String,
    /// The console, served at `/console`.
    pub console: Option<axum::Router>,
    /// Serve the console and the health routes alone, without the tools.
    pub only_console: bool,
    /// The certificate every connection is opened with; without one it is plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Sizes and times.
    pub limits: HttpLimits,
}

/// Sizes and times of the HTTP server. The defaults suit production; tests shrink them.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections open at once, idle event streams included; beyond it a connection gets 503 and is closed.
    pub connections: usize,
    /// HTTP+SSE sessions open at once; beyond it `GET /sse` gets 503.
    pub sse_sessions: usize,
    /// An HTTP+SSE session that posts nothing for this long is closed. Long, because not every client
    /// reconnects.
    pub sse_idle: Duration,
    /// Time for a TLS handshake, from the first byte to the last; beyond it the connection is closed.
    pub handshake_timeout: Duration,
    /// Time for a request's head to arrive, counted from the end of the response before: also how long a
    /// kept-alive connection may idle.
    pub head_timeout: Duration,
    /// Time for a request's body to arrive; beyond it 408.
    pub body_timeout: Duration,
    /// A peer that takes nothing of what is being written to it for this long is cut off.
    pub write_timeout: Duration,
    /// Between `heartbeat` events on `/events/{agent}`.
    pub heartbeat: Duration,
    /// Between comments on other server-sent event responses.
    pub keep_alive: Duration,
    /// Invalid tokens an address may present within `failed_token_window` before it gets 429.
    pub failed_tokens: u32,
    /// See `failed_tokens`.
    pub failed_token_window: Duration,
    /// Agents that may register without a token from an address within `newcomer_window`; beyond it `register` is refused.
    pub newcomers: u32,
    /// See `newcomers`.
    pub newcomer_window: Duration,
    /// How long calls under way may go on after the server was told to stop.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            sse_sessions: 1024,
            sse_idle: Duration::from_hours(24),
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            failed_tokens: 20,
            failed_token_window: Duration::from_mins(1),
            // A whole swarm may start at once; ten a second for ever is none.
            newcomers: 600,
            newcomer_window: Duration::from_mins(1),
            drain: Duration::from_secs(10),
        }
    }
}
