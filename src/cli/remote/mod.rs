//! Tables on other machines: the hooks of sessions here go there, with the agent's token, and what rings there rings here.

mod credentials;
mod person;
mod ring;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::doctor::Finding;
use super::hook::DEADLINE;
use super::{CliError, output};
use crate::config::{Config, ConfigError};
use crate::domain::hook::{Event, MAX_WAIT, NewsAnswer, NewsQuestion, Report, Ring, RingQuestion, Said};
use crate::domain::seat::{Client, MAX_NOTICE};
use crate::mcp::{self, Remote, RemoteError};
use crate::os::{self, Private};
use crate::wake::{Session, bell};

use credentials::with_agent;
pub(super) use credentials::{Credential, forget, keep};
pub(super) use person::{PersonSession, SignInArguments, sign_in, sign_out};
pub(super) use ring::{RingArguments, run as ring};

/// The table on another machine that the configuration names, if it names one.
///
/// # Errors
/// There is no token for it, or it cannot be used.
pub(super) fn table(config: &Config) -> Result<Option<Remote>, CliError> {
    let Some((url, agent)) = &config.url else { return Ok(None) };
    // The token of the environment may be another table's.
    if let Some(credential) = credentials::find(config, url, agent.as_deref())? {
        return Ok(Some(credential.table()?));
    }
    let token = config.token.as_ref().ok_or_else(|| {
        CliError::Usage(format!(
            "there is no token for {url}: team-table setup --url {url} --token-stdin keeps one, or set TEAM_TABLE_TOKEN"
        ))
    })?;
    Ok(Some(Remote::new(url, token, None)?))
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

/// The address of a table with the name of the agent whose token it is.
pub(super) fn named_url(table: &Remote) -> Result<String, CliError> {
    Ok(with_agent(table.address(), &holder(table)?))
}

/// Whose token it is.
pub(super) fn holder(table: &Remote) -> Result<String, CliError> {
    let question = RingQuestion { session: "setup".into(), after: None, seconds: 0 };
    let ring: Ring = ask(table, "/seat/ring", &question, 0)?;
    Ok(ring.agent)
}

/// Has a table on another machine answer a hook of a session here.
pub(super) fn hook(
    config: &Config,
    table: &Remote,
    event: Event,
    session: &Session,
) -> Result<Said, CliError> {
    let way = session.wake.clone().filter(|way| bell::is_ours(&config.db, way));
    let report = Report {
        event,
        client: session.client,
        session: name_there(&session.key),
        folder: session.folder.clone(),
        attended: session.attended,
        typed: session.typed,
        wakes: session.bell || way.is_some(),
        again: false,
    };
    let asked = Asked::of(config, &session.key)?;
    let said =
        asked.until_answered(|again| ask(table, "/seat/event", &Report { again, ..report.clone() }, 0))?;
    check(&said)?;
    if event == Event::End && session.bell {
        bell::remove(Some(&bell::way(&bell::bell_file(&config.db, &session.key)?)));
    }
    if !matches!(event, Event::Start | Event::Prompt) {
        return Ok(said);
    }
    let watch = session.bell.then(|| bell::bell_file(&config.db, &session.key)).transpose()?;
    // Nothing waits yet, or what waited was ended.
    if let Some(way) = watch.as_deref().map(bell::way).or(way)
        && bell::one_at_a_time(&config.db, &session.key)?.is_some()
    {
        stand_by(config, table, session, &way)?;
    }
    let Said::Started { context, .. } = said else { return Ok(said) };
    Ok(Said::Started { context, watch, register: false })
}

/// Refuses what is longer than a table of ours says: clients put long words into files that others can read.
fn check(said: &Said) -> Result<(), CliError> {
    let text = match said {
        Said::Nothing | Said::Started { context: None, .. } => return Ok(()),
        Said::Started { context: Some(text), .. }
        | Said::Context(text)
        | Said::GoOn(text)
        | Said::Wake(text) => text,
    };
    let plain = text.chars().all(|c| c == '\n' || !c.is_control());
    if plain && text.len() <= 2 * MAX_NOTICE {
        return Ok(());
    }
    Err(CliError::Broken(
        "the table's answer to a hook is too long, or no plain text: look at its server".into(),
    ))
}

/// Whether the answer to a hook arrived: a file is there from the question to the answer. A hook has little time, and what its table
/// counts as announced it would not announce again.
struct Asked(PathBuf);

impl Asked {
    fn of(config: &Config, key: &str) -> std::io::Result<Self> {
        Ok(Self(bell::file_of(&config.db, key, "asked")?))
    }

    /// Whether a hook asked, and is over without an answer.
    fn is_lost(&self) -> bool {
        let asked = fs::metadata(&self.0).and_then(|found| found.modified());
        asked.is_ok_and(|at| at.elapsed().unwrap_or_default() > DEADLINE * 2)
    }

    /// Asks; `true` where an earlier answer was lost.
    fn until_answered<T>(&self, ask: impl FnOnce(bool) -> Result<T, CliError>) -> Result<T, CliError> {
        let lost = self.is_lost();
        if !lost {
            os::open_private(&self.0, Private::Replace)?;
        }
        let answer = ask(lost)?;
        let _ = fs::remove_file(&self.0);
        Ok(answer)
    }
}

/// The name of this machine.
fn machine() -> String {
    os::host_name().chars().take(64).collect()
}

/// A session's name on another machine: process numbers are of one machine.
fn name_there(key: &str) -> String {
    format!("{}/{key}", machine())
}

/// Says that what is sent to an address can be read on the way.
pub(super) fn warn_of_plain_http(url: &str) -> std::io::Result<()> {
    let host =
        url.strip_prefix("http://").unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|it| it.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    if url.starts_with("http://") && !here && !output::is_json() {
        output::warning(
            "the token crosses the network in the clear: https, or a network that nobody else is on",
        )?;
    }
    Ok(())
}

/// Starts what waits for the rings of a session; it ends with the session.
fn stand_by(config: &Config, table: &Remote, session: &Session, way: &str) -> Result<(), CliError> {
    let agent = config.url.as_ref().and_then(|(_, agent)| agent.as_ref());
    let address =
        agent.map_or_else(|| table.address().to_owned(), |agent| with_agent(table.address(), agent));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["ring", &session.key, way, "--client", session.client.as_str(), "--url", &address]);
    command.arg("--db").arg(&config.db);
    if let Some(process) = session.process {
        command.args(["--pid", &process.pid.to_string(), "--started", &process.started.to_string()]);
    }
    Ok(os::leave_running(&mut command)?)
}

