//! From a policy directory to policies that may decide together, or to what is wrong with each of them. Changes nothing:
//! the set in force stays in force until the whole new one is ready.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::domain::decision::{FactRequest, Hook, Mode};

use super::state::{KEPT_COPY, State};
use crate::policy::component::module::{Loader, Module};
use crate::policy::error::PolicyError;
use crate::policy::eval::set::{Policy, PolicySet};
use crate::policy::file::builtin::{BUILTIN_PREFIX, BUILTINS};
use crate::policy::file::set_file::{self, Editor, PolicyEntry, ResolvedEntry};
use crate::policy::file::settings::settings_digest;

/// How many policies are loaded at a time: compiling takes memory that is not given back.
const MAX_AT_ONCE: usize = 4;

/// How one policy of the set file stands.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyStatus {
    /// Its name in the set.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// What the set file calls its module.
    pub module: String,
    /// The digest of the module, if it could be read.
    pub digest: Option<String>,
    /// The digest of its settings.
    pub settings_digest: String,
    /// Its version, in its own words.
    pub version: Option<String>,
    /// What it does, in its own words.
    pub summary: Option<String>,
    /// The hooks it answers.
    pub hooks: Vec<Hook>,
    /// The facts it asks for.
    pub facts: Vec<FactRequest>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// Why an earlier module decides in its place.
    pub rolled_back: Option<String>,
}

/// The outcome of an attempt.
pub(in crate::policy) struct Loaded {
    /// What is to be in force and kept for the next start, or why nothing new is.
    pub(in crate::policy) resolved: Result<(Vec<ResolvedEntry>, Vec<Policy>), PolicyError>,
    pub(in crate::policy) status: Vec<PolicyStatus>,
}

impl Loaded {
    pub(in crate::policy) fn refused(error: PolicyError) -> Self {
        Self { resolved: Err(error), status: Vec::new() }
    }

    pub(in crate::policy) fn error(&self) -> Option<String> {
        self.resolved.as_ref().err().map(ToString::to_string)
    }
}

/// Loads everything the directory names; what is in `active` already is not loaded twice.
pub(in crate::policy) fn from_dir(
    loader: &Loader,
    dir: &Path,
    state: Option<&State>,
    active: Option<&PolicySet>,
) -> Loaded {
    let entries = match set_file::read(dir) {
        Ok(entries) => entries,
        Err(error) => return Loaded::refused(error),
    };
    let sources = Sources { loader, dir, state, active };
    let mut status = Vec::with_capacity(entries.len());
    let (mut resolved, mut policies, mut first_error) = (Vec::new(), Vec::new(), None);
    for (mut of_policy, outcome) in sources.attempts(&entries) {
        match outcome {
            None => {}
            Some(Ok((kept, policy))) => {
                of_policy.loaded(&policy.module);
                resolved.push(kept);
                policies.push(policy);
            }
            Some(Err(error)) => {
                of_policy.error = Some(error.to_string());
                first_error.get_or_insert_with(|| error.of(&of_policy.name));
            }
        }
        status.push(of_policy);
    }
    Loaded { resolved: first_error.map_or(Ok((resolved, policies)), Err), status }
}

/// Loads what was last in force.
pub(in crate::policy) fn last_good(loader: &Loader, state: &State) -> Result<Vec<Policy>, PolicyError> {
    let load = |resolved: ResolvedEntry| {
        let name = resolved.entry.name.clone();
        policy(loader, None, &resolved).map_err(|error| error.of(&name))
    };
    state.last_good()?.into_iter().map(load).collect()
}

/// Puts the module that was in force before back into the set file, with its settings and limits, as a person does with
/// `policy rollback`. Every process follows. Returns the digest of the module that decides now.
///
/// # Errors
/// When there is no such policy, or nothing that could decide in its place.
pub fn roll_back(dir: &Path, state: &State, policy: &str) -> Result<String, PolicyError> {
    let mut editor = Editor::open(dir)?;
    let entry = editor.entries()?.into_iter().find(|entry| entry.name == policy);
    let entry = entry.ok_or_else(|| PolicyError::NoSuchPolicy(policy.to_owned()))?;
    let digest = set_file::resolve(dir, entry.clone())?.digest;
    let before = state.fallback(policy, &digest)?;
    let mut before = before.ok_or_else(|| PolicyError::NothingToRollBack(policy.to_owned()))?;
    if !before.entry.module.starts_with(BUILTIN_PREFIX) {
        before.entry.module = editor.add_module(policy, &before.bytes)?;
        before.entry.digest = Some(before.digest.clone());
    }
    before.entry.mode = entry.mode;
    editor.put(&before.entry)?;
    state.withdraw(&before, &digest)?;
    editor.save()?;
    Ok(before.digest)
}

/// The digest of the module that a set of these entries names for a policy; `None` when it names none that can be read.
#[must_use]
pub fn named_digest(dir: &Path, entries: &[PolicyEntry], policy: &str) -> Option<String> {
    let entry = entries.iter().find(|entry| entry.name == policy)?;
    set_file::resolve(dir, entry.clone()).ok().map(|resolved| resolved.digest)
}

