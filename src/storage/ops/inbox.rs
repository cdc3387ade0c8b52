//! What a member has not read yet, and has.

use serde_json::json;

use super::audit::Entry;
use super::listing::{Listing, REMAINING_CAP};
use super::messages::read_message;
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, EventKind};
use crate::domain::message::{Answered, Message, Origin, Receipt};
use crate::domain::principal::Principal;
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Characters of a message in a list besides its texts.
const INBOX_FRAME: usize = 190;

/// Which messages of an inbox to return.
#[derive(Debug, Clone, Copy, Default)]
pub struct InboxQuery {
    /// Also those returned before; the newest page of them.
    pub include_read: bool,
    /// Only this thread's.
    pub thread_id: Option<i64>,
    /// Only those with a smaller number.
    pub before_id: Option<i64>,
    /// Only those with a larger number.
    pub after_id: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// A page of an inbox, oldest message first.
#[derive(Debug, Clone, Default)]
pub struct InboxPage {
    /// Messages, in the order in which they were sent.
    pub messages: Vec<InboxMessage>,
    /// How many more match, at most [`REMAINING_CAP`].
    pub remaining: i64,
}

/// A message as it lies in an inbox.
#[derive(Debug, Clone)]
pub struct InboxMessage {
    /// The message.
    pub message: Message,
    /// Whether it had been returned before, or is the reader's own.
    pub read: bool,
    /// What was said to it in the reader's name.
    pub answered: Option<Answered>,
    /// What became of it, where it is the reader's own.
    pub receipt: Receipt,
}

fn read_inbox(row: &Row<'_>) -> Result<InboxMessage> {
    let answer: Option<String> = row.get("answer")?;
    Ok(InboxMessage {
        message: read_message(row)?,
        read: row.get("was_read")?,
        answered: answer
            .map(|text| {
                let origin = Origin::parse(row.text("answer_origin")?);
                Ok::<_, crate::storage::Error>(Answered { origin, text, at: row.get("answer_at")? })
            })
            .transpose()?,
        receipt: Receipt::default(),
    })
}

impl InboxPage {
    /// The numbers of the messages that had not been read.
    #[must_use]
    pub fn unread_ids(&self) -> Vec<i64> {
        self.messages.iter().filter(|it| !it.read).map(|it| it.message.id).collect()
    }
}

/// What the unread badge says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many, at most [`REMAINING_CAP`].
    pub count: i64,
    /// `sender: beginning` of the oldest two.
    pub preview: Vec<String>,
    /// Escalations that wait for this agent's person.
    pub waiting_for_person: i64,
}

/// Characters of a message in the badge's preview.
const PREVIEW: i64 = 100;

