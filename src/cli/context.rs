//! `context`: the shared context, and one entry with who wrote it.

use clap::Subcommand;
use serde_json::json;

use super::view_source::ViewSource;
use super::{CliError, output};
use crate::operator::views::{ContextList, ContextListData, ContextShow, ContextShowData};

/// Characters of a value in a list.
const LINE: usize = 80;

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

pub(super) fn run(source: &ViewSource<'_>, command: ContextCommand) -> Result<(), CliError> {
    match command {
        ContextCommand::List { prefix, after, limit } => list(source, &ContextList { prefix, after, limit }),
        ContextCommand::Show { key } => show(source, key),
    }
}

fn list(source: &ViewSource<'_>, query: &ContextList) -> Result<(), CliError> {
    let list = source.view(query)?;
    if output::is_json() {
        return Ok(output::json(&json!(list))?);
    }
    let ContextListData { entries, next } = list;
    let empty = if query.prefix.is_empty() && query.after.is_empty() {
        "there is no shared context yet: agents write it with share_context"
    } else {
        "no entry: team-table context list shows them all"
    };
    let rows = entries.into_iter().map(|head| {
        let expires = head.expires_at.map_or_else(String::new, |at| output::local(&at));
        let (version, changed) = (head.version.to_string(), output::local(&head.updated_at));
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

fn show(source: &ViewSource<'_>, key: String) -> Result<(), CliError> {
    let shown = source.view(&ContextShow { key })?;
    if output::is_json() {
        return Ok(output::json(&json!(shown))?);
    }
    let ContextShowData { entry, versions } = shown;
    output::line(&format!("key       {}", output::visible(&entry.key)))?;
    let by = output::visible(&entry.set_by);
    output::line(&format!("version   {}, by {by}, {}", entry.version, output::local(&entry.updated_at)))?;
    if let Some(at) = entry.expires_at {
        output::line(&format!("expires   {}", output::local(&at)))?;
    }
    output::line("value")?;
    output::quote(&entry.value)?;
    if !versions.is_empty() {
        output::line("versions")?;
    }
    for one in versions {
        let by = output::visible(&one.set_by);
        output::line(&format!("    {} {} by {by}", output::local(&one.at), one.version))?;
    }
    Ok(())
}
