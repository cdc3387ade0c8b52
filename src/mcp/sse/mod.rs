//! Server-sent events: the older HTTP+SSE transport and the event streams of agents.

pub(in crate::mcp) mod event_stream;
pub(in crate::mcp) mod frame;
pub(in crate::mcp) mod legacy;
pub(in crate::mcp) mod sessions;
