//! Team Table: the one table several AI coding agents sit at. An MCP server through which they register, find
//! each other, exchange messages, post and claim tasks and share context, in one SQLite database; every
//! judgement is a hot-swappable WebAssembly policy.
//!
//! # The map
//!
//! | module | what is there | never there |
//! |---|---|---|
//! | [`domain`] | plain types and rules: agent, message, task, context entry, decision, escalation, clock | I/O |
//! | [`storage`] | every line of SQL: opening and migrations, one writer, a few readers, a file for each table family | policies, tools |
//! | [`policy`] | every line of WebAssembly: gate, engine, evaluation, combining, the life of the set | SQL, tools |
//! | [`auth`] | a credential becomes a principal; minting and hashing tokens | transports |
//! | [`events`] | wake-ups and the streams of the durable event log | HTTP |
//! | [`tools`] | the thirteen tools, a file each; the registry; `pipeline`, the only way to them | MCP, HTTP |
//! | [`mcp`] | MCP and HTTP: stdio, streamable HTTP, the older HTTP+SSE, event streams, TLS, hardening | SQL, rules |
//! | [`daemon`] | the poll daemon: answers an inbox by the same policies | terminals |
//! | [`cli`] | a file for each subcommand; an operator asks no policy | SQL |
//! | [`config`] | flag before environment before default; the only reader of the environment | |
//! | [`app`] | the only wiring | rules |
//!
//! Imports go downwards only; `tests/architecture.rs` holds that and the "never" column.
//!
//! # The way of a tool call
//!
//! `mcp` decodes, then [`tools::Table::call`]: the credential becomes a principal; typed parameters are read;
//! the facts that the loaded policies asked for are read; the policies are asked, with no lock held; their
//! verdicts combine into one decision. Refused: the decision is recorded and the agent told who refused and
//! why. Held: an escalation waits for a person. Allowed: **one** write transaction looks whether the facts
//! still hold (if not, the policies are asked again), records the decision, makes the change, writes its event
//! and audit rows, and commits. Only then do waiters wake. The daemon walks the same way with a message.
//!
//! # What surprises, and why
//!
//! - **Facts are compared, not locked.** A cap of 30 is exact with any number of processes racing, because a
//!   call commits only on the very facts it was judged on. When the log's numbers have not moved, comparing
//!   is two look-ups.
//! - **Reads are recorded later**, in the next commit or within 20 ms, unless a policy counts calls of that
//!   tool: then they are recorded before they are answered.
//! - **Broadcasts fan out when they are sent**: one inbox row for each recipient. What is unread is then one
//!   index range per member, at any size, and a name that changes hands starts with an empty inbox.
//! - **Processes queue up to write**, at a lock of the kernel's (`<database>-turn`): where SQLite's own is taken,
//!   it sleeps for up to 100 ms and tries again, and a swarm of processes waits for seconds.
//! - **A name is not an identity.** Every holder of a name has a row; inboxes, tokens and streams belong to
//!   the row.
//! - **`remaining` stops counting at 10,000**, so that no list costs more the longer it is.
//! - **A policy's clock is its own running time.** Fuel decides; the deadline behind it counts the time the
//!   policy ran, so that a busy machine refuses nobody.
//! - **A file watch tells of a write, not of a commit**: after one, the log is looked at a few times within
//!   half a second; an idle process does nothing at all.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod events;
pub mod judgement;
pub mod mcp;
pub mod policy;
pub mod storage;
pub mod tools;
