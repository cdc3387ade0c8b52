//! `search`: words in messages, tasks and shared context.

use clap::Args;
use serde_json::json;

use super::view_source::ViewSource;
use super::{CliError, output};
use crate::domain::message::EVERYONE;
use crate::operator::views::{HitView, Search, SearchData};
use crate::storage::{Place, SearchKind};

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

pub(super) fn run(source: &ViewSource<'_>, arguments: SearchArguments) -> Result<(), CliError> {
    let SearchArguments { words, kind, agent, before, limit } = arguments;
    let kinds: Vec<_> = kind.into_iter().map(SearchKind::as_str).collect();
    let query = Search { text: words.join(" "), kinds: kinds.join(","), agent, before, limit };
    let found = source.view(&query)?;
    if output::is_json() {
        return Ok(output::json(&json!(found))?);
    }
    let SearchData { hits, next } = found;
    if hits.is_empty() {
        output::line(match next {
            Some(_) => "nothing found among those looked at",
            None => {
                "nothing found: every word must be there; try fewer, or only their beginnings one at a time"
            }
        })?;
    }
    for hit in &hits {
        output::line(&heading(hit))?;
        output::quote(&hit.excerpt)?;
    }
    Ok(output::more(next)?)
}

/// Where something was found, and how to see all of it.
fn heading(hit: &HitView) -> String {
    let at = output::local(&hit.at);
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
