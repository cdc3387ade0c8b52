//! What waits for a person, and the one pass that an approval gives.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::Entry;
use crate::domain::clock::Millis;
use crate::domain::decision::Hook;
use crate::domain::escalation::{APPROVAL_LASTS, EscalationStatus, MAX_REMINDERS};
use crate::domain::event::{Audience, EventKind};
use crate::domain::message::{Draft, MAX_CONTENT, Message, Origin};
use crate::domain::person::Actor;
use crate::domain::refusal::{Code, Refusal};
use crate::domain::text;
use crate::storage::error::{Error, Result};
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

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
    /// While it is open, nothing in the inbox is answered automatically.
    pub holds_inbox: bool,
    /// How many persons must approve a held call.
    pub approvals: i64,
    /// The decision.
    pub decision_id: i64,
}

/// What lets a held call pass once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The escalation's number.
    pub id: i64,
    /// How many persons gave it.
    pub persons: i64,
}

/// A person's answer to an escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A question: send this text to the asker.
    Reply(String),
    /// A question: no answer, and the asker is told so.
    Dismiss,
    /// A held call may pass once.
    Approve,
    /// A held call may not pass.
    Deny,
}

/// Messages that came after the one in question and wait with it: at most so many are listed.
const WAITING: i64 = 50;

/// An escalation as read back.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are those of NewEscalation and the columns that say what became of it"
)]
pub struct EscalationRow {
    pub id: i64,
    pub hook: String,
    pub agent: String,
    pub agent_id: Option<i64>,
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
    pub holds_inbox: bool,
    pub decision_id: Option<i64>,
    pub status: String,
    pub created_at: Millis,
    pub resolved_at: Option<Millis>,
    pub reply: Option<String>,
    pub note: Option<String>,
    pub resolved_by: Option<String>,
    pub approvals: i64,
    pub used_at: Option<Millis>,
    pub repeats: i64,
    pub reminders: i64,
}

fn read_row(row: &Row<'_>) -> Result<EscalationRow> {
    Ok(EscalationRow {
        id: row.get("id")?,
        hook: row.get("hook")?,
        agent: row.get("agent")?,
        agent_id: row.get("agent_id")?,
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
        holds_inbox: row.get("holds_inbox")?,
        decision_id: row.get("decision_id")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        resolved_at: row.get("resolved_at")?,
        reply: row.get("reply")?,
        note: row.get("note")?,
        resolved_by: row.get("resolved_by")?,
        approvals: row.get("approvals")?,
        used_at: row.get("used_at")?,
        repeats: row.get("repeats")?,
        reminders: row.get("reminders")?,
    })
}

