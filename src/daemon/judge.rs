//! One message: facts, policies, and what follows from their decision.

use std::time::Instant;

use super::{Daemon, DaemonError, Note};
use crate::domain::decision::{Decision, Hook, InboxMessage, Input, Outcome, PrincipalView};
use crate::domain::message::{EVERYONE, MAX_CONTENT, Message, Origin};
use crate::domain::principal::Principal;
use crate::storage::{
    DecisionRecord, FactScope, NewEscalation, Review, ReviewOutcome, ReviewScope, Reviewed,
};

/// How often a message is judged again because the facts moved under it; then it is looked at afresh.
const MAX_ROUNDS: usize = 50;

/// Codes of the built-in policies whose notices the Python Team Table's users know word for word.
pub(super) const REPLY_LIMIT: &str = "reply_limit";
const QUESTION: &str = "question";

impl Daemon {
    /// Judges a message and carries the outcome out. With an escalation open in its thread, only a message that escalates
    /// too is taken, and joins it; `None` for any other. While the limit is reached, nothing is answered: a question
    /// becomes an escalation without a notice, and all else waits for the fresh counters.
    pub(super) fn judge(
        &mut self,
        agent: &Principal,
        message: &Message,
        open: Option<i64>,
        is_capped: bool,
    ) -> Result<Option<Reviewed>, DaemonError> {
        let set = self.policies.current();
        for _ in 0..MAX_ROUNDS {
            let started = Instant::now();
            let now = self.db.now(&self.clock);
            // Whoever has the name of a sender that left is somebody else.
            let sender = self.db.read(|tx| {
                if tx.sender_is_here(message.id)? { tx.member(&message.sender) } else { Ok(None) }
            })?;
            let scope = FactScope {
                now,
                principal: sender.as_ref().map(|sender| (sender.id, sender.name.clone())),
                review: Some(ReviewScope {
                    agent_id: agent.id,
                    agent: agent.name.clone(),
                    sender: message.sender.clone(),
                    message_id: message.id,
                    thread_id: message.thread_id,
                    run_started: self.started,
                    max_replies: self.options.max_messages,
                }),
                ..FactScope::default()
            };
            let requests = set.fact_requests(Hook::Escalation).to_vec();
            let (facts, version) = self.db.read(|tx| tx.facts_at(&requests, &scope))?;
            let question = InboxMessage {
                id: message.id,
                agent: agent.name.clone(),
                sender: PrincipalView {
                    name: message.sender.clone(),
                    role: sender.as_ref().map(|sender| sender.role.clone()).unwrap_or_default(),
                    capabilities: sender.map(|sender| sender.capabilities).unwrap_or_default(),
                    authenticated: true,
                },
                content: message.content.clone(),
                thread: message.thread_id,
                reply_to: message.reply_to,
                broadcast: message.recipient == EVERYONE,
                automatic: message.origin == Origin::Automatic,
                created_at: message.created_at,
                now,
            };
            let decision = set.review(&question, &facts);
            let escalates = matches!(decision.outcome, Outcome::Escalate | Outcome::Error);
            let limited = decision.reason.as_ref().is_some_and(|reason| reason.code == REPLY_LIMIT);
            if (open.is_some() || is_capped) && (!escalates || limited) {
                return Ok(None);
            }
            let outcome = match open {
                Some(id) => ReviewOutcome::Join(id),
                None => self.outcome(agent, message, &decision, &facts, is_capped),
            };
            let record = DecisionRecord {
                at: now,
                agent_id: Some(agent.id),
                input: Input::Escalation(question),
                facts,
                done: true,
                micros: i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX),
                new_set: set.record(),
                decision,
            };
            let review = Review {
                agent: agent.clone(),
                holder: self.holder.name().to_owned(),
                message: message.clone(),
                outcome,
                requests,
                scope,
                version,
                record,
            };
            let told = review.outcome.clone();
            let reviewed = self.db.write(move |tx| tx.carry_out_review(&review, now))?;
            if reviewed != Reviewed::Moved {
                self.narrate(agent, message, &told, &reviewed)?;
                return Ok(Some(reviewed));
            }
        }
        Ok(Some(Reviewed::Moved))
    }

    fn outcome(
        &self,
        agent: &Principal,
        message: &Message,
        decision: &Decision,
        facts: &[crate::domain::decision::Fact],
        is_capped: bool,
    ) -> ReviewOutcome {
        match (decision.outcome, &decision.reply) {
            (Outcome::Reply, Some(text)) => ReviewOutcome::Reply(text.clone()),
            (Outcome::Ignore, _) => ReviewOutcome::Ignore,
            (Outcome::Escalate | Outcome::Error, _) => {
                let notice = (!is_capped).then(|| self.notice(agent, decision));
                let escalation = Box::new(escalation(agent, message, decision, facts));
                ReviewOutcome::Escalate { notice, escalation }
            }
            _ => ReviewOutcome::Reply(format!(
                "Acknowledged: received your message. (auto-reply from {})",
                agent.name
            )),
        }
    }

    /// What the sender of an escalated message is told.
    fn notice(&self, agent: &Principal, decision: &Decision) -> String {
        let person = format!("Escalating to {}'s operator. Please stand by.", agent.name);
        match &decision.reason {
            Some(reason) if decision.outcome == Outcome::Escalate => match reason.code.as_str() {
                REPLY_LIMIT => format!(
                    "[AUTO] Message limit ({}) reached. Escalating to human operator. Please stand by.",
                    self.options.max_messages
                ),
                QUESTION => format!("[AUTO] This looks like it needs a human decision. {person}"),
                _ => {
                    let message: String = reason.message.chars().take(MAX_CONTENT / 2).collect();
                    format!("[AUTO] {message} {person}")
                }
            },
            _ => format!("[AUTO] The rules here could not judge your message. {person}"),
        }
    }

    fn narrate(
        &mut self,
        agent: &Principal,
        message: &Message,
        outcome: &ReviewOutcome,
        reviewed: &Reviewed,
    ) -> Result<(), DaemonError> {
        if matches!(reviewed, Reviewed::Gone) {
            return Ok(());
        }
        let (id, from) = (message.id, message.sender.clone());
        self.tell(&Note::Received { message: id, from: from.clone(), content: message.content.clone() });
        match (outcome, reviewed) {
            (ReviewOutcome::Reply(text), Reviewed::Replied) => {
                let count = self.db.read(|tx| tx.automatic_replies(agent.id))?;
                let max_messages = self.options.max_messages;
                self.tell(&Note::Replied { to: from, text: text.clone(), count, max_messages });
            }
            (ReviewOutcome::Escalate { notice: Some(text), .. }, Reviewed::Escalated(_)) => {
                self.tell(&Note::Noticed { to: from, text: text.clone() });
            }
            (_, Reviewed::Read) => self.tell(&Note::Ignored { message: id }),
            (_, Reviewed::Joined(escalation)) => {
                self.tell(&Note::Joined { message: id, escalation: *escalation });
            }
            _ => {}
        }
        Ok(())
    }
}

