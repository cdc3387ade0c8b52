//! `wait`: blocks until an agent has news, and says what it is. For scripts, and for clients that only wake when a program that
//! they started ends. Costs nothing while it waits.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::domain::seat;
use crate::events::Hub;
use crate::storage::Db;

#[derive(Debug, Args)]
pub(super) struct WaitArguments {
    /// Whose inbox
    name: String,
    /// How long, such as 90s, 55m or 2h; exit status 2 when nothing came
    #[arg(long, default_value = "55m", value_parser = timeout)]
    timeout: Duration,
}

/// A time to wait.
fn timeout(text: &str) -> Result<Duration, String> {
    let wrong = || "use a number with s, m, h or d, such as 55m".to_owned();
    let millis = clock::parse_span(text).ok_or_else(wrong)?;
    u64::try_from(millis).map(Duration::from_millis).map_err(|_| wrong())
}

pub(super) fn run(config: &Config, arguments: &WaitArguments) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let name = arguments.name.clone();
    let member = db.write(move |tx| {
        let member = tx.recipient(&name)?;
        tx.keep_announced(member.id)?;
        Ok(member)
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let hub = Hub::start(db.clone());
        let mut subscription = hub.subscribe(member.id);
        let wait = async {
            loop {
                if let Some(news) = claim(&db, member.id)? {
                    return Ok::<_, CliError>(news);
                }
                subscription.message().await;
            }
        };
        tokio::time::timeout(arguments.timeout, wait).await
    });
    let Ok(news) = found else { return Err(CliError::NothingNew) };
    let news = news?;
    if output::is_json() {
        let ids: Vec<i64> = news.first.iter().map(|message| message.id).collect();
        return Ok(output::json(&json!({ "agent": member.name, "messages": ids, "count": news.count }))?);
    }
    Ok(output::line(&seat::notice(&news))?)
}

/// What is new, if it is; it counts as announced then.
fn claim(db: &Db, member_id: i64) -> Result<Option<seat::AllNews>, CliError> {
    if db.read(|tx| tx.news(None, Some(member_id)))?.first.is_empty() {
        return Ok(None);
    }
    let now = db.now(&Clock::System);
    Ok(db.write(move |tx| {
        let news = tx.news(None, Some(member_id))?;
        Ok(tx.announce(&news, now)?.then_some(news))
    })?)
}
