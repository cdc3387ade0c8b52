//! `serve`: the MCP server, on standard input and output or on the network.

use std::io::IsTerminal;
use std::process::exit;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::{CliError, output, remote};
use crate::app;
use crate::config::{Config, ConfigError, Transport};
use crate::mcp;

/// Logs go to standard error, never to standard output. The other commands say themselves what they do, and
/// log only what goes wrong unless asked for more.
pub(super) fn set_up_logging(config: &Config, serving: bool) {
    let filter = config.log.as_deref().unwrap_or(if serving { "info" } else { "error" });
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // No colours: they are escapes too, and none are let out.
    let lines =
        fmt::layer().with_ansi(false).with_writer(|| output::LogLines).with_filter(filter_fn(mcp::loggable));
    // Only fails when logging is set up already, which is as good.
    let _ = registry().with(filter).with(lines).try_init();
}

/// Says at a terminal what this is: an MCP client needs no words, and a person typed a command that is silent.
pub(super) fn greet() {
    if !std::io::stdin().is_terminal() {
        return;
    }
    output::complain(
        "an MCP server on standard input and output, which a client is to start: team-table setup has yours do so",
    );
    output::complain("team-table demo shows in seconds what it does; team-table --help lists the commands");
    output::complain("serving now; Ctrl-D ends");
}

pub(super) fn run(config: Config) -> Result<(), CliError> {
    let stdio = config.transport == Transport::Stdio;
    // Here rather than with the other settings: only serving uses a certificate, and an operator's commands run
    // in the same environment.
    if stdio && config.tls.is_some() {
        return Err(CliError::Config(ConfigError::Combination(
            "TEAM_TABLE_TLS_CERT and TEAM_TABLE_TLS_KEY are for the network, and TEAM_TABLE_TRANSPORT is stdio: use sse or \
             streamable-http, or leave them out"
                .into(),
        )));
    }
    if let Some(table) = remote::table(&config)? {
        remote::serve(table)?;
        // See below.
        exit(0);
    }
    let mut builder = if stdio {
        // One client: one thread for the protocol, blocking threads for the calls.
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.enable_all().build()?;
    let served = runtime.block_on(app::serve(config));
    if stdio && served.is_ok() {
        // A thread may still block in reading standard input; nothing is left that could be lost.
        exit(0);
    }
    runtime.shutdown_background();
    Ok(served?)
}
