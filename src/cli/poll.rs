//! `poll`: the daemon at a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::daemon::{Daemon, DaemonError, Ended, Note, PollOptions};
use crate::domain::agent;
use crate::domain::clock::{self, Clock};
use crate::events::Hub;
use crate::os::{EndSignal, ReloadSignal};
use crate::policy::PolicyHost;
use crate::wake::Ringing;

/// Exit status under `--exit-on-escalation`.
pub(super) const ESCALATED: u8 = 3;
/// Shortest and longest pause before a database that fails is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How long the message in hand may take after a signal.
const GRACE: Duration = Duration::from_millis(700);
/// Characters of a message shown at the terminal.
const SHOWN: usize = 100;

#[derive(Debug, Args)]
pub(super) struct PollArguments {
    /// The agent whose inbox to answer
    agent: String,
    /// Register the agent when there is none of that name
    #[arg(long)]
    register: bool,
    /// Longest time between two looks at the inbox, in seconds; a message is seen at once
    #[arg(long, allow_negative_numbers = true, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Automatic replies before a person is asked; 0 asks at the first message
    #[arg(long, allow_negative_numbers = true, default_value_t = 13, value_parser = clap::value_parser!(i64).range(0..=10_000))]
    max_messages: i64,
    /// Answer what is there and end
    #[arg(long)]
    once: bool,
    /// Shell command that gets each escalation as JSON on standard input, at most 30 s
    #[arg(long, value_name = "CMD")]
    on_escalation: Option<String>,
    /// End with status 3 at the first escalation
    #[arg(long)]
    exit_on_escalation: bool,
    /// Minutes after which an escalation is announced again, at most three times
    #[arg(long, allow_negative_numbers = true, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    remind: u64,
}

pub(super) fn run(config: &Config, arguments: PollArguments) -> Result<(), CliError> {
    let named =
        agent::check_name("agent", &arguments.agent).and_then(|()| agent::check_free_name(&arguments.agent));
    if let Err(refusal) = named {
        return Err(CliError::Usage(format!("{}; {}", refusal.message, refusal.hint)));
    }
    let arguments =
        PollArguments { register: arguments.register || asks_to_register(config, &arguments)?, ..arguments };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let ended = runtime.block_on(run_until_stopped(config, arguments));
    runtime.shutdown_background();
    match ended? {
        Ended::Escalated => Err(CliError::Escalated),
        Ended::Stopped | Ended::Once => Ok(()),
    }
}

/// Whether a person at a terminal wants an agent registered that is not there: a mistyped name must not become an agent.
fn asks_to_register(config: &Config, arguments: &PollArguments) -> Result<bool, CliError> {
    if output::is_json() || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let name = arguments.agent.clone();
    let known = app::open_db(config)?.read(|tx| tx.member(&name))?.is_some_and(|member| member.active);
    if known {
        return Ok(false);
    }
    let answer = super::escalation::ask(&format!("There is no agent {name:?}. Register it now? [y/N] "))?;
    Ok(answer.is_some_and(|answer| answer.eq_ignore_ascii_case("y")))
}

/// The daemon blocks its thread, on a locked database for many seconds; what it has in hand after the grace
/// is a transaction that happens wholly or not at all.
async fn run_until_stopped(config: &Config, arguments: PollArguments) -> Result<Ended, CliError> {
    let policies = Arc::new(app::start_policies(config)?);
    let stop = CancellationToken::new();
    listen(&stop, &policies)?;
    let ended = Note::Ended { agent: arguments.agent.clone() };
    let json = output::is_json();
    let (config, stopped, runtime) = (config.clone(), stop.clone(), Handle::current());
    let polling =
        tokio::task::spawn_blocking(move || runtime.block_on(poll(&config, arguments, policies, &stopped)));
    let reason = tokio::select! {
        reason = polling => reason.map_err(std::io::Error::other)??,
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ended::Stopped,
    };
    tell(&ended, json);
    Ok(reason)
}

