//! `policy history`: who changed what decides, and from what to what.

use serde_json::{Value, json};

use crate::app;
use crate::cli::listing::Listing;
use crate::cli::{CliError, audit, output};
use crate::config::Config;
use crate::storage::AuditRow;

pub(super) fn run(config: &Config, listing: &Listing) -> Result<(), CliError> {
    let (since, limit) = (listing.from.since, i64::from(listing.limit));
    let db = app::open_existing_db(config)?;
    let rows = db.read(|tx| tx.policy_changes(since, limit))?;
    if output::is_json() {
        let rows: Vec<Value> = rows.iter().map(audit::as_json).collect();
        return Ok(output::json(&json!({ "changes": rows }))?);
    }
    output::table(
        ["AUDIT", "TIME", "WHO", "CHANGE", "POLICY", "FROM", "TO"],
        &["AUDIT", "WHO"],
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
        output::local_time(row.at),
        who,
        change,
        row.target_id.clone(),
        state("from"),
        state("to"),
    ]
}
