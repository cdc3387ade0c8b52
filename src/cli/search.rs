//! `search`: words in messages, tasks and shared context.

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::domain::message::EVERYONE;
use crate::storage::{Hit, Page, Place, SearchKind, SearchQuery};

#[derive(Debug, Args)]
pub(super) struct SearchArguments {
    /// Words that must all be there; the last may be a beginning
    #[arg(required = true, value_name = "TEXT")]
    words: Vec<String>,
    /// Only messages, tasks or context; may be given several times
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<SearchKind>,
    /// Only what this agent wrote or got, does or reviews
    #[arg(long)]
    agent: Option<String>,
    /// Only what stands before this number; a list that is cut off names it
    #[arg(long, value_name = "N")]
    before: Option<i64>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

fn kind(word: &str) -> Result<SearchKind, String> {
    SearchKind::parse(word).map_err(|refusal| refusal.hint)
}

pub(super) fn run(config: &Config, arguments: SearchArguments) -> Result<(), CliError> {
    let SearchArguments { words, kind, agent, before, limit } = arguments;
    let db = app::open_existing_db(config)?;
    let query = SearchQuery { text: words.join(" "), kinds: kind, agent, before, limit: limit.into() };
    db.update_search()?;
    let now = db.now(&Clock::System);
    let Page { rows, next } = db.read(|tx| tx.search(&query, now))?;
    if output::is_json() {
        let hits: Vec<Value> = rows.iter().map(as_json).collect();
        return Ok(output::json(&json!({ "hits": hits, "next": next }))?);
    }
    if rows.is_empty() {
        output::line(match next {
            Some(_) => "nothing found among those looked at",
            None => {
                "nothing found: every word must be there; try fewer, or only their beginnings one at a time"
            }
        })?;
    }
    for hit in &rows {
        output::line(&heading(hit))?;
        output::quote(&hit.excerpt.text)?;
    }
    Ok(output::more(next)?)
}

/// Where something was found, and how to see all of it.
fn heading(hit: &Hit) -> String {
    let at = output::local_time(hit.at);
    match &hit.place {
        Place::Message { id, thread_id, sender, recipient } => {
            let to = if recipient == EVERYONE { "everyone" } else { recipient };
            let [sender, to] = [sender.as_str(), to].map(output::visible);
            format!("{at} message {id}, {sender} → {to} (team-table message thread {thread_id})")
        }
        Place::Task { id, status } => {
            let title = output::visible(&hit.title);
            format!("{at} task {id}, {}: {title} (team-table task show {id})", status.as_str())
        }
        Place::Context { key } => format!("{at} context {}", output::visible(key)),
    }
}

/// A hit for programs; what matches is given in characters of the excerpt, the end not included.
fn as_json(hit: &Hit) -> Value {
    let text = &hit.excerpt.text;
    let characters = |bytes: usize| text.get(..bytes).map_or(0, |part| part.chars().count());
    let matches: Vec<_> =
        hit.excerpt.matches.iter().map(|range| [characters(range.start), characters(range.end)]).collect();
    let mut value = match &hit.place {
        Place::Message { id, thread_id, sender, recipient } => json!({
            "kind": "message", "id": id, "thread_id": thread_id, "sender": sender, "recipient": recipient,
        }),
        Place::Task { id, status } => json!({ "kind": "task", "id": id, "status": status.as_str() }),
        Place::Context { key } => json!({ "kind": "context", "key": key }),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.insert("at".into(), clock::format(hit.at).into());
        fields.insert("title".into(), hit.title.as_str().into());
        fields.insert("excerpt".into(), text.as_str().into());
        fields.insert("matches".into(), json!(matches));
    }
    value
}
