//! Team Table: the one table several AI coding agents sit at. An MCP server through which they register, find
//! each other, exchange messages, post and claim tasks and share context, in one SQLite database; every
//! judgement is a hot-swappable WebAssembly policy.
//!
//! # The map
//!
//! | module | what is there | never there |
//! |---|---|---|
//! | [`domain`] | plain types and rules: agent, message, task, context entry, decision, escalation, clock | I/O |
//! | [`storage`] | every line of SQL: `ops` has a file for each table family, `tx` the six primitives they use, `sqlite` the engine (opening, migrations, one writer, a few readers, file watch) | policies, tools |
//! | [`policy`] | every line of WebAssembly: gate, engine, evaluation, combining, the life of the set | SQL, tools |
//! | [`auth`] | a credential becomes a principal; minting and hashing tokens | transports |
//! | [`events`] | wake-ups and the streams of the durable event log | HTTP |
//! | [`judgement`] | the one way from a question to its effect: facts, policies, recheck and effect in one transaction | tools, transports |
//! | [`wake`] | rings idle agents: whether a message may wake its recipient, and how each client is woken | tools, transports |
//! | [`tools`] | the thirteen tools, a file each; the registry; `table`, the service; `pipeline`, the only way to a tool | MCP, HTTP |
//! | [`mcp`] | MCP and HTTP: stdio, streamable HTTP, the older HTTP+SSE, event streams, TLS, hardening; `client` for a table on another machine | SQL, rules |
//! | [`daemon`] | the poll daemon: answers an inbox by the same policies | terminals |
//! | [`operator`] | what a person does to a table, for the command line and the console alike: changing policies, replaying history, sessions | printing, HTML |
//! | [`console`] | the person's web page: what waits, the table, the policies, live | SQL, WebAssembly |
//! | [`cli`] | a file for each subcommand; an operator asks no policy | SQL |
//! | [`config`] | flag before environment before default; the only reader of the environment | |
//! | [`app`] | the only wiring | rules |
//! | [`os`] | everything that differs between Linux, macOS and Windows | everything else |
//!
//! The rules themselves are not in this crate: each built-in policy is one of its own in `policies/` (`reply-cap`, `wake-cap`,
//! `rate-limit`, `tool-authorization`, `question-detection`), written with `policy-sdk/` as anybody's is. What a rule counts are
//! facts, which `storage/ops/facts.rs` reads.
//!
//! Imports go downwards only. The compiler holds what is inside a module: its parts (`storage::sqlite`, `policy::eval`,
//! `mcp::http`, `tools::pipeline` …) are private, and only what its `mod.rs` names with `pub use` can be used from elsewhere; a
//! `pub(crate)` item in a private module therefore reaches no further than that module's parent. `tests/architecture.rs` holds
//! what the compiler cannot: which of the modules above may import which, since siblings at the top of a crate see each other,
//! and the "never" column (libraries, SQL, the clock, the environment).
//!
//! # How a tool call is processed
//!
//! 1. `mcp` decodes the request and calls [`tools::Table::call`].
//! 2. `tools::pipeline` reads the typed parameters and opens a case: the credential becomes a principal, the call's target
//!    becomes the scope of the facts.
//! 3. [`judgement`] reads the facts that the loaded policies ask for and asks the policies, with no lock held. Their verdicts
//!    combine into one decision.
//! 4. **One** write transaction checks that the facts still hold (if not: step 3 again), records the decision, makes the
//!    effect, writes its event and audit rows, and commits. The effect is the tool's change; for a refused call it is
//!    nothing; for a held call it is an escalation that waits for a person.
//! 5. Waiters wake after the commit.
//!
//! The daemon passes each message of an inbox through steps 3 and 4 with a case of its own, and `wake` each message that wants to
//! wake its recipient. Seats, the sessions that agents work in, are in `domain/seat.rs`, `storage/ops/seats.rs`, `wake` and, for other
//! machines, `tools/seats.rs`.
//!
//! # Design decisions that may surprise you
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
//! - **The search index is kept by who searches**, in short steps: agents' calls write nothing for it.
//! - **`remaining` stops counting at 10,000**, so that no list costs more the longer it is.
//! - **A policy's clock is its own running time.** Fuel decides; the deadline behind it counts the time the
//!   policy ran, so that a busy machine causes no refusals.
//! - **A file watch tells of a write, not of a commit**: after one, the log is looked at a few times within
//!   half a second; an idle process does nothing at all.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod console;
pub mod daemon;
pub mod domain;
pub mod events;
pub mod judgement;
pub mod mcp;
pub mod operator;
pub mod os;
pub mod policy;
pub mod storage;
pub mod tools;
pub mod wake;
