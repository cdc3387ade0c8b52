//! `policy history`: who changed what decides, and from what to what.

use clap::Args;
use serde_json::{Value, json};

use crate::app;
use crate::cli::{CliError, audit, output};
use crate::config::Config;
use crate::domain::clock;
use crate::storage::AuditRow;

#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryArguments {
    /// Only since then: 90s, 30m, 12h, 7d or a date 2026-11-22
    #[arg(long)]
    since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, arguments: &HistoryArguments) -> Result<(), CliError> {
    let since = audit::since(arguments.since.as_deref())?;
    let db = app::open_db(config)?;
    let limit = i64::from(arguments.limit);
    let rows = db.read(|tx| tx.policy_changes(since, limit))?;
    if arguments.json {
        let rows: Vec<Value> = rows.iter().map(audit::as_json).collect();
        return Ok(output::json(&json!({ "changes": rows }))?);
    }
    output::table(
        ["AUDIT", "TIME", "WHO", "CHANGE", "POLICY", "FROM", "TO"],
        rows.iter().map(row),
        "nothing has changed yet: the built-in policies decide",
    )?;
    Ok(())
}

fn row(row: &AuditRow) -> [String; 7] {
    let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
    let state = |side: &str| {
        let value = details.get(side);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let Some(digest) = text(value).or_else(|| text(value.and_then(|it| it.get("module")))) else {
            return "-".to_owned();
        };
        let mode = text(value.and_then(|it| it.get("mode"))).map(|mode| format!(" {mode}"));
        format!("{}{}", digest.get(..12).unwrap_or(&digest), mode.unwrap_or_default())
    };
    let who = match details.get("uid").and_then(Value::as_u64) {
        Some(uid) => format!("{} (uid {uid})", row.agent),
        None => row.agent.clone(),
    };
    let change = row.action.strip_prefix("policy_").unwrap_or(&row.action).to_owned();
    [
        row.id.to_string(),
        clock::format(row.at),
        who,
        change,
        row.target_id.clone(),
        state("from"),
        state("to"),
    ]
}
