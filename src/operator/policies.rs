//! Changing the policy set: installing, promoting, switching, removing, going back, other settings. A change is recorded in
//! the audit log under the name of the person who made it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::candidate::{Resolved, find};
use super::changes::FAILED;
use super::{Candidate, OperatorError};
use crate::domain::clock::Clock;
use crate::domain::decision::Mode;
use crate::domain::person::{Actor, Role};
use crate::os;
use crate::policy::{
    CheckReport, HostConfig, Loader, PolicyEntry, PolicyError, PolicyHost, SetEditor, SetStatus, State,
    builtin, is_policy_name, named_digest, read_set, roll_back,
};
use crate::storage::{Db, PolicyChange};

/// Longest wait for a set to load: compiling the largest module allowed takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a policy that is tried beside the one it may replace is called: its name and this.
const NEXT: &str = "-next";

/// The policies of one table: where they are, what loads them, and the database that records their changes.
///
/// Its methods block: they wait for other editors of the set file, compile and run modules, and write to the database.
pub struct Policies {
    pub(super) dir: PathBuf,
    state: PathBuf,
    pub(super) loader: Loader,
    pub(super) db: Db,
}

/// What a change was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A module came into the set.
    Installed {
        /// Its version, in its own words.
        version: String,
        /// Its digest.
        digest: String,
        /// Its mode.
        mode: Mode,
    },
    /// A policy got other settings, or a copy of it with other settings came beside it.
    Settings {
        /// Its mode.
        mode: Mode,
    },
    /// A shadow policy decides.
    Promoted {
        /// The policy that was taken out in the same change.
        instead_of: Option<String>,
    },
    /// A policy decides.
    Enabled,
    /// A policy is not asked.
    Disabled,
    /// A policy is out of the set file.
    Removed {
        /// Whether a built-in policy of that name decides with its defaults now, as far as the file lets it.
        built_in: bool,
    },
    /// The module before is back.
    RolledBack {
        /// Its digest.
        digest: String,
    },
}

/// A change that was made, and how the set stands after it.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The policy's name in the set.
    pub policy: String,
    /// What was changed.
    pub change: Change,
    /// How the set loads now. With an error in it, the set before still decides in every process that runs.
    pub status: SetStatus,
}

impl Changed {
    /// What was done, in a few words.
    #[must_use]
    pub fn done(&self) -> String {
        let name = &self.policy;
        match &self.change {
            Change::Installed { version, digest, mode } => {
                format!("{name} {version} ({}) {}", short(digest), stands(*mode))
            }
            Change::Settings { mode } => format!("{name} {} with these settings", stands(*mode)),
            Change::Promoted { instead_of: Some(old) } => format!("{name} decides in the place of {old}"),
            Change::Promoted { instead_of: None } | Change::Enabled => format!("{name} decides"),
            Change::Disabled => format!("{name} is off"),
            Change::Removed { built_in: true } => {
                format!("{name} is not in the set file any more: the built-in decides with its defaults")
            }
            Change::Removed { built_in: false } => format!("{name} is removed"),
            Change::RolledBack { digest } => {
                format!("{name} is back at the module before, {}", short(digest))
            }
        }
    }
}

