//! `ring`: waits for the rings of one session at a table on another machine, and rings here. One process for each such session,
//! started by its hook; it ends with the session.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use tokio::time::{Instant, sleep};

use super::{Asked, CliError, Client, Event, Remote, RemoteError, Report, Ring, RingQuestion, name_there};
use crate::cli::hook;
use crate::config::Config;
use crate::wake::{Process, bell};

/// How long one request waits, in seconds. The client's process is looked for in between.
const WAIT: u64 = 20;
/// The same while a ring is not answered: the client may not have watched its bell yet.
const WAIT_FOR_ANSWER: u64 = 4;
/// How often a ring is repeated that is not answered.
const MAX_REPEATS: u32 = 3;
/// How long it is waited for the end of a process that waits for the same rings.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Pauses while the server cannot be reached.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A server that was not reached for so long is given up: it has forgotten the seat.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(crate) struct RingArguments {
    /// What the client's hooks and its MCP process share
    key: String,
    /// How the session is woken
    way: String,
    /// The client
    #[arg(long, value_parser = PossibleValuesParser::new(Client::ALL.map(Client::as_str)))]
    client: String,
    /// The client's process
    #[arg(long, requires = "started")]
    pid: Option<u32>,
    /// When that started
    #[arg(long)]
    started: Option<i64>,
}

/// Waits and rings until the session is over.
pub(crate) fn run(config: &Config, arguments: &RingArguments) -> Result<(), CliError> {
    let Some(table) = super::table(config)? else {
        return Err(CliError::Usage("ring is for a table on another machine: --url".into()));
    };
    // Another start of the same session has one already, or one that is just ending.
    let mut tries = 0..LOCK_TRIES;
    let _only = loop {
        match (bell::one_at_a_time(&config.db, &arguments.key)?, tries.next()) {
            (Some(lock), _) => break lock,
            (None, Some(_)) => std::thread::sleep(LOCK_PAUSE),
            (None, None) => return Ok(()),
        }
    };
    super::block_on(stand_by(config, &table, arguments))?;
    if !arguments.is_alive() {
        bell::remove(Some(&arguments.way));
    }
    // Of a session, which has a key of its own.
    let _ = std::fs::remove_file(bell::file_of(&config.db, &arguments.key, "lock")?);
    Ok(())
}

async fn stand_by(config: &Config, table: &Remote, arguments: &RingArguments) {
    let lost = Asked::of(config, &arguments.key);
    let session = name_there(&arguments.key);
    let mut question = RingQuestion { session, after: None, seconds: WAIT };
    let (mut repeats, mut pause, mut reached) = (0, FIRST_PAUSE, Instant::now());
    loop {
        if !arguments.is_alive() {
            // The client was killed: its last hook did not run.
            return arguments.say_it_is_over(table, question.session).await;
        }
        if lost.as_ref().is_ok_and(Asked::is_lost) {
            // The session is to ask again.
            question.after = None;
            arguments.ring(config);
        }
        match table.ask::<_, Ring>("/seat/ring", &question, Duration::from_secs(question.seconds)).await {
            Ok(Ring { here: false, .. }) | Err(RemoteError::Token(_)) => return,
            Ok(Ring { rung_at, .. }) => {
                let new = rung_at != question.after;
                repeats = if new { 0 } else { repeats + 1 };
                let again = repeats <= MAX_REPEATS && bell::is_idempotent(Some(&arguments.way));
                if rung_at.is_some() && (new || again) {
                    arguments.ring(config);
                }
                question.seconds = if rung_at.is_some() && again { WAIT_FOR_ANSWER } else { WAIT };
                question.after = rung_at;
                (pause, reached) = (FIRST_PAUSE, Instant::now());
            }
            Err(_) if reached.elapsed() > GIVEN_UP_AFTER => return,
            Err(_) => {
                sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}

impl RingArguments {
    /// A session that is no process of ours is over when the server says so.
    fn is_alive(&self) -> bool {
        self.pid.zip(self.started).is_none_or(|(pid, started)| Process { pid, started }.is_alive())
    }

    fn ring(&self, config: &Config) {
        // What cannot be rung is unread all the same.
        if let Err(error) = bell::ring(&self.key, Some(&self.way)) {
            hook::log(Some(config), &format!("{} could not be rung: {error}", self.key));
        }
    }

    async fn say_it_is_over(&self, table: &Remote, session: String) {
        let Some(client) = Client::parse(&self.client) else { return };
        let report = Report {
            event: Event::End,
            client,
            session,
            folder: String::new(),
            attended: false,
            typed: false,
            wakes: false,
            again: false,
        };
        // Where it cannot be said, the seat is forgotten after a day.
        let _ = table.ask::<_, super::Said>("/seat/event", &report, Duration::ZERO).await;
    }
}
