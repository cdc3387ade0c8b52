//! MCP as requests and answers, on any transport.

pub(in crate::mcp) mod caller;
pub(in crate::mcp) mod decode;
pub(in crate::mcp) mod recent;
pub(in crate::mcp) mod server;
