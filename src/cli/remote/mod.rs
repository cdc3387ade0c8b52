//! Tables on other machines: the hooks of sessions here go there, with the agent's token, and what rings there rings here.

mod credentials;
mod ring;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CliError;
use super::doctor::Finding;
use crate::config::{Config, ConfigError};
use crate::domain::hook::{Event, MAX_WAIT, NewsAnswer, NewsQuestion, Report, Ring, RingQuestion, Said};
use crate::domain::seat::Client;
use crate::mcp::{self, Remote, RemoteError};
use crate::wake::{Session, bell};

pub(super) use credentials::{Credential, forget, keep};
pub(super) use ring::{RingArguments, run as ring};

/// The table on another machine that the configuration names, if it names one.
///
/// # Errors
/// There is no token for it, or it cannot be used.
pub(super) fn table(config: &Config) -> Result<Option<Remote>, CliError> {
    let Some(url) = &config.url else { return Ok(None) };
    if let Some(token) = &config.token {
        let authority = credentials::find(config, url)?.and_then(|credential| credential.authority);
        return Ok(Some(Remote::new(url, token, authority.as_deref())?));
    }
    let credential = credentials::find(config, url)?.ok_or_else(|| {
        CliError::Usage(format!(
            "there is no token for {url}: team-table setup --url {url} --token-stdin keeps one, or set TEAM_TABLE_TOKEN"
        ))
    })?;
    Ok(Some(credential.table()?))
}

/// One finding for each table on another machine that a token is kept for.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "table elsewhere";
    let look = |credential: &Credential| match credential
        .table()
        .map_err(Into::into)
        .and_then(|table| holder(&table))
    {
        Ok(name) => Finding::good(WHAT, format!("{} knows the token as {name}", credential.url)),
        Err(problem) => Finding::bad(WHAT, problem, "look at the server and the network, or set it up again"),
    };
    match credentials::all(config) {
        Ok(tables) => tables.iter().map(look).collect(),
        Err(problem) => vec![Finding::bad(WHAT, problem, "then set it up again")],
    }
}

/// Serves MCP on standard input and output from a table on another machine.
pub(super) fn serve(remote: Remote) -> Result<(), CliError> {
    Ok(block_on(mcp::serve_remote(remote))??)
}

/// Whose token it is.
pub(super) fn holder(table: &Remote) -> Result<String, CliError> {
    let question = RingQuestion { session: "setup".into(), after: None, seconds: 0 };
    let ring: Ring = ask(table, "/seat/ring", &question)?;
    Ok(ring.agent)
}

/// Has a table on another machine answer a hook of a session here.
pub(super) fn hook(
    config: &Config,
    table: &Remote,
    event: Event,
    session: &Session,
) -> Result<Said, CliError> {
    let input_is_ours =
        |way: &String| way.strip_prefix("input:").is_none_or(|file| bell::is_input_file(&config.db, file));
    let way = session.wake.clone().filter(input_is_ours);
    let report = Report {
        event,
        client: session.client,
        session: name_there(&session.key),
        folder: session.folder.clone(),
        attended: session.attended,
        typed: session.typed,
        wakes: session.bell || way.is_some(),
    };
    let said = ask(table, "/seat/event", &report)?;
    if event == Event::End && session.bell {
        bell::remove(Some(&way_of(&bell::bell_file(&config.db, &session.key)?)));
    }
    let Said::Started { context, .. } = said else { return Ok(said) };
    let watch = session.bell.then(|| bell::bell_file(&config.db, &session.key)).transpose()?;
    if let Some(way) = watch.as_deref().map(way_of).or(way) {
        stand_by(config, table, session, &way)?;
    }
    Ok(Said::Started { context, watch, register: false })
}

fn way_of(bell: &std::path::Path) -> String {
    format!("bell:{}", bell.display())
}

/// A session's name on another machine: process numbers are of one machine.
fn name_there(key: &str) -> String {
    let machine: String = rustix::system::uname().nodename().to_string_lossy().chars().take(64).collect();
    format!("{machine}/{key}")
}

/// Starts what waits for the rings of a session; it ends with the session.
fn stand_by(config: &Config, table: &Remote, session: &Session, way: &str) -> Result<(), CliError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["ring", &session.key, way, "--client", session.client.as_str(), "--url", table.address()]);
    command.arg("--db").arg(&config.db);
    if let Some(process) = session.process {
        command.args(["--pid", &process.pid.to_string(), "--started", &process.started.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    // It is not waited for; the system takes it over when this process ends.
    command.spawn()?;
    Ok(())
}

/// Waits for an agent's news; `None`: the time is up.
pub(super) fn news(table: &Remote, timeout: Duration) -> Result<Option<NewsAnswer>, CliError> {
    let end = std::time::Instant::now() + timeout;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let answer: NewsAnswer =
            ask(table, "/seat/news", &NewsQuestion { seconds: left.as_secs().min(MAX_WAIT) })?;
        if answer.count > 0 {
            return Ok(Some(answer));
        }
        if left.as_secs() == 0 {
            return Ok(None);
        }
    }
}

fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
    table: &Remote,
    path: &str,
    question: &Q,
) -> Result<A, CliError> {
    Ok(block_on(table.ask(path, question))??)
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Refuses a command that works on the database of this machine, where a table on another one is named.
pub(super) fn check_local(config: &Config) -> Result<(), ConfigError> {
    config.url.as_ref().map_or(Ok(()), |url| {
        Err(ConfigError::Combination(format!(
            "this command works on the database of its own machine, and TEAM_TABLE_URL (--url) names {url}: leave it out, or \
             run the command there"
        )))
    })
}
