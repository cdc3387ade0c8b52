//! Flips for a person: a table for each kind.

use super::{CliError, output};
use crate::operator::FlipKind;

/// Prints the flips by kind.
pub(super) fn print(kinds: &[FlipKind]) -> Result<(), CliError> {
    for FlipKind { from, to, count, examples } in kinds {
        output::line(&format!("\n{from} → {to}: {count}"))?;
        let rows = examples.iter().cloned().map(|flip| {
            let why = |reason: Option<String>| reason.unwrap_or_else(|| "nobody objected".into());
            let at = output::local_time(flip.millis);
            [flip.decision.to_string(), at, flip.agent, flip.action, why(flip.was), why(flip.now)]
        });
        output::table(["DECISION", "TIME", "AGENT", "ACTION", "WAS", "WOULD BE"], &["TIME"], rows, "")?;
        let shown = examples.len() as u64;
        if *count > shown {
            output::line(&format!("  and {} more", count - shown))?;
        }
    }
    Ok(())
}
