//! The durable event log: what was committed, for whom, in one order for all processes.

use rusqlite::params;
use serde_json::Value;

use super::error::Result;
use super::tx::{ReadTx, WriteTx};
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, Event, EventKind};

impl WriteTx<'_> {
    /// Adds an event. `actor` is not told of what it did itself.
    pub(super) fn event(
        &self,
        at: Millis,
        kind: EventKind,
        actor: Option<i64>,
        audience: Audience,
        data: &Value,
    ) -> Result<i64> {
        let audience = match audience {
            Audience::Everyone => Some(0),
            Audience::Member(id) => Some(id),
            Audience::Nobody => None,
        };
        self.insert(
            "INSERT INTO events (at, kind, actor_id, audience, data) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![at, kind.as_str(), actor, audience, data.to_string()],
        )
    }
}

impl ReadTx<'_> {
    /// The number of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn last_event(&self) -> Result<i64> {
        Ok(self
            .one("SELECT id FROM events WHERE id > 0 ORDER BY id DESC LIMIT 1", [], |row| row.get(0))?
            .unwrap_or(0))
    }

    /// The first `limit` events after `after` that are meant for a member, in order.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn events_for(&self, member_id: i64, after: i64, limit: i64) -> Result<Vec<Event>> {
        let rows = self.all(
            "SELECT id, at, kind, data FROM (
                 SELECT * FROM (SELECT id, at, kind, data FROM events
                                 WHERE audience = ?1 AND id > ?2 ORDER BY id LIMIT ?3)
                 UNION ALL
                 SELECT * FROM (SELECT id, at, kind, data FROM events
                                 WHERE audience = 0 AND id > ?2 AND actor_id IS NOT ?1 ORDER BY id LIMIT ?3))
             ORDER BY id LIMIT ?3",
            params![member_id, after, limit],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?)),
        )?;
        rows.into_iter()
            .map(|(id, at, kind, data)| Ok(Event { id, at, kind, data: serde_json::from_str(&data)? }))
            .collect()
    }

    /// Number and audience (a member's id, 0 for everyone) of the events after `after`, in order.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn audiences_after(&self, after: i64, limit: i64) -> Result<Vec<(i64, Option<i64>)>> {
        self.all(
            "SELECT id, audience FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
            [after, limit],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}
