//! The module that a command is about: a file or a built-in policy, with settings and limits given on the command line
//! over those of the policy it would replace.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::{CliError, one_line};
use crate::operator::{Candidate, Source};
use crate::policy::{BUILTIN_PREFIX, Limits, PolicyError};

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

impl ModuleArguments {
    /// The module with what is said of it, under this name in the set.
    pub(super) fn candidate(&self, name: Option<&str>) -> Result<Candidate, CliError> {
        let builtin = self.file.to_str().and_then(|file| file.strip_prefix(BUILTIN_PREFIX));
        let source = builtin
            .map_or_else(|| Source::File(self.file.clone()), |builtin| Source::Builtin(builtin.to_owned()));
        Ok(Candidate {
            source,
            name: name.map(str::to_owned),
            settings: pairs("settings", "max_messages=30", &self.settings)?,
            limits: pairs("limit", "fuel=20000000", &self.limits)?,
        })
    }

    /// The module itself and what it may use, for what looks at it without a set.
    pub(super) fn read(&self) -> Result<(Vec<u8>, Limits), CliError> {
        Ok(self.candidate(None)?.read()?)
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

/// What is said of a module that the host does not take.
pub(super) fn refused(file: &Path, error: &PolicyError) -> CliError {
    CliError::Usage(format!("{} is refused: {}", file.display(), one_line(error)))
}
