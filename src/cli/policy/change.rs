//! What changes the policy set: installing, promoting, switching, removing, going back.

use clap::Args;
use serde_json::json;

use super::candidate::ModuleArguments;
use super::{check, one_line, short};
use crate::app;
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::domain::decision::Mode;
use crate::domain::person::Actor;
use crate::operator::{Changed, OperatorError, Policies};

#[derive(Debug, Args)]
pub(crate) struct InstallArguments {
    #[command(flatten)]
    module: ModuleArguments,
    /// Name in the set; left out: the module's own
    #[arg(long)]
    name: Option<String>,
    /// Ask and record it beside the live set; its answers change nothing
    #[arg(long)]
    shadow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArguments {
    /// Name in the set
    name: String,
    /// Take this policy out in the same change, because the promoted one replaces it
    #[arg(long, value_name = "NAME")]
    instead_of: Option<String>,
}

pub(super) fn install(config: &Config, arguments: &InstallArguments) -> Result<(), CliError> {
    let InstallArguments { module, name, shadow } = arguments;
    let candidate = module.candidate(name.as_deref())?;
    let mode = if *shadow { Mode::Shadow } else { Mode::Enforce };
    match app::policies(config)?.install(&candidate, mode, &Actor::Operator) {
        Err(OperatorError::Cases(report)) => {
            check::show(&report)?;
            Err(CliError::Found)
        }
        changed => say(&changed?),
    }
}

pub(super) fn promote(config: &Config, arguments: &PromoteArguments) -> Result<(), CliError> {
    let PromoteArguments { name, instead_of } = arguments;
    change(config, |policies| policies.promote(name, instead_of.as_deref(), &Actor::Operator))
}

pub(super) fn remove(config: &Config, name: &str) -> Result<(), CliError> {
    change(config, |policies| policies.remove(name, &Actor::Operator))
}

pub(super) fn enable(config: &Config, name: &str) -> Result<(), CliError> {
    change(config, |policies| policies.enable(name, &Actor::Operator))
}

pub(super) fn disable(config: &Config, name: &str) -> Result<(), CliError> {
    change(config, |policies| policies.disable(name, &Actor::Operator))
}

pub(super) fn rollback(config: &Config, name: &str) -> Result<(), CliError> {
    change(config, |policies| policies.rollback(name, &Actor::Operator))
}

fn change(
    config: &Config,
    make: impl FnOnce(&Policies) -> Result<Changed, OperatorError>,
) -> Result<(), CliError> {
    say(&make(&app::policies(config)?)?)
}

/// Says what was done, and whether the set loads now; running processes follow within a second.
fn say(changed: &Changed) -> Result<(), CliError> {
    let (done, status) = (changed.done(), &changed.status);
    let text = match &status.error {
        Some(error) => format!("REFUSED: {}; the set before still decides", one_line(error)),
        None => format!("{done}; set {}", short(Some(&status.digest))),
    };
    let object =
        json!({ "policy": changed.policy, "done": done, "set": status.digest, "refused": status.error });
    output::done(&object, &text)?;
    if status.error.is_some() { Err(CliError::Found) } else { Ok(()) }
}
