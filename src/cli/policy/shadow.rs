//! `policy shadow-report`: what a shadow policy said beside the live ones, and what would have come of it.

use clap::Args;
use serde_json::json;

use super::flips::Flips;
use super::{CliError, history, list, output, short};
use crate::app;
use crate::cli::listing::Since;
use crate::config::Config;
use crate::domain::decision::{Answer, Mode};
use crate::policy::what_if;
use crate::storage::DecisionRow;

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Name in the set
    name: String,
    /// The live policy it is to replace: what would have come of it without that one?
    #[arg(long, value_name = "NAME")]
    instead_of: Option<String>,
    #[command(flatten)]
    from: Since,
    /// At most so many disagreements of each kind
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// What one core has found.
#[derive(Default)]
struct Found {
    asked: u64,
    failed: u64,
    /// Verdicts of another module, or of other settings, under the same name.
    earlier: u64,
    flips: Flips,
}

pub(super) fn run(config: &Config, arguments: &ReportArguments) -> Result<(), CliError> {
    let since = arguments.from.since.unwrap_or(0);
    let ReportArguments { name, instead_of, limit, .. } = arguments;
    let known = list::status(config)?.policies.into_iter().find(|policy| policy.name == *name);
    let known = known.ok_or_else(|| {
        CliError::Usage(format!("there is no policy {name:?} in the set; `team-table policy list` shows it"))
    })?;
    let version = (known.digest.clone().unwrap_or_default(), known.settings_digest.clone());
    let without: Vec<&str> = [Some(name.as_str()), instead_of.as_deref()].into_iter().flatten().collect();
    let look = |found: &mut Found, row: DecisionRow| {
        let asked =
            row.verdicts.iter().find(|verdict| verdict.policy == *name && verdict.mode == Mode::Shadow);
        let Some(verdict) = asked else { return };
        if (&verdict.module, &verdict.settings) != (&version.0, &version.1) {
            found.earlier += 1;
            return;
        }
        found.asked += 1;
        found.failed += u64::from(matches!(verdict.answer, Answer::Error { .. }));
        let combined = what_if(row.input.hook(), &row.verdicts, &without, Some(verdict.clone()));
        found.flips.note(&row, &combined, *limit);
    };
    let mut found = Found::default();
    for part in history::walk(&app::open_existing_db(config)?, since, Found::default, look)? {
        found.asked += part.asked;
        found.failed += part.failed;
        found.earlier += part.earlier;
        found.flips.merge(part.flips, *limit);
    }
    if output::is_json() {
        return Ok(output::json(&json!({
            "policy": name,
            "digest": known.digest,
            "asked": found.asked,
            "agreed": found.asked - found.flips.count(),
            "disagreed": found.flips.count(),
            "failed": found.failed,
            "by_earlier_versions": found.earlier,
            "disagreements": found.flips.kinds(),
        }))?);
    }
    print(name, known.digest.as_ref(), &found)
}

fn print(name: &str, digest: Option<&String>, found: &Found) -> Result<(), CliError> {
    let Found { asked, failed, earlier, flips } = found;
    let disagreed = flips.count();
    output::line(&format!(
        "{name} ({}) was asked {asked} times in the shadow: agreed {}, would have changed {disagreed}",
        short(digest),
        asked - disagreed
    ))?;
    if *failed > 0 {
        output::line(&format!(
            "{failed} times it failed, which would have refused the call or called a person"
        ))?;
    }
    if *earlier > 0 {
        output::line(&format!("{earlier} verdicts of an earlier module or other settings are left out"))?;
    }
    flips.print()?;
    if disagreed > 0 {
        output::line("\n`team-table policy explain DECISION` shows how one came about")?;
    }
    output::line(&format!("\nto let it decide: team-table policy promote {name}"))?;
    Ok(())
}
