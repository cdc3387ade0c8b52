//! What a shadow policy said beside the live ones, and what would have come of it.

use serde::Serialize;

use super::flips::Flips;
use super::walk::walk;
use super::{FlipKind, OperatorError, Policies, Progress};
use crate::domain::clock::Millis;
use crate::domain::decision::{Answer, Mode};
use crate::policy::{PolicyError, PolicyStatus, what_if};
use crate::storage::DecisionRow;

/// What to report of a shadow policy.
#[derive(Debug, Clone, Copy)]
pub struct ShadowOptions<'a> {
    /// The live policy it is to replace: what would have come of it without that one?
    pub instead_of: Option<&'a str>,
    /// Only decisions made from then on.
    pub since: Millis,
    /// Examples kept of each kind of disagreement.
    pub examples: usize,
}

/// How a shadow policy agreed with the live ones.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowReport {
    /// Its name in the set.
    pub policy: String,
    /// Digest of its module.
    pub digest: Option<String>,
    /// How often it was asked, as it is now.
    pub asked: u64,
    /// How often the outcome would have been the same.
    pub agreed: u64,
    /// How often it would have been another.
    pub disagreed: u64,
    /// How often it failed, which would have refused the call or called a person.
    pub failed: u64,
    /// Verdicts of another module, or of other settings, under the same name.
    pub by_earlier_versions: u64,
    /// The disagreements, by kind.
    pub disagreements: Vec<FlipKind>,
}

/// What one core has found.
#[derive(Default)]
struct Found {
    asked: u64,
    failed: u64,
    earlier: u64,
    flips: Flips,
}

impl Policies {
    /// Reports on a shadow policy, as the status of the set names it now.
    ///
    /// # Errors
    /// `NoSuchPolicy`, and [`OperatorError::Stopped`].
    pub fn shadow_report(
        &self,
        set: &[PolicyStatus],
        policy: &str,
        options: ShadowOptions<'_>,
        progress: Progress<'_>,
    ) -> Result<ShadowReport, OperatorError> {
        let known = set.iter().find(|known| known.name == policy);
        let known = known.ok_or_else(|| PolicyError::NoSuchPolicy(policy.to_owned()))?;
        let version = (known.digest.as_deref().unwrap_or_default(), known.settings_digest.as_str());
        let without: Vec<&str> = [Some(policy), options.instead_of].into_iter().flatten().collect();
        let look = |found: &mut Found, row: DecisionRow| {
            let asked =
                row.verdicts.iter().find(|verdict| verdict.policy == policy && verdict.mode == Mode::Shadow);
            let Some(verdict) = asked else { return };
            if (verdict.module.as_str(), verdict.settings.as_str()) != version {
                found.earlier += 1;
                return;
            }
            found.asked += 1;
            found.failed += u64::from(matches!(verdict.answer, Answer::Error { .. }));
            let combined = what_if(row.input.hook(), &row.verdicts, &without, Some(verdict.clone()));
            found.flips.note(&row, &combined, options.examples);
        };
        let mut found = Found::default();
        for part in walk(&self.db, options.since, progress, Found::default, look)? {
            found.asked += part.asked;
            found.failed += part.failed;
            found.earlier += part.earlier;
            found.flips.merge(part.flips, options.examples);
        }
        let disagreed = found.flips.count();
        Ok(ShadowReport {
            policy: policy.to_owned(),
            digest: known.digest.clone(),
            asked: found.asked,
            agreed: found.asked - disagreed,
            disagreed,
            failed: found.failed,
            by_earlier_versions: found.earlier,
            disagreements: found.flips.into_kinds(),
        })
    }
}
