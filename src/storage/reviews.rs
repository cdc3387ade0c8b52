//! Carrying out what was decided about a message in an inbox: reply, read mark, escalation, decision and
//! event in one transaction, so that a crash neither loses a message nor answers it twice.

use rusqlite::params;

use super::decisions::DecisionRecord;
use super::error::{Error, Result};
use super::escalations::NewEscalation;
use super::facts::FactScope;
use super::messages::read_message;
use super::tx::{ReadTx, WriteTx};
use crate::domain::clock::Millis;
use crate::domain::decision::FactRequest;
use crate::domain::escalation::OPERATOR;
use crate::domain::message::{Draft, Message, Origin};
use crate::domain::principal::Principal;
use crate::domain::refusal::Code;

/// What shall happen to a message.
#[derive(Debug, Clone)]
pub enum ReviewOutcome {
    /// Answer with this text.
    Reply(String),
    /// Say nothing.
    Ignore,
    /// It asks again what an open escalation of its thread asks.
    Join(i64),
    /// Tell the sender, and put it before the person.
    Escalate {
        /// What the sender is told; nothing while no automatic message may be sent.
        notice: Option<String>,
        /// The row to write; its decision is filled in.
        escalation: Box<NewEscalation>,
    },
}

/// A judged message, on its way to its effect.
#[derive(Debug, Clone)]
pub struct Review {
    /// The agent whose inbox it is.
    pub agent: Principal,
    /// The daemon's lease.
    pub holder: String,
    /// The message.
    pub message: Message,
    /// What shall happen.
    pub outcome: ReviewOutcome,
    /// The facts it was judged on and where they were read from.
    pub requests: Vec<FactRequest>,
    /// What the facts are about.
    pub scope: FactScope,
    /// The log's numbers when they were read.
    pub version: (i64, i64),
    /// The decision.
    pub record: DecisionRecord,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reviewed {
    /// It was answered.
    Replied,
    /// It was marked as read: ignored, or its sender has left and cannot be answered.
    Read,
    /// It waits for the person, under this number.
    Escalated(i64),
    /// It joined this open escalation.
    Joined(i64),
    /// The facts have moved: judge it again.
    Moved,
    /// Somebody else has read or taken it, or the lease is lost: look again from the start.
    Gone,
}

impl ReadTx<'_> {
    /// The oldest messages of an agent after `after` that its daemon may take: unread, not handled yet, and written by
    /// another agent or its daemon or person. What the operator or the task board says is for the agent alone.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn to_review(&self, agent_id: i64, after: i64, limit: i64) -> Result<Vec<Message>> {
        self.all(
            "SELECT m.* FROM inbox i JOIN messages m ON m.id = i.message_id
              WHERE i.member_id = ?1 AND i.read_at IS NULL AND i.handled_at IS NULL AND i.message_id > ?2
                AND m.sender_id IS NOT ?1 AND m.sender <> ?3 AND m.origin IN ('agent', 'automatic', 'person')
              ORDER BY i.message_id LIMIT ?4",
            params![agent_id, after, OPERATOR, limit],
            read_message,
        )
    }
}

impl WriteTx<'_> {
    /// Carries a review out, if nothing it rests on has changed.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn carry_out_review(&self, review: &Review, now: Millis) -> Result<Reviewed> {
        let Review { agent, message, .. } = review;
        if !self.is_seated(agent)? {
            return Ok(Reviewed::Gone);
        }
        let lease = self.lease(agent.id)?;
        let joins = if let ReviewOutcome::Join(id) = review.outcome { Some(id) } else { None };
        if lease.is_none_or(|(holder, _)| holder != review.holder)
            || !self.is_unhandled(agent.id, message.id)?
            || self.open_review(agent.id, message.thread_id)? != joins
        {
            return Ok(Reviewed::Gone);
        }
        if self.facts_version()? != review.version
            && self.facts(&review.requests, &review.scope)? != review.record.facts
        {
            return Ok(Reviewed::Moved);
        }
        let decision_id = self.record_decision(&review.record)?;
        let mut answer = None;
        let reviewed = match &review.outcome {
            ReviewOutcome::Ignore => Reviewed::Read,
            ReviewOutcome::Join(id) => {
                self.repeat_escalation(*id)?;
                Reviewed::Joined(*id)
            }
            ReviewOutcome::Reply(text) => {
                answer = self.reply_automatically(agent, message, text, now)?;
                if answer.is_some() { Reviewed::Replied } else { Reviewed::Read }
            }
            ReviewOutcome::Escalate { notice, escalation } => {
                if let Some(notice) = notice {
                    answer = self.reply_automatically(agent, message, notice, now)?;
                }
                let escalation = NewEscalation { decision_id, ..(**escalation).clone() };
                Reviewed::Escalated(self.escalate(&escalation, now)?)
            }
        };
        self.mark_handled(agent.id, message.id, answer, now)?;
        self.touch(agent.id, now)?;
        Ok(reviewed)
    }

    /// The reply's number; none when the sender has left the table, even if another agent has its name now.
    fn reply_automatically(
        &self,
        agent: &Principal,
        to: &Message,
        text: &str,
        now: Millis,
    ) -> Result<Option<i64>> {
        if !self.sender_is_here(to.id)? {
            return Ok(None);
        }
        let draft = Draft {
            content: text.to_owned(),
            reply_to: Some(to.id),
            idempotency_key: None,
            origin: Origin::Automatic,
        };
        match self.send_message(agent, &to.sender, &draft, now) {
            Ok(sent) => Ok(Some(sent.id)),
            Err(Error::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_unhandled(&self, member_id: i64, message_id: i64) -> Result<bool> {
        let unread = self.one(
            "SELECT 1 FROM inbox WHERE member_id = ?1 AND message_id = ?2 AND read_at IS NULL AND handled_at IS NULL",
            [member_id, message_id],
            |_| Ok(()),
        )?;
        Ok(unread.is_some())
    }
}
