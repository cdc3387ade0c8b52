//! The recorded decisions, with another module or other settings in the place of a policy: which would flip?

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::candidate::Resolved;
use super::flips::Flips;
use super::walk::walk;
use super::{Candidate, FlipKind, OperatorError, Policies, Progress};
use crate::domain::clock::Millis;
use crate::domain::decision::{Answer, FactRequest, Hook, Mode, Verdict};
use crate::policy::{Policy, PolicyEntry, PolicySet, read_set, what_if};
use crate::storage::DecisionRow;

/// Which decisions to replay, and how much to keep of what flips.
#[derive(Debug, Clone, Copy)]
pub struct ReplayOptions {
    /// Only decisions made from then on.
    pub since: Millis,
    /// Only decisions of this hook.
    pub hook: Option<Hook>,
    /// Examples kept of each kind of flip.
    pub examples: usize,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// The policy in whose place the candidate was asked.
    pub policy: String,
    /// Digest of the candidate's module.
    pub digest: String,
    /// Decisions that were made again.
    pub replayed: u64,
    /// Decisions among them that would come out otherwise.
    pub flipped: u64,
    /// These, by kind.
    pub flips: Vec<FlipKind>,
    /// Decisions in which the policy itself would answer otherwise, and the outcome would stay.
    pub own_answer_differs: u64,
    /// Decisions that could not be made again.
    pub not_replayed: Vec<NotReplayed>,
    /// How long it took.
    pub seconds: f64,
    /// How many decisions were looked at at a time.
    pub cores: usize,
    /// Decisions made again in a second on one core.
    pub per_second_per_core: f64,
}

/// Decisions that could not be made again.
#[derive(Debug, Clone, Serialize)]
pub struct NotReplayed {
    /// What is missing.
    pub why: String,
    /// How many.
    pub count: u64,
}

/// What one core has found.
#[derive(Default)]
struct Found {
    replayed: u64,
    flips: Flips,
    /// Its own answer differs from what the policy said then, and the outcome stays.
    hidden: u64,
    /// Decisions that could not be replayed, by what was missing.
    unreplayed: BTreeMap<String, u64>,
}

/// What is asked instead.
struct Question {
    name: String,
    /// The candidate alone.
    set: PolicySet,
    options: ReplayOptions,
}

impl Question {
    fn look(&self, found: &mut Found, row: &DecisionRow) {
        let hook = row.input.hook();
        if self.options.hook.is_some_and(|wanted| wanted != hook) {
            return;
        }
        if !row.input.is_whole() {
            let why = "the agent had so much refused that day that the arguments were not kept".to_owned();
            *found.unreplayed.entry(why).or_default() += 1;
            return;
        }
        let then =
            row.verdicts.iter().find(|verdict| verdict.policy == self.name && verdict.mode == Mode::Enforce);
        let known = |request: &FactRequest| row.facts.iter().any(|fact| fact.request == *request);
        if let Some(missing) = self.set.fact_requests(&row.input).iter().find(|request| !known(request)) {
            let why = format!(
                "the fact {} {} was not recorded; installed with --shadow it will be",
                missing.name,
                json!(missing.params)
            );
            *found.unreplayed.entry(why).or_default() += 1;
            return;
        }
        found.replayed += 1;
        // None when it does not answer this hook.
        let now = self.set.answer(&row.input, &row.facts).verdicts.into_iter().next();
        let differs = |now: &Verdict| then.map_or(!is_consent(&now.answer), |then| then.answer != now.answer);
        let differs = now.as_ref().map_or(then.is_some_and(|then| !is_consent(&then.answer)), differs);
        let combined = what_if(hook, &row.verdicts, &[&self.name], now);
        if combined.outcome.as_str() == row.outcome {
            found.hidden += u64::from(differs);
        } else {
            found.flips.note(row, &combined, self.options.examples);
        }
    }
}

/// Whether an answer changes nothing by itself, as if the policy had not been there.
const fn is_consent(answer: &Answer) -> bool {
    matches!(answer, Answer::Abstain | Answer::Allow | Answer::Pass)
}

impl Policies {
    /// Makes the recorded decisions again with a candidate in the place of the policy of its name. With
    /// [`Candidate::with_settings`] only the settings differ.
    ///
    /// # Errors
    /// What is wrong with the candidate, and [`OperatorError::Stopped`].
    pub fn replay(
        &self,
        candidate: &Candidate,
        options: ReplayOptions,
        progress: Progress<'_>,
    ) -> Result<Replay, OperatorError> {
        let Resolved { entry, bytes, limits } =
            candidate.resolve(&self.loader, &self.dir, &read_set(&self.dir)?)?;
        let entry = PolicyEntry { mode: Mode::Enforce, limits, ..entry };
        let policy = Policy::load(&self.loader, &entry, &bytes).map_err(|error| candidate.refused(error))?;
        let digest = policy.module.digest.clone();
        let set = PolicySet::new(&self.loader, vec![policy], 0);
        let question = Question { name: entry.name, set, options };
        let started = Instant::now();
        let all = walk(&self.db, options.since, progress, Found::default, |found, row| {
            question.look(found, &row);
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let mut found = Found::default();
        for part in all {
            found.replayed += part.replayed;
            found.hidden += part.hidden;
            found.flips.merge(part.flips, options.examples);
            for (why, count) in part.unreplayed {
                *found.unreplayed.entry(why).or_default() += count;
            }
        }
        let cores = progress.cores.max(1);
        #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
        let per_second_per_core = (found.replayed as f64 / seconds.max(1e-9) / cores as f64).round();
        Ok(Replay {
            policy: question.name,
            digest,
            replayed: found.replayed,
            flipped: found.flips.count(),
            flips: found.flips.into_kinds(),
            own_answer_differs: found.hidden,
            not_replayed: found
                .unreplayed
                .into_iter()
                .map(|(why, count)| NotReplayed { why, count })
                .collect(),
            seconds,
            cores,
            per_second_per_core,
        })
    }
}
