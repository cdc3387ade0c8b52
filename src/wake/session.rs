//! What a client's hooks tell of its session, and what they are answered. A hook announces who wrote and how a message begins;
//! it never marks a message as read, and never asks a policy: the message itself is fetched with `get_messages`.

use std::path::Path;

use super::bell;
use super::process::{Process, is_live};
use crate::domain::clock::{Clock, Millis};
use crate::domain::hook::{Event, Report, Said};
use crate::domain::principal::Principal;
use crate::domain::seat::{self, AllNews, Client, MAX_CONTINUED, Seat};
use crate::storage::{self, Db, NewSeat, WriteTx};

/// A session as its hook describes it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the session")]
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
    /// Its client watches a bell file of ours.
    pub bell: bool,
    /// How it is woken otherwise.
    pub wake: Option<String>,
    /// The name, and the role, that it takes by itself.
    pub name: Option<(String, String)>,
    /// What it was told of did not arrive, and is to be told again.
    pub again: bool,
    /// The member that sits here, where a token says so: the session is on another machine.
    pub member: Option<Principal>,
}

impl Session {
    /// The session of a member on another machine.
    #[must_use]
    pub fn remote(member: Principal, report: &Report) -> Self {
        Self {
            client: report.client,
            key: remote_key(member.id, &report.session),
            process: None,
            session: report.session.clone(),
            folder: report.folder.clone(),
            attended: report.attended,
            typed: report.typed,
            bell: false,
            wake: report.wakes.then(|| Seat::REMOTE.to_owned()),
            name: None,
            again: report.again,
            member: Some(member),
        }
    }
}

/// The key of a member's seat on another machine: nobody else can name it.
#[must_use]
pub fn remote_key(member_id: i64, session: &str) -> String {
    format!("{}{member_id}:{session}", Seat::REMOTE)
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
    let known = db.read(|tx| {
        let seat = tx.seat(&session.key)?;
        Ok(match (seat, &session.member) {
            // Its agent sits elsewhere by now.
            (Some(seat), Some(member)) => {
                tx.seated(seat.id)?.iter().any(|it| it.id == member.id).then_some(seat)
            }
            (seat, _) => seat,
        })
    })?;
    if let Some(seat) = known.as_ref().filter(|_| session.again) {
        let id = seat.id;
        db.write(move |tx| tx.announce_again(id))?;
    }
    match (event, known) {
        // A first prompt: the hooks were installed while the session ran (its bell is watched from the next start on), or the
        // client starts a session with its first turn.
        (Event::Start, _) | (Event::Prompt, None) => start(db, db_file, session, now),
        // Cursor has no hook of ours for a prompt. All conversations of a window are one seat, which the end of any of them removes.
        (Event::Tool, None) if session.client == Client::Cursor => start(db, db_file, session, now),
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
        (Event::Broken, Some(seat)) => {
            db.write(move |tx| tx.end_turn(&seat, false, now))?;
            Ok(Said::Nothing)
        }
        (Event::Tool | Event::Bell, Some(seat)) => {
            if session.client == Client::Cursor && event == Event::Tool && !seat.busy {
                // The first sign of a turn.
                let seat = seat.clone();
                db.write(move |tx| tx.begin_turn(&seat, false, now))?;
            }
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

/// What a member was not told of yet, wherever it sits; it counts as announced then. `None`: nothing.
///
/// # Errors
/// Those of storage.
pub fn claim_news(db: &Db, clock: &Clock, member_id: i64) -> storage::Result<Option<AllNews>> {
    // Most of the time there is nothing new, and nothing is written.
    if db.read(|tx| tx.news(None, Some(member_id)))?.first.is_empty() {
        return Ok(None);
    }
    let now = db.now(clock);
    db.write(move |tx| {
        let news = tx.news(None, Some(member_id))?;
        Ok(tx.announce(&news, now)?.then_some(news))
    })
}

fn start(db: &Db, db_file: &Path, session: &Session, now: Millis) -> storage::Result<Said> {
    let unwritable = |error: std::io::Error| storage::Error::Unwritable(error.to_string());
    let bell = || bell::bell_file(db_file, &session.key).map_err(unwritable);
    let watch = session.bell.then(bell).transpose()?;
    let wake = watch.as_deref().map(bell::way).or_else(|| session.wake.clone());
    let seats = db.read(|tx| tx.seats())?;
    // An input file is of one session, and one of ours: a client that is started in a session inherits its environment.
    let wake = wake.filter(|wake| {
        let taken = seats
            .iter()
            .any(|seat| seat.wake.as_ref() == Some(wake) && seat.key != session.key && is_live(seat));
        bell::is_ours(db_file, wake) && !(wake.starts_with("input:") && taken)
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
    let (wanted, member) = (session.name.clone(), session.member.clone());
    let (name, role, here, news, register, forgotten) = db.write(move |tx| {
        let forgotten = tx.sweep_seats(&gone, now)?;
        let seat = tx.open_seat(&new, now)?;
        let (name, role) = match (member, wanted) {
            (Some(member), _) => {
                tx.sit_remotely(&seat, member.id)?;
                (Some(member.name), member.role)
            }
            (None, Some((name, role))) => (tx.reserve_name(&seat, &name, &role)?, role),
            (None, None) => (None, String::new()),
        };
        let news = claim(tx, &seat, now)?;
        let here = if name.is_some() { tx.members(false)? } else { Vec::new() };
        // Not where the session has the name already: registering takes a process that loads the policies.
        let register = tx.seat(&new.key)?.is_some_and(|seat| seat.reserved.is_some());
        Ok((name, role, here, news, register, forgotten))
    })?;
    for way in forgotten {
        bell::remove(Some(&way));
    }
    let welcome = name.map(|name| seat::welcome(&name, &role, &here));
    let notice = news.map(|news| seat::notice(&news));
    let context: Vec<String> = welcome.into_iter().chain(notice).collect();
    Ok(Said::Started { context: (!context.is_empty()).then(|| context.join("\n")), watch, register })
}
