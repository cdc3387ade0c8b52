//! `console`: serves the person's page on this machine alone and opens it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::exit;

use clap::Args;

use super::{CliError, output};
use crate::app;
use crate::auth::Secret;
use crate::config::{self, Config};
use crate::domain::clock::Clock;
use crate::domain::person::{Actor, Role, check_name};
use crate::os;
use crate::storage::{Db, Invitation};

/// The port that is tried first, beside the server's own: a bookmark stays good.
const PORT: u16 = 8742;
/// The person where the user of this process has no name that a person can have.
const NAMELESS: &str = "owner";

#[derive(Debug, Args)]
pub(super) struct ConsoleArguments {
    /// Print the address and open no browser
    #[arg(long)]
    no_open: bool,
}

pub(super) fn run(
    config: Config,
    arguments: &ConsoleArguments,
    person: Option<&str>,
    has_port: bool,
) -> Result<(), CliError> {
    let listener = listen(&config, has_port)?;
    let address = listener.local_addr()?;
    let db = app::open_db(&config)?;
    let (name, code) = invite(&db, person.map(str::to_owned))?;
    drop(db);
    let link = format!("http://{address}/console/join/{code}");
    output::line(&format!("the console of {}", config.db.display()))?;
    output::line(&format!("for {name}, once, within 15 minutes: {link}"))?;
    output::line(&format!("afterwards: http://{address}/console (Ctrl-C ends it)"))?;
    if !arguments.no_open && config::has_screen() && !open(&link) {
        output::complain("no browser could be opened: open the address above in one");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(app::serve_console(config, listener))?;
    // A thread may still wait for a browser that does not take what is sent; nothing is left that could be lost.
    exit(0);
}

/// A listener on this machine: on the port that was given, else on the usual one, else on any.
fn listen(config: &Config, has_port: bool) -> Result<TcpListener, CliError> {
    let on = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if has_port {
        let port = config.listen.port();
        return on(port).map_err(|error| {
            CliError::Usage(format!("cannot listen on port {port} ({error}): give another with --port"))
        });
    }
    Ok(on(PORT).or_else(|_| on(0))?)
}

/// A link for the person who runs this command. Who has the database file may do everything with it; a person who was
/// invited with another role keeps that.
fn invite(db: &Db, name: Option<String>) -> Result<(String, String), CliError> {
    let name = name.unwrap_or_else(|| {
        config::user().filter(|user| check_name(user).is_ok()).unwrap_or_else(|| NAMELESS.into())
    });
    let code = Secret::mint()?;
    let link = code.hash();
    let now = db.now(&Clock::System);
    let person = db.write(move |tx| {
        let role = tx.person(&name)?.is_none().then_some(Role::Operator);
        tx.invite(&Actor::Operator, &Invitation { name, role, agents: None, link }, now)
    })?;
    Ok((person.name, code.reveal()))
}

/// Opens an address in the person's browser; false where that cannot be.
fn open(link: &str) -> bool {
    let mut command = os::browser(link);
    // The link signs in: it is in no log of ours, and what the browser prints is not for this terminal.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
