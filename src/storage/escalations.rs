//! What waits for a person, and the one pass that an approval gives.

use rusqlite::{Row, params};
use serde::Serialize;
use serde_json::json;

use super::audit::Entry;
use super::error::{Error, Result};
use super::tx::{ReadTx, WriteTx};
use crate::domain::clock::Millis;
use crate::domain::decision::Hook;
use crate::domain::escalation::{APPROVAL_LASTS, EscalationStatus};
use crate::domain::event::{Audience, EventKind};

/// A question or held call to put before a person.
#[derive(Debug, Clone)]
pub struct NewEscalation {
    /// Which hook raised it.
    pub hook: Hook,
    /// The agent whose person must decide.
    pub agent: String,
    /// That agent's member row.
    pub agent_id: Option<i64>,
    /// Who asks: the caller itself for a held call, the sender for a message.
    pub asker: String,
    /// The tool, or `review`.
    pub action: String,
    /// Digest of what is asked: a repeat joins the open escalation.
    pub subject: [u8; 32],
    /// JSON: the call's arguments, or the message's text.
    pub arguments: String,
    /// The message reviewed.
    pub message_id: Option<i64>,
    /// Its thread.
    pub thread_id: Option<i64>,
    /// The policy that wants a person to see it.
    pub policy: String,
    /// Digest of its module.
    pub module: String,
    /// Its reason's code.
    pub code: String,
    /// Its reason's words.
    pub message: String,
    /// JSON: the facts it went by.
    pub facts: String,
    /// The decision.
    pub decision_id: i64,
}

/// An escalation as read back.
#[derive(Debug, Clone, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of NewEscalation and the columns that say what became of it"
)]
pub struct EscalationRow {
    pub id: i64,
    pub hook: String,
    pub agent: String,
    pub asker: String,
    pub action: String,
    pub arguments: String,
    pub message_id: Option<i64>,
    pub thread_id: Option<i64>,
    pub policy: String,
    pub module: String,
    pub code: String,
    pub message: String,
    pub facts: String,
    pub decision_id: Option<i64>,
    pub status: String,
    pub created_at: Millis,
    pub resolved_at: Option<Millis>,
    pub reply: Option<String>,
    pub note: Option<String>,
    pub used_at: Option<Millis>,
    pub repeats: i64,
    pub reminders: i64,
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<EscalationRow> {
    Ok(EscalationRow {
        id: row.get("id")?,
        hook: row.get("hook")?,
        agent: row.get("agent")?,
        asker: row.get("asker")?,
        action: row.get("action")?,
        arguments: row.get("arguments")?,
        message_id: row.get("message_id")?,
        thread_id: row.get("thread_id")?,
        policy: row.get("policy")?,
        module: row.get("module")?,
        code: row.get("code")?,
        message: row.get("message")?,
        facts: row.get("facts")?,
        decision_id: row.get("decision_id")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        resolved_at: row.get("resolved_at")?,
        reply: row.get("reply")?,
        note: row.get("note")?,
        used_at: row.get("used_at")?,
        repeats: row.get("repeats")?,
        reminders: row.get("reminders")?,
    })
}

impl ReadTx<'_> {
    /// One escalation.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn escalation(&self, id: i64) -> Result<Option<EscalationRow>> {
        self.one("SELECT * FROM escalations WHERE id = ?1", [id], read_row)
    }

    /// The approval that would let this call pass now, if a person gave one and it was not used.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn approval(&self, agent_id: Option<i64>, subject: &[u8; 32], now: Millis) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM escalations WHERE agent_id IS ?1 AND subject = ?2 AND status = 'approved'
                AND used_at IS NULL AND resolved_at > ?3 ORDER BY id LIMIT 1",
            params![agent_id, subject, now - APPROVAL_LASTS],
            |row| row.get(0),
        )
    }
}

impl WriteTx<'_> {
    /// Puts something before a person; what is asked already joins the open escalation. Returns its number.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn escalate(&self, new: &NewEscalation, now: Millis) -> Result<i64> {
        let open = self.one(
            "SELECT id FROM escalations WHERE agent_id IS ?1 AND subject = ?2 AND status = 'open' LIMIT 1",
            params![new.agent_id, new.subject],
            |row| row.get(0),
        )?;
        if let Some(id) = open {
            self.execute("UPDATE escalations SET repeats = repeats + 1 WHERE id = ?1", [id])?;
            return Ok(id);
        }
        let id = self.insert(
            "INSERT INTO escalations (hook, agent, agent_id, asker, action, subject, arguments, message_id, thread_id,
                                      policy, module, code, message, facts, decision_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            params![
                new.hook.as_str(),
                new.agent,
                new.agent_id,
                new.asker,
                new.action,
                new.subject,
                new.arguments,
                new.message_id,
                new.thread_id,
                new.policy,
                new.module,
                new.code,
                new.message,
                new.facts,
                new.decision_id,
                now
            ],
        )?;
        let status = EscalationStatus::Open.as_str();
        let data =
            json!({ "id": id, "action": new.action, "asker": new.asker, "code": new.code, "status": status });
        let audience = new.agent_id.map_or(Audience::Nobody, Audience::Member);
        self.event(now, EventKind::Escalation, None, audience, &data)?;
        self.audit(&Entry {
            at: now,
            agent: &new.agent,
            action: "escalate",
            target: ("escalation", &id.to_string()),
            details: &json!({ "action": new.action, "policy": new.policy, "code": new.code }).to_string(),
        })?;
        Ok(id)
    }

    /// Uses up an approval; false when another call was faster.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn use_approval(&self, id: i64, now: Millis) -> Result<bool> {
        let used =
            self.execute("UPDATE escalations SET used_at = ?2 WHERE id = ?1 AND used_at IS NULL", [id, now])?;
        Ok(used == 1)
    }

    /// Operator: closes an open escalation with a person's answer.
    ///
    /// # Errors
    /// A fault when it is not there; the caller has looked. `false` when it was closed before.
    pub fn resolve_escalation(
        &self,
        id: i64,
        status: EscalationStatus,
        reply: Option<&str>,
        note: Option<&str>,
        now: Millis,
    ) -> Result<bool> {
        let changed = self.execute(
            "UPDATE escalations SET status = ?2, reply = ?3, note = ?4, resolved_at = ?5 WHERE id = ?1 AND status = 'open'",
            params![id, status.as_str(), reply, note, now],
        )?;
        if changed == 0 {
            return Ok(false);
        }
        let row =
            self.escalation(id)?.ok_or_else(|| Error::Fault(format!("escalation {id} is not there")))?;
        let audience = self
            .one("SELECT agent_id FROM escalations WHERE id = ?1", [id], |row| row.get::<_, Option<i64>>(0))?
            .flatten()
            .map_or(Audience::Nobody, Audience::Member);
        let data = json!({ "id": id, "action": row.action, "asker": row.asker, "code": row.code,
                           "status": status.as_str() });
        self.event(now, EventKind::Escalation, None, audience, &data)?;
        self.audit(&Entry {
            at: now,
            agent: "operator",
            action: "resolve_escalation",
            target: ("escalation", &id.to_string()),
            details: &json!({ "status": status.as_str(), "note": note }).to_string(),
        })?;
        Ok(true)
    }
}
