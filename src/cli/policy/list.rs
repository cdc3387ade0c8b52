//! `policy list`: what decides now, and why the last change was refused if it was.

use super::{PATIENCE, hooks, one_line, short};
use crate::app;
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::policy::{PolicyStatus, SetStatus, Source};

/// Loads the set as a server would, and says how it stands.
pub(super) fn status(config: &Config) -> Result<SetStatus, CliError> {
    let host = app::look_at_policies(config)?;
    host.wait_for(PATIENCE, |_| true)
        .ok_or_else(|| CliError::Usage("the policies take longer than two minutes to load".into()))
}

pub(super) fn run(config: &Config) -> Result<(), CliError> {
    let status = status(config)?;
    if output::is_json() {
        return Ok(output::json(&status)?);
    }
    let nothing = "no policies: every call is allowed that the tools' own rules allow";
    let missing = "there is no set to fall back to: every call is refused";
    table(status.deciding, if status.source == Source::Nothing { missing } else { nothing })?;
    output::line(&format!("set {} ({})", short(Some(&status.digest)), config.policies.display()))?;
    if let Some(off) = not_deciding(&status.not_deciding) {
        output::line(&off)?;
    }
    let Some(error) = status.error else { return Ok(()) };
    output::line(&format!(
        "\nREFUSED: {}; what is above still decides. In the directory:",
        one_line(&error)
    ))?;
    table(status.policies, "the set file names no policies that could be read")?;
    Err(CliError::Found)
}

fn table(policies: Vec<PolicyStatus>, none: &str) -> Result<(), CliError> {
    let row = |policy: PolicyStatus| {
        let state = policy.error.or(policy.rolled_back).unwrap_or_else(|| policy.summary.unwrap_or_default());
        let mode = match policy.approvals {
            1 => policy.mode.as_str().to_owned(),
            persons => format!("{}, {persons} persons", policy.mode.as_str()),
        };
        let hooks = match policy.tools {
            None => hooks(&policy.hooks),
            Some(tools) => format!("{} ({} tools)", hooks(&policy.hooks), tools.len()),
        };
        [policy.name, mode, policy.module, short(policy.digest.as_ref()), hooks, state]
    };
    let columns = ["NAME", "MODE", "MODULE", "DIGEST", "HOOKS", "STATUS"];
    Ok(output::table(columns, &["HOOKS", "DIGEST", "MODULE"], policies.into_iter().map(row), none)?)
}

/// What a person must know who believes that all built-in policies decide.
pub(crate) fn not_deciding(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "NOT DECIDING: {} (switched off, in the shadow, or left out of a set file with builtins = \"named\"; \
             team-table policy enable NAME lets one decide)",
            names.join(", ")
        )
    })
}