const fn stands(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "decides",
        Mode::Shadow => "is asked beside the live set",
        Mode::Off => "is in the set and off",
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

impl Policies {
    /// The policies in a directory. `state` is the folder of the modules that were in force; the loader should be the one of
    /// the process, if it has one.
    #[must_use]
    pub const fn new(dir: PathBuf, state: PathBuf, loader: Loader, db: Db) -> Self {
        Self { dir, state, loader, db }
    }

    /// The policy directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn kept(&self) -> Result<State, PolicyError> {
        State::open(&self.state)
    }

    /// Loads the set as a starting process would, and says how it stands.
    ///
    /// # Errors
    /// When it takes longer than two minutes.
    pub fn status(&self) -> Result<SetStatus, OperatorError> {
        let config = HostConfig {
            dir: self.dir.clone(),
            cache_dir: None,
            state_dir: Some(self.state.clone()),
            clock: Arc::new(|| Clock::System.now()),
        };
        let host = PolicyHost::start_with(config, self.loader.clone())?;
        host.wait_for(PATIENCE, |_| true).ok_or(OperatorError::Slow)
    }

    /// Puts a module through everything the host checks, copies it into the policy directory, pins its digest and puts it into
    /// the set. A policy of that name keeps its limits, and the settings that are not given anew.
    ///
    /// # Errors
    /// `permission_denied` for a person who is no operator; what is wrong with the module, its name or its cases; and that a
    /// shadow has the name of a policy that decides. Nothing is changed then.
    pub fn install(&self, candidate: &Candidate, mode: Mode, by: &Actor) -> Result<Changed, OperatorError> {
        let (policy, CheckReport { version, digest, .. }) = self.put(candidate, mode, "install", by)?;
        self.changed(policy, Change::Installed { version, digest, mode })
    }

    /// Gives a policy of the set, or a built-in policy that the set file does not name yet, these settings and no others, and
    /// this mode. In the shadow of a policy that is not itself in the shadow they are those of a copy of it, NAME-next.
    ///
    /// # Errors
    /// As [`install`](Self::install), and `NoSuchPolicy`.
    pub fn set_settings(
        &self,
        policy: &str,
        settings: Map<String, Value>,
        mode: Mode,
        by: &Actor,
    ) -> Result<Changed, OperatorError> {
        by.check_role(Role::Operator)?;
        let is_live = find(&read_set(&self.dir)?, policy)?.mode != Mode::Shadow;
        let beside = (mode == Mode::Shadow && is_live).then(|| format!("{policy}{NEXT}"));
        let candidate = Candidate { name: beside, ..Candidate::with_settings(policy, settings) };
        let (policy, _) = self.put(&candidate, mode, "settings", by)?;
        self.changed(policy, Change::Settings { mode })
    }

    /// Puts a module that passes all checks into the set; its name there, and what the checks said.
    fn put(
        &self,
        candidate: &Candidate,
        mode: Mode,
        action: &str,
        by: &Actor,
    ) -> Result<(String, CheckReport), OperatorError> {
        by.check_role(Role::Operator)?;
        let mut editor = SetEditor::open(&self.dir)?;
        let entries = editor.entries()?;
        let Resolved { mut entry, bytes, limits } = candidate.resolve(&self.loader, &self.dir, &entries)?;
        let name = entry.name.clone();
        if !is_policy_name(&name) {
            return Err(OperatorError::Name(name));
        }
        if mode == Mode::Shadow && entries.iter().any(|it| it.name == name && it.mode == Mode::Enforce) {
            return Err(OperatorError::Decides(name));
        }
        let settings = Value::Object(entry.settings.clone());
        let report =
            self.loader.check(&bytes, &settings, limits).map_err(|error| candidate.refused(error))?;
        if !report.passed() {
            return Err(OperatorError::Cases(Box::new(report)));
        }
        if candidate.is_new() {
            entry.module = editor.add_module(&name, &bytes)?;
            entry.digest = Some(report.digest.clone());
        }
        entry.mode = mode;
        editor.put(&entry)?;
        if mode == Mode::Shadow {
            // A built-in policy that the file does not name leaves the set when its module is named under another name.
            let after = editor.entries()?;
            for pushed_out in entries.iter().filter(|old| !after.iter().any(|it| it.name == old.name)) {
                editor.put(pushed_out)?;
            }
        }
        self.save(editor, &entries, action, &name, by)?;
        Ok((name, report))
    }

    /// Lets a shadow policy decide, and takes another one out in the same change.
    ///
    /// # Errors
    /// `permission_denied`, and what is wrong with the set file; that there is no such policy.
    pub fn promote(
        &self,
        policy: &str,
        instead_of: Option<&str>,
        by: &Actor,
    ) -> Result<Changed, OperatorError> {
        self.edit("promote", policy, by, |editor| {
            editor.set_mode(policy, Mode::Enforce)?;
            instead_of.map_or(Ok(()), |old| editor.remove(old))
        })?;
        let instead_of = instead_of.map(str::to_owned);
        self.changed(policy.to_owned(), Change::Promoted { instead_of })
    }

    /// Lets a policy decide (again).
    ///
    /// # Errors
    /// As [`promote`](Self::promote).
    pub fn enable(&self, policy: &str, by: &Actor) -> Result<Changed, OperatorError> {
        self.edit("enable", policy, by, |editor| editor.set_mode(policy, Mode::Enforce))?;
        self.changed(policy.to_owned(), Change::Enabled)
    }

    /// Keeps a policy in the set without asking it.
    ///
    /// # Errors
    /// As [`promote`](Self::promote).
    pub fn disable(&self, policy: &str, by: &Actor) -> Result<Changed, OperatorError> {
        self.edit("disable", policy, by, |editor| editor.set_mode(policy, Mode::Off))?;
        self.changed(policy.to_owned(), Change::Disabled)
    }

    /// Takes a policy out of the set file.
    ///
    /// # Errors
    /// As [`promote`](Self::promote); that a built-in policy is not in the file.
    pub fn remove(&self, policy: &str, by: &Actor) -> Result<Changed, OperatorError> {
        self.edit("remove", policy, by, |editor| editor.remove(policy))?;
        self.changed(policy.to_owned(), Change::Removed { built_in: builtin(policy).is_some() })
    }

    /// Goes back to the module that was in force before, with its settings and limits.
    ///
    /// # Errors
    /// `permission_denied`; that there is no such policy, or nothing to go back to.
    pub fn rollback(&self, policy: &str, by: &Actor) -> Result<Changed, OperatorError> {
        by.check_role(Role::Operator)?;
        let kept = self.kept()?;
        let digest = self.recorded("rollback", policy, by, |record| {
            roll_back(&self.dir, &kept, policy, |before, after| record.write(before, after))
        })?;
        self.changed(policy.to_owned(), Change::RolledBack { digest })
    }

    fn edit(
        &self,
        action: &str,
        policy: &str,
        by: &Actor,
        change: impl FnOnce(&mut SetEditor) -> Result<(), PolicyError>,
    ) -> Result<(), OperatorError> {
        by.check_role(Role::Operator)?;
        let mut editor = SetEditor::open(&self.dir)?;
        let before = editor.entries()?;
        change(&mut editor)?;
        self.save(editor, &before, action, policy, by)
    }

    /// Puts a set file in force, with the audit row of the change.
    fn save(
        &self,
        editor: SetEditor,
        before: &[PolicyEntry],
        action: &str,
        policy: &str,
        by: &Actor,
    ) -> Result<(), OperatorError> {
        let kept = self.kept()?;
        self.recorded(action, policy, by, |record| {
            editor.save_recorded(|after| record.write(before, after))
        })?;
        // What was rolled back may decide again where a person says so, and not before the new set is in the file.
        if action != "disable" {
            let unfinished = |source| OperatorError::Unfinished { policy: policy.to_owned(), source };
            kept.release(policy).map_err(unfinished)?;
        }
        Ok(())
    }

    /// Makes a change that writes its audit row before it takes effect. Where it had none after all, a second row says so.
    fn recorded<T>(
        &self,
        action: &str,
        policy: &str,
        by: &Actor,
        change: impl FnOnce(&mut Record<'_>) -> Result<T, OperatorError>,
    ) -> Result<T, OperatorError> {
        let mut record = Record { policies: self, by, action, policy, written: None };
        change(&mut record).inspect_err(|_| record.take_back())
    }

    /// Running processes follow within a second; whether they can is seen here.
    fn changed(&self, policy: String, change: Change) -> Result<Changed, OperatorError> {
        Ok(Changed { policy, change, status: self.status()? })
    }
}

/// The audit row of a change to the set file.
struct Record<'a> {
    policies: &'a Policies,
    by: &'a Actor,
    action: &'a str,
    policy: &'a str,
    /// The number of the row, once it is written, and what it says of the policy before the change.
    written: Option<(i64, Value)>,
}

