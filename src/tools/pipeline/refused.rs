//! What becomes of a call that is not carried out: its arguments cannot be read, a policy refuses it, or it is held until a
//! person decides.

use std::sync::Arc;

use super::super::Table;
use super::super::registry::Row;
use super::super::reply::Reply;
use super::case::CallCase;
use crate::auth::{self, Credential};
use crate::domain::decision::Outcome;
use crate::domain::refusal::{Code, Refusal};
use crate::judgement::{Case, CommitResult, Ruling};
use crate::policy::PolicySet;
use crate::storage::{self, NewEscalation};

/// Most calls of one agent that wait for a person at a time, and of all callers without a name together: a loop must not
/// fill the person's inbox.
const MAX_HELD: i64 = 20;

impl Table {
    /// Arguments that cannot be read: the caller is told, and, if known, of the messages that wait.
    pub(super) async fn unparsed(&self, row: &Row, refusal: Refusal, credential: Credential) -> Reply {
        let table = self.clone();
        let (reply, is_inbox) = (Reply::refused(&refusal), row.is_inbox);
        let badge = tokio::task::spawn_blocking(move || {
            let known = table.inner.db.read_hot(|tx| {
                let caller = auth::authenticate(tx, &credential, None, table.inner.options.require_tokens)?;
                let bad_token = caller.as_ref().is_err_and(|rejected| rejected.bad_token);
                let caller = caller.ok().and_then(|caller| caller.principal().map(|principal| principal.id));
                Ok((bad_token, caller, caller.map(|id| tx.unread(id)).transpose()?))
            });
            let (bad_token, caller, unread) = known.ok()?;
            table.touch_later(caller, table.inner.db.now(&table.inner.options.clock));
            Some((bad_token, unread.filter(|_| !is_inbox)))
        });
        match badge.await {
            Ok(Some((bad_token, unread))) => {
                Reply { bad_token, ..reply }.with_badge(&unread.unwrap_or_default())
            }
            _ => reply,
        }
    }

    /// A policy said no, or failed: nothing happens but the record of it. `None`: the facts have moved.
    pub(super) fn refuse(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
    ) -> storage::Result<Option<Reply>> {
        let decision = &ruling.decision;
        let refusal = match (&decision.outcome, &decision.reason) {
            (Outcome::Deny, Some(reason)) if let Some(seconds) = reason.retry_after_seconds() => {
                Refusal::new(
                    Code::ResourceExhausted,
                    reason.message.clone(),
                    format!("wait {seconds} s, then repeat the same call"),
                )
            }
            (Outcome::Deny, Some(reason)) => {
                let policy = decision.policy.as_deref().unwrap_or_default();
                Refusal::denied(
                    reason.message.clone(),
                    format!(
                        "do not repeat the call as it is; ask your person whether the policy {policy} should allow it"
                    ),
                )
            }
            _ => Refusal::denied(
                "a policy could not judge this call, so it was refused",
                "tell your operator: `team-table policy log` shows what failed",
            ),
        };
        let mut told = decision.clone();
        if decision.outcome == Outcome::Error {
            told.reason = None;
        }
        let id = match self.commit_undone(case, set, ruling) {
            Ok(CommitResult::Done(id, ())) => Some(id),
            Ok(CommitResult::Moved | CommitResult::Gone) => return Ok(None),
            Err(error @ storage::Error::Refused(_)) => return Err(error),
            // The refusal stands, recorded or not.
            Err(error) => {
                tracing::warn!(%error, "a refusal could not be recorded");
                None
            }
        };
        Ok(Some(self.badged(case.badge_of(), Reply::judged(&refusal, &told, id))))
    }

    /// Records the decision about a call that is not carried out, before it is answered.
    pub(super) fn commit_undone(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
    ) -> storage::Result<CommitResult<()>> {
        self.inner.judge.commit_if_unchanged(case.clone(), set, ruling, false, |tx, case, _| {
            case.agent_id().map_or(Ok(()), |id| tx.touch(id, case.context.now))
        })
    }

    /// A policy wants a person to decide: the call is held. `None`: the facts have moved.
    pub(super) fn hold(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
    ) -> storage::Result<Option<Reply>> {
        let decision = &ruling.decision;
        let escalation = ruling.escalation(case, case.held());
        let committed = self.inner.judge.commit_if_unchanged(
            case.clone(),
            set,
            ruling,
            false,
            move |tx, case, decision_id| {
                let (caller, now) = (case.agent_id(), case.context.now);
                caller.map_or(Ok(()), |id| tx.touch(id, now))?;
                if tx.held_calls(caller, &escalation.subject)? >= MAX_HELD {
                    return Ok(None);
                }
                tx.escalate(&NewEscalation { decision_id, ..escalation }, now).map(Some)
            },
        )?;
        let reply = match committed {
            CommitResult::Moved | CommitResult::Gone => return Ok(None),
            CommitResult::Done(decision_id, None) => {
                let refusal = Refusal::new(
                    Code::ResourceExhausted,
                    format!(
                        "{MAX_HELD} of your calls wait for a person already; this one was not put before anyone"
                    ),
                    "wait until some are decided: `team-table escalation list` shows them to your person",
                );
                Reply::judged(&refusal, decision, Some(decision_id))
            }
            CommitResult::Done(decision_id, Some(id)) => {
                let reason = decision.reason.clone().unwrap_or_default();
                let (persons, ask) = match decision.approvals {
                    1 => ("a person".to_owned(), "your person to run".to_owned()),
                    many => (format!("{many} persons"), format!("{many} persons to approve it, each with")),
                };
                let refusal = Refusal::new(
                    Code::ApprovalRequired,
                    format!("{} (escalation {id} waits for {persons})", reason.message),
                    format!(
                        "ask {ask} `team-table escalation resolve {id} --approve`; then repeat the same call \
                         within an hour"
                    ),
                );
                let mut reply = Reply::judged(&refusal, decision, Some(decision_id));
                reply.body.insert("escalation_id".into(), id.into());
                reply
            }
        };
        Ok(Some(self.badged(case.badge_of(), reply)))
    }
}
