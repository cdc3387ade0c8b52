//! MCP on standard input and output.

pub(in crate::mcp) mod lines;
pub(in crate::mcp) mod serve;
