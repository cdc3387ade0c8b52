//! How one decision came about: what was asked, on which facts, what each policy said, and what it says when it is asked again.

use serde::Serialize;

use super::{OperatorError, Policies};
use crate::domain::decision::{Answer, Hook, Verdict};
use crate::domain::refusal::Refusal;
use crate::policy::{Policy, PolicyEntry, PolicySet, find_module};
use crate::storage::{self, DecisionRow};

/// A decision that was made again.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// What was decided, with the facts it was decided on.
    pub decision: DecisionRow,
    /// What each policy said, with the fuel and the microseconds it took, and says now.
    pub verdicts: Vec<Again>,
    /// The policies of the set that do not judge calls of this tool.
    pub not_asked: Vec<String>,
    /// Whether every policy could be asked again and said the same.
    pub same: bool,
}

/// One verdict, made again.
#[derive(Debug, Clone, Serialize)]
pub struct Again {
    /// What the policy said.
    pub then: Verdict,
    /// What became of asking it again.
    #[serde(flatten)]
    pub again: MadeAgain,
}

/// What became of asking a policy again, with its module, settings and limits of then.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum MadeAgain {
    /// It answered.
    Made {
        /// What it says now.
        now: Answer,
        /// Whether that is what it said then.
        same: bool,
    },
    /// It could not be asked.
    Not {
        /// Why.
        not_made_again: String,
    },
}

impl Policies {
    /// Reads a decision and makes it again.
    ///
    /// # Errors
    /// `not_found`, and those of the database and the folder of kept modules.
    pub fn explain(&self, decision: i64) -> Result<Explanation, OperatorError> {
        let row = self.db.read(|tx| tx.decision(decision))?.ok_or_else(|| {
            Refusal::not_found(
                format!("there is no decision {decision}"),
                "`team-table policy log` lists those that are kept",
            )
        })?;
        let state = self.kept()?;
        let set: Vec<PolicyEntry> = match self.db.read(|tx| tx.policy_set(&row.set_digest))? {
            Some(set) => serde_json::from_str(&set).map_err(storage::Error::from)?,
            None => Vec::new(),
        };
        let ask = |verdict: &Verdict| -> Result<Answer, String> {
            let entry = set.iter().find(|it| it.name == verdict.policy).ok_or("its set was not kept")?;
            let bytes = find_module(&self.dir, &state, &entry.module)
                .map_err(|error| error.to_string())?
                .ok_or("its module is no longer kept")?;
            let policy = Policy::load(&self.loader, entry, &bytes).map_err(|error| error.to_string())?;
            let decision = PolicySet::new(&self.loader, vec![policy], 0).answer(&row.input, &row.facts);
            decision
                .verdicts
                .into_iter()
                .next()
                .map(|verdict| verdict.answer)
                .ok_or_else(|| "it was not asked".into())
        };
        let verdicts: Vec<Again> = row
            .verdicts
            .iter()
            .map(|then| {
                let again = match ask(then) {
                    Ok(now) => MadeAgain::Made { same: now == then.answer, now },
                    Err(not_made_again) => MadeAgain::Not { not_made_again },
                };
                Again { then: then.clone(), again }
            })
            .collect();
        let same = verdicts.iter().all(|it| matches!(it.again, MadeAgain::Made { same: true, .. }));
        let is_call = row.hook == Hook::Authorization.as_str();
        let not_asked = set.iter().filter(|policy| is_call && !policy.judges(&row.action));
        let not_asked = not_asked.map(|policy| policy.name.clone()).collect();
        Ok(Explanation { decision: row, verdicts, not_asked, same })
    }
}
