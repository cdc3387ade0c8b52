//! What a client's hooks tell of its session, and what they are answered. A hook announces who wrote and how a message begins;
//! it never marks a message as read, and never asks a policy: the message itself is fetched with `get_messages`.

use std::path::{Path, PathBuf};

use super::bell;
use super::process::{Process, is_live};
use crate::domain::clock::{Clock, Millis};
use crate::domain::seat::{self, AllNews, Client, MAX_CONTINUED, Seat};
use crate::storage::{self, Db, NewSeat, WriteTx};

/// What happened in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It begins, or begins anew (resumed, cleared, compacted).
    Start,
    /// A turn begins.
    Prompt,
    /// Tools were used; the model is asked next.
    Tool,
    /// A turn ends.
    Stop,
    /// Its bell was rung.
    Bell,
    /// It is over.
    End,
}

/// A session as its hook describes it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The client.
    pub client: Client,
    /// What its hooks and its MCP process share.
    pub key: String,
    /// Its process, if the key is one.
    pub process: Option<Process>,
    /// The client's own name for it.
    pub session: String,
    /// The folder it works in.
    pub folder: String,
    /// A person sits in front of it.
    pub attended: bool,
    /// The turn begins because a person typed.
    pub typed: bool,
    /// How it is woken, for clients that have no bell file of ours.
    pub wake: Option<String>,
    /// The name, and the role, that it takes by itself.
    pub name: Option<(String, String)>,
}

/// What a hook answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// What the model is told, and the file that the client shall watch.
    Started {
        /// For the model.
        context: Option<String>,
        /// The bell file.
        watch: Option<PathBuf>,
        /// A name is reserved, and is to be registered.
        register: bool,
    },
    /// What the model is told besides.
    Context(String),
    /// The turn must go on, because of this.
    GoOn(String),
    /// The session must start a turn, because of this.
    Wake(String),
}

/// Takes note of an event, and says what the client is to be answered. `db_file` is where the bells are kept beside.
///
/// # Errors
/// Those of storage; a bell file that cannot be made.
pub fn hook(
    db: &Db,
    db_file: &Path,
    clock: &Clock,
    event: Event,
    session: &Session,
) -> storage::Result<Said> {
    let now = db.now(clock);
    let known = db.read(|tx| tx.seat(&session.key))?;
    match (event, known) {
        // A first prompt: the hooks were installed while the session ran (its bell is watched from the next start on), or the
        // client starts a session with its first turn.
        (Event::Start, _) | (Event::Prompt, None) => start(db, db_file, session, now),
        (Event::End, Some(seat)) => {
            db.write(move |tx| tx.leave_seat(seat.id))?;
            bell::remove(seat.wake.as_deref());
            Ok(Said::Nothing)
        }
        (_, None) => Ok(Said::Nothing),
        (Event::Prompt, Some(seat)) => {
            let typed = session.typed;
            let news = db.write(move |tx| {
                tx.begin_turn(&seat, typed, now)?;
                claim(tx, &seat, now)
            })?;
            Ok(news.map_or(Said::Nothing, |news| Said::Context(seat::notice(&news))))
        }
        (Event::Stop, Some(_)) => {
            let key = session.key.clone();
            // Read again in the transaction: a message that is committed later finds the seat idle, and wakes it.
            let news = db.write(move |tx| {
                let Some(seat) = tx.seat(&key)? else { return Ok(None) };
                let news = if seat.continued < MAX_CONTINUED { claim(tx, &seat, now)? } else { None };
                tx.end_turn(&seat, news.is_some(), now)?;
                Ok(news)
            })?;
            Ok(news.map_or(Said::Nothing, |news| Said::GoOn(seat::notice(&news))))
        }
        (Event::Tool | Event::Bell, Some(seat)) => {
            // Most of the time there is nothing new, and nothing is written.
            let news = db.read(|tx| tx.news(Some(seat.id), None))?;
            if news.first.is_empty() && !(event == Event::Bell && seat.rung_at.is_some()) {
                return Ok(Said::Nothing);
            }
            let Some(news) = db.write(move |tx| claim(tx, &seat, now))? else { return Ok(Said::Nothing) };
            let text = seat::notice(&news);
            Ok(if event == Event::Bell { Said::Wake(text) } else { Said::Context(text) })
        }
    }
}

/// What is new, for the hook that is first to announce it.
fn claim(tx: &WriteTx<'_>, seat: &Seat, now: Millis) -> storage::Result<Option<AllNews>> {
    let news = tx.news(Some(seat.id), None)?;
    let first = tx.announce(&news, now)?;
    tx.answered_ring(seat, now)?;
    Ok((first && !news.first.is_empty()).then_some(news))
}

fn start(db: &Db, db_file: &Path, session: &Session, now: Millis) -> storage::Result<Said> {
    let watch = match session.client {
        Client::Claude | Client::Opencode if session.attended => Some(
            bell::bell_file(db_file, &session.key)
                .map_err(|error| storage::Error::Unwritable(error.to_string()))?,
        ),
        _ => None,
    };
    let wake = watch.as_ref().map(|file| format!("bell:{}", file.display())).or_else(|| session.wake.clone());
    let seats = db.read(|tx| tx.seats())?;
    // An input file is of one session, and one of ours: a client that is started in a session inherits its environment.
    let wake = wake.filter(|wake| {
        let taken = seats
            .iter()
            .any(|seat| seat.wake.as_ref() == Some(wake) && seat.key != session.key && is_live(seat));
        wake.strip_prefix("input:").is_none_or(|file| !taken && bell::is_input_file(db_file, file))
    });
    let new = NewSeat {
        client: session.client,
        key: session.key.clone(),
        process: session.process.map(|process| (i64::from(process.pid), process.started)),
        session: session.session.clone(),
        folder: session.folder.clone(),
        wake,
        attended: session.attended,
    };
    let dead: Vec<&Seat> = seats.iter().filter(|seat| !is_live(seat)).collect();
    for seat in &dead {
        bell::remove(seat.wake.as_deref());
    }
    let gone: Vec<i64> = dead.iter().map(|seat| seat.id).collect();
    let wanted = session.name.clone();
    let (name, role, here, news, register) = db.write(move |tx| {
        tx.sweep_seats(&gone, now)?;
        let seat = tx.open_seat(&new, now)?;
        let role = wanted.as_ref().map(|(_, role)| role.clone()).unwrap_or_default();
        let name = match &wanted {
            Some((name, role)) => tx.reserve_name(&seat, name, role)?,
            None => None,
        };
        let news = claim(tx, &seat, now)?;
        let here = if name.is_some() { tx.members(false)? } else { Vec::new() };
        // Not where the session has the name already: registering takes a process that loads the policies.
        let register = tx.seat(&new.key)?.is_some_and(|seat| seat.reserved.is_some());
        Ok((name, role, here, news, register))
    })?;
    let welcome = name.map(|name| seat::welcome(&name, &role, &here));
    let notice = news.map(|news| seat::notice(&news));
    let context: Vec<String> = welcome.into_iter().chain(notice).collect();
    Ok(Said::Started { context: (!context.is_empty()).then(|| context.join("\n")), watch, register })
}