impl ReadTx<'_> {
    /// One escalation.
    pub fn escalation(&self, id: i64) -> Result<Option<EscalationRow>> {
        self.one("SELECT * FROM escalations WHERE id = ?1", [id], read_row)
    }

    /// Escalations, newest first; only open ones unless `all`.
    pub fn escalations(&self, agent: Option<&str>, all: bool, limit: i64) -> Result<Vec<EscalationRow>> {
        match (agent, all) {
            (Some(agent), all) => self.all(
                "SELECT * FROM escalations WHERE agent = ?1 AND (?2 OR status = 'open') ORDER BY id DESC LIMIT ?3",
                params![agent, all, limit],
                read_row,
            ),
            (None, true) => {
                self.all("SELECT * FROM escalations WHERE id > 0 ORDER BY id DESC LIMIT ?1", [limit], read_row)
            }
            (None, false) => self.all(
                "SELECT * FROM escalations WHERE status = 'open' AND id > 0 ORDER BY id DESC LIMIT ?1",
                [limit],
                read_row,
            ),
        }
    }

    /// Escalations that are not open any more, of one agent or of all, newest first.
    pub fn decided_escalations(&self, agent: Option<&str>, limit: i64) -> Result<Vec<EscalationRow>> {
        match agent {
            Some(agent) => self.all(
                "SELECT * FROM escalations WHERE agent = ?1 AND status != 'open' ORDER BY id DESC LIMIT ?2",
                params![agent, limit],
                read_row,
            ),
            None => self.all(
                "SELECT * FROM escalations WHERE id > 0 AND status != 'open' ORDER BY id DESC LIMIT ?1",
                [limit],
                read_row,
            ),
        }
    }

    /// How many are open, of one agent or of all; counted up to `most`.
    pub fn open_escalations(&self, agent: Option<&str>, most: i64) -> Result<i64> {
        match agent {
            Some(agent) => self.number(
                "SELECT count(*) FROM (SELECT 1 FROM escalations WHERE agent = ?1 AND status = 'open' LIMIT ?2)",
                params![agent, most],
            ),
            None => self.number(
                "SELECT count(*) FROM (SELECT 1 FROM escalations WHERE status = 'open' AND id > 0 LIMIT ?1)",
                [most],
            ),
        }
    }

    /// The open question of one thread of an agent's inbox: until it is resolved, nothing in the thread is answered
    /// automatically.
    pub fn open_review(&self, agent_id: i64, thread_id: i64) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM escalations WHERE agent_id = ?1 AND status = 'open' AND hook = 'escalation'
                AND thread_id = ?2 ORDER BY id LIMIT 1",
            [agent_id, thread_id],
            |row| row.get(0),
        )
    }

    /// How many calls of an agent, other than the one of this subject, are held for its person. `None`: of all callers
    /// without a name.
    pub fn held_calls(&self, agent_id: Option<i64>, subject: &[u8; 32]) -> Result<i64> {
        let asked: Option<i64> = self.one(
            "SELECT id FROM escalations WHERE agent_id IS ?1 AND subject = ?2 AND status = 'open' LIMIT 1",
            params![agent_id, subject],
            |row| row.get(0),
        )?;
        if asked.is_some() {
            return Ok(0);
        }
        self.number(
            "SELECT count(*) FROM escalations WHERE agent_id IS ?1 AND status = 'open' AND hook = 'authorization'",
            [agent_id],
        )
    }

    /// The questions of an agent's inbox that wait for its person, oldest first.
    pub fn open_reviews(&self, agent_id: i64) -> Result<Vec<EscalationRow>> {
        self.all(
            "SELECT * FROM escalations WHERE agent_id = ?1 AND status = 'open' AND hook = 'escalation' ORDER BY id",
            [agent_id],
            read_row,
        )
    }

    /// Whether an open escalation of this agent was not announced yet.
    pub fn has_unannounced(&self, agent_id: i64) -> Result<bool> {
        let new = self.one(
            "SELECT 1 FROM escalations WHERE agent_id = ?1 AND status = 'open' AND announced_at IS NULL LIMIT 1",
            [agent_id],
            |_| Ok(()),
        )?;
        Ok(new.is_some())
    }

    /// How many escalations of this agent wait for its person.
    pub fn waiting_for_person(&self, agent_id: i64) -> Result<i64> {
        self.number("SELECT count(*) FROM escalations WHERE agent_id = ?1 AND status = 'open'", [agent_id])
    }

    /// What came after the message in question and is not answered while the escalation is open, oldest first: messages of its
    /// thread, or of the whole inbox if it holds that.
    pub fn waiting_with(&self, row: &EscalationRow) -> Result<Vec<Message>> {
        let mut waiting = match (row.agent_id, row.message_id) {
            (Some(agent), Some(message)) if row.status == EscalationStatus::Open.as_str() => {
                self.to_review(agent, message, WAITING)?
            }
            _ => Vec::new(),
        };
        if !row.holds_inbox {
            waiting.retain(|message| Some(message.thread_id) == row.thread_id);
        }
        Ok(waiting)
    }

    /// The approval that would let this call pass now, if one was given and not used: that of the most persons.
    pub fn approval(
        &self,
        agent_id: Option<i64>,
        subject: &[u8; 32],
        now: Millis,
    ) -> Result<Option<Approval>> {
        self.one(
            "SELECT id, approvals FROM escalations WHERE agent_id IS ?1 AND subject = ?2 AND status = 'approved'
                AND used_at IS NULL AND resolved_at > ?3 ORDER BY approvals DESC, id LIMIT 1",
            params![agent_id, subject, now - APPROVAL_LASTS],
            |row| Ok(Approval { id: row.get("id")?, persons: row.get("approvals")? }),
        )
    }
}

