//! `message`: the threads, and one of them to read.

use clap::Subcommand;
use serde_json::{Value, json};

use super::listing::Before;
use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock;
use crate::domain::message::{Message, Origin, Receipt};
use crate::domain::refusal::Refusal;
use crate::storage::{Page, THREAD_COUNT_CAP, ThreadQuery, ThreadRow};

/// Characters of a message in a list.
const LINE: usize = 80;

#[derive(Debug, Subcommand)]
pub(super) enum MessageCommand {
    /// List threads, the one with the latest message first
    List {
        /// Only those in which this agent wrote or got a message
        #[arg(long)]
        agent: Option<String>,
        #[command(flatten)]
        page: Before,
    },
    /// Read a thread, its newest messages last
    Thread {
        /// Its number, that of its first message
        number: i64,
        #[command(flatten)]
        page: Before,
    },
}

pub(super) fn run(config: &Config, command: MessageCommand) -> Result<(), CliError> {
    match command {
        MessageCommand::List { agent, page: Before { before, limit } } => {
            list(config, &ThreadQuery { agent, before, limit: limit.into() })
        }
        MessageCommand::Thread { number, page } => thread(config, number, &page),
    }
}

fn list(config: &Config, query: &ThreadQuery) -> Result<(), CliError> {
    let Page { rows, next } = app::open_existing_db(config)?.read(|tx| tx.threads(query))?;
    if output::is_json() {
        let threads: Vec<Value> = rows.into_iter().map(as_json).collect();
        return Ok(output::json(&json!({ "threads": threads, "next": next }))?);
    }
    let empty = match (next, query.agent.is_none() && query.before.is_none()) {
        (Some(_), _) => "no thread among those looked at",
        (None, true) => "there are no messages yet: agents write them with send_message and broadcast",
        (None, false) => "no thread: team-table message list shows them all",
    };
    let rows = rows.into_iter().map(|row| {
        let many = if row.messages >= THREAD_COUNT_CAP { "+" } else { "" };
        [
            row.thread_id.to_string(),
            output::local_time(row.last.created_at),
            row.participants.join(", "),
            format!("{}{many}", row.messages),
            output::first_line(&row.first.content, LINE),
            format!("{}: {}", row.last.sender, output::first_line(&row.last.content, LINE)),
        ]
    });
    let header = ["THREAD", "LATEST", "BETWEEN", "MESSAGES", "FIRST MESSAGE", "LATEST MESSAGE"];
    output::table(header, &["FIRST MESSAGE", "MESSAGES"], rows, empty)?;
    Ok(output::more(next)?)
}

fn as_json(row: ThreadRow) -> Value {
    json!({
        "thread_id": row.thread_id, "messages": row.messages, "participants": row.participants,
        "first": row.first.view(None), "last": row.last.view(None),
    })
}

fn thread(config: &Config, number: i64, page: &Before) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let messages = db.read(|tx| tx.thread_page(number, page.before, page.limit.into()))?;
    if messages.is_empty() && page.before.is_none() {
        let part = db.read(|tx| tx.message(number))?;
        let hint = match part {
            Some(part) => format!("message {number} is part of thread {}", part.thread_id),
            None => "team-table message list shows the threads there are".to_owned(),
        };
        return Err(Refusal::not_found(format!("there is no thread {number}"), hint).into());
    }
    // A thread has the number of its first message.
    let next = messages.first().map(|(message, _)| message.id).filter(|first| *first != number);
    if output::is_json() {
        let messages: Vec<Value> = messages.into_iter().map(message_json).collect();
        return Ok(output::json(&json!({ "messages": messages, "next": next }))?);
    }
    if messages.is_empty() {
        return Ok(output::line("nothing before that")?);
    }
    output::more(next)?;
    for (message, receipt) in &messages {
        output::line(&heading(message, *receipt))?;
        output::quote(&message.content)?;
    }
    Ok(())
}

/// Who wrote to whom, when, and what became of it.
fn heading(message: &Message, receipt: Option<Receipt>) -> String {
    let Message { id, sender, recipient, created_at, reply_to, origin, person, .. } = message;
    let person = person.as_ref().map_or(String::new(), |person| format!(" ({person})"));
    let to = if recipient == crate::domain::message::EVERYONE { "everyone" } else { recipient };
    let mut more = vec![match origin {
        Origin::Agent => String::new(),
        Origin::Automatic => "by its daemon".to_owned(),
        Origin::Person => "by a person".to_owned(),
        Origin::Task => "about a task".to_owned(),
    }];
    more.push(reply_to.map_or(String::new(), |id| format!("answers #{id}")));
    more.push(match receipt {
        None => String::new(),
        Some(Receipt { read_at: Some(at), .. }) => format!("read {}", output::local_time(at)),
        Some(Receipt { announced_at: Some(at), .. }) => format!("announced {}", output::local_time(at)),
        Some(_) => "not read yet".to_owned(),
    });
    more.retain(|part| !part.is_empty());
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    let [sender, to] = [&format!("{sender}{person}"), to].map(output::visible);
    format!("#{id} {} {sender} → {to}{more}", output::local_time(*created_at))
}

fn message_json((message, receipt): (Message, Option<Receipt>)) -> Value {
    let mut view = message.view(None);
    let receipt = receipt.unwrap_or_default();
    view.announced_at = receipt.announced_at.map(clock::format);
    view.read_at = receipt.read_at.map(clock::format);
    json!(view)
}
