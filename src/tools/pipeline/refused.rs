//! What becomes of a call that the policies do not let through: it is refused, or held until a person decides.

use super::super::reply::{Reply, refusal_of};
use super::{Case, Evidence, Table, record};
use crate::domain::decision::{Decision, Hook, Outcome};
use crate::domain::refusal::{Code, Refusal};
use crate::storage::NewEscalation;

/// The built-in rate limit's code: its refusals are about time, not about permission.
const RATE_LIMITED: &str = "rate_limited";

impl Table {
    /// A policy said no, or failed: nothing happens but the record of it.
    pub(super) fn refuse(&self, case: &Case, decision: Decision, evidence: &Evidence) -> Reply {
        let refusal = match (&decision.outcome, &decision.reason) {
            (Outcome::Deny, Some(reason)) if reason.code == RATE_LIMITED => Refusal::new(
                Code::ResourceExhausted,
                reason.message.clone(),
                "wait as long as it says, then make the same call again",
            ),
            (Outcome::Deny, Some(reason)) => {
                let policy = decision.policy.as_deref().unwrap_or_default();
                Refusal::denied(
                    reason.message.clone(),
                    format!(
                        "the policy {policy} does not let you make this call as it is: change what it names, or ask your \
                         operator, who decides what {policy} allows"
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
            let id = tx.escalate(&NewEscalation { decision_id, ..escalation }, now)?;
            caller.map_or(Ok(()), |id| tx.touch(id, now))?;
            Ok((decision_id, id))
        });
        match written {
            Ok((decision_id, id)) => {
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
    hasher.update(case.question.arguments.to_string().as_bytes());
    *hasher.finalize().as_bytes()
}