impl Record<'_> {
    fn write(&mut self, before: &[PolicyEntry], after: &[PolicyEntry]) -> Result<(), OperatorError> {
        let (from, to) = (self.described(before), self.described(after));
        let row = self.add(self.action, &from, &to, None)?;
        self.written = Some((row, from));
        Ok(())
    }

    /// Says that the change had no effect, if it was recorded. The error that led here is the one to be shown.
    fn take_back(&self) {
        let Some((row, before)) = &self.written else { return };
        if let Err(error) = self.add(&format!("{}{FAILED}", self.action), before, before, Some(*row)) {
            tracing::error!(%error, action = self.action, policy = self.policy, "a change was recorded and not made");
        }
    }

    fn described(&self, entries: &[PolicyEntry]) -> Value {
        let entry = entries.iter().find(|entry| entry.name == self.policy);
        let mut described = json!({
            "module": named_digest(&self.policies.dir, entries, self.policy),
            "mode": entry.map(|entry| entry.mode),
            "settings": entry.map(|entry| &entry.settings),
        });
        if let (Some(fields), Some(many)) = (described.as_object_mut(), entry.filter(|it| it.approvals != 1))
        {
            fields.insert("approvals".into(), many.approvals.into());
        }
        described
    }

    /// Adds a row and says its number. `undone`: the row of the change that was not made after all.
    fn add(&self, action: &str, from: &Value, to: &Value, undone: Option<i64>) -> Result<i64, OperatorError> {
        let Policies { dir, db, .. } = self.policies;
        let mut details = json!({ "directory": dir, "from": from, "to": to });
        if let (Some(row), Some(fields)) = (undone, details.as_object_mut()) {
            fields.insert("undone".into(), row.into());
        }
        // Of a person it would be the user of the server.
        if let (Actor::Operator, Some(fields), Some(user)) =
            (self.by, details.as_object_mut(), os::user_number())
        {
            fields.insert("uid".into(), user.into());
        }
        let change = PolicyChange {
            at: db.now(&Clock::System),
            by: self.by.audit_name(),
            action: format!("policy_{action}"),
            policy: self.policy.to_owned(),
            details,
        };
        Ok(db.write(move |tx| tx.record_policy_change(&change))?)
    }
}
