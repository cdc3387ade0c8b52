//! From a policy directory to policies that may decide together, or to what is wrong with each of them. Changes nothing:
//! the set in force stays in force until the whole new one is ready.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::domain::decision::{FactRequest, Hook, Mode};

use super::state::State;
use crate::policy::PolicyError;
use crate::policy::component::{Loader, Module};
use crate::policy::eval::{Policy, PolicySet};
use crate::policy::file::{self, BUILTIN_PREFIX, BUILTINS, PolicyEntry, SetEditor, settings_digest};

/// How many policies are loaded at a time: compiling takes memory that is not given back.
const MAX_AT_ONCE: usize = 4;
/// What the status of a policy that decides calls its module, whatever the set file says by now.
const KEPT_COPY: &str = "(kept copy)";

/// How one policy of the set file stands.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyStatus {
    /// Its name in the set.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// How many persons must approve a tool call that it holds.
    pub approvals: i64,
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
    /// The tools whose calls it judges; none: all.
    pub tools: Option<BTreeSet<String>>,
    /// The facts it asks for.
    pub facts: Vec<FactRequest>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// Why an earlier module decides in its place.
    pub rolled_back: Option<String>,
}

/// What came of loading a set.
pub(super) struct LoadedSet {
    /// The policies that may decide together, each with the bytes of its module; or why they may not.
    pub(super) policies: Result<Vec<(Policy, Vec<u8>)>, PolicyError>,
    /// How each policy of the set file stands.
    pub(super) status: Vec<PolicyStatus>,
}

impl LoadedSet {
    pub(super) fn refused(error: PolicyError) -> Self {
        Self { policies: Err(error), status: Vec::new() }
    }
}

/// Loads everything the directory names; what is in `active` already is not loaded twice.
pub(super) fn from_dir(
    loader: &Loader,
    dir: &Path,
    state: Option<&State>,
    active: Option<&PolicySet>,
) -> Result<LoadedSet, PolicyError> {
    let entries = file::read_set(dir)?;
    let sources = Sources { loader, dir, state, active };
    let mut set = LoadedSet { policies: Ok(Vec::new()), status: Vec::with_capacity(entries.len()) };
    for (mut status, outcome) in sources.load_all(&entries) {
        match outcome {
            Ok(None) => {}
            Ok(Some((policy, bytes))) => {
                status.loaded(&policy);
                if let Ok(policies) = &mut set.policies {
                    policies.push((policy, bytes));
                }
            }
            Err(error) => {
                status.error = Some(error.to_string());
                set.policies = set.policies.and_then(|_| Err(error.of(&status.name)));
            }
        }
        set.status.push(status);
    }
    Ok(set)
}

/// Loads what was last in force.
pub(super) fn last_good(loader: &Loader, state: &State) -> Result<Vec<Policy>, PolicyError> {
    let load = |(record, bytes): (PolicyEntry, Vec<u8>)| {
        Policy::load(loader, &record, &bytes).map_err(|error| error.of(&record.name))
    };
    state.last_good()?.into_iter().map(load).collect()
}

/// Puts the module that was in force before back into the set file, with its settings and limits, as a person does with
/// `policy rollback`. Every process follows. `record` records the change, from the entries before and after it, just before it
/// is made. Returns the digest of the module that decides now.
///
/// # Errors
/// When there is no such policy, or nothing that could decide in its place; those of `record`.
pub fn roll_back<E: From<PolicyError>>(
    dir: &Path,
    state: &State,
    policy: &str,
    record: impl FnOnce(&[PolicyEntry], &[PolicyEntry]) -> Result<(), E>,
) -> Result<String, E> {
    let mut editor = SetEditor::open(dir)?;
    let entries = editor.entries()?;
    let entry = entries.iter().find(|entry| entry.name == policy);
    let entry = entry.ok_or_else(|| PolicyError::NoSuchPolicy(policy.to_owned()))?;
    let (current, _) = file::resolve(dir, entry)?;
    let before = state.fallback(policy, &current.module)?;
    let (mut back, bytes) = before.ok_or_else(|| PolicyError::NothingToRollBack(policy.to_owned()))?;
    // Which module decides is one thing; what it is asked, and how many persons must agree with it, is the operator's word.
    (back.mode, back.approvals, back.tools) = (entry.mode, entry.approvals, entry.tools.clone());
    let (module, pin) = match BUILTINS.iter().find(|builtin| builtin.bytes == bytes) {
        Some(builtin) => (format!("{BUILTIN_PREFIX}{}", builtin.name), None),
        None => (editor.add_module(policy, &bytes)?, Some(back.module.clone())),
    };
    editor.put(&PolicyEntry { module, digest: pin, ..back.clone() })?;
    editor.save_recorded(|after| {
        record(&entries, after)?;
        Ok::<_, E>(state.withdraw(&back, &current.module)?)
    })?;
    Ok(back.module)
}

