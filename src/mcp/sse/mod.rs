//! Server-sent events: the older HTTP+SSE transport and the event streams of agents.

pub(super) mod event_stream;
mod frame;
pub(super) mod legacy;
mod sessions;

pub(super) use sessions::Sessions;