async fn poll(
    config: &Config,
    arguments: PollArguments,
    policies: Arc<PolicyHost>,
    stop: &CancellationToken,
) -> Result<Ended, CliError> {
    let options = PollOptions {
        agent: arguments.agent,
        register: arguments.register,
        interval: Duration::from_secs(arguments.interval),
        max_messages: arguments.max_messages,
        once: arguments.once,
        on_escalation: arguments.on_escalation,
        exit_on_escalation: arguments.exit_on_escalation,
        remind: Duration::from_secs(arguments.remind * 60),
    };
    let json = output::is_json();
    let mut pause = BACKOFF.0;
    let troubled = Arc::new(AtomicBool::new(false));
    // The first opening may fail for good: a wrong file, a newer version.
    let mut db = Some(app::open_db(config)?);
    loop {
        let attempt = match db.take().map_or_else(|| reopen(config), Ok) {
            Ok(open) => {
                let hub = Hub::start(open.clone());
                let this = app::ThisProcess::begin(&open, "poll");
                let listed = open.clone();
                let ringing = Ringing::start(open.clone(), Arc::clone(&policies), Clock::System);
                let troubled = Arc::clone(&troubled);
                let tell_all = move |note: &Note| {
                    // A database that opens may still be locked; the daemon's first word says that it is not.
                    if troubled.swap(false, Ordering::Relaxed) {
                        tell(&Note::Recovered, json);
                    }
                    tell(note, json);
                };
                let daemon =
                    Daemon::new(open, Arc::clone(&policies), options.clone(), Clock::System, tell_all);
                let ended = match daemon {
                    Ok(daemon) => daemon.run(&hub, stop).await,
                    Err(problem) => Err(problem),
                };
                // It would keep a database open that is given up here.
                ringing.stop().await;
                this.end(&listed);
                ended
            }
            Err(problem) => Err(problem),
        };
        match attempt {
            Ok(ended) => return Ok(ended),
            Err(DaemonError::Trouble(crate::storage::Error::Refused(refusal))) => return Err(refusal.into()),
            Err(problem) => {
                if !troubled.swap(true, Ordering::Relaxed) {
                    tell(&Note::Trouble { problem: problem.to_string() }, json);
                    pause = BACKOFF.0;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(Ended::Stopped),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(BACKOFF.1),
        }
    }
}

/// Opens a database that was there before. One that has disappeared is not made anew: it may be on a disk
/// that is away.
fn reopen(config: &Config) -> Result<crate::storage::Db, DaemonError> {
    if !config.db.exists() {
        return Err(DaemonError::Replaced);
    }
    app::open_db(config).map_err(|error| crate::storage::Error::Fault(error.to_string()).into())
}

/// Signals: stop after the message in hand; reload the policies.
fn listen(stop: &CancellationToken, policies: &Arc<PolicyHost>) -> std::io::Result<()> {
    let (mut end, mut reload) = (EndSignal::listen()?, ReloadSignal::listen()?);
    let (stop, policies) = (stop.clone(), Arc::clone(policies));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = end.next() => break,
                () = reload.next() => policies.reload(),
            }
        }
        stop.cancel();
    });
    Ok(())
}

fn tell(note: &Note, json: bool) {
    let now = Clock::System.now();
    let at = if json { clock::format(now) } else { output::local_time(now) };
    // A person who closed the terminal needs no lines.
    let _ = if json {
        let mut value = serde_json::json!(note);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("at".into(), at.into());
        }
        output::json_line(&value)
    } else {
        let line = format!("{at} {}", words(note));
        if matches!(note, Note::Escalated { .. } | Note::HookFailed { .. }) {
            output::warning(&line)
        } else {
            output::line(&line)
        }
    };
}

/// A note in a person's words.
fn words(note: &Note) -> String {
    let shown = |text: &str| {
        let short: String = text.chars().take(SHOWN).collect();
        output::visible(&if short.len() < text.len() { format!("{short}…") } else { short })
    };
    match note {
        Note::Started { agent, max_messages, interval_seconds, not_deciding } => {
            let off =
                super::policy::not_deciding(not_deciding).map(|off| format!("\n{off}")).unwrap_or_default();
            format!(
                "answering for {agent}: at most {max_messages} automatic replies; new messages at once, and a look \
                 every {interval_seconds} s{off}"
            )
        }
        Note::Registered { agent } => {
            format!("registered {agent}; for its client's token: team-table agent rotate-token {agent:?}")
        }
        Note::Waiting { agent, holder } => {
            format!("another daemon ({holder}) answers for {agent}; waiting for its end")
        }
        Note::Received { message, from, content } => {
            format!("← {}  #{message} {}", output::visible(from), shown(content))
        }
        Note::Replied { to, text, count, max_messages } => {
            format!("→ {}  reply {count}/{max_messages}: {}", output::visible(to), shown(text))
        }
        Note::Noticed { to, text } => format!("→ {}  {}", output::visible(to), shown(text)),
        Note::Ignored { message } => format!("  #{message} is not answered"),
        Note::Joined { message, escalation } => format!("  #{message} joins escalation {escalation}"),
        Note::Escalated { escalation, from, action, policy, code, message, reminder } => {
            let again = if *reminder > 0 { format!(" (reminder {reminder})") } else { String::new() };
            let answer = if action == "review" { "--reply \"…\"" } else { "--approve (or --deny)" };
            format!(
                "⚠ escalation {escalation}{again} from {}: {policy} says {code}: {}\n         answer with: \
                 team-table escalation resolve {escalation} {answer}",
                output::visible(from),
                shown(message)
            )
        }
        Note::Paused { escalation } => format!("paused: escalation {escalation} waits for a person"),
        Note::Resumed { escalation, reply, note } => {
            let how = match (reply, note) {
                (Some(reply), _) => format!("answered: {}", shown(reply)),
                (None, Some(note)) => format!("closed without an answer: {}", shown(note)),
                (None, None) => "closed without an answer".into(),
            };
            format!("escalation {escalation} is {how}; resumed, with fresh counters")
        }
        Note::HookFailed { problem } => format!("⚠ the command for escalations failed: {}", shown(problem)),
        Note::Trouble { problem } => format!("⚠ {problem}; trying again until it works"),
        Note::Recovered => "the database is back".into(),
        Note::Ended { agent } => format!("no longer answering for {agent}"),
    }
}