/// The bytes of a module by digest, for explaining and replaying decisions: one that comes with the binary, one that was in
/// force once, or one in the policy directory.
///
/// # Errors
/// When the kept copies cannot be read or trusted.
pub fn find_module(dir: &Path, state: &State, digest: &str) -> Result<Option<Vec<u8>>, PolicyError> {
    let is_it = |bytes: &[u8]| blake3::hash(bytes).to_hex().as_str() == digest;
    if let Some(builtin) = BUILTINS.iter().find(|builtin| is_it(builtin.bytes)) {
        return Ok(Some(builtin.bytes.to_vec()));
    }
    if let Some(bytes) = state.module(digest)? {
        return Ok(Some(bytes));
    }
    let listed = std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let modules = listed.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    Ok(modules.filter_map(|path| std::fs::read(path).ok()).find(|bytes| is_it(bytes)))
}

/// What policies are loaded with.
#[derive(Clone, Copy)]
struct Sources<'a> {
    loader: &'a Loader,
    dir: &'a Path,
    state: Option<&'a State>,
    active: Option<&'a PolicySet>,
}

/// How loading one policy went; no outcome when it is switched off.
type Attempt = (PolicyStatus, Option<Result<(ResolvedEntry, Policy), PolicyError>>);

impl Sources<'_> {
    /// Loads all entries, as many at a time as there are processors: with a cold cache each is hundreds of milliseconds of
    /// compilation.
    fn attempts(self, entries: &[PolicyEntry]) -> Vec<Attempt> {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_AT_ONCE);
        let mut attempts = Vec::with_capacity(entries.len());
        for batch in entries.chunks(at_once) {
            std::thread::scope(|scope| {
                let loading: Vec<_> =
                    batch.iter().map(|entry| (entry, scope.spawn(move || self.attempt(entry)))).collect();
                for (entry, thread) in loading {
                    let panicked = || PolicyError::Engine("loading panicked".to_owned());
                    let attempt = thread.join();
                    attempts
                        .push(attempt.unwrap_or_else(|_| (PolicyStatus::of(entry), Some(Err(panicked())))));
                }
            });
        }
        attempts
    }

    fn attempt(self, entry: &PolicyEntry) -> Attempt {
        let mut status = PolicyStatus::of(entry);
        let outcome = (entry.mode != Mode::Off).then(|| self.load(entry, &mut status));
        (status, outcome)
    }

    fn load(
        self,
        entry: &PolicyEntry,
        status: &mut PolicyStatus,
    ) -> Result<(ResolvedEntry, Policy), PolicyError> {
        let mut resolved = set_file::resolve(self.dir, entry.clone())?;
        status.digest = Some(resolved.digest.clone());
        if let Some(state) = self.state
            && let Some((reason, mut fallback)) = quarantined(state, &resolved)?
        {
            fallback.entry.mode = entry.mode;
            status.rolled_back = Some(format!("{} is out of force: {reason}", resolved.digest));
            resolved = fallback;
        }
        let policy = policy(self.loader, self.active, &resolved)?;
        Ok((resolved, policy))
    }
}

/// What decides in place of a module that may not.
fn quarantined(
    state: &State,
    resolved: &ResolvedEntry,
) -> Result<Option<(String, ResolvedEntry)>, PolicyError> {
    let (name, digest) = (&resolved.entry.name, &resolved.digest);
    let records = state.quarantined()?;
    let mut of_name = records.into_iter().filter(|record| record.policy == *name).peekable();
    if of_name.peek().is_none() {
        return Ok(None);
    }
    match of_name.find(|record| record.digest == *digest) {
        Some(record) => Ok(state.fallback(name, digest)?.map(|fallback| (record.reason, fallback))),
        None => state.release_others(name, digest).map(|()| None),
    }
}

fn policy(
    loader: &Loader,
    active: Option<&PolicySet>,
    resolved: &ResolvedEntry,
) -> Result<Policy, PolicyError> {
    let ResolvedEntry { entry, bytes, digest } = resolved;
    let settings = Value::Object(entry.settings.clone());
    let same = |module: &Module| {
        (&module.digest, module.limits) == (digest, entry.limits) && module.settings == settings
    };
    let known = active.into_iter().flat_map(PolicySet::policies).map(|policy| &policy.module);
    let module = match known.into_iter().find(|module| same(module)) {
        Some(module) => Arc::clone(module),
        None => Arc::new(loader.load(bytes, &settings, entry.limits)?),
    };
    Ok(Policy { name: entry.name.clone(), mode: entry.mode, module })
}

impl PolicyStatus {
    fn of(entry: &PolicyEntry) -> Self {
        Self {
            name: entry.name.clone(),
            mode: entry.mode,
            module: entry.module.clone(),
            digest: None,
            settings_digest: settings_digest(&Value::Object(entry.settings.clone())),
            version: None,
            summary: None,
            hooks: Vec::new(),
            facts: Vec::new(),
            error: None,
            rolled_back: None,
        }
    }

    /// A policy that decides, whatever the set file says by now.
    pub(in crate::policy) fn of_policy(policy: &Policy) -> Self {
        let mut status =
            Self::of(&PolicyEntry { mode: policy.mode, ..PolicyEntry::new(&policy.name, KEPT_COPY) });
        status.loaded(&policy.module);
        status
    }

    fn loaded(&mut self, module: &Module) {
        self.digest = Some(module.digest.clone());
        self.settings_digest.clone_from(&module.settings_digest);
        self.version = Some(module.version.clone());
        self.summary = Some(module.summary.clone());
        self.hooks.clone_from(&module.hooks);
        self.facts.clone_from(&module.facts);
    }
}
