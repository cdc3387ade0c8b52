//! An escalation as programs get it: on the standard input of the person's command, and from `escalation show --json`.

use serde_json::{Value, json};

use crate::domain::clock;
use crate::domain::escalation::MAX_REMINDERS;
use crate::domain::message::Message;
use crate::storage::EscalationRow;

/// Messages of the thread that are shown around the one in question.
pub const THREAD: i64 = 20;

/// `{"escalation": …, "thread": […]}`: times in ISO 8601, arguments and facts as JSON.
#[must_use]
pub fn payload(row: &EscalationRow, thread: Vec<Message>) -> Value {
    let thread: Vec<_> = thread.into_iter().map(|message| message.view(None)).collect();
    json!({ "escalation": escalation(row), "thread": thread })
}

/// The escalation alone.
#[must_use]
pub fn escalation(row: &EscalationRow) -> Value {
    let mut value = json!(row);
    if let Some(fields) = value.as_object_mut() {
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
