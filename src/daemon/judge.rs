//! One message: a case to judge, and what follows from the decision.

use std::sync::Arc;

use super::{Daemon, DaemonError, Note};
use crate::domain::clock::Millis;
use crate::domain::decision::{Decision, InboxMessage, Input, Outcome, PrincipalView, Reason};
use crate::domain::message::{Draft, EVERYONE, MAX_CONTENT, Message, Origin};
use crate::domain::principal::Principal;
use crate::domain::refusal::Code;
use crate::judgement::{Case, CommitResult, Confirmation, Held, Ruling, Version};
use crate::storage::{self, Error, FactScope, NewEscalation, ReviewScope, WriteTx};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reviewed {
    /// It was answered.
    Replied,
    /// It was marked as handled: ignored, or its sender has left and cannot be answered.
    Handled,
    /// It waits for the person, under this number.
    Escalated(i64),
    /// It joined this open escalation.
    Joined(i64),
    /// The facts moved every time: look at it again later.
    Moved,
    /// Somebody else has read or taken it, or the lease is lost: look again from the start.
    Gone,
}

/// What the decision about a message asks for.
#[derive(Debug, Clone)]
enum Effect {
    /// Answer with this text.
    Reply(String),
    /// Handle it without an answer.
    Ignore,
    /// Another of what the open escalation of its thread asks.
    Join(i64),
    /// Tell the sender, and put it before the person.
    Escalate {
        /// What the sender is told; nothing while no automatic message may be sent.
        notice: Option<String>,
        escalation: Box<NewEscalation>,
    },
}

/// A message in the inbox of an agent, for as long as this daemon holds the lease.
#[derive(Clone)]
struct MessageCase {
    agent: Principal,
    message: Arc<Message>,
    /// The lease's holder.
    holder: Arc<str>,
    /// The open escalation of its thread.
    open: Option<i64>,
    input: Arc<Input>,
    scope: FactScope,
}

impl Case for MessageCase {
    fn input(&self) -> &Arc<Input> {
        &self.input
    }

    fn scope(&self) -> &FactScope {
        &self.scope
    }

    fn agent_id(&self) -> Option<i64> {
        Some(self.agent.id)
    }

    fn confirm_and_consume(&mut self, tx: &WriteTx<'_>, _: Version) -> storage::Result<Confirmation> {
        let (agent, message) = (self.agent.id, &self.message);
        let holds = tx.is_seated(&self.agent)?
            && tx.lease(agent)?.is_some_and(|(holder, _)| *holder == *self.holder)
            && tx.is_unhandled(agent, message.id)?
            && tx.open_review(agent, message.thread_id)? == self.open;
        Ok(if holds { Confirmation::Holds } else { Confirmation::Gone })
    }
}

impl MessageCase {
    /// What its person is shown of the message.
    fn held(&self) -> Held {
        let mut subject = blake3::Hasher::new_derive_key("team-table reviewed thread v1");
        subject.update(&self.agent.id.to_le_bytes());
        subject.update(&self.message.thread_id.to_le_bytes());
        Held {
            agent: self.agent.name.clone(),
            asker: self.message.sender.clone(),
            action: "review".into(),
            subject: *subject.finalize().as_bytes(),
            arguments: serde_json::json!({ "content": self.message.content }).to_string(),
            message: Some((self.message.id, self.message.thread_id)),
        }
    }

    /// Makes an effect, in its transaction.
    fn carry_out(&self, tx: &WriteTx<'_>, effect: &Effect, decision_id: i64) -> storage::Result<Reviewed> {
        let now = self.scope.now;
        let mut answer = None;
        let reviewed = match effect {
            Effect::Ignore => Reviewed::Handled,
            Effect::Join(id) => {
                tx.repeat_escalation(*id)?;
                Reviewed::Joined(*id)
            }
            Effect::Reply(text) => {
                answer = self.reply(tx, text, now)?;
                if answer.is_some() { Reviewed::Replied } else { Reviewed::Handled }
            }
            Effect::Escalate { notice, escalation } => {
                if let Some(notice) = notice {
                    answer = self.reply(tx, notice, now)?;
                }
                let escalation = NewEscalation { decision_id, ..(**escalation).clone() };
                Reviewed::Escalated(tx.escalate(&escalation, now)?)
            }
        };
        tx.mark_handled(self.agent.id, self.message.id, answer, now)?;
        tx.touch(self.agent.id, now)?;
        Ok(reviewed)
    }

