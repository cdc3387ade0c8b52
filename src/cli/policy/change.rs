//! What changes the policy set: installing, promoting, switching, removing, going back.

use clap::Args;
use serde_json::{Value, json};

use super::candidate::{ModuleArguments, refused};
use super::{check, list, one_line, short};
use crate::app;
use crate::cli::{CliError, output};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::decision::Mode;
use crate::policy::{
    Loader, PolicyEntry, PolicyError, SetEditor, State, builtin, is_policy_name, named_digest, read_set,
    roll_back,
};
use crate::storage::{Db, PolicyChange};

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
    let loader = Loader::new(Some(&config.policy_cache()))?;
    let record = Record::begin(config)?;
    let mut editor = SetEditor::open(&config.policies)?;
    let entries = editor.entries()?;
    let (mut entry, bytes) = module.candidate(&loader, name.as_deref(), &entries)?;
    let name = entry.name.clone();
    if !is_policy_name(&name) {
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
        if output::is_json() {
            output::json(&report)?;
        } else {
            check::print(&report)?;
        }
        return Err(CliError::Found);
    }
    if !module.is_builtin() {
        entry.module = editor.add_module(&name, &bytes)?;
        entry.digest = Some(report.digest.clone());
    }
    entry.mode = if *shadow { Mode::Shadow } else { Mode::Enforce };
    editor.put(&entry)?;
    editor.save()?;
    // Only now: a module that was rolled back must not decide again before the new one is in the file.
    State::open(&config.policy_state())?.release(&name)?;
    let verb = if *shadow { "is asked beside the live set" } else { "decides" };
    record.end("install", &name)?;
    report_set(config, &name, &format!("{name} {} ({}) {verb}", report.version, short(Some(&report.digest))))
}

pub(super) fn promote(config: &Config, arguments: &PromoteArguments) -> Result<(), CliError> {
    let PromoteArguments { name, instead_of } = arguments;
    let change = |editor: &mut SetEditor| {
        editor.set_mode(name, Mode::Enforce)?;
        instead_of.as_ref().map_or(Ok(()), |old| editor.remove(old))
    };
    let place = instead_of.as_ref().map(|old| format!(" in the place of {old}")).unwrap_or_default();
    edit(config, "promote", name, change, &format!("{name} decides{place}"))
}

pub(super) fn remove(config: &Config, name: &str) -> Result<(), CliError> {
    let done = match builtin(name) {
        Some(_) => format!("{name} is not in the set file any more: the built-in decides with its defaults"),
        None => format!("{name} is removed"),
    };
    edit(config, "remove", name, |editor| editor.remove(name), &done)
}

pub(super) fn enable(config: &Config, name: &str) -> Result<(), CliError> {
    edit(config, "enable", name, |editor| editor.set_mode(name, Mode::Enforce), &format!("{name} decides"))
}

pub(super) fn disable(config: &Config, name: &str) -> Result<(), CliError> {
    edit(config, "disable", name, |editor| editor.set_mode(name, Mode::Off), &format!("{name} is off"))
}

pub(super) fn rollback(config: &Config, name: &str) -> Result<(), CliError> {
    let record = Record::begin(config)?;
    let state = State::open(&config.policy_state())?;
    let digest = roll_back(&config.policies, &state, name)?;
    record.end("rollback", name)?;
    report_set(config, name, &format!("{name} is back at the module before, {}", short(Some(&digest))))
}

fn edit(
    config: &Config,
    action: &str,
    name: &str,
    change: impl FnOnce(&mut SetEditor) -> Result<(), PolicyError>,
    done: &str,
) -> Result<(), CliError> {
    let record = Record::begin(config)?;
    let mut editor = SetEditor::open(&config.policies)?;
    change(&mut editor)?;
    editor.save()?;
    // What was rolled back may decide again where a person says so.
    if action != "disable" {
        State::open(&config.policy_state())?.release(name)?;
    }
    record.end(action, name)?;
    report_set(config, name, done)
}

/// Says whether the set loads now; running processes follow within a second.
fn report_set(config: &Config, name: &str, done: &str) -> Result<(), CliError> {
    let status = list::status(config)?;
    let text = match &status.error {
        Some(error) => format!("REFUSED: {}; the set before still decides", one_line(error)),
        None => format!("{done}; set {}", short(Some(&status.digest))),
    };
    let object = json!({ "policy": name, "done": done, "set": status.digest, "refused": status.error });
    output::done(&object, &text)?;
    if status.error.is_some() { Err(CliError::Found) } else { Ok(()) }
}

/// The audit row of a change to the set file.
struct Record<'a> {
    config: &'a Config,
    /// Opened before anything is changed: a change that cannot be recorded is not made.
    db: Db,
    before: Vec<PolicyEntry>,
}

impl<'a> Record<'a> {
    fn begin(config: &'a Config) -> Result<Self, CliError> {
        let db = app::open_db(config)?;
        Ok(Self { config, db, before: read_set(&config.policies).unwrap_or_default() })
    }

    fn end(self, action: &str, policy: &str) -> Result<(), CliError> {
        let Self { config, db, before } = self;
        let after = read_set(&config.policies)?;
        let one = |entries: &[PolicyEntry]| {
            let entry = entries.iter().find(|entry| entry.name == policy);
            json!({
                "module": named_digest(&config.policies, entries, policy),
                "mode": entry.map(|entry| entry.mode),
                "settings": entry.map(|entry| &entry.settings),
            })
        };
        let change = PolicyChange {
            at: db.now(&Clock::System),
            action: format!("policy_{action}"),
            policy: policy.to_owned(),
            details: json!({
                "directory": config.policies,
                "uid": rustix::process::geteuid().as_raw(),
                "from": one(&before),
                "to": one(&after),
            }),
        };
        Ok(db.write(move |tx| tx.record_policy_change(&change))?)
    }
}
