//! The integration tests, one binary.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::redundant_closure_for_method_calls,
    reason = "a test that finds something amiss may end there and then, and takes a json!() as it is; a method of a \
              transaction is not general enough where clippy would have it instead of a closure"
)]

mod acts;
mod approvals;
mod backup;
mod browse;
mod browse_cli;
mod cli;
mod cli_first_steps;
mod clock;
mod concurrency;
mod console;
mod contract;
mod daemon;
mod delivery;
mod durability;
mod escalation;
mod faults;
mod frozen;
mod guests;
mod handover;
mod harness;
mod identity;
#[cfg(unix)]
mod io_errors;
mod judge_counts;
mod lists;
mod mcp_events;
mod mcp_hardening;
mod mcp_http;
mod mcp_ids;
mod mcp_sse;
mod mcp_stdio;
#[cfg(unix)]
mod mcp_stdio_end;
mod mcp_support;
mod mcp_tls;
mod model;
mod office;
mod operator;
mod policies;
mod policy_cli;
mod release_check;
mod remote;
#[cfg(unix)]
mod remote_views;
mod schemas;
mod search;
mod security;
#[cfg(unix)]
mod security_files;
#[cfg(unix)]
mod setup;
#[cfg(unix)]
mod storage_file;
mod targets;
#[cfg(unix)]
mod terminal;
mod upgrade;
mod wake;
mod workbench;