/// Waits for an agent's news; `None`: the time is up.
pub(super) fn news(table: &Remote, timeout: Duration) -> Result<Option<NewsAnswer>, CliError> {
    let end = Instant::now() + timeout;
    let mut reached = false;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // Up to the next second.
        let seconds = u64::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(MAX_WAIT).min(MAX_WAIT);
        match ask::<_, NewsAnswer>(table, "/seat/news", &NewsQuestion { shown: 0, seconds }, seconds) {
            Ok(answer) if answer.count > 0 => return Ok(Some(answer)),
            Ok(_) if seconds == 0 => return Ok(None),
            Ok(_) => reached = true,
            // Its server is started anew.
            Err(CliError::Remote(RemoteError::Unreachable { .. } | RemoteError::Refused { .. }))
                if reached && seconds > 0 =>
            {
                std::thread::sleep(Duration::from_secs(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Says that news were shown. What is not said to be is shown again.
pub(super) fn shown(table: &Remote, news: &NewsAnswer) -> Result<(), CliError> {
    let _: NewsAnswer = ask(table, "/seat/news", &NewsQuestion { shown: news.newest, seconds: 0 }, 0)?;
    Ok(())
}

fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
    table: &Remote,
    path: &str,
    question: &Q,
    seconds: u64,
) -> Result<A, CliError> {
    Ok(block_on(table.ask(path, question, Duration::from_secs(seconds)))??)
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Refuses a command that works on the database of this machine, where a table on another one is named.
pub(super) fn check_local(config: &Config) -> Result<(), ConfigError> {
    config.url.as_ref().map_or(Ok(()), |(url, _)| {
        Err(ConfigError::Combination(format!(
            "this command works on the database of its own machine, and TEAM_TABLE_URL (--url) names {url}: leave it out, or \
             run the command there"
        )))
    })
}
