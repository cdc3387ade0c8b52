//! A module that a person wants to try or install: a file, an upload, a built-in policy, or what a policy of the set runs now.
//! Settings and limits given for it lie over those of the policy that it would replace.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::OperatorError;
use crate::policy::{BUILTIN_PREFIX, Limits, Loader, PolicyEntry, PolicyError, builtin, resolve};

/// Where the module's bytes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A component in a file.
    File(PathBuf),
    /// A component that was sent.
    Upload {
        /// What the sender calls it, for error messages.
        name: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The built-in policy of this name, without `builtin:`.
    Builtin(String),
    /// The module that the set names for this policy. The settings given with it are all of its settings.
    InSet(String),
}

/// A module, and how it is to stand in the set.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The module.
    pub source: Source,
    /// Its name in the set; none: the module's own, or that of the policy whose module it is.
    pub name: Option<String>,
    /// Settings, which lie over those of the policy of that name.
    pub settings: Map<String, Value>,
    /// Limits by their names in the set file, which lie over those of the policy of that name.
    pub limits: Map<String, Value>,
}

impl Candidate {
    /// A module with nothing said of its name, settings and limits.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, name: None, settings: Map::new(), limits: Map::new() }
    }

    /// The module that the set names for a policy, with other settings.
    #[must_use]
    pub fn with_settings(policy: &str, settings: Map<String, Value>) -> Self {
        Self { settings, ..Self::new(Source::InSet(policy.to_owned())) }
    }

    /// What the module is called in messages.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.source {
            Source::File(file) => file.display().to_string(),
            Source::Upload { name, .. } | Source::InSet(name) => name.clone(),
            Source::Builtin(name) => format!("{BUILTIN_PREFIX}{name}"),
        }
    }

    /// That the host does not take the module.
    #[must_use]
    pub fn refused(&self, source: PolicyError) -> OperatorError {
        OperatorError::Module { module: self.label(), source }
    }

    /// Reads the module without a set, with the limits given over the usual ones.
    ///
    /// # Errors
    /// When it cannot be read, is only named by a set, or the limits are none that a policy may have.
    pub fn read(&self) -> Result<(Vec<u8>, Limits), OperatorError> {
        self.read_over(Limits::default())
    }

    /// Reads the module, with the limits given laid over these.
    fn read_over(&self, base: Limits) -> Result<(Vec<u8>, Limits), OperatorError> {
        match &self.source {
            Source::File(file) => {
                let limits = self.limits_over(base)?;
                Ok((read_file(file, limits)?, limits))
            }
            Source::Upload { bytes, .. } => Ok((bytes.clone(), self.limits_over(base)?)),
            Source::Builtin(name) => {
                let builtin = builtin(name).ok_or_else(|| OperatorError::NoBuiltin(name.clone()))?;
                let base = if base == Limits::default() { builtin.limits } else { base };
                Ok((builtin.bytes.to_vec(), self.limits_over(base)?))
            }
            Source::InSet(name) => Err(PolicyError::NoSuchPolicy(name.clone()).into()),
        }
    }

    fn limits_over(&self, base: Limits) -> Result<Limits, OperatorError> {
        let mut all = match serde_json::to_value(base) {
            Ok(Value::Object(all)) => all,
            _ => Map::new(),
        };
        all.extend(self.limits.clone());
        let limits: Limits = serde_json::from_value(Value::Object(all))
            .map_err(|error| OperatorError::Limits(error.to_string()))?;
        limits.validation_error().map_or(Ok(limits), |wrong| Err(OperatorError::Limits(wrong)))
    }

    /// The entry and the bytes of the module as it would stand in a set of these entries: under the name given, else its own,
    /// with the settings and limits of the policy of that name, those given laid over them.
    ///
    /// # Errors
    /// When the module cannot be read or, for its name, not be configured.
    pub(super) fn resolve(
        &self,
        loader: &Loader,
        dir: &Path,
        entries: &[PolicyEntry],
    ) -> Result<Resolved, OperatorError> {
        if let Source::InSet(policy) = &self.source {
            let old = find(entries, policy)?;
            let (record, bytes) = resolve(dir, old)?;
            let limits = self.limits_over(record.limits)?;
            let entry = PolicyEntry {
                name: self.name.clone().unwrap_or_else(|| policy.clone()),
                settings: self.settings.clone(),
                // What the file does not say is not written into it.
                limits: if limits == record.limits { old.limits } else { limits },
                ..old.clone()
            };
            return Ok(Resolved { entry, bytes, limits });
        }
        let old = |name: &str| entries.iter().find(|old| old.name == name).cloned();
        let name = match &self.name {
            Some(name) => name.clone(),
            None => self.own_name(loader, entries)?,
        };
        // A new version of what is there: what the operator set stays, unless given anew.
        let mut entry = old(&name).unwrap_or_else(|| PolicyEntry::new(&name, ""));
        entry.settings.extend(self.settings.clone());
        let (bytes, limits) = self.read_over(entry.limits)?;
        entry.limits = limits;
        entry.digest = None;
        if let Source::Builtin(_) = &self.source {
            entry.module = self.label();
        }
        Ok(Resolved { entry, bytes, limits })
    }

    /// The name that the module gives itself. It says so only once it is configured: with the settings and limits given,
    /// or, where these do not do, with those of a policy in the set laid under them.
    fn own_name(&self, loader: &Loader, entries: &[PolicyEntry]) -> Result<String, OperatorError> {
        let load = |base: Limits, settings: Map<String, Value>| {
            let (bytes, limits) = self.read_over(base)?;
            let module = loader.load(&bytes, &Value::Object(settings), limits);
            module.map(|module| module.name).map_err(|error| self.refused(error))
        };
        let first = match load(Limits::default(), self.settings.clone()) {
            Ok(name) => return Ok(name),
            Err(error) => error,
        };
        for entry in entries {
            let mut under = entry.settings.clone();
            under.extend(self.settings.clone());
            if load(entry.limits, under).is_ok_and(|name| name == entry.name) {
                return Ok(entry.name.clone());
            }
        }
        Err(first)
    }

    /// Whether the module must be copied into the policy directory to be named in its set file.
    pub(super) const fn is_new(&self) -> bool {
        matches!(self.source, Source::File(_) | Source::Upload { .. })
    }
}

/// A candidate that was read.
pub(super) struct Resolved {
    /// Its entry for the set file. A module that is new has no file name in it yet.
    pub(super) entry: PolicyEntry,
    /// The module.
    pub(super) bytes: Vec<u8>,
    /// What it may use: that of the entry, and what comes with the binary where the entry says nothing.
    pub(super) limits: Limits,
}

pub(super) fn find<'a>(entries: &'a [PolicyEntry], policy: &str) -> Result<&'a PolicyEntry, PolicyError> {
    let found = entries.iter().find(|entry| entry.name == policy);
    found.ok_or_else(|| PolicyError::NoSuchPolicy(policy.to_owned()))
}

fn read_file(file: &Path, limits: Limits) -> Result<Vec<u8>, OperatorError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too big.
    let read = File::open(file).and_then(|open| open.take(limits.module_bytes() + 1).read_to_end(&mut bytes));
    read.map_err(|source| OperatorError::Unreadable { file: file.display().to_string(), source })?;
    Ok(bytes)
}