impl ReadTx<'_> {
    /// The badge of a member.
    pub fn unread(&self, member_id: i64) -> Result<Unread> {
        // One statement: every call's reply has these two.
        let counts = self.one(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM inbox WHERE member_id = ?1 AND read_at IS NULL LIMIT ?2)),
                    (SELECT count(*) FROM escalations WHERE agent_id = ?1 AND status = 'open')",
            [member_id, REMAINING_CAP],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let (count, waiting_for_person) = counts.unwrap_or_default();
        if count == 0 {
            return Ok(Unread { waiting_for_person, ..Unread::default() });
        }
        let preview = self.all(
            "SELECT m.sender, substr(m.content, 1, ?2) FROM inbox i JOIN messages m ON m.id = i.message_id
              WHERE i.member_id = ?1 AND i.read_at IS NULL ORDER BY i.message_id LIMIT 2",
            params![member_id, PREVIEW],
            |row| Ok(format!("{}: {}", row.get::<String>(0)?, row.get::<String>(1)?)),
        )?;
        Ok(Unread { count, preview, waiting_for_person })
    }

    /// A page of a member's inbox. Unread ones come oldest first, to be worked off; with those already
    /// read, it is history, and the newest page comes first (`before_id` leads back).
    pub fn inbox(&self, member_id: i64, query: &InboxQuery) -> Result<InboxPage> {
        let before = query.before_id.unwrap_or(i64::MAX);
        let after = query.after_id.unwrap_or(0);
        let parameters = params![member_id, before, query.thread_id, after];
        // A thread is read as a whole, with what the reader said in it itself.
        let sql = match (query.include_read, query.thread_id) {
            (false, None) => {
                "SELECT m.*, i.read_at IS NOT NULL AS was_read, a.content AS answer, a.origin AS answer_origin,
                        a.created_at AS answer_at
                   FROM inbox i JOIN messages m ON m.id = i.message_id LEFT JOIN messages a ON a.id = i.answer_id
                  WHERE i.member_id = ?1 AND i.read_at IS NULL AND i.message_id < ?2 AND i.message_id > ?4
                    AND ?3 IS NULL
                  ORDER BY i.message_id"
            }
            (true, None) => {
                "SELECT m.*, i.read_at IS NOT NULL AS was_read, a.content AS answer, a.origin AS answer_origin,
                        a.created_at AS answer_at
                   FROM inbox i JOIN messages m ON m.id = i.message_id LEFT JOIN messages a ON a.id = i.answer_id
                  WHERE i.member_id = ?1 AND i.message_id < ?2 AND i.message_id > ?4 AND ?3 IS NULL
                  ORDER BY i.message_id DESC"
            }
            (_, Some(_)) => {
                "SELECT m.*, i.read_at IS NOT NULL OR i.member_id IS NULL AS was_read, a.content AS answer,
                        a.origin AS answer_origin, a.created_at AS answer_at
                   FROM messages m LEFT JOIN inbox i ON i.message_id = m.id AND i.member_id = ?1
                        LEFT JOIN messages a ON a.id = i.answer_id
                  WHERE m.thread_id = ?3 AND m.id < ?2 AND m.id > ?4
                    AND (i.member_id IS NOT NULL OR m.sender_id = ?1)
                  ORDER BY m.id DESC"
            }
        };
        let mut page = InboxPage::default();
        let mut listing = Listing::new(query.limit, INBOX_FRAME);
        self.while_wanted(sql, parameters, read_inbox, |it| {
            let answer = it.answered.as_ref().map_or("", |answered| answered.text.as_str());
            let fits =
                listing.take(&[&it.message.content, &it.message.sender, &it.message.recipient, answer]);
            if fits {
                page.messages.push(it);
            }
            fits
        })?;
        if listing.is_full() {
            page.remaining = (self.count_inbox(member_id, query)? - listing.taken()).min(REMAINING_CAP);
        }
        if query.include_read || query.thread_id.is_some() {
            page.messages.reverse();
        }
        if query.thread_id.is_some() {
            for it in &mut page.messages {
                it.receipt = self.receipt(Some(member_id), &it.message)?.unwrap_or_default();
            }
        }
        Ok(page)
    }

    /// What became of a direct message, of this sender if one is named; `None` for another's, for a broadcast, which has many
    /// readers, and for a message that lies in no inbox.
    pub(super) fn receipt(&self, sender_id: Option<i64>, message: &Message) -> Result<Option<Receipt>> {
        let receipt = self.one(
            "SELECT i.read_at, (SELECT n.at FROM announcements n WHERE n.member_id = i.member_id AND n.upto >= ?2
                                 ORDER BY n.upto LIMIT 1) AS announced_at
               FROM messages m JOIN inbox i ON i.message_id = m.id
                    AND i.member_id IN (SELECT who.id FROM members who WHERE who.name = m.recipient)
              WHERE m.id = ?2 AND (?1 IS NULL OR m.sender_id = ?1)",
            params![sender_id, message.id],
            |row| Ok(Receipt { read_at: row.get("read_at")?, announced_at: row.get("announced_at")? }),
        )?;
        let Some(mut receipt) = receipt else { return Ok(None) };
        // It was read first, and later ones were announced.
        if receipt.read_at.is_some_and(|read| receipt.announced_at.is_some_and(|announced| announced > read))
        {
            receipt.announced_at = None;
        }
        Ok(Some(receipt))
    }
}

