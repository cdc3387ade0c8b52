//! `wait`: blocks until an agent has news, and says what it is; in a session of a client that only wakes when a program that it
//! started ends, blocks until the session is rung. Costs nothing while it waits.

use std::time::Duration;

use clap::Args;
use futures_util::future::select_all;
use serde_json::json;

use super::{CliError, output, remote};
use crate::app;
use crate::config::Config;
use crate::domain::agent::Member;
use crate::domain::clock::{self, Clock};
use crate::domain::hook::NewsAnswer;
use crate::domain::seat::Seat;
use crate::events::Hub;
use crate::mcp::Remote;
use crate::storage::{self, Db};
use crate::wake::{self, bell};

#[derive(Debug, Args)]
pub(super) struct WaitArguments {
    /// Whose inbox. Without one: with --url that of the agent whose token is kept for that table, else until the session that this
    /// was started in is rung
    name: Option<String>,
    /// How long, such as 90s, 55m or 2h; exit status 2 when nothing came
    #[arg(long, default_value = "55m", value_parser = timeout)]
    timeout: Duration,
    /// Go on after each piece of news, each waited for as long
    #[arg(long)]
    follow: bool,
}

/// A time to wait.
fn timeout(text: &str) -> Result<Duration, String> {
    let wrong = || "use a number with s, m, h or d, such as 55m".to_owned();
    let millis = clock::parse_span(text).ok_or_else(wrong)?;
    u64::try_from(millis).map(Duration::from_millis).map_err(|_| wrong())
}

pub(super) fn run(config: &Config, arguments: &WaitArguments) -> Result<(), CliError> {
    let inbox = Inbox::open(config, arguments.name.as_deref())?;
    if arguments.follow && matches!(inbox, Inbox::Session { .. }) {
        return Err(CliError::Usage("in a session, read what came and wait anew: leave --follow out".into()));
    }
    loop {
        let news = inbox.news(arguments.timeout)?.ok_or(CliError::NothingNew)?;
        if output::is_json() {
            let object = json!({ "agent": news.agent, "messages": news.messages, "count": news.count });
            output::json_line(&object)?;
        } else {
            output::line(&news.notice)?;
        }
        inbox.shown(&news)?;
        if !arguments.follow {
            return Ok(());
        }
    }
}

/// Where the news come from.
enum Inbox {
    Here {
        db: Db,
        member_id: i64,
        name: String,
    },
    There(Remote),
    /// In a session, which the policies decide to wake.
    Session {
        config: Box<Config>,
        db: Db,
        seat: Seat,
        members: Vec<Member>,
    },
}

impl Inbox {
    fn open(config: &Config, name: Option<&str>) -> Result<Self, CliError> {
        if let Some(table) = remote::table(config)? {
            if let Some(name) = name {
                let holder = remote::holder(&table)?;
                if holder != name {
                    return Err(CliError::Usage(format!(
                        "the token for {} is {holder}'s, not {name}'s",
                        table.address()
                    )));
                }
            }
            return Ok(Self::There(table));
        }
        let db = app::open_existing_db(config)?;
        let Some(name) = name.map(str::to_owned) else { return Self::of_session(config, db) };
        let member = db.write(move |tx| {
            let member = tx.recipient(&name)?;
            tx.keep_announced(member.id)?;
            Ok(member)
        })?;
        Ok(Self::Here { db, member_id: member.id, name: member.name })
    }

    fn of_session(config: &Config, db: Db) -> Result<Self, CliError> {
        let keys: Vec<String> = wake::Process::ancestors().map(wake::Process::key).collect();
        let found = db.read(|tx| {
            let Some(seat) = tx.first_seat(&keys)? else { return Ok(None) };
            let members = tx.seated(seat.id)?;
            Ok((!members.is_empty()).then_some((seat, members)))
        })?;
        let (seat, members) = found.ok_or_else(|| {
            CliError::Usage(
                "nobody sits in the session that this was started in: name the inbox, team-table wait NAME"
                    .into(),
            )
        })?;
        if seat.wake.as_deref().is_some_and(|way| !way.starts_with(Seat::WAITS)) {
            return Err(CliError::Usage(
                "this session is woken by its client: nothing need wait for it".into(),
            ));
        }
        Ok(Self::Session { config: Box::new(config.clone()), db, seat, members })
    }

    /// The news were printed. Here they count as announced already; a table elsewhere is told.
    fn shown(&self, news: &NewsAnswer) -> Result<(), CliError> {
        if let Self::There(table) = self { remote::shown(table, news) } else { Ok(()) }
    }

    /// What is new; `None`: nothing came in time.
    fn news(&self, timeout: Duration) -> Result<Option<NewsAnswer>, CliError> {
        match self {
            Self::There(table) => remote::news(table, timeout),
            Self::Here { db, member_id, name } => {
                let news =
                    watch(db, &[*member_id], timeout, || wake::claim_news(db, &Clock::System, *member_id))?;
                Ok(news.map(|news| NewsAnswer::new(name, Some(&news))))
            }
            Self::Session { config, db, seat, members } => {
                let own = wake::Process::find(std::process::id()).map(wake::Process::key).unwrap_or_default();
                let way = format!("{}{own}", Seat::WAITS);
                let (now, id, waiting, of_us) = (db.now(&Clock::System), seat.id, seat.clone(), way.clone());
                db.write(move |tx| tx.wait_in_seat(&waiting, &of_us, now))?;
                let ids: Vec<i64> = members.iter().map(|member| member.id).collect();
                let is_rung = || {
                    let here = db.read(|tx| tx.seat(&seat.key))?;
                    Ok(here.is_none_or(|seat| seat.rung_at.is_some()).then_some(()))
                };
                // What came before may wake now.
                let rung = app::ring(config, db)
                    .map_err(CliError::from)
                    .and_then(|()| watch(db, &ids, timeout, is_rung));
                db.write(move |tx| tx.stop_waiting(id, &way))?;
                let agent = members.first().map(|member| member.name.clone()).unwrap_or_default();
                let notice = bell::LINE.to_owned();
                Ok(rung?.map(|()| NewsAnswer { agent, notice, ..NewsAnswer::default() }))
            }
        }
    }
}

/// Looks, and looks again when something was committed for one of the members, until there is what is waited for.
fn watch<T>(
    db: &Db,
    members: &[i64],
    timeout: Duration,
    look: impl Fn() -> storage::Result<Option<T>>,
) -> Result<Option<T>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let hub = Hub::start(db.clone());
        let mut subscriptions: Vec<_> = members.iter().map(|id| hub.subscribe(*id)).collect();
        let wait = async {
            loop {
                if let Some(found) = look()? {
                    return Ok(found);
                }
                let changes = subscriptions.iter_mut().map(|subscription| Box::pin(subscription.changed()));
                select_all(changes).await;
            }
        };
        tokio::time::timeout(timeout, wait).await
    });
    found.map_or(Ok(None), |found: storage::Result<T>| Ok(Some(found?)))
}