impl WriteTx<'_> {
    /// Puts something before a person; what is asked already joins the open escalation. Returns its number.
    pub fn escalate(&self, new: &NewEscalation, now: Millis) -> Result<i64> {
        let open = self.one(
            "SELECT id FROM escalations WHERE agent_id IS ?1 AND subject = ?2 AND status = 'open' LIMIT 1",
            params![new.agent_id, new.subject],
            |row| row.get(0),
        )?;
        if let Some(id) = open {
            self.repeat_escalation(id)?;
            // A set that wants more persons by now is asked for more.
            self.execute(
                "UPDATE escalations SET approvals = max(approvals, ?2) WHERE id = ?1",
                [id, new.approvals],
            )?;
            return Ok(id);
        }
        let id = self.insert(
            "INSERT INTO escalations (hook, agent, agent_id, asker, action, subject, arguments, message_id, thread_id,
                                      policy, module, code, message, facts, decision_id, created_at, holds_inbox,
                                      approvals)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
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
                now,
                new.holds_inbox,
                new.approvals
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

    /// Counts another asking of what an open escalation asks.
    pub fn repeat_escalation(&self, id: i64) -> Result<()> {
        self.execute("UPDATE escalations SET repeats = repeats + 1 WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Uses up an approval; false when another call was faster.
    pub fn use_approval(&self, id: i64, now: Millis) -> Result<bool> {
        let used =
            self.execute("UPDATE escalations SET used_at = ?2 WHERE id = ?1 AND used_at IS NULL", [id, now])?;
        Ok(used == 1)
    }

    /// The open escalations of an agent that its daemon has not announced yet, oldest first; they count as announced now.
    pub fn take_unannounced(&self, agent_id: i64, now: Millis) -> Result<Vec<EscalationRow>> {
        let new = self.all(
            "SELECT * FROM escalations WHERE agent_id = ?1 AND status = 'open' AND announced_at IS NULL ORDER BY id LIMIT 100",
            [agent_id],
            read_row,
        )?;
        for row in &new {
            self.execute("UPDATE escalations SET announced_at = ?2 WHERE id = ?1", [row.id, now])?;
        }
        Ok(new)
    }

    /// The open escalations of an agent that have waited for `every` since they were last announced, at most
    /// [`MAX_REMINDERS`](crate::domain::escalation::MAX_REMINDERS) times each; they count as announced now.
    pub fn remind(&self, agent_id: i64, every: Millis, now: Millis) -> Result<Vec<EscalationRow>> {
        let due = self.all(
            "SELECT * FROM escalations WHERE agent_id = ?1 AND status = 'open' AND reminders < ?2
                AND coalesce(reminded_at, created_at) <= ?3 ORDER BY id LIMIT 20",
            params![agent_id, MAX_REMINDERS, now - every],
            read_row,
        )?;
        for row in &due {
            self.execute(
                "UPDATE escalations SET reminders = reminders + 1, reminded_at = ?2 WHERE id = ?1",
                [row.id, now],
            )?;
            let data = json!({ "id": row.id, "action": row.action, "asker": row.asker, "code": row.code,
                               "status": row.status, "reminder": row.reminders + 1 });
            self.event(now, EventKind::Escalation, None, Audience::Member(agent_id), &data)?;
        }
        Ok(due)
    }

    /// Closes an open escalation with a person's answer; says in a few words what became of it. A held call that needs
    /// several persons stays open until as many have approved it; one who denies it is enough.
    ///
    /// # Errors
    /// `failed_precondition` when it is closed already, the answer is for the other kind, or this person has approved it
    /// before; `permission_denied` when the agent does not answer to the person; `not_found` when there is none, or the
    /// asker has left.
    pub fn resolve_escalation(
        &self,
        by: &Actor,
        id: i64,
        answer: &Answer,
        note: Option<&str>,
        now: Millis,
    ) -> Result<String> {
        let row = self.escalation(id)?.ok_or_else(|| {
            Refusal::not_found(
                format!("there is no escalation {id}"),
                "team-table escalation list shows them",
            )
        })?;
        by.check_decides_for(&row.agent)?;
        if let Some(note) = note {
            text::at_most("the note", note, MAX_CONTENT)?;
        }
        if row.status != EscalationStatus::Open.as_str() {
            let who = row.resolved_by.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
            return Err(Refusal::precondition(
                format!("escalation {id} was {} already{who}", row.status),
                "nothing was changed; team-table escalation show tells what was answered",
            )
            .into());
        }
        let is_question = row.hook == Hook::Review.as_str();
        if *answer == Answer::Approve
            && !is_question
            && let Some(missing) = self.vote(by, &row, note, now)?
        {
            return Ok(missing);
        }
        let person = by.person().map(|person| person.name.as_str());
        let (status, said) = match answer {
            Answer::Reply(_) | Answer::Dismiss if !is_question => {
                return Err(wrong_kind(id, "holds a tool call", "--approve or --deny"));
            }
            Answer::Approve | Answer::Deny if is_question => {
                return Err(wrong_kind(id, "is a question", "--reply \"…\" or --dismiss"));
            }
            Answer::Reply(text) => {
                self.answer_question(&row, text, person, now)?;
                (EscalationStatus::Resolved, format!("answered to {}", row.asker))
            }
            Answer::Dismiss => {
                let text =
                    format!("[AUTO] {}'s operator has closed your question without an answer.", row.agent);
                // An asker that has left, or that asked an agent that has left, is not told.
                let told = match self.answer_question(&row, &with_note(&text, note), person, now) {
                    Ok(()) => true,
                    Err(Error::Refused(refusal)) if refusal.code == Code::NotFound => false,
                    Err(error) => return Err(error),
                };
                let who = if told { format!(", and {} is told", row.asker) } else { String::new() };
                (EscalationStatus::Resolved, format!("closed without an answer{who}"))
            }
            Answer::Approve if row.hook == Hook::Wake.as_str() => {
                if let Some(member) = row.agent_id {
                    self.allow_wakes(member, now)?;
                }
                (EscalationStatus::Approved, format!("messages may wake {} again", row.agent))
            }
            Answer::Deny if row.hook == Hook::Wake.as_str() => {
                (EscalationStatus::Denied, format!("{} sees its messages at its next turn", row.agent))
            }
            Answer::Approve => {
                let words = "approved: repeat the same call within an hour.";
                self.tell_agent(&row, &with_note(words, note), person, now)?;
                (EscalationStatus::Approved, format!("{} may make this call once, within an hour", row.agent))
            }
            Answer::Deny => {
                self.tell_agent(&row, &with_note("denied: do not repeat the call.", note), person, now)?;
                (EscalationStatus::Denied, format!("denied, and {} is told", row.agent))
            }
        };
        let reply = if let Answer::Reply(text) = answer { Some(text) } else { None };
        self.execute(
            "UPDATE escalations SET status = ?2, reply = ?3, note = ?4, resolved_at = ?5, resolved_by = ?6 WHERE id = ?1",
            params![id, status.as_str(), reply, note, now, by.name()],
        )?;
        let data = json!({ "id": id, "action": row.action, "asker": row.asker, "code": row.code,
                           "status": status.as_str() });
        let audience = row.agent_id.map_or(Audience::Nobody, Audience::Member);
        self.event(now, EventKind::Escalation, None, audience, &data)?;
        self.audit(&Entry {
            at: now,
            agent: &by.audit_name(),
            action: "resolve_escalation",
            target: ("escalation", &id.to_string()),
            details: &json!({ "status": status.as_str(), "note": note }).to_string(),
        })?;
        Ok(said)
    }

    /// Sends a person's answer in the agent's name to the asker.
    fn answer_question(
        &self,
        row: &EscalationRow,
        text: &str,
        person: Option<&str>,
        now: Millis,
    ) -> Result<()> {
        let gone =
            || Refusal::not_found(format!("{} is no longer a member", row.agent), "close it with --dismiss");
        let member =
            self.member(&row.agent)?.filter(|member| Some(member.id) == row.agent_id).ok_or_else(gone)?;
        if let Some(message) = row.message_id
            && !self.sender_is_here(message)?
        {
            return Err(Refusal::not_found(
                format!("{} has left the table", row.asker),
                "close it with --dismiss: another agent has the name now, and did not ask",
            )
            .into());
        }
        let agent = member.into_principal(true);
        let sent = self.send_message(&agent, &row.asker, &draft(text, row.message_id, person)?, now)?;
        if let Some(message) = row.message_id {
            self.mark_handled(agent.id, message, Some(sent.id), now)?;
        }
        Ok(())
    }

    /// Tells an agent, in the operator's voice, what became of its held call.
    fn tell_agent(&self, row: &EscalationRow, words: &str, person: Option<&str>, now: Millis) -> Result<()> {
        let holder = self.member(&row.agent)?.filter(|it| it.active && Some(it.id) == row.agent_id);
        let Some(member) = holder else { return Ok(()) };
        let text = format!("Your {} call (escalation {}) was {words}", row.action, row.id);
        self.send_as_operator(&member, &draft(&text, None, person)?, now)
    }
}

fn draft<'a>(text: &'a str, reply_to: Option<i64>, person: Option<&'a str>) -> Result<Draft<'a>, Refusal> {
    let person = person.map(Into::into);
    let draft =
        Draft { content: text.into(), reply_to, idempotency_key: None, origin: Origin::Person, person };
    draft.check().map(|()| draft)
}

fn with_note(text: &str, note: Option<&str>) -> String {
    note.map_or_else(|| text.to_owned(), |note| format!("{text}\nNote: {note}"))
}

fn wrong_kind(id: i64, what: &str, answers: &str) -> Error {
    Refusal::precondition(format!("escalation {id} {what}"), format!("resolve it with {answers}")).into()
}
