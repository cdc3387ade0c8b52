//! `policy`: what decides, and changing it. An operator is never asked by a policy.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{CliError, decisions, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::decision::{Hook, Mode};
use crate::policy::set_file::{Editor, Entry, is_name};
use crate::policy::{CheckReport, Limits, Loader, PolicyStatus, SetStatus, Source, State, roll_back};

/// Longest wait for a set to load: compiling the largest module allowed takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// What decides now, and why the last change was refused if it was
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Put a module through everything the host checks before it activates one
    Check {
        /// The component
        file: PathBuf,
        /// A setting, `name=value`; the value is JSON or plain text
        #[arg(long = "settings", value_name = "K=V")]
        settings: Vec<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Check a module, copy it into the policy directory, pin its digest and put it into the set; a policy of that name
    /// keeps its limits, and the settings that are not given anew
    Install {
        /// The component
        file: PathBuf,
        /// Name in the set; left out: the module's own
        #[arg(long)]
        name: Option<String>,
        /// Ask and record it beside the live set; its answers change nothing
        #[arg(long)]
        shadow: bool,
        /// A setting, `name=value`; the value is JSON or plain text
        #[arg(long = "settings", value_name = "K=V")]
        settings: Vec<String>,
    },
    /// Take a policy out of the set
    Remove {
        /// Name in the set
        name: String,
    },
    /// Let a policy decide (again)
    Enable {
        /// Name in the set
        name: String,
    },
    /// Keep a policy in the set without asking it
    Disable {
        /// Name in the set
        name: String,
    },
    /// Go back to the module that was in force before
    Rollback {
        /// Name in the set
        name: String,
    },
    /// Decisions, newest first
    Log(decisions::LogArguments),
    /// Make a recorded decision again and compare each policy's verdict
    Explain(decisions::ExplainArguments),
}

pub(super) fn run(config: &Config, command: PolicyCommand) -> Result<(), CliError> {
    match command {
        PolicyCommand::List { json } => list(config, json),
        PolicyCommand::Check { file, settings, json } => {
            let report = check(config, &file, &settings)?.1;
            print_report(&report, json)
        }
        PolicyCommand::Install { file, name, shadow, settings } => {
            let mode = if shadow { Mode::Shadow } else { Mode::Enforce };
            install(config, &file, name, mode, &settings)
        }
        PolicyCommand::Remove { name } => {
            edit(config, |editor| editor.remove(&name), &format!("{name} is removed"))
        }
        PolicyCommand::Enable { name } => {
            State::open(&config.policy_state())?.release(&name)?;
            edit(config, |editor| editor.set_mode(&name, Mode::Enforce), &format!("{name} decides"))
        }
        PolicyCommand::Disable { name } => {
            edit(config, |editor| editor.set_mode(&name, Mode::Off), &format!("{name} is off"))
        }
        PolicyCommand::Rollback { name } => rollback(config, &name),
        PolicyCommand::Log(arguments) => decisions::log(config, arguments),
        PolicyCommand::Explain(arguments) => decisions::explain(config, &arguments),
    }
}

/// Loads the set as a server would, and says how it stands.
fn status(config: &Config) -> Result<SetStatus, CliError> {
    let host = app::start_policies(config)?;
    host.wait_for(PATIENCE, |_| true)
        .ok_or_else(|| CliError::Usage("the policies take longer than two minutes to load".into()))
}

fn short(digest: Option<&String>) -> String {
    digest.map_or_else(|| "-".into(), |digest| digest.chars().take(12).collect())
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
        Mode::Off => "off",
    }
}

fn hooks(hooks: &[Hook]) -> String {
    hooks.iter().map(|hook| hook.as_str()).collect::<Vec<_>>().join(", ")
}

