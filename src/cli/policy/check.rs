//! `policy check`: everything the host looks at before it activates a module.

use clap::Args;
use serde_json::{Value, json};

use super::candidate::{ModuleArguments, refused};
use super::{CliError, hooks};
use crate::app;
use crate::cli::output;
use crate::config::Config;
use crate::policy::{CaseReport, CheckReport, difference, listed};

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    module: ModuleArguments,
}

pub(super) fn run(config: &Config, arguments: &CheckArguments) -> Result<(), CliError> {
    let loader = app::policy_loader(config)?;
    let candidate = arguments.module.candidate(None)?;
    let (bytes, limits) = candidate.read()?;
    let report = loader
        .check(&bytes, &Value::Object(candidate.settings), limits)
        .map_err(|error| refused(&arguments.module.file, &error))?;
    show(&report)?;
    if report.passed() { Ok(()) } else { Err(CliError::Found) }
}

/// What `policy check` answers.
pub(super) fn show(report: &CheckReport) -> Result<(), CliError> {
    if output::is_json() { Ok(output::json(report)?) } else { print(report) }
}

fn print(report: &CheckReport) -> Result<(), CliError> {
    let sdk = report.sdk.as_deref().unwrap_or("unknown");
    let head = format!("{} {} (SDK {sdk}): {}", report.name, report.version, report.summary);
    output::line(&output::visible(&head))?;
    output::line(&format!("digest  {}", report.digest))?;
    output::line(&format!("hooks   {}", hooks(&report.hooks)))?;
    if let Some(tools) = &report.tools {
        output::line(&format!("tools   {}", listed(tools)))?;
    }
    let facts: Vec<String> =
        report.facts.iter().map(|fact| format!("{} {}", fact.name, json!(fact.params))).collect();
    output::line(&format!("facts   {}", if facts.is_empty() { "none".into() } else { facts.join(", ") }))?;
    let settings: Vec<String> = report
        .settings
        .iter()
        .map(|it| {
            it.default.as_ref().map_or_else(|| it.name.clone(), |value| format!("{} = {value}", it.name))
        })
        .collect();
    if !settings.is_empty() {
        output::line(&output::visible(&format!("settings {}", settings.join(", "))))?;
    }
    output::line(&format!("loads in {} ms", report.load_millis))?;
    let rows = report.cases.iter().map(|case| {
        let CaseReport { result, fuel, micros, memory } = case;
        let outcome = if result.passed { "ok".into() } else { format!("FAILED: {}", difference(result)) };
        [result.name.clone(), outcome, fuel.to_string(), micros.to_string(), (memory / 1024).to_string()]
    });
    output::table(["CASE", "RESULT", "FUEL", "MICROS", "KIB"], &[], rows, "it carries no cases")?;
    Ok(())
}
