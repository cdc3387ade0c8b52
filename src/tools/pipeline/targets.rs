//! Calls whose target is implied or plural: what they stand for is judged as if the call had named it.
//!
//! A call that leaves its target out is judged as the best that it may stand for, then the next best. A list leaves out what
//! the caller may not have, a broadcast whom it may not reach.

use std::sync::Arc;

use serde_json::Value;

use super::super::call::{Body, Candidate, Target};
use super::refused::subject;
use super::{Case, Known, Table};
use crate::domain::decision::{Decision, Hook, Outcome, ToolCall};
use crate::policy::PolicySet;
use crate::storage::{self, FactScope};

/// The fact of which a policy that looks at listed tasks asks for.
const TARGET_TASK: &str = "target.task";

/// Whom of the recipients of a call the policies allow.
pub(super) enum Recipients {
    All,
    Some(Vec<String>),
    /// None, with the first refusal.
    None(Decision),
}

/// Whether one of the many targets of a call passes. What a person has approved as a whole needs no approval of its parts.
fn passes(decision: &Decision, approved: bool) -> bool {
    match decision.outcome {
        Outcome::Allow => true,
        Outcome::Escalate => approved,
        _ => false,
    }
}

impl Case {
    /// The same call as a candidate: with the target that it left out.
    pub(super) fn standing_for(&self, candidate: &Candidate) -> Self {
        let mut case = Self {
            row: self.row,
            call: Arc::clone(&candidate.call),
            credential: self.credential.clone(),
            name: self.name.clone(),
            question: self.question.clone(),
            context: self.context.clone(),
            scope: self.scope.clone(),
            implied: true,
        };
        candidate.call.target(&mut case.scope);
        let (name, value) = &candidate.argument;
        if let Some(arguments) = case.question.arguments.as_object_mut() {
            arguments.insert((*name).to_owned(), value.clone());
        }
        case
    }

    /// The question about one of the many targets of the call, and what its facts are about.
    fn about(&self, target: Target, id: &Value) -> (ToolCall, FactScope) {
        let (mut question, mut scope) = (self.question.clone(), self.scope.clone());
        let text = || id.as_str().map(str::to_owned);
        let argument = match target {
            Target::Context => {
                scope.context = text();
                "key"
            }
            Target::Task => {
                scope.task = id.as_i64();
                "task_id"
            }
            Target::Member => {
                scope.member = text();
                "recipient"
            }
        };
        if let Some(arguments) = question.arguments.as_object_mut() {
            arguments.insert(argument.to_owned(), id.clone());
        }
        (question, scope)
    }
}

impl Table {
    /// Of the calls that one without a target may stand for, the first that the policies allow. `None` when that is the
    /// first of all, or when they allow none: `known` then has what they said to the first.
    pub(super) fn choose(
        &self,
        first: &Case,
        candidates: &[Candidate],
        set: &Arc<PolicySet>,
        known: &mut Known,
    ) -> storage::Result<Option<(Case, Known)>> {
        if candidates.is_empty() {
            return Ok(None);
        }
        let decision = set.authorize(&first.question, &known.facts);
        let is_allowed = self.is_allowed(first, &decision)?;
        known.decided = Some(decision);
        if is_allowed {
            return Ok(None);
        }
        for candidate in candidates.iter().skip(1) {
            let case = first.standing_for(candidate);
            let mut known = self.inner.db.glance(|tx| Known::read(tx, set, &case.scope))?;
            let decision = set.authorize(&case.question, &known.facts);
            if self.is_allowed(&case, &decision)? {
                known.decided = Some(decision);
                return Ok(Some((case, known)));
            }
        }
        Ok(None)
    }

    fn is_allowed(&self, case: &Case, decision: &Decision) -> storage::Result<bool> {
        match decision.outcome {
            Outcome::Allow => Ok(true),
            Outcome::Escalate => {
                let (caller, subject) = (case.context.caller_id(), subject(case));
                Ok(self.inner.db.glance(|tx| tx.approval(caller, &subject, case.context.now))?.is_some())
            }
            _ => Ok(false),
        }
    }

    /// The answer of a call that lists targets, without those that the caller may not have.
    pub(super) fn readable(
        &self,
        case: &Case,
        set: &PolicySet,
        approved: bool,
        body: Body,
    ) -> storage::Result<Body> {
        let Some((target, list, id)) = case.call.lists() else { return Ok(body) };
        // A task is seen by a policy as a fact only: where none asks for it, none can tell one from another.
        let requests = set.fact_requests(Hook::Authorization);
        if target == Target::Task && !requests.iter().any(|request| request.name == TARGET_TASK) {
            return Ok(body);
        }
        let mut body = body;
        if let Some(items) = body.get_mut(list).and_then(Value::as_array_mut) {
            let ids: Vec<Value> =
                items.iter().map(|item| item.get(id).cloned().unwrap_or_default()).collect();
            let mut allowed = self.judge_each(case, set, target, &ids)?.into_iter();
            items.retain(|_| allowed.next().is_some_and(|decision| passes(&decision, approved)));
        }
        Ok(body)
    }

    /// Whom of its recipients a call may reach.
    pub(super) fn allowed_recipients(
        &self,
        case: &Case,
        set: &PolicySet,
        approved: bool,
    ) -> storage::Result<Recipients> {
        let Some(names) = self.inner.db.glance(|tx| case.call.recipients(tx, &case.context))? else {
            return Ok(Recipients::All);
        };
        let ids: Vec<Value> = names.iter().map(|name| name.as_str().into()).collect();
        let decisions = self.judge_each(case, set, Target::Member, &ids)?;
        let refused = decisions.iter().find(|decision| !passes(decision, approved)).cloned();
        let Some(refused) = refused else { return Ok(Recipients::All) };
        let allowed: Vec<String> = names
            .into_iter()
            .zip(&decisions)
            .filter(|(_, decision)| passes(decision, approved))
            .map(|(name, _)| name)
            .collect();
        Ok(if allowed.is_empty() { Recipients::None(refused) } else { Recipients::Some(allowed) })
    }

    fn judge_each(
        &self,
        case: &Case,
        set: &PolicySet,
        target: Target,
        ids: &[Value],
    ) -> storage::Result<Vec<Decision>> {
        let questions: Vec<(ToolCall, FactScope)> = ids.iter().map(|id| case.about(target, id)).collect();
        let requests = set.fact_requests(Hook::Authorization);
        let facts = self.inner.db.glance(|tx| {
            questions.iter().map(|(_, scope)| tx.facts(requests, scope)).collect::<storage::Result<Vec<_>>>()
        })?;
        Ok(questions
            .iter()
            .zip(&facts)
            .map(|((question, _), facts)| set.authorize(question, facts))
            .collect())
    }
}