fn list(config: &Config, as_json: bool) -> Result<(), CliError> {
    let status = status(config)?;
    if as_json {
        return Ok(output::json(&status)?);
    }
    let row = |policy: PolicyStatus| {
        let state = policy.error.or(policy.rolled_back).unwrap_or_else(|| policy.summary.unwrap_or_default());
        let mode = mode_name(policy.mode).to_owned();
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

/// Reads `name=value` pairs.
fn parse_settings(pairs: &[String]) -> Result<Map<String, Value>, CliError> {
    let parse = |pair: &String| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            CliError::Usage(format!("--settings {pair:?} is not name=value, as in max_messages=30"))
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok((name.to_owned(), value))
    };
    pairs.iter().map(parse).collect()
}

fn read_module(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too big.
    let limit = Limits::default().module_bytes() + 1;
    let read = File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| CliError::Usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(bytes)
}

fn check(config: &Config, file: &Path, settings: &[String]) -> Result<(Vec<u8>, CheckReport), CliError> {
    let bytes = read_module(file)?;
    let settings = Value::Object(parse_settings(settings)?);
    let report = examine(config, file, &bytes, &settings, Limits::default())?;
    Ok((bytes, report))
}

fn examine(
    config: &Config,
    file: &Path,
    bytes: &[u8],
    settings: &Value,
    limits: Limits,
) -> Result<CheckReport, CliError> {
    Loader::new(Some(&config.policy_cache()))?
        .check(bytes, settings, limits)
        .map_err(|error| CliError::Usage(format!("{} is refused: {}", file.display(), one_line(&error))))
}

/// An error may hold a module's own words, or a back trace: one line, and harmless for a terminal.
fn one_line(error: &impl ToString) -> String {
    output::visible(&error.to_string())
}

fn print_report(report: &CheckReport, as_json: bool) -> Result<(), CliError> {
    if as_json {
        output::json(report)?;
    } else {
        let sdk = report.sdk.as_deref().unwrap_or("unknown");
        output::line(&format!("{} {} (SDK {sdk}): {}", report.name, report.version, report.summary))?;
        output::line(&format!("digest  {}", report.digest))?;
        output::line(&format!("hooks   {}", hooks(&report.hooks)))?;
        let facts: Vec<String> =
            report.facts.iter().map(|fact| format!("{} {}", fact.name, json!(fact.params))).collect();
        output::line(&format!(
            "facts   {}",
            if facts.is_empty() { "none".into() } else { facts.join(", ") }
        ))?;
        output::line(&format!("loads in {} ms", report.load_millis))?;
        let rows = report.cases.iter().map(|case| {
            let result =
                case.failure.as_ref().map_or_else(|| "ok".into(), |failure| format!("FAILED: {failure}"));
            let kib = case.memory / 1024;
            [case.name.clone(), result, case.fuel.to_string(), case.micros.to_string(), kib.to_string()]
        });
        output::table(["CASE", "RESULT", "FUEL", "MICROS", "KIB"], rows, "it carries no cases")?;
    }
    if report.passed() { Ok(()) } else { Err(CliError::Found) }
}

fn install(
    config: &Config,
    file: &Path,
    name: Option<String>,
    mode: Mode,
    settings: &[String],
) -> Result<(), CliError> {
    let (bytes, mut report) = check(config, file, settings)?;
    let name = name.unwrap_or_else(|| report.name.clone());
    if !is_name(&name) {
        return Err(CliError::Usage(format!(
            "{name:?} is not a policy name: use lower-case letters, digits and '-' (--name)"
        )));
    }
    let mut editor = Editor::open(&config.policies)?;
    let mut entry = Entry::new(&name, "");
    if let Some(old) = editor.entries()?.into_iter().find(|old| old.name == name) {
        // A new version of what is there: what the operator set stays, unless given anew.
        (entry.settings, entry.limits) = (old.settings, old.limits);
    }
    entry.settings.extend(parse_settings(settings)?);
    if entry.settings.len() > settings.len() || entry.limits != Limits::default() {
        report = examine(config, file, &bytes, &Value::Object(entry.settings.clone()), entry.limits)?;
    }
    if !report.passed() {
        print_report(&report, false)?;
    }
    State::open(&config.policy_state())?.release(&name)?;
    entry.module = editor.add_module(&name, &bytes)?;
    entry.mode = mode;
    entry.digest = Some(report.digest.clone());
    editor.put(&entry);
    editor.save()?;
    let verb = if mode == Mode::Shadow { "is asked beside the live set" } else { "decides" };
    settle(config, &format!("{name} {} ({}) {verb}", report.version, short(Some(&report.digest))))
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
    let status = status(config)?;
    if let Some(error) = status.error {
        output::line(&format!("REFUSED: {}; the set before still decides", one_line(&error)))?;
        return Err(CliError::Found);
    }
    output::line(&format!("{done}; set {}", short(Some(&status.digest))))?;
    Ok(())
}

fn rollback(config: &Config, name: &str) -> Result<(), CliError> {
    let state = State::open(&config.policy_state())?;
    roll_back(&config.policies, &state, name, Clock::System.now())?;
    settle(config, &format!("{name} is back at the module before; `policy enable {name}` undoes that"))
}
