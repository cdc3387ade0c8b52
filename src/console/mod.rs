//! The console: the page on which a person sees the table and decides. Must not depend on SQL, WebAssembly, MCP.
