//! Sending messages and reading threads.

use serde_json::json;

use super::audit::Entry;
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
        let recipient = self.recipient(recipient)?;
        let message = self.insert_message(sender, &recipient.name, draft, now)?;
        self.execute(
            "INSERT INTO inbox (member_id, message_id) VALUES (?1, ?2)",
            [recipient.id, message.id],
        )?;
        self.want_wake(recipient.id, message.id, now)?;
        let audience = Audience::Member(recipient.id);
        self.message_sent(sender, &message, EventKind::Message, audience, "send_message", now)?;
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
        let message = self.insert_message(sender, EVERYONE, draft, now)?;
        self.execute(
            "INSERT INTO inbox (member_id, message_id)
             SELECT id, ?1 FROM members WHERE current = 1 AND active = 1 AND id <> ?2
                AND (?3 IS NULL OR name IN (SELECT value FROM json_each(?3)))",
            params![message.id, sender.id, only.map(|names| json!(names).to_string())],
        )?;
        self.want_wakes(message.id, now)?;
        self.message_sent(sender, &message, EventKind::Broadcast, Audience::Everyone, "broadcast", now)?;
        Ok(message)
    }

    /// Puts a message in the operator's name into a member's inbox.
    pub(super) fn send_as_operator(&self, to: &Member, draft: &Draft<'_>, now: Millis) -> Result<()> {
        let id = self.next_message()?;
        self.execute(
            "INSERT INTO messages (id, sender, recipient, content, created_at, thread_id, origin, person)
             VALUES (?1, ?2, ?3, ?4, ?5, ?1, ?6, ?7)",
            params![id, OPERATOR, to.name, draft.content, now, draft.origin.as_str(), draft.person],
        )?;
        self.execute("INSERT INTO inbox (member_id, message_id) VALUES (?1, ?2)", [to.id, id])?;
        self.want_wake(to.id, id, now)?;
        let data = json!({ "id": id, "sender": OPERATOR, "recipient": to.name, "thread_id": id });
        self.event(now, EventKind::Message, None, Audience::Member(to.id), &data)?;
        self.audit(&Entry {
            at: now,
            agent: OPERATOR,
            action: "send_message",
            target: ("message", &id.to_string()),
            details: &json!({ "recipient": to.name, "origin": draft.origin }).to_string(),
        })
    }

    /// The number of the message that is about to be stored. Messages are never deleted, and this transaction
    /// is the only one that writes.
    pub(super) fn next_message(&self) -> Result<i64> {
        self.number("SELECT coalesce(max(id), 0) + 1 FROM messages", ())
    }

    fn insert_message(
        &self,
        sender: &Principal,
        recipient: &str,
        draft: &Draft<'_>,
        now: Millis,
    ) -> Result<Message> {
        let thread = draft.reply_to.map(|id| self.thread_of(sender, id)).transpose()?;
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
            sender: sender.name.clone(),
            recipient: recipient.to_owned(),
            content: draft.content.clone().into_owned(),
            created_at: now,
            thread_id,
            reply_to: draft.reply_to,
            origin: draft.origin,
            person: draft.person.clone().map(Into::into),
        })
    }

    fn message_sent(
        &self,
        sender: &Principal,
        message: &Message,
        kind: EventKind,
        audience: Audience,
        action: &str,
        now: Millis,
    ) -> Result<()> {
        let data = json!({
            "id": message.id, "sender": message.sender, "recipient": message.recipient,
            "thread_id": message.thread_id,
        });
        self.event(now, kind, Some(sender.id), audience, &data)?;
        self.audit(&Entry {
            at: now,
            agent: &sender.name,
            action,
            target: ("message", &message.id.to_string()),
            details: &json!({ "recipient": message.recipient, "origin": message.origin }).to_string(),
        })
    }
}