/// The digest of the module that a set of these entries names for a policy; `None` when it names none that can be read.
#[must_use]
pub fn named_digest(dir: &Path, entries: &[PolicyEntry], policy: &str) -> Option<String> {
    let entry = entries.iter().find(|entry| entry.name == policy)?;
    file::resolve(dir, entry).ok().map(|(record, _)| record.module)
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

/// A policy with the bytes of its module; none when it is switched off.
type LoadResult = Result<Option<(Policy, Vec<u8>)>, PolicyError>;

impl Sources<'_> {
    /// Loads all entries, as many at a time as there are processors: with a cold cache each is hundreds of milliseconds of
    /// compilation.
    fn load_all(self, entries: &[PolicyEntry]) -> Vec<(PolicyStatus, LoadResult)> {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_AT_ONCE);
        let mut all = Vec::with_capacity(entries.len());
        for batch in entries.chunks(at_once) {
            std::thread::scope(|scope| {
                let load = |entry| {
                    let mut status = PolicyStatus::of(entry);
                    let outcome = self.load(entry, &mut status);
                    (status, outcome)
                };
                let loading: Vec<_> =
                    batch.iter().map(|entry| (entry, scope.spawn(move || load(entry)))).collect();
                for (entry, thread) in loading {
                    let panicked = |_| {
                        let error = PolicyError::Engine("loading panicked".to_owned());
                        (PolicyStatus::of(entry), Err(error))
                    };
                    all.push(thread.join().unwrap_or_else(panicked));
                }
            });
        }
        all
    }

    fn load(self, entry: &PolicyEntry, status: &mut PolicyStatus) -> LoadResult {
        if entry.mode == Mode::Off {
            return Ok(None);
        }
        let (mut record, mut bytes) = file::resolve(self.dir, entry)?;
        status.digest = Some(record.module.clone());
        if let Some(state) = self.state
            && let Some(reason) = quarantine_reason(state, &record)?
            && let Some(fallback) = state.fallback(&record.name, &record.module)?
        {
            status.rolled_back = Some(format!("{} is out of force: {reason}", record.module));
            (record, bytes) = fallback;
            (record.mode, record.approvals, record.tools) =
                (entry.mode, entry.approvals, entry.tools.clone());
        }
        let is_same = |known: &&Policy| {
            let Module { digest, settings, limits, .. } = &*known.module;
            (digest, limits) == (&record.module, &record.limits)
                && settings.as_object() == Some(&record.settings)
        };
        let known = self.active.into_iter().flat_map(PolicySet::policies).find(is_same);
        let policy = match known {
            Some(known) => Policy::of(&record, Arc::clone(&known.module)),
            None => Policy::load(self.loader, &record, &bytes)?,
        };
        match (&entry.tools, &policy.module.tools) {
            (Some(named), Some(judged)) if named.is_disjoint(judged) => {
                Err(PolicyError::NoTool { named: file::listed(named), judged: file::listed(judged) })
            }
            _ => Ok(Some((policy, bytes))),
        }
    }
}

/// Why a module may not decide under its name; `None` when it may. A quarantine of another module of that name is over.
fn quarantine_reason(state: &State, record: &PolicyEntry) -> Result<Option<String>, PolicyError> {
    let (name, digest) = (&record.name, &record.module);
    let quarantined = state.quarantined()?;
    let mut of_name = quarantined.into_iter().filter(|bad| bad.policy == *name).peekable();
    if of_name.peek().is_none() {
        return Ok(None);
    }
    match of_name.find(|bad| bad.digest == *digest) {
        Some(bad) => Ok(Some(bad.reason)),
        None => state.release_others(name, digest).map(|()| None),
    }
}

impl PolicyStatus {
    fn of(entry: &PolicyEntry) -> Self {
        Self {
            name: entry.name.clone(),
            mode: entry.mode,
            approvals: entry.approvals,
            module: entry.module.clone(),
            digest: None,
            settings_digest: settings_digest(&Value::Object(entry.settings.clone())),
            version: None,
            summary: None,
            hooks: Vec::new(),
            tools: entry.tools.clone(),
            facts: Vec::new(),
            error: None,
            rolled_back: None,
        }
    }

    /// A policy that decides, whatever the set file says by now.
    pub(super) fn of_policy(policy: &Policy) -> Self {
        let mut status = Self::of(&PolicyEntry { module: KEPT_COPY.to_owned(), ..policy.record() });
        status.loaded(policy);
        status
    }

    fn loaded(&mut self, Policy { tools, module, .. }: &Policy) {
        self.digest = Some(module.digest.clone());
        self.settings_digest.clone_from(&module.settings_digest);
        self.version = Some(module.version.clone());
        self.summary = Some(module.summary.clone());
        self.hooks.clone_from(&module.hooks);
        self.tools.clone_from(tools);
        self.facts.clone_from(&module.facts);
    }
}