fn escalation(
    agent: &Principal,
    message: &Message,
    decision: &Decision,
    facts: &[crate::domain::decision::Fact],
) -> NewEscalation {
    let failed = decision.outcome == Outcome::Error;
    let reason = decision.reason.clone().filter(|_| !failed).unwrap_or_default();
    let policy = decision.policy.clone().unwrap_or_else(|| "(no policy)".into());
    let module = decision.verdicts.iter().find(|verdict| verdict.policy == policy);
    let mut subject = blake3::Hasher::new_derive_key("team-table reviewed thread v1");
    subject.update(&agent.id.to_le_bytes());
    subject.update(&message.thread_id.to_le_bytes());
    NewEscalation {
        hook: Hook::Escalation,
        agent: agent.name.clone(),
        agent_id: Some(agent.id),
        asker: message.sender.clone(),
        action: "review".into(),
        subject: *subject.finalize().as_bytes(),
        arguments: serde_json::json!({ "content": message.content }).to_string(),
        message_id: Some(message.id),
        thread_id: Some(message.thread_id),
        module: module.map(|verdict| verdict.module.clone()).unwrap_or_default(),
        policy,
        code: if failed { "policy_error".into() } else { reason.code },
        message: if failed { "a policy could not judge this message".into() } else { reason.message },
        facts: serde_json::to_string(facts).unwrap_or_default(),
        decision_id: 0,
    }
}
