//! The HTTP server: routes, checks in front of them, connections, TLS.

pub(in crate::mcp) mod accept;
pub(in crate::mcp) mod bearer;
pub(in crate::mcp) mod counters;
pub(in crate::mcp) mod guard;
pub(in crate::mcp) mod health;
pub(in crate::mcp) mod lenient;
pub(in crate::mcp) mod linger;
pub(in crate::mcp) mod options;
pub(in crate::mcp) mod origin;
pub(in crate::mcp) mod router;
pub(in crate::mcp) mod seats;
pub(in crate::mcp) mod state;
pub(in crate::mcp) mod throttle;
pub(in crate::mcp) mod tls;
