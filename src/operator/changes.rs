//! Who changed the policies, when, and from what to what; and with it, how each policy of the set stands.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{OperatorError, Policies};
use crate::domain::clock::Millis;
use crate::policy::{BUILTIN_PREFIX, PolicyStatus, SetStatus};
use crate::storage::AuditRow;

/// Changes of one policy that are looked through for the one that brought its module.
const LOOKED_THROUGH: i64 = 200;

/// Behind the name of a change that was recorded and not made after all.
pub(super) const FAILED: &str = "_failed";

/// A change of the policies that was recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordedChange {
    /// Number of its audit row.
    pub audit: i64,
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// Who: `operator` for the command line, `person:` and a name, or `host` for a set that a process found in force.
    pub who: String,
    /// The user who ran the command.
    pub uid: Option<u64>,
    /// `install`, `settings`, `promote`, `enable`, `disable`, `remove`, `rollback`, or `set` for one that a process found; with
    /// `_failed` behind it, that the change recorded before was not made after all.
    pub change: String,
    /// The policy, or the policy directory for `set`.
    pub policy: String,
    /// For `_failed`: the number of the audit row that says what was not made after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<i64>,
    /// What it was.
    pub from: WhatWas,
    /// What it is since.
    pub to: WhatWas,
}

/// One side of a change.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WhatWas {
    /// Digest of the module, or of the whole set; none where there was none.
    pub digest: Option<String>,
    /// The mode, as the set file says it.
    pub mode: Option<String>,
    /// The settings.
    pub settings: Option<Map<String, Value>>,
}

/// How a policy of the set stands, and how it came to.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyStanding {
    /// How it stands; what is wrong with it, if the last change was refused for it.
    #[serde(flatten)]
    pub status: PolicyStatus,
    /// Whether its module comes with the binary.
    pub built_in: bool,
    /// The change that brought its module; none for a built-in policy that nobody installed, or in a file written by hand.
    pub installed: Option<RecordedChange>,
    /// The last change of it that somebody asked for.
    pub changed: Option<RecordedChange>,
}

impl RecordedChange {
    /// Reads an audit row about a policy.
    #[must_use]
    pub fn read(row: &AuditRow) -> Self {
        let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
        Self {
            audit: row.id,
            at: row.at,
            who: row.agent.clone(),
            uid: details.get("uid").and_then(Value::as_u64),
            change: row.action.strip_prefix("policy_").unwrap_or(&row.action).to_owned(),
            policy: row.target_id.clone(),
            undone: details.get("undone").and_then(Value::as_i64),
            from: WhatWas::read(details.get("from")),
            to: WhatWas::read(details.get("to")),
        }
    }
}

impl WhatWas {
    /// A set is named by its digest alone.
    fn read(side: Option<&Value>) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let of = |name: &str| side.and_then(|side| side.get(name));
        Self {
            digest: text(side).or_else(|| text(of("module"))),
            mode: text(of("mode")),
            settings: of("settings").and_then(Value::as_object).cloned(),
        }
    }
}

/// The changes that were made, of changes newest first.
fn made(history: Vec<RecordedChange>) -> Vec<RecordedChange> {
    let undone: Vec<i64> = history.iter().filter_map(|change| change.undone).collect();
    let was_made =
        |change: &RecordedChange| !change.change.ends_with(FAILED) && !undone.contains(&change.audit);
    history.into_iter().filter(was_made).collect()
}

impl Policies {
    /// The changes of one policy that were asked for, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub fn history(&self, policy: &str, limit: i64) -> Result<Vec<RecordedChange>, OperatorError> {
        let rows = self.db.read(|tx| tx.changes_of_policy(policy, limit))?;
        Ok(rows.iter().map(RecordedChange::read).collect())
    }

    /// The policies that the set file names, with those who changed them. `status` is that of a running process, or of
    /// [`status`](Self::status).
    ///
    /// # Errors
    /// Those of the database.
    pub fn standing(&self, status: &SetStatus) -> Result<Vec<PolicyStanding>, OperatorError> {
        // A file that cannot be read at all names none: then what decides is all there is to show.
        let named = if status.policies.is_empty() { &status.deciding } else { &status.policies };
        let stand = |status: &PolicyStatus| {
            let mut history = made(self.history(&status.name, LOOKED_THROUGH)?).into_iter();
            let changed = history.next();
            let brought = |it: &RecordedChange| match it.change.as_str() {
                "install" | "rollback" => true,
                // A copy that came beside the policy.
                "settings" => it.from.digest.is_none(),
                _ => false,
            };
            let installed = changed.clone().filter(brought).or_else(|| history.find(brought));
            // Another module in a file written by hand; that of a policy that is off is not looked at.
            let installed = installed.filter(|it| status.digest.is_none() || it.to.digest == status.digest);
            let built_in = status.module.starts_with(BUILTIN_PREFIX);
            Ok(PolicyStanding { status: status.clone(), built_in, installed, changed })
        };
        named.iter().map(stand).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(audit: i64, change: &str, undone: Option<i64>) -> RecordedChange {
        RecordedChange {
            audit,
            at: audit,
            who: "operator".into(),
            uid: None,
            change: change.into(),
            policy: "rate-limit".into(),
            undone,
            from: WhatWas::default(),
            to: WhatWas::default(),
        }
    }

    #[test]
    fn a_change_that_was_not_made_is_known_by_its_number() {
        // Somebody else's change of the same name was recorded between the two.
        let history = vec![
            change(4, "disable_failed", Some(2)),
            change(3, "disable", None),
            change(2, "disable", None),
            change(1, "install", None),
        ];
        let numbers: Vec<i64> = made(history).iter().map(|change| change.audit).collect();
        assert_eq!(numbers, [3, 1]);
    }
}
