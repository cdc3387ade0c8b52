//! What changes the policy set: installing, promoting, switching, removing, going back.

use clap::Args;
use serde_json::Value;

use super::candidate::{Candidate, ModuleArguments, refused};
use super::{check, list, one_line, short};
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::decision::Mode;
use crate::policy::set_file::{Editor, is_name};
use crate::policy::{Loader, State, roll_back};

#[derive(Debug, Args)]
pub(in crate::cli) struct InstallArguments {
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
pub(in crate::cli) struct PromoteArguments {
    /// Name in the set
    name: String,
    /// Take this policy out in the same change, because the promoted one replaces it
    #[arg(long, value_name = "NAME")]
    instead_of: Option<String>,
}

pub(super) fn install(config: &Config, arguments: &InstallArguments) -> Result<(), CliError> {
    let InstallArguments { module, name, shadow } = arguments;
    let loader = Loader::new(Some(&config.policy_cache()))?;
    let mut editor = Editor::open(&config.policies)?;
    let entries = editor.entries()?;
    let Candidate { mut entry, bytes } = module.candidate(&loader, name.as_deref(), &entries)?;
    let name = entry.name.clone();
    if !is_name(&name) {
        return Err(CliError::Usage(format!(
            "{name:?} is not a policy name: use lower-case letters, digits and '-' (--name)"
        )));
    }
    if *shadow && entries.iter().any(|it| it.name == name && it.mode == Mode::Enforce) {
        return Err(CliError::Usage(format!(
            "{name} decides; to try another version in its shadow give that a name of its own: --name {name}-next"
        )));
    }
    let settings = Value::Object(entry.settings.clone());
    let report =
        loader.check(&bytes, &settings, entry.limits).map_err(|error| refused(&module.file, &error))?;
    if !report.passed() {
        check::print(&report)?;
        return Err(CliError::Found);
    }
    State::open(&config.policy_state())?.release(&name)?;
    if !module.is_builtin() {
        entry.module = editor.add_module(&name, &bytes)?;
        entry.digest = Some(report.digest.clone());
    }
    entry.mode = if *shadow { Mode::Shadow } else { Mode::Enforce };
    editor.put(&entry);
    editor.save()?;
    let verb = if *shadow { "is asked beside the live set" } else { "decides" };
    settle(config, &format!("{name} {} ({}) {verb}", report.version, short(Some(&report.digest))))
}

pub(super) fn promote(config: &Config, arguments: &PromoteArguments) -> Result<(), CliError> {
    let PromoteArguments { name, instead_of } = arguments;
    let change = |editor: &mut Editor| {
        editor.set_mode(name, Mode::Enforce)?;
        instead_of.as_ref().map_or(Ok(()), |old| editor.remove(old))
    };
    let place = instead_of.as_ref().map(|old| format!(" in the place of {old}")).unwrap_or_default();
    State::open(&config.policy_state())?.release(name)?;
    edit(config, change, &format!("{name} decides{place}"))
}

pub(super) fn remove(config: &Config, name: &str) -> Result<(), CliError> {
    edit(config, |editor| editor.remove(name), &format!("{name} is removed"))
}

pub(super) fn enable(config: &Config, name: &str) -> Result<(), CliError> {
    State::open(&config.policy_state())?.release(name)?;
    edit(config, |editor| editor.set_mode(name, Mode::Enforce), &format!("{name} decides"))
}

pub(super) fn disable(config: &Config, name: &str) -> Result<(), CliError> {
    edit(config, |editor| editor.set_mode(name, Mode::Off), &format!("{name} is off"))
}

fn edit(
    config: &Config,
    change: impl FnOnce(&mut Editor) -> Result<(), crate::policy::PolicyError>,
    done: &str,
) -> Result<(), CliError> {
    let mut editor = Editor::open(&config.policies)?;
    change(&mut editor)?;
    editor.save()?;
    settle(config, done)
}

/// Says whether the set loads now; running processes follow within a second.
fn settle(config: &Config, done: &str) -> Result<(), CliError> {
    let status = list::status(config)?;
    if let Some(error) = status.error {
        output::line(&format!("REFUSED: {}; the set before still decides", one_line(&error)))?;
        return Err(CliError::Found);
    }
    output::line(&format!("{done}; set {}", short(Some(&status.digest))))?;
    Ok(())
}

pub(super) fn rollback(config: &Config, name: &str) -> Result<(), CliError> {
    let state = State::open(&config.policy_state())?;
    roll_back(&config.policies, &state, name, Clock::System.now())?;
    settle(config, &format!("{name} is back at the module before; `policy enable {name}` undoes that"))
}
