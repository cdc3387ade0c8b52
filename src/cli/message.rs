//! `message`: the threads, and one of them to read.

use clap::Subcommand;
use serde_json::json;

use super::listing::Before;
use super::view_source::ViewSource;
use super::{CliError, output};
use crate::domain::message::{EVERYONE, MessageView, Origin};
use crate::operator::views::{MessageList, MessageListData, MessageThread, MessageThreadData, ThreadMessage};
use crate::storage::THREAD_COUNT_CAP;

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

pub(super) fn run(source: &ViewSource<'_>, command: MessageCommand) -> Result<(), CliError> {
    match command {
        MessageCommand::List { agent, page: Before { before, limit } } => {
            list(source, &MessageList { agent, before, limit })
        }
        MessageCommand::Thread { number, page: Before { before, limit } } => {
            thread(source, &MessageThread { number, before, limit })
        }
    }
}

fn list(source: &ViewSource<'_>, query: &MessageList) -> Result<(), CliError> {
    let list = source.view(query)?;
    if output::is_json() {
        return Ok(output::json(&json!(list))?);
    }
    let MessageListData { threads, next } = list;
    let empty = match (next, query.agent.is_none() && query.before.is_none()) {
        (Some(_), _) => "no thread among those looked at",
        (None, true) => "there are no messages yet: agents write them with send_message and broadcast",
        (None, false) => "no thread: team-table message list shows them all",
    };
    let rows = threads.into_iter().map(|row| {
        let many = if row.messages >= THREAD_COUNT_CAP { "+" } else { "" };
        [
            row.thread_id.to_string(),
            output::local(&row.last.created_at),
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

fn thread(source: &ViewSource<'_>, query: &MessageThread) -> Result<(), CliError> {
    let thread = source.view(query)?;
    if output::is_json() {
        return Ok(output::json(&json!(thread))?);
    }
    let MessageThreadData { messages, next } = thread;
    if messages.is_empty() {
        return Ok(output::line("nothing before that")?);
    }
    output::more(next)?;
    for message in &messages {
        output::line(&heading(message))?;
        output::quote(&message.message.content)?;
    }
    Ok(())
}

/// Who wrote to whom, when, and what became of it.
fn heading(ThreadMessage { message, unread }: &ThreadMessage) -> String {
    let MessageView { id, sender, recipient, created_at, reply_to, origin, person, .. } = message;
    let person = person.as_ref().map_or(String::new(), |person| format!(" ({person})"));
    let to = if recipient == EVERYONE { "everyone" } else { recipient };
    let mut more = vec![match origin {
        None | Some(Origin::Agent) => String::new(),
        Some(Origin::Automatic) => "by its daemon".to_owned(),
        Some(Origin::Person) => "by a person".to_owned(),
        Some(Origin::Task) => "about a task".to_owned(),
    }];
    more.push(reply_to.map_or(String::new(), |id| format!("answers #{id}")));
    more.push(match (&message.read_at, &message.announced_at) {
        (Some(at), _) => format!("read {}", output::local(at)),
        (None, Some(at)) => format!("announced {}", output::local(at)),
        (None, None) if *unread => "not read yet".to_owned(),
        (None, None) => String::new(),
    });
    more.retain(|part| !part.is_empty());
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    let [sender, to] = [&format!("{sender}{person}"), to].map(output::visible);
    format!("#{id} {} {sender} → {to}{more}", output::local(created_at))
}
