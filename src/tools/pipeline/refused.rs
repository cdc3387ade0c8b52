//! What becomes of a call that the policies do not let through: it is refused, or held until a person decides.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::reply::{Reply, refusal_of};
use super::{Case, Evidence, Table, record};
use crate::domain::decision::{Decision, Hook, Outcome};
use crate::domain::refusal::{Code, Refusal};
use crate::storage::NewEscalation;

/// The built-in rate limit's code: its refusals are about time, not about permission.
const RATE_LIMITED: &str = "rate_limited";

/// Most calls of one agent that wait for a person at a time, and of all callers without a name together: a loop must not
/// fill the person's inbox.
const MAX_HELD: i64 = 20;

impl Table {
    /// A policy said no, or failed: nothing happens but the record of it.
    pub(super) fn refuse(&self, case: &Case, decision: Decision, evidence: &Evidence) -> Reply {
        let refusal = match (&decision.outcome, &decision.reason) {
            (Outcome::Deny, Some(reason)) if reason.code == RATE_LIMITED => Refusal::new(
                Code::ResourceExhausted,
                reason.message.clone(),
                "wait as long as the error says, then repeat the same call",
            ),
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
        let mut reply = decision.clone();
        if decision.outcome == Outcome::Error {
            reply.reason = None;
        }
        let record = record(case, decision, evidence, false);
        let (caller, now) = (case.context.caller_id(), case.context.now);
        let written = self.inner.db.write(move |tx| {
            let id = tx.record_decision(&record)?;
            caller.map_or(Ok(()), |id| tx.touch(id, now)).map(|()| id)
        });
        let id = written.inspect_err(|error| tracing::warn!(%error, "a refusal could not be recorded")).ok();
        self.badged(case, Reply::judged(&refusal, &reply, id))
    }

    /// A policy wants a person to decide: the call is held.
    pub(super) fn hold(
        &self,
        case: &Case,
        decision: &Decision,
        evidence: &Evidence,
        subject: [u8; 32],
    ) -> Reply {
        let reason = decision.reason.clone().unwrap_or_default();
        let facts = serde_json::to_string(&evidence.facts).unwrap_or_default();
        let policy = decision.policy.clone().unwrap_or_default();
        let module = decision.verdicts.iter().find(|verdict| verdict.policy == policy);
        let agent = case.context.principal.as_ref();
        let caller = agent.map_or_else(|| case.name.clone().unwrap_or_default(), |it| it.name.clone());
        let escalation = NewEscalation {
            hook: Hook::Authorization,
            agent: caller.clone(),
            agent_id: case.context.caller_id(),
            asker: caller,
            action: case.row.spec.name.to_owned(),
            subject,
            arguments: case.question.arguments.to_string(),
            message_id: None,
            thread_id: None,
            policy,
            module: module.map(|verdict| verdict.module.clone()).unwrap_or_default(),
            code: reason.code.clone(),
            message: reason.message.clone(),
            facts,
            decision_id: 0,
        };
        let record = record(case, decision.clone(), evidence, false);
        let (caller, now) = (case.context.caller_id(), case.context.now);
        let written = self.inner.db.write(move |tx| {
            let decision_id = tx.record_decision(&record)?;
            caller.map_or(Ok(()), |id| tx.touch(id, now))?;
            if tx.held_calls(caller, &subject)? >= MAX_HELD {
                return Ok((decision_id, None));
            }
            Ok((decision_id, Some(tx.escalate(&NewEscalation { decision_id, ..escalation }, now)?)))
        });
        match written {
            Ok((decision_id, None)) => {
                let refusal = Refusal::new(
                    Code::ResourceExhausted,
                    format!(
                        "{MAX_HELD} of your calls wait for a person already; this one was not put before anyone"
                    ),
                    "wait until some are decided: `team-table escalation list` shows them to your person",
                );
                self.badged(case, Reply::judged(&refusal, decision, Some(decision_id)))
            }
            Ok((decision_id, Some(id))) => {
                let refusal = Refusal::new(
                    Code::ApprovalRequired,
                    format!("{} (escalation {id} waits for a person)", reason.message),
                    format!(
                        "ask your person to run `team-table escalation resolve {id} --approve`; then repeat the \
                         same call within an hour"
                    ),
                );
                let mut reply = Reply::judged(&refusal, decision, Some(decision_id));
                reply.body.insert("escalation_id".into(), id.into());
                self.badged(case, reply)
            }
            Err(error) => self.refused(case, &refusal_of(error)),
        }
    }
}

/// What an approval is for: this agent, tool and arguments.
pub(super) fn subject(case: &Case) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("team-table held call v1");
    hasher.update(&case.context.caller_id().unwrap_or(0).to_le_bytes());
    hasher.update(case.row.spec.name.as_bytes());
    hasher.update(&[0]);
    // In the order of the names: the same arguments in another order are the same call.
    let arguments: BTreeMap<&String, &Value> =
        case.question.arguments.as_object().into_iter().flatten().collect();
    hasher.update(serde_json::to_string(&arguments).unwrap_or_default().as_bytes());
    *hasher.finalize().as_bytes()
}
