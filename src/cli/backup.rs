//! `backup` and `restore`: a copy that is whole, and its way back.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::storage::{ChainReport, CopyReport, Upkeep, inspect_copy, known_schema, restore as put_back};

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The copy; it must not be there yet
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// A copy that `backup` made
    file: PathBuf,
}

/// The manifest of a copy lies beside it.
fn manifest_of(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Refuses what must not be believed; says how many audit rows there are.
fn sound(copy: &Path, report: &CopyReport) -> Result<u64, CliError> {
    let wrong = |what: String| CliError::Usage(format!("{}: {what}", copy.display()));
    if !report.damage.is_empty() {
        return Err(wrong(format!("damaged: {}", report.damage.join("; "))));
    }
    match report.audit {
        ChainReport::Intact { rows } => Ok(rows),
        ChainReport::Broken { id, .. } => Err(wrong(format!("its audit chain is broken at row {id}"))),
    }
}

pub(super) fn backup(config: &Config, arguments: &BackupArguments) -> Result<(), CliError> {
    let file = &arguments.file;
    let db = app::open_existing_db(config)?;
    db.back_up(file)?;
    let report = inspect_copy(file)?;
    let rows = sound(file, &report)?;
    let (details, now) = (file.display().to_string(), db.now(&Clock::System));
    db.write_later(move |tx| tx.note_done(Upkeep::Backup, &details, now));
    let manifest = json!({
        "database": config.db,
        "at": clock::format(Clock::System.now()),
        "program": env!("CARGO_PKG_VERSION"),
        "schema": report.schema,
        "audit_rows": rows,
        "blake3": report.digest,
    });
    std::fs::write(manifest_of(file), format!("{manifest:#}\n"))?;
    if output::is_json() {
        return Ok(output::json(&manifest)?);
    }
    Ok(output::line(&format!(
        "{} is whole: {rows} audit rows, chain intact; put it back with: team-table restore {}",
        file.display(),
        file.display()
    ))?)
}

pub(super) fn restore(config: &Config, arguments: &RestoreArguments) -> Result<(), CliError> {
    let file = &arguments.file;
    let report = inspect_copy(file)
        .map_err(|error| CliError::Usage(format!("{} is no copy of a table: {error}", file.display())))?;
    if report.schema > known_schema() {
        return Err(CliError::Usage(format!(
            "{} has schema version {}, this team-table knows up to {}: upgrade team-table",
            file.display(),
            report.schema,
            known_schema()
        )));
    }
    let rows = sound(file, &report)?;
    // A copy made by other means has none.
    if let Ok(text) = std::fs::read_to_string(manifest_of(file)) {
        let manifest: Value = serde_json::from_str(&text).unwrap_or_default();
        if manifest.get("blake3").and_then(Value::as_str) != Some(&report.digest) {
            return Err(CliError::Usage(format!(
                "{} is not the file that its manifest {} describes",
                file.display(),
                manifest_of(file).display()
            )));
        }
    }
    let kept = put_back(file, &config.db, Clock::System.now())
        .map_err(|error| CliError::Usage(error.to_string()))?;
    if output::is_json() {
        return Ok(output::json(&json!({ "database": config.db, "audit_rows": rows, "kept": kept }))?);
    }
    let kept = kept.map(|kept| format!("; what was there is kept as {}", kept.display())).unwrap_or_default();
    Ok(output::line(&format!("{} is restored: {rows} audit rows{kept}", config.db.display()))?)
}
