//! The module that a command is about: a file or a built-in policy, with settings and limits given on the command line
//! over those of the policy it would replace.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::{CliError, one_line};
use crate::policy::{BUILTIN_PREFIX, Builtin, Limits, Loader, PolicyEntry, PolicyError, builtin};

/// How a command is told of a module.
#[derive(Debug, Args)]
pub(super) struct ModuleArguments {
    /// The component, or builtin:NAME
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// A setting, `name=value`; the value is JSON or plain text
    #[arg(long = "settings", value_name = "K=V")]
    settings: Vec<String>,
    /// What it may use: `fuel`, `millis`, `memory_mib` or `module_mib`, as in `fuel=20000000`
    #[arg(long = "limit", value_name = "K=N")]
    limits: Vec<String>,
}

/// A module's bytes, and what it may use.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) limits: Limits,
}

impl ModuleArguments {
    /// Whether it comes with the binary.
    pub(super) fn is_builtin(&self) -> bool {
        self.file.to_str().is_some_and(|file| file.starts_with(BUILTIN_PREFIX))
    }

    fn builtin(&self) -> Result<Option<Builtin>, CliError> {
        let Some(name) = self.file.to_str().and_then(|file| file.strip_prefix(BUILTIN_PREFIX)) else {
            return Ok(None);
        };
        let found = builtin(name);
        found.map(Some).ok_or_else(|| CliError::Usage(format!("there is no built-in policy {name:?}")))
    }

    /// The settings given.
    pub(super) fn settings(&self) -> Result<Map<String, Value>, CliError> {
        pairs("settings", "max_messages=30", &self.settings)
    }

    fn limits(&self, base: Limits) -> Result<Limits, CliError> {
        let wrong = |problem: String| CliError::Usage(format!("--limit: {problem}"));
        let mut all = match serde_json::to_value(base) {
            Ok(Value::Object(all)) => all,
            _ => Map::new(),
        };
        all.extend(pairs("limit", "fuel=20000000", &self.limits)?);
        let limits: Limits =
            serde_json::from_value(Value::Object(all)).map_err(|error| wrong(error.to_string()))?;
        limits.validation_error().map_or(Ok(limits), |validation_error| Err(wrong(validation_error)))
    }

    /// Reads the module. The limits are those given, else the usual ones.
    pub(super) fn read(&self) -> Result<Read, CliError> {
        self.read_over(Limits::default())
    }

    /// Reads the module, with the limits given laid over these.
    fn read_over(&self, base: Limits) -> Result<Read, CliError> {
        if let Some(builtin) = self.builtin()? {
            let base = if base == Limits::default() { builtin.limits } else { base };
            return Ok(Read { bytes: builtin.bytes.to_vec(), limits: self.limits(base)? });
        }
        let limits = self.limits(base)?;
        Ok(Read { bytes: read_module(&self.file, limits)?, limits })
    }

    /// The entry and the bytes of the module as it would stand in a set of these entries: under `name`, else its own name, with the settings and
    /// limits of the policy of that name, those given here laid over them.
    pub(super) fn candidate(
        &self,
        loader: &Loader,
        name: Option<&str>,
        entries: &[PolicyEntry],
    ) -> Result<(PolicyEntry, Vec<u8>), CliError> {
        let old = |name: &str| entries.iter().find(|old| old.name == name).cloned();
        let settings = self.settings()?;
        let name =
            if let Some(name) = name { name.to_owned() } else { self.own_name(loader, &settings, entries)? };
        // A new version of what is there: what the operator set stays, unless given anew.
        let mut entry = old(&name).unwrap_or_else(|| PolicyEntry::new(&name, ""));
        entry.settings.extend(settings);
        let Read { bytes, limits } = self.read_over(entry.limits)?;
        entry.limits = limits;
        entry.digest = None;
        if self.is_builtin() {
            entry.module = self.file.to_string_lossy().into_owned();
        }
        Ok((entry, bytes))
    }
}

impl ModuleArguments {
    /// The name that the module gives itself. It says so only once it is configured: with the settings and limits given,
    /// or, where these do not do, with those of a policy in the set laid under them.
    fn own_name(
        &self,
        loader: &Loader,
        settings: &Map<String, Value>,
        entries: &[PolicyEntry],
    ) -> Result<String, CliError> {
        let load = |base: Limits, settings: Map<String, Value>| {
            let Read { bytes, limits } = self.read_over(base)?;
            let module = loader.load(&bytes, &Value::Object(settings), limits);
            module.map(|module| module.name).map_err(|error| refused(&self.file, &error))
        };
        let first = match load(Limits::default(), settings.clone()) {
            Ok(name) => return Ok(name),
            Err(error) => error,
        };
        for entry in entries {
            let mut under = entry.settings.clone();
            under.extend(settings.clone());
            if load(entry.limits, under).is_ok_and(|name| name == entry.name) {
                return Ok(entry.name.clone());
            }
        }
        Err(first)
    }
}

/// Reads `name=value` pairs; a value that is no JSON is text.
fn pairs(flag: &str, example: &str, pairs: &[String]) -> Result<Map<String, Value>, CliError> {
    let parse = |pair: &String| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            CliError::Usage(format!("--{flag} {pair:?} is not name=value, as in {example}"))
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok((name.to_owned(), value))
    };
    pairs.iter().map(parse).collect()
}

fn read_module(file: &Path, limits: Limits) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too big.
    let read = File::open(file).and_then(|open| open.take(limits.module_bytes() + 1).read_to_end(&mut bytes));
    read.map_err(|error| CliError::Usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(bytes)
}

/// What is said of a module that the host does not take.
pub(super) fn refused(file: &Path, error: &PolicyError) -> CliError {
    CliError::Usage(format!("{} is refused: {}", file.display(), one_line(error)))
}