impl ReadTx<'_> {
    /// How many messages match, counted no further than [`REMAINING_CAP`] beyond the page.
    fn count_inbox(&self, member_id: i64, query: &InboxQuery) -> Result<i64> {
        let before = query.before_id.unwrap_or(i64::MAX);
        let (after, cap) = (query.after_id.unwrap_or(0), REMAINING_CAP + query.limit);
        match (query.thread_id, query.include_read) {
            (Some(thread), _) => self.number(
                "SELECT count(*) FROM (SELECT 1 FROM messages m
                    LEFT JOIN inbox i ON i.message_id = m.id AND i.member_id = ?3
                  WHERE m.thread_id = ?1 AND m.id < ?2 AND m.id > ?5
                    AND (i.member_id IS NOT NULL OR m.sender_id = ?3) LIMIT ?4)",
                [thread, before, member_id, cap, after],
            ),
            (None, false) => self.number(
                "SELECT count(*) FROM (SELECT 1 FROM inbox
                  WHERE member_id = ?1 AND read_at IS NULL AND message_id < ?2 AND message_id > ?4 LIMIT ?3)",
                [member_id, before, cap, after],
            ),
            (None, true) => self.number(
                "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE member_id = ?1 AND message_id < ?2 AND message_id > ?4
                  LIMIT ?3)",
                [member_id, before, cap, after],
            ),
        }
    }
}

impl WriteTx<'_> {
    /// Marks a message as handled by a member's daemon, with the answer if there was one. It stays unread.
    pub fn mark_handled(
        &self,
        member_id: i64,
        message_id: i64,
        answer: Option<i64>,
        now: Millis,
    ) -> Result<()> {
        self.execute(
            "UPDATE inbox SET handled_at = coalesce(handled_at, ?3), answer_id = coalesce(?4, answer_id)
              WHERE member_id = ?1 AND message_id = ?2",
            params![member_id, message_id, now, answer],
        )?;
        Ok(())
    }

    /// Takes the read mark back: the messages did not reach the member. What waits for a message hears of it.
    pub fn mark_unread(&self, member_id: i64, ids: &[i64]) -> Result<()> {
        let listed = json!(ids);
        self.execute(
            "UPDATE inbox SET read_at = NULL WHERE member_id = ?1 AND message_id IN (SELECT value FROM json_each(?2))",
            params![member_id, listed.to_string()],
        )?;
        let now = self
            .one("SELECT at FROM events WHERE id = (SELECT max(id) FROM events)", (), |row| row.get(0))?
            .unwrap_or(0);
        for id in ids {
            let Some(message) = self.message(*id)? else { continue };
            let data = json!({ "id": id, "sender": message.sender, "recipient": message.recipient,
                               "thread_id": message.thread_id });
            self.event(now, EventKind::Message, None, Audience::Member(member_id), &data)?;
        }
        self.audit(&Entry {
            at: now,
            agent: "host",
            action: "undelivered",
            target: ("messages", ""),
            details: &json!({ "unread": listed, "member_id": member_id }).to_string(),
        })
    }

    /// Marks messages as read by one member.
    pub fn mark_read(&self, reader: &Principal, ids: &[i64], now: Millis) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let listed = json!(ids);
        self.execute(
            "UPDATE inbox SET read_at = ?3 WHERE member_id = ?1 AND read_at IS NULL
                AND message_id IN (SELECT value FROM json_each(?2))",
            params![reader.id, listed.to_string(), now],
        )?;
        self.event(now, EventKind::Read, Some(reader.id), Audience::Nobody, &json!({ "ids": listed }))?;
        self.audit(&Entry {
            at: now,
            agent: &reader.name,
            action: "get_messages",
            target: ("messages", ""),
            details: &json!({ "read": listed }).to_string(),
        })
    }
}
