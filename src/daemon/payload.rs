//! An escalation as programs get it: on the standard input of the person's command, and from `escalation show --json`.

use serde_json::{Value, json};

use crate::domain::clock;
use crate::domain::escalation::MAX_REMINDERS;
use crate::domain::message::Message;
use crate::storage::{self, EscalationRow, ReadTx, Vote};

/// Messages of the thread that are shown around the one in question.
pub const THREAD: i64 = 20;

/// An escalation with the messages that belong to it.
#[derive(Debug)]
pub struct Escalation {
    /// The row.
    pub row: EscalationRow,
    /// The last [`THREAD`] messages of its thread, oldest first.
    pub thread: Vec<Message>,
    /// What came since and is not answered while this one is open, oldest first: messages of its thread, or of the whole
    /// inbox if it holds that.
    pub waiting: Vec<Message>,
    /// Who has approved a held call that needs several persons.
    pub votes: Vec<Vote>,
}

impl Escalation {
    /// Reads what belongs to an escalation.
    ///
    /// # Errors
    /// Those of storage.
    pub fn read(tx: &ReadTx<'_>, row: EscalationRow) -> storage::Result<Self> {
        let thread = row.thread_id.map(|thread| tx.thread(thread, THREAD)).transpose()?.unwrap_or_default();
        let (waiting, votes) = (tx.waiting_with(&row)?, votes(tx, &row)?);
        Ok(Self { row, thread, waiting, votes })
    }

    /// `{"escalation": …, "thread": […], "waiting": […]}`: times in ISO 8601, arguments and facts as JSON.
    #[must_use]
    pub fn payload(self) -> Value {
        let views = |messages: Vec<Message>| -> Vec<_> {
            messages.into_iter().map(|message| message.view(None)).collect()
        };
        json!({ "escalation": escalation(&self.row, &self.votes), "thread": views(self.thread), "waiting": views(self.waiting) })
    }
}

/// Who has approved a held call that needs several persons; of others nobody is kept here.
///
/// # Errors
/// Those of storage.
pub fn votes(tx: &ReadTx<'_>, row: &EscalationRow) -> storage::Result<Vec<Vote>> {
    if row.approvals > 1 { tx.votes(row.id) } else { Ok(Vec::new()) }
}

/// How far a held call that needs several persons is: `1 of 2 approvals: anna`. None where one person decides.
#[must_use]
pub fn approvals(row: &EscalationRow, votes: &[Vote]) -> Option<String> {
    let names: Vec<_> = votes.iter().map(|vote| vote.person.as_str()).collect();
    let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    (row.approvals > 1).then(|| format!("{} of {} approvals{names}", votes.len(), row.approvals))
}

/// The escalation alone.
#[must_use]
pub fn escalation(row: &EscalationRow, votes: &[Vote]) -> Value {
    let mut value = json!(row);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("approved_by".into(), votes.iter().map(|vote| vote.person.as_str()).collect());
        fields.insert("status".into(), status(row).into());
        fields.insert("created_at".into(), clock::format(row.created_at).into());
        fields.insert("resolved_at".into(), json!(row.resolved_at.map(clock::format)));
        fields.insert("used_at".into(), json!(row.used_at.map(clock::format)));
        for field in ["arguments", "facts"] {
            let text = fields.get(field).and_then(Value::as_str).unwrap_or_default();
            let parsed = serde_json::from_str(text).unwrap_or(Value::Null);
            fields.insert(field.into(), parsed);
        }
    }
    value
}

/// The status a person reads: an open one that was announced often enough is overdue.
#[must_use]
pub fn status(row: &EscalationRow) -> &str {
    if row.status == "open" && row.reminders >= MAX_REMINDERS { "overdue" } else { &row.status }
}
