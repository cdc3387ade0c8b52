//! `audit`: who did what, and whether the log is whole.

use clap::Subcommand;
use serde_json::json;

use super::listing::Listing;
use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::operator::views::AuditView;
use crate::storage::{AuditFilter, ChainReport, Upkeep};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List rows, newest first
    List {
        /// Only this agent's (`operator` for the command line)
        #[arg(long)]
        agent: Option<String>,
        /// Only this action, such as `send_message`
        #[arg(long)]
        action: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Walk the whole chain and name the first row that does not follow
    Verify,
}

pub(super) fn run(config: &Config, command: AuditCommand) -> Result<(), CliError> {
    match command {
        AuditCommand::List { agent, action, listing } => {
            let filter =
                AuditFilter { agent, action, since: listing.from.since, limit: listing.limit.into() };
            let rows = app::open_existing_db(config)?.read(|tx| tx.audit_rows(&filter))?;
            if output::is_json() {
                let rows: Vec<AuditView> = rows.into_iter().map(Into::into).collect();
                return Ok(output::json(&json!({ "rows": rows }))?);
            }
            let rows = rows.into_iter().map(|row| {
                let target = format!("{} {}", row.target_type, row.target_id);
                [row.id.to_string(), output::local_time(row.at), row.agent, row.action, target, row.details]
            });
            let header = ["ID", "TIME", "AGENT", "ACTION", "TARGET", "DETAILS"];
            output::table(header, &["DETAILS"], rows, "nothing to show")?;
        }
        AuditCommand::Verify => {
            let db = app::open_existing_db(config)?;
            let report = db.read(|tx| tx.verify_audit())?;
            let (intact, broken, sound) = match report {
                ChainReport::Intact { rows } => (true, None, rows),
                ChainReport::Broken { id, sound } => (false, Some(id), sound),
            };
            // For the console. A database that cannot be written now was verified all the same.
            let (details, now) = (report.to_string(), db.now(&Clock::System));
            db.write_later(move |tx| tx.note_done(Upkeep::Audit, &details, now));
            if output::is_json() {
                output::json(&json!({ "intact": intact, "sound_rows": sound, "first_broken_row": broken }))?;
            } else {
                output::line(&report.to_string())?;
            }
            if !intact {
                return Err(CliError::Found);
            }
        }
    }
    Ok(())
}
