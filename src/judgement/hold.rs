//! What a policy wants a person to see becomes an escalation.

use super::{Case, Ruling};
use crate::domain::decision::{Hook, Outcome};
use crate::storage::NewEscalation;

/// What of a held case the person is shown.
#[derive(Debug, Clone)]
pub struct Held {
    /// The agent whose person must decide.
    pub agent: String,
    /// Who asks: the caller itself for a held call, the sender for a message.
    pub asker: String,
    /// The tool, or `review`.
    pub action: String,
    /// Digest of what is asked: a repeat joins the open escalation.
    pub subject: [u8; 32],
    /// JSON: the call's arguments, or the message's text.
    pub arguments: String,
    /// The message reviewed, and its thread.
    pub message: Option<(i64, i64)>,
}

impl Ruling {
    /// The escalation of a held case; its decision is filled in when it is recorded.
    #[must_use]
    pub fn escalation(&self, case: &impl Case, held: Held) -> NewEscalation {
        let Held { agent, asker, action, subject, arguments, message } = held;
        let failed = self.decision.outcome == Outcome::Error;
        let reason = self.decision.reason.clone().filter(|_| !failed).unwrap_or_default();
        let policy = self.decision.policy.clone().unwrap_or_else(|| "(no policy)".into());
        let module = self.decision.verdicts.iter().find(|verdict| verdict.policy == policy);
        NewEscalation {
            hook: case.input().hook(),
            agent,
            agent_id: case.agent_id(),
            asker,
            action,
            subject,
            arguments,
            message_id: message.map(|(message, _)| message),
            thread_id: message.map(|(_, thread)| thread),
            module: module.map(|verdict| verdict.module.clone()).unwrap_or_default(),
            policy,
            holds_inbox: reason.holds_inbox(),
            code: if failed { "policy_error".into() } else { reason.code },
            message: if failed { "a policy could not judge this".into() } else { reason.message },
            facts: serde_json::to_string(&self.facts).unwrap_or_default(),
            // Only a held call has persons who agree: a question is answered by one, and so is a wake.
            approvals: if case.input().hook() == Hook::Authorization { self.decision.approvals } else { 1 },
            decision_id: 0,
        }
    }
}
