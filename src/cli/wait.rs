//! `wait`: blocks until an agent has news, and says what it is. For scripts, and for clients that only wake when a program that
//! they started ends. Costs nothing while it waits.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{CliError, output, remote};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::domain::hook::NewsAnswer;
use crate::events::Hub;
use crate::mcp::Remote;
use crate::storage::Db;
use crate::wake;

#[derive(Debug, Args)]
pub(super) struct WaitArguments {
    /// Whose inbox; with --url the agent whose token is kept for that table
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
    loop {
        let news = inbox.news(arguments.timeout)?.ok_or(CliError::NothingNew)?;
        if output::is_json() {
            let object = json!({ "agent": news.agent, "messages": news.messages, "count": news.count });
            output::json_line(&object)?;
        } else {
            output::line(&news.notice)?;
        }
        if !arguments.follow {
            return Ok(());
        }
    }
}

/// Where the news come from.
enum Inbox {
    Here { db: Db, member_id: i64, name: String },
    There(Remote),
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
        let name =
            name.ok_or_else(|| CliError::Usage("whose inbox? team-table wait NAME".into()))?.to_owned();
        let db = app::open_existing_db(config)?;
        let member = db.write(move |tx| {
            let member = tx.recipient(&name)?;
            tx.keep_announced(member.id)?;
            Ok(member)
        })?;
        Ok(Self::Here { db, member_id: member.id, name: member.name })
    }

    /// What is new; `None`: nothing came in time.
    fn news(&self, timeout: Duration) -> Result<Option<NewsAnswer>, CliError> {
        let (db, member_id, name) = match self {
            Self::Here { db, member_id, name } => (db, *member_id, name),
            Self::There(table) => return remote::news(table, timeout),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let found = runtime.block_on(async {
            let hub = Hub::start(db.clone());
            let mut subscription = hub.subscribe(member_id);
            let wait = async {
                loop {
                    if let Some(news) = wake::claim_news(db, &Clock::System, member_id)? {
                        return Ok::<_, CliError>(news);
                    }
                    subscription.message().await;
                }
            };
            tokio::time::timeout(timeout, wait).await
        });
        let Ok(news) = found else { return Ok(None) };
        Ok(Some(NewsAnswer::new(name, Some(&news?))))
    }
}
