//! Sending messages and reading threads.

use serde_json::json;

use super::audit::Entry;
use super::voice::Voice;
use crate::domain::agent::Member;
use crate::domain::clock::Millis;
use crate::domain::escalation::OPERATOR;
use crate::domain::event::{Audience, EventKind};
use crate::domain::message::{Draft, EVERYONE, Message, Origin, check_repeat};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// The newest messages of a thread among which one of the operator's is looked for.
const OPERATOR_WINDOW: i64 = 1_000;

pub(super) fn read_message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        id: row.get("id")?,
        sender: row.get("sender")?,
        recipient: row.get("recipient")?,
        content: row.get("content")?,
        created_at: row.get("created_at")?,
        thread_id: row.get("thread_id")?,
        reply_to: row.get("reply_to")?,
        origin: Origin::parse(row.text("origin")?),
        person: row.get("person")?,
    })
}

impl ReadTx<'_> {
    /// A message by number, for any recipient.
    pub fn message(&self, id: i64) -> Result<Option<Message>> {
        self.one("SELECT * FROM messages WHERE id = ?1", [id], read_message)
    }

    /// The newest `limit` messages of a thread, oldest of them first.
    pub fn thread(&self, thread_id: i64, limit: i64) -> Result<Vec<Message>> {
        let mut newest = self.all(
            "SELECT * FROM messages WHERE thread_id = ?1 ORDER BY id DESC LIMIT ?2",
            [thread_id, limit],
            read_message,
        )?;
        newest.reverse();
        Ok(newest)
    }

    /// Whether the sender of a message is still at the table. Another holder of the name is somebody else.
    pub fn sender_is_here(&self, message_id: i64) -> Result<bool> {
        let here = self.one(
            "SELECT 1 FROM messages m JOIN members s ON s.id = m.sender_id
              WHERE m.id = ?1 AND s.current = 1 AND s.active = 1",
            [message_id],
            |_| Ok(()),
        )?;
        Ok(here.is_some())
    }

    /// The message a sender's idempotency key stands for, if it was used before.
    fn message_by_key(&self, sender: &Principal, key: Option<&str>) -> Result<Option<Message>> {
        let Some(key) = key else { return Ok(None) };
        self.one(
            "SELECT * FROM messages WHERE sender_id = ?1 AND idempotency_key = ?2",
            params![sender.id, key],
            read_message,
        )
    }

    /// The message that a call repeats.
    fn repeat_of(&self, sender: &Principal, recipient: &str, draft: &Draft<'_>) -> Result<Option<Message>> {
        let Some(key) = draft.idempotency_key.as_deref() else { return Ok(None) };
        let Some(sent) = self.message_by_key(sender, Some(key))? else { return Ok(None) };
        let answered = |reply_to: Option<i64>| reply_to.map_or(String::new(), |id| id.to_string());
        check_repeat(
            key,
            sent.id,
            &[&sent.recipient, &sent.content, &answered(sent.reply_to)],
            &[recipient, &draft.content, &answered(draft.reply_to)],
        )?;
        Ok(Some(sent))
    }

    /// The thread that an answer to `reply_to` joins. Only who wrote or got a message can answer it;
    /// to all others it does not exist.
    fn thread_of(&self, sender: &Principal, reply_to: i64) -> Result<i64> {
        let thread = self.one(
            "SELECT thread_id FROM messages m WHERE id = ?1 AND (sender_id = ?2
                OR EXISTS (SELECT 1 FROM inbox i WHERE i.member_id = ?2 AND i.message_id = m.id))",
            [reply_to, sender.id],
            |row| row.get(0),
        )?;
        Ok(thread.ok_or_else(|| {
            Refusal::not_found(
                format!("there is no message {reply_to} of yours to reply to"),
                "reply_to takes the id of a message you sent or received; leave it out to start a thread",
            )
        })?)
    }

    /// Whether an agent may write to the operator: in a thread in which the operator has written to it. In a long thread that
    /// is looked for in the message answered and the newest [`OPERATOR_WINDOW`].
    fn check_operator_asked(
        &self,
        sender: &Principal,
        reply_to: Option<i64>,
        thread: Option<i64>,
    ) -> Result<()> {
        let asked = self.one(
            "SELECT 1 FROM (SELECT id, sender, sender_id FROM messages WHERE id = ?1
                             UNION ALL
                            SELECT * FROM (SELECT id, sender, sender_id FROM messages WHERE thread_id = ?2
                                            ORDER BY id DESC LIMIT ?5)) said
               JOIN inbox i ON i.member_id = ?3 AND i.message_id = said.id
              WHERE said.sender = ?4 AND said.sender_id IS NULL LIMIT 1",
            params![reply_to, thread, sender.id, OPERATOR, OPERATOR_WINDOW],
            |_| Ok(()),
        )?;
        Ok(asked.ok_or_else(|| {
            Refusal::not_found(
                format!("no member named {OPERATOR:?}"),
                format!(
                    "the {OPERATOR} can only be answered: pass as reply_to the id of a message that the {OPERATOR} sent you, \
                     or of one in its thread"
                ),
            )
        })?)
    }
}

