//! MCP on standard input and output.

mod bridge;
mod lines;
mod serve;

pub use bridge::serve_remote;
pub use serve::{serve_lines, serve_stdio};
