//! What the policies allow is done: the call is answered from what is there, or its change is made in one transaction with
//! the decision.

use std::sync::Arc;

use super::super::Table;
use super::super::call::{Body, Preview};
use super::super::delivery::Delivery;
use super::super::reply::{Reply, internal};
use super::case::CallCase;
use super::targets::Recipients;
use super::{Attempt, too_fast};
use crate::domain::decision::Outcome;
use crate::judgement::{CommitResult, Ruling};
use crate::policy::PolicySet;
use crate::storage::{self, Approval};

impl Table {
    /// Does what the policies allow; they are asked again while the facts move, for a target that was left out after another
    /// look for the best.
    pub(super) fn judge(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: Ruling,
    ) -> storage::Result<Attempt> {
        let judge = &self.inner.judge;
        let mut first = Some(ruling);
        let outcome = judge.retry(|| {
            let ruling = first.take().map_or_else(|| judge.ask(case, set), Ok)?;
            let attempt = self.round(case, set, &ruling)?;
            Ok(attempt.or_else(|| case.implied.then_some(Attempt::Again)))
        });
        outcome?.ok_or_else(|| too_fast().into())
    }

    fn round(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
    ) -> storage::Result<Option<Attempt>> {
        let done = |reply: Option<Reply>| reply.map(Attempt::Done);
        let approval = match ruling.decision.outcome {
            Outcome::Allow => None,
            Outcome::Escalate => match self.approval(case, &ruling.decision)? {
                Some(approval) => Some(approval),
                None => return self.hold(case, set, ruling).map(done),
            },
            _ => return self.refuse(case, set, ruling).map(done),
        };
        let persons = approval.map_or(0, |approval| approval.persons);
        let recipients = match self.allowed_recipients(case, set, persons)? {
            Recipients::All => None,
            Recipients::Some(names) => Some(names),
            Recipients::None(decision) => {
                let ruling = ruling.with(decision);
                return match ruling.decision.outcome {
                    Outcome::Escalate => self.hold(case, set, &ruling).map(done),
                    _ => self.refuse(case, set, &ruling).map(done),
                };
            }
        };
        let carried_out = self.look(case, set, ruling, persons).and_then(|looked| match looked {
            Some(attempt) => Ok(Some(attempt)),
            None => self.carry_out(case, set, ruling, approval, recipients),
        });
        match carried_out {
            Err(error @ storage::Error::Refused(_)) => self.failed(case, set, ruling, error),
            other => other,
        }
    }

    /// Answers a call that needs no change; `None` where one is needed.
    fn look(
        &self,
        case: &CallCase,
        set: &PolicySet,
        ruling: &Ruling,
        persons: i64,
    ) -> storage::Result<Option<Attempt>> {
        if !case.row.looks {
            return Ok(None);
        }
        let (look, unread) = self.inner.db.read_hot(|tx| {
            let look = case.call.preview(tx, &case.context)?;
            let badge = case.badge_of().filter(|_| matches!(look, Preview::Answer(_)));
            Ok((look, badge.map(|id| tx.unread(id)).transpose()?))
        })?;
        match look {
            // An approval is used up, and a counted call counted, in the transaction of the answer.
            Preview::Answer(body) if persons == 0 && !case.is_counted(set) => {
                let body = self.readable(case, set, persons, body)?;
                self.inner.judge.record_later(case, ruling, true, case.context.now);
                Ok(Some(Attempt::Done(finish(case, body, &unread.unwrap_or_default()))))
            }
            Preview::Wait => Ok(Some(match &case.context.principal {
                Some(principal) => Attempt::Wait(principal.id),
                None => Attempt::Done(Reply::refused(&internal())),
            })),
            Preview::Answer(_) | Preview::Change => Ok(None),
        }
    }

    fn carry_out(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
        approval: Option<Approval>,
        recipients: Option<Vec<String>>,
    ) -> storage::Result<Option<Attempt>> {
        let mut of_tx = case.clone();
        of_tx.approval = approval.map(|approval| approval.id);
        of_tx.context.recipients = recipients;
        let committed = self.inner.judge.commit_if_unchanged(of_tx, set, ruling, true, |tx, case, _| {
            let context = &case.context;
            // First: what the call returns already knows that its caller was seen.
            context.caller_id().map_or(Ok(()), |id| tx.touch(id, context.now))?;
            let body = case.call.run(tx, context)?;
            let unread = case.badge_of().map(|id| tx.unread(id)).transpose()?;
            Ok((body, unread.unwrap_or_default()))
        })?;
        let CommitResult::Done(_, (body, unread)) = committed else { return Ok(None) };
        let body = self.readable(case, set, approval.map_or(0, |approval| approval.persons), body)?;
        // From here on it is dropped wherever the caller is gone.
        let delivery = case.context.caller_id().and_then(|member| {
            let ids = case.call.handed_out(&body);
            (!ids.is_empty()).then(|| Delivery::new(self.inner.db.clone(), member, ids))
        });
        Ok(Some(Attempt::Done(Reply { delivery, ..finish(case, body, &unread) })))
    }

    /// A call that was allowed, and then refused by the server's own rules.
    fn failed(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
        error: storage::Error,
    ) -> storage::Result<Option<Attempt>> {
        if !case.is_counted(set) {
            self.inner.judge.record_later(case, ruling, false, case.context.now);
            return Err(error);
        }
        // A policy counts it: the next call must find it counted.
        match self.commit_undone(case, set, ruling)? {
            CommitResult::Done(..) => Err(error),
            CommitResult::Moved | CommitResult::Gone => Ok(None),
        }
    }
}

fn finish(case: &CallCase, body: Body, unread: &storage::Unread) -> Reply {
    let reply = Reply::done(body);
    if case.row.is_inbox { reply } else { reply.with_badge(unread) }
}