impl WriteTx<'_> {
    /// Sends a direct message. A repeated idempotency key returns the first message and sends nothing.
    ///
    /// # Errors
    /// `not_found` when the recipient is no member or `reply_to` no message of the sender's.
    pub fn send_message(
        &self,
        sender: &Principal,
        recipient: &str,
        draft: &Draft<'_>,
        now: Millis,
    ) -> Result<Message> {
        if let Some(sent) = self.repeat_of(sender, recipient, draft)? {
            return Ok(sent);
        }
        let thread = |draft: &Draft<'_>| draft.reply_to.map(|id| self.thread_of(sender, id)).transpose();
        if recipient == OPERATOR && self.member(OPERATOR)?.is_none_or(|member| !member.active) {
            let thread = thread(draft)?;
            self.check_operator_asked(sender, draft.reply_to, thread)?;
            // A person reads the thread: there is no inbox and nobody to wake.
            let message = self.insert_message(&sender.into(), OPERATOR, draft, thread, now)?;
            self.message_sent(&sender.into(), &message, Audience::Nobody, now)?;
            return Ok(message);
        }
        let recipient = self.recipient(recipient)?;
        let thread = thread(draft)?;
        self.deliver(&sender.into(), &recipient, draft, thread, now)
    }

    /// Puts a message into a member's inbox.
    pub(super) fn deliver(
        &self,
        sender: &Voice<'_>,
        recipient: &Member,
        draft: &Draft<'_>,
        thread: Option<i64>,
        now: Millis,
    ) -> Result<Message> {
        let message = self.insert_message(sender, &recipient.name, draft, thread, now)?;
        self.execute(
            "INSERT INTO inbox (member_id, message_id) VALUES (?1, ?2)",
            [recipient.id, message.id],
        )?;
        self.want_wake(recipient.id, message.id, now)?;
        self.message_sent(sender, &message, Audience::Member(recipient.id), now)?;
        Ok(message)
    }

    /// Sends a message to every active member but the sender, of those in `only` if that is given.
    pub fn broadcast(
        &self,
        sender: &Principal,
        only: Option<&[String]>,
        draft: &Draft<'_>,
        now: Millis,
    ) -> Result<Message> {
        if let Some(sent) = self.repeat_of(sender, EVERYONE, draft)? {
            return Ok(sent);
        }
        self.deliver_to_all(&sender.into(), only, draft, None, now)
    }

    /// Puts a message into the inbox of every active member but the sender, of those in `only` if that is given.
    pub(super) fn deliver_to_all(
        &self,
        sender: &Voice<'_>,
        only: Option<&[String]>,
        draft: &Draft<'_>,
        thread: Option<i64>,
        now: Millis,
    ) -> Result<Message> {
        let message = self.insert_message(sender, EVERYONE, draft, thread, now)?;
        self.execute(
            "INSERT INTO inbox (member_id, message_id)
             SELECT id, ?1 FROM members WHERE current = 1 AND active = 1 AND id IS NOT ?2
                AND (?3 IS NULL OR name IN (SELECT value FROM json_each(?3)))",
            params![message.id, sender.id, only.map(|names| json!(names).to_string())],
        )?;
        self.want_wakes(message.id, now)?;
        self.message_sent(sender, &message, Audience::Everyone, now)?;
        Ok(message)
    }

    /// Puts a message in the operator's name into a member's inbox.
    pub(super) fn send_as_operator(&self, to: &Member, draft: &Draft<'_>, now: Millis) -> Result<()> {
        self.deliver(&Voice::operator(draft.person.as_deref()), to, draft, None, now).map(drop)
    }

    /// The number of the message that is about to be stored. Messages are never deleted, and this transaction
    /// is the only one that writes.
    pub(super) fn next_message(&self) -> Result<i64> {
        self.number("SELECT coalesce(max(id), 0) + 1 FROM messages", ())
    }

    fn insert_message(
        &self,
        sender: &Voice<'_>,
        recipient: &str,
        draft: &Draft<'_>,
        thread: Option<i64>,
        now: Millis,
    ) -> Result<Message> {
        let id = self.next_message()?;
        // A message that answers none begins a thread, which has its number.
        let thread_id = thread.unwrap_or(id);
        self.execute(
            "INSERT INTO messages (id, sender, sender_id, recipient, content, created_at, thread_id, reply_to, origin,
                                   idempotency_key, person)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                id,
                sender.name,
                sender.id,
                recipient,
                draft.content,
                now,
                thread_id,
                draft.reply_to,
                draft.origin.as_str(),
                draft.idempotency_key,
                draft.person
            ],
        )?;
        Ok(Message {
            id,
            sender: sender.name.to_owned(),
            recipient: recipient.to_owned(),
            content: draft.content.clone().into_owned(),
            created_at: now,
            thread_id,
            reply_to: draft.reply_to,
            origin: draft.origin,
            person: draft.person.clone().map(Into::into),
        })
    }

    /// The event and the audit row of a message.
    fn message_sent(
        &self,
        sender: &Voice<'_>,
        message: &Message,
        audience: Audience,
        now: Millis,
    ) -> Result<()> {
        let (kind, action) = match message.recipient.as_str() {
            EVERYONE => (EventKind::Broadcast, "broadcast"),
            _ => (EventKind::Message, "send_message"),
        };
        let data = json!({
            "id": message.id, "sender": message.sender, "recipient": message.recipient,
            "thread_id": message.thread_id,
        });
        self.event(now, kind, sender.id, audience, &data)?;
        self.audit(&Entry {
            at: now,
            agent: &sender.audit,
            action,
            target: ("message", &message.id.to_string()),
            details: &json!({ "recipient": message.recipient, "origin": message.origin }).to_string(),
        })
    }
}
