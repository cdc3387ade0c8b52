//! `policy list`: what decides now, and why the last change was refused if it was.

use super::{PATIENCE, hooks, one_line, short};
use crate::app;
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::policy::{PolicyStatus, SetStatus, Source};

/// Loads the set as a server would, and says how it stands.
pub(super) fn status(config: &Config) -> Result<SetStatus, CliError> {
    let host = app::start_policies(config)?;
    host.wait_for(PATIENCE, |_| true)
        .ok_or_else(|| CliError::Usage("the policies take longer than two minutes to load".into()))
}

pub(super) fn run(config: &Config, as_json: bool) -> Result<(), CliError> {
    let status = status(config)?;
    if as_json {
        return Ok(output::json(&status)?);
    }
    let row = |policy: PolicyStatus| {
        let state = policy.error.or(policy.rolled_back).unwrap_or_else(|| policy.summary.unwrap_or_default());
        let mode = policy.mode.as_str().to_owned();
        [policy.name, mode, policy.module, short(policy.digest.as_ref()), hooks(&policy.hooks), state]
    };
    let none = if status.error.is_some() {
        "the set file names no policies that could be read"
    } else {
        "no policies: every call is allowed that the tools' own rules allow"
    };
    output::table(
        ["NAME", "MODE", "MODULE", "DIGEST", "HOOKS", "STATUS"],
        status.policies.into_iter().map(row),
        none,
    )?;
    output::line(&format!("set {} ({})", short(Some(&status.digest)), config.policies.display()))?;
    if let Some(error) = status.error {
        let decides = match status.source {
            Source::Nothing => "there is none to fall back to, so every call is refused",
            _ => "the set before still decides",
        };
        output::line(&format!("REFUSED: {}; {decides}", one_line(&error)))?;
        return Err(CliError::Found);
    }
    Ok(())
}
