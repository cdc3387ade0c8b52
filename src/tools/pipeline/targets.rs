//! Calls whose target is implied or plural: what they stand for is judged as if the call had named it.
//!
//! A call that leaves its target out is judged as the best that it may stand for, then the next best. A list leaves out what
//! the caller may not have, a broadcast whom it may not reach.

use std::sync::Arc;

use serde_json::Value;

use super::super::Table;
use super::super::call::{Body, Candidate, Target};
use super::case::CallCase;
use crate::domain::decision::{Decision, Outcome};
use crate::judgement::{Case, KnownFacts, Ruling};
use crate::policy::PolicySet;
use crate::storage::{self, Approval};

/// The fact of which a policy that looks at listed tasks asks for.
const TARGET_TASK: &str = "target.task";

/// Whom of the recipients of a call the policies allow.
pub(super) enum Recipients {
    All,
    Some(Vec<String>),
    /// None, with the first refusal.
    None(Decision),
}

/// Whether one of the many targets of a call passes. What so many persons have approved as a whole needs no approval of its
/// parts, unless those need more persons.
fn passes(decision: &Decision, persons: i64) -> bool {
    match decision.outcome {
        Outcome::Allow => true,
        Outcome::Escalate => persons >= decision.approvals,
        _ => false,
    }
}

impl Table {
    /// Of the calls that one without a target may stand for, the first that the policies allow, with what they said to it;
    /// the first of all when they allow none.
    pub(super) fn choose(
        &self,
        first: CallCase,
        candidates: &[Candidate],
        set: &Arc<PolicySet>,
        known: KnownFacts,
    ) -> storage::Result<(CallCase, Ruling)> {
        let ruling = self.inner.judge.ask_with(&first, set, known);
        if candidates.is_empty() || self.is_allowed(&first, &ruling)? {
            return Ok((first, ruling));
        }
        for candidate in candidates.iter().skip(1) {
            let case = first.standing_for(candidate);
            let ruling = self.inner.judge.ask(&case, set)?;
            if self.is_allowed(&case, &ruling)? {
                return Ok((case, ruling));
            }
        }
        Ok((first, ruling))
    }

    fn is_allowed(&self, case: &CallCase, ruling: &Ruling) -> storage::Result<bool> {
        match ruling.decision.outcome {
            Outcome::Allow => Ok(true),
            Outcome::Escalate => Ok(self.approval(case, &ruling.decision)?.is_some()),
            _ => Ok(false),
        }
    }

    /// The approval that lets a held call pass, if as many persons gave one as are needed by now.
    pub(super) fn approval(&self, case: &CallCase, decision: &Decision) -> storage::Result<Option<Approval>> {
        let (caller, subject) = (case.context.caller_id(), case.subject());
        let given = self.inner.db.read_hot(|tx| tx.approval(caller, &subject, case.context.now))?;
        Ok(given.filter(|given| given.persons >= decision.approvals))
    }

    /// The answer of a call that lists targets, without those that the caller may not have.
    pub(super) fn readable(
        &self,
        case: &CallCase,
        set: &PolicySet,
        persons: i64,
        body: Body,
    ) -> storage::Result<Body> {
        let Some((target, list, id)) = case.call.lists() else { return Ok(body) };
        // A task is seen by a policy as a fact only: where none asks for it, none can tell one from another.
        let requests = case.requests(set);
        if target == Target::Task && !requests.iter().any(|request| request.name == TARGET_TASK) {
            return Ok(body);
        }
        let mut body = body;
        if let Some(items) = body.get_mut(list).and_then(Value::as_array_mut) {
            let ids: Vec<Value> =
                items.iter().map(|item| item.get(id).cloned().unwrap_or_default()).collect();
            let mut allowed = self.judge_each(case, set, target, &ids)?.into_iter();
            items.retain(|_| allowed.next().is_some_and(|decision| passes(&decision, persons)));
        }
        Ok(body)
    }

    /// Whom of its recipients a call may reach.
    pub(super) fn allowed_recipients(
        &self,
        case: &CallCase,
        set: &PolicySet,
        persons: i64,
    ) -> storage::Result<Recipients> {
        if !case.call.has_recipients() {
            return Ok(Recipients::All);
        }
        let names = self.inner.db.read_hot(|tx| case.call.recipients(tx, &case.context))?;
        let ids: Vec<Value> = names.iter().map(|name| name.as_str().into()).collect();
        let decisions = self.judge_each(case, set, Target::Member, &ids)?;
        let refused = decisions.iter().find(|decision| !passes(decision, persons)).cloned();
        let Some(mut refused) = refused else { return Ok(Recipients::All) };
        // Whoever approves the call approves all of its parts.
        refused.approvals = decisions.iter().map(|decision| decision.approvals).max().unwrap_or(1);
        let allowed: Vec<String> = names
            .into_iter()
            .zip(&decisions)
            .filter(|(_, decision)| passes(decision, persons))
            .map(|(name, _)| name)
            .collect();
        Ok(if allowed.is_empty() { Recipients::None(refused) } else { Recipients::Some(allowed) })
    }

    fn judge_each(
        &self,
        case: &CallCase,
        set: &PolicySet,
        target: Target,
        ids: &[Value],
    ) -> storage::Result<Vec<Decision>> {
        let cases: Vec<CallCase> = ids.iter().map(|id| case.about(target, id)).collect();
        let facts = self.inner.db.read_hot(|tx| {
            let of = |case: &CallCase| tx.facts(case.requests(set), case.scope());
            cases.iter().map(of).collect::<storage::Result<Vec<_>>>()
        })?;
        Ok(cases.iter().zip(&facts).map(|(case, facts)| case.decide(set, facts)).collect())
    }
}
