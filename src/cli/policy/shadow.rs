//! `policy shadow-report`: what a shadow policy said beside the live ones, and what would have come of it.

use clap::Args;
use serde_json::json;

use super::bar::with_bar;
use super::{CliError, flips, list, output, short};
use crate::app;
use crate::cli::listing::Since;
use crate::config::Config;
use crate::operator::{OperatorError, ShadowOptions, ShadowReport};
use crate::policy::PolicyError;

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

pub(super) fn run(config: &Config, arguments: &ReportArguments) -> Result<(), CliError> {
    let ReportArguments { name, instead_of, from, limit } = arguments;
    let set = list::status(config)?.policies;
    let options =
        ShadowOptions { instead_of: instead_of.as_deref(), since: from.since.unwrap_or(0), examples: *limit };
    let policies = app::existing_policies(config)?;
    let report = with_bar(|progress| policies.shadow_report(&set, name, options, progress));
    let report = report.map_err(|error| match error {
        OperatorError::Policy(PolicyError::NoSuchPolicy(_)) => CliError::Usage(format!(
            "there is no policy {name:?} in the set; `team-table policy list` shows it"
        )),
        other => other.into(),
    })?;
    if output::is_json() {
        return Ok(output::json(&json!(report))?);
    }
    print(&report)
}

fn print(report: &ShadowReport) -> Result<(), CliError> {
    let ShadowReport { policy, digest, asked, agreed, disagreed, failed, by_earlier_versions, .. } = report;
    output::line(&format!(
        "{policy} ({}) was asked {asked} times in the shadow: agreed {agreed}, would have changed {disagreed}",
        short(digest.as_ref())
    ))?;
    if *failed > 0 {
        output::line(&format!(
            "{failed} times it failed, which would have refused the call or called a person"
        ))?;
    }
    if *by_earlier_versions > 0 {
        output::line(&format!(
            "{by_earlier_versions} verdicts of an earlier module or other settings are left out"
        ))?;
    }
    flips::print(&report.disagreements)?;
    if *disagreed > 0 {
        output::line("\n`team-table policy explain DECISION` shows how one came about")?;
    }
    output::line(&format!("\nto let it decide: team-table policy promote {policy}"))?;
    Ok(())
}