    /// The reply's number; none when the sender has left the table, even if another agent has its name now.
    fn reply(&self, tx: &WriteTx<'_>, text: &str, now: Millis) -> storage::Result<Option<i64>> {
        if !tx.sender_is_here(self.message.id)? {
            return Ok(None);
        }
        let draft = Draft {
            content: text.into(),
            reply_to: Some(self.message.id),
            idempotency_key: None,
            origin: Origin::Automatic,
            person: None,
        };
        match tx.send_message(&self.agent, &self.message.sender, &draft, now) {
            Ok(sent) => Ok(Some(sent.id)),
            Err(Error::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Daemon {
    /// Judges a message and carries the outcome out. With an escalation open in its thread, only a message that escalates
    /// too is taken, and joins it; `None` for any other. While an open escalation holds the inbox, nothing is
    /// answered: a question becomes an escalation without a notice, and all else waits.
    pub(super) fn judge(
        &mut self,
        agent: &Principal,
        message: &Message,
        open: Option<i64>,
        is_held: bool,
    ) -> Result<Option<Reviewed>, DaemonError> {
        let set = self.policies.current();
        let outcome = self.judge.retry(|| {
            let case = self.case(agent, message, open)?;
            let ruling = self.judge.ask(&case, &set)?;
            let Some(effect) = effect(&case, &ruling, is_held) else { return Ok(Some(None)) };
            let of_tx = effect.clone();
            let committed =
                self.judge.commit_if_unchanged(case, &set, &ruling, true, move |tx, case, decision| {
                    case.carry_out(tx, &of_tx, decision)
                })?;
            Ok(match committed {
                CommitResult::Done(_, reviewed) => Some(Some((effect, reviewed))),
                CommitResult::Gone => Some(Some((effect, Reviewed::Gone))),
                CommitResult::Moved => None,
            })
        })?;
        match outcome {
            None => Ok(Some(Reviewed::Moved)),
            Some(None) => Ok(None),
            Some(Some((effect, reviewed))) => {
                self.narrate(agent, message, &effect, &reviewed)?;
                Ok(Some(reviewed))
            }
        }
    }

    fn case(&self, agent: &Principal, message: &Message, open: Option<i64>) -> storage::Result<MessageCase> {
        let now = self.db.now(&self.clock);
        // An agent that holds the name of a sender that left is another agent.
        let sender = self
            .db
            .read(|tx| if tx.sender_is_here(message.id)? { tx.member(&message.sender) } else { Ok(None) })?;
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
        let input = Input::Review(InboxMessage {
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
        });
        Ok(MessageCase {
            agent: agent.clone(),
            message: Arc::new(message.clone()),
            holder: self.holder.name().into(),
            open,
            input: Arc::new(input),
            scope,
        })
    }

    fn narrate(
        &mut self,
        agent: &Principal,
        message: &Message,
        effect: &Effect,
        reviewed: &Reviewed,
    ) -> Result<(), DaemonError> {
        if matches!(reviewed, Reviewed::Gone) {
            return Ok(());
        }
        let (id, from) = (message.id, message.sender.clone());
        self.tell(&Note::Received { message: id, from: from.clone(), content: message.content.clone() });
        match (effect, reviewed) {
            (Effect::Reply(text), Reviewed::Replied) => {
                let count = self.db.read(|tx| tx.automatic_replies(agent.id))?;
                let max_messages = self.options.max_messages;
                self.tell(&Note::Replied { to: from, text: text.clone(), count, max_messages });
            }
            (Effect::Escalate { notice: Some(text), .. }, Reviewed::Escalated(_)) => {
                self.tell(&Note::Noticed { to: from, text: text.clone() });
            }
            (_, Reviewed::Handled) => self.tell(&Note::Ignored { message: id }),
            (_, Reviewed::Joined(escalation)) => {
                self.tell(&Note::Joined { message: id, escalation: *escalation });
            }
            _ => {}
        }
        Ok(())
    }
}

/// What the decision asks for; `None` for a message that waits.
fn effect(case: &MessageCase, ruling: &Ruling, is_held: bool) -> Option<Effect> {
    let decision = &ruling.decision;
    let escalates = matches!(decision.outcome, Outcome::Escalate | Outcome::Error);
    let holds_inbox = decision.reason.as_ref().is_some_and(Reason::holds_inbox);
    if (case.open.is_some() || is_held) && (!escalates || holds_inbox) {
        return None;
    }
    if let Some(open) = case.open {
        return Some(Effect::Join(open));
    }
    Some(match (decision.outcome, &decision.reply) {
        (Outcome::Reply, Some(text)) => Effect::Reply(text.clone()),
        (Outcome::Ignore, _) => Effect::Ignore,
        (Outcome::Escalate | Outcome::Error, _) => {
            let notice = (!is_held).then(|| notice(&case.agent, decision));
            let escalation = Box::new(ruling.escalation(case, case.held()));
            Effect::Escalate { notice, escalation }
        }
        _ => Effect::Reply(format!(
            "Acknowledged: received your message. (auto-reply from {})",
            case.agent.name
        )),
    })
}

/// What the sender of an escalated message is told.
fn notice(agent: &Principal, decision: &Decision) -> String {
    let person = format!("Escalating to {}'s operator. Please stand by.", agent.name);
    let Some(reason) = decision.reason.as_ref().filter(|_| decision.outcome == Outcome::Escalate) else {
        return format!("[AUTO] The rules here could not judge your message. {person}");
    };
    let cut = |text: &str| text.chars().take(MAX_CONTENT / 2).collect::<String>();
    match reason.notice() {
        Some(notice) => format!("[AUTO] {}", cut(notice)),
        None => format!("[AUTO] {} {person}", cut(&reason.message)),
    }
}
