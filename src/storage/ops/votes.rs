//! Approvals of held calls that need several persons.

use serde::Serialize;
use serde_json::json;

use super::audit::Entry;
use super::escalations::EscalationRow;
use crate::domain::clock::Millis;
use crate::domain::escalation::OPERATOR;
use crate::domain::event::{Audience, EventKind};
use crate::domain::person::Actor;
use crate::domain::refusal::Refusal;
use crate::storage::error::Result;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// That one of several persons has approved a held call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// Who.
    pub person: String,
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// For the record.
    pub note: Option<String>,
}

impl ReadTx<'_> {
    /// Who has approved a call that several persons must approve, in the order in which they did.
    pub fn votes(&self, escalation: i64) -> Result<Vec<Vote>> {
        self.all(
            "SELECT person, at, note FROM approvals WHERE escalation_id = ?1 ORDER BY at, person",
            [escalation],
            |row| Ok(Vote { person: row.get("person")?, at: row.get("at")?, note: row.get("note")? }),
        )
    }
}

impl WriteTx<'_> {
    /// Counts an approval of a held call in; says how many are missing while there are some.
    pub(super) fn vote(
        &self,
        by: &Actor,
        row: &EscalationRow,
        note: Option<&str>,
        now: Millis,
    ) -> Result<Option<String>> {
        if row.approvals < 2 {
            return Ok(None);
        }
        let voted = self.execute(
            "INSERT OR IGNORE INTO approvals (escalation_id, person, at, note) VALUES (?1, ?2, ?3, ?4)",
            params![row.id, by.name(), now, note],
        )?;
        if voted == 0 {
            return Err(Refusal::precondition(
                format!("{} has approved escalation {} already", by.name(), row.id),
                format!("it needs {} persons: another one must approve it too", row.approvals),
            )
            .into());
        }
        // A person who was removed, or does not decide for the agent any more, has no vote.
        let mut given = 0_i64;
        for vote in self.votes(row.id)? {
            let counts = vote.person == OPERATOR
                || self.person(&vote.person)?.is_some_and(|person| person.decides_for(&row.agent));
            given += i64::from(counts);
        }
        if given >= row.approvals {
            return Ok(None);
        }
        let data = json!({ "id": row.id, "action": row.action, "asker": row.asker, "code": row.code,
                           "status": row.status, "approvals": given });
        self.event(now, EventKind::Escalation, None, Audience::Nobody, &data)?;
        self.audit(&Entry {
            at: now,
            agent: &by.audit_name(),
            action: "approve_escalation",
            target: ("escalation", &row.id.to_string()),
            details: &json!({ "approvals": given, "needed": row.approvals, "note": note }).to_string(),
        })?;
        Ok(Some(format!("approved by {given} of {}: another person must approve it too", row.approvals)))
    }
}
