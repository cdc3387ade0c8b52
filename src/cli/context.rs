//! `context`: the shared context, and one entry with who wrote it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::domain::refusal::Refusal;
use crate::storage::ContextHead;

/// Characters of a value in a list.
const LINE: usize = 80;
/// Most versions that are shown.
const VERSIONS: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum ContextCommand {
    /// List entries by key
    List {
        /// Only keys that begin so
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,
        /// Only keys that sort after this one; a list that is cut off names it
        #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
        after: String,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One entry: its value, and who wrote which version
    Show {
        /// Its key
        key: String,
    },
}

pub(super) fn run(config: &Config, command: ContextCommand) -> Result<(), CliError> {
    match command {
        ContextCommand::List { prefix, after, limit } => list(config, &prefix, &after, limit),
        ContextCommand::Show { key } => show(config, &key),
    }
}

fn list(config: &Config, prefix: &str, after: &str, limit: u32) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let (now, limit) = (db.now(&Clock::System), limit.max(1));
    let mut heads = db.read(|tx| tx.context_heads(prefix, after, i64::from(limit) + 1, now))?;
    let is_cut = heads.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if is_cut {
        heads.pop();
    }
    let next = heads.last().map(|head| head.key.clone()).filter(|_| is_cut);
    if output::is_json() {
        let entries: Vec<Value> = heads.iter().map(as_json).collect();
        return Ok(output::json(&json!({ "entries": entries, "next": next }))?);
    }
    let empty = if prefix.is_empty() && after.is_empty() {
        "there is no shared context yet: agents write it with share_context"
    } else {
        "no entry: team-table context list shows them all"
    };
    let rows = heads.into_iter().map(|head| {
        let expires = head.expires_at.map_or_else(String::new, output::local_time);
        let (version, changed) = (head.version.to_string(), output::local_time(head.updated_at));
        let value = output::first_line(&head.beginning, LINE);
        [head.key, version, head.set_by, changed, expires, head.length.to_string(), value]
    });
    let header = ["KEY", "VERSION", "BY", "CHANGED", "EXPIRES", "LENGTH", "VALUE"];
    output::table(header, &["LENGTH", "EXPIRES", "VERSION", "CHANGED"], rows, empty)?;
    if let Some(next) = next {
        output::line(&format!("there is more: add --after {:?}", output::visible(&next)))?;
    }
    Ok(())
}

fn as_json(head: &ContextHead) -> Value {
    json!({
        "key": head.key, "beginning": head.beginning, "length": head.length, "set_by": head.set_by,
        "updated_at": clock::format(head.updated_at), "version": head.version,
        "expires_at": head.expires_at.map(clock::format),
    })
}

fn show(config: &Config, key: &str) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let now = db.now(&Clock::System);
    let (entry, versions) =
        db.read(|tx| Ok((tx.context_entry(key, now)?, tx.context_versions(key, VERSIONS)?)))?;
    let entry = entry.ok_or_else(|| {
        let shown: String = key.chars().take(crate::domain::context_entry::MAX_KEY).collect();
        Refusal::not_found(
            format!("there is no context entry {shown:?}"),
            "team-table context list shows them",
        )
    })?;
    if output::is_json() {
        let versions: Vec<Value> = versions
            .iter()
            .map(|one| json!({ "version": one.version, "set_by": one.set_by, "at": clock::format(one.at) }))
            .collect();
        return Ok(output::json(&json!({ "entry": entry.view(), "versions": versions }))?);
    }
    output::line(&format!("key       {}", output::visible(&entry.key)))?;
    let by = output::visible(&entry.set_by);
    output::line(&format!("version   {}, by {by}, {}", entry.version, output::local_time(entry.updated_at)))?;
    if let Some(at) = entry.expires_at {
        output::line(&format!("expires   {}", output::local_time(at)))?;
    }
    output::line("value")?;
    output::quote(&entry.value)?;
    if !versions.is_empty() {
        output::line("versions")?;
    }
    for one in versions {
        output::line(&format!(
            "    {} {} by {}",
            output::local_time(one.at),
            one.version,
            output::visible(&one.set_by)
        ))?;
    }
    Ok(())
}
