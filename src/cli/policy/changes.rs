//! `policy history`: who changed what decides, and from what to what.

use serde_json::json;

use crate::app;
use crate::cli::listing::Listing;
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::operator::views::AuditView;
use crate::operator::{RecordedChange, WhatWas};
use crate::storage::AuditRow;

pub(super) fn run(config: &Config, listing: &Listing) -> Result<(), CliError> {
    let (since, limit) = (listing.from.since, i64::from(listing.limit));
    let db = app::open_existing_db(config)?;
    let rows = db.read(|tx| tx.policy_changes(since, limit))?;
    if output::is_json() {
        let rows: Vec<AuditView> = rows.into_iter().map(Into::into).collect();
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
    let RecordedChange { audit, at, who, uid, change, policy, from, to, undone } = RecordedChange::read(row);
    let side = |side: WhatWas| {
        let Some(digest) = side.digest else { return "-".to_owned() };
        let mode = side.mode.map(|mode| format!(" {mode}"));
        format!("{}{}", digest.get(..12).unwrap_or(&digest), mode.unwrap_or_default())
    };
    let who = match uid {
        Some(uid) => format!("{who} (uid {uid})"),
        None => who,
    };
    let change = match undone {
        Some(row) => format!("{change} (of {row})"),
        None => change,
    };
    [audit.to_string(), output::local_time(at), who, change, policy, side(from), side(to)]
}
