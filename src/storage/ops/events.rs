//! The durable event log: what was committed, for whom, in one order for all processes.

use serde_json::Value;

use crate::domain::clock::Millis;
use crate::domain::event::{Audience, Event, EventKind};
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

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
    pub fn last_event(&self) -> Result<i64> {
        Ok(self
            .one("SELECT id FROM events WHERE id > 0 ORDER BY id DESC LIMIT 1", (), |row| row.get(0))?
            .unwrap_or(0))
    }

    /// The first `limit` events after `after` that are meant for a member, in order.
    pub fn events_for(&self, member_id: i64, after: i64, limit: i64) -> Result<Vec<Event>> {
        self.all(
            "SELECT id, at, kind, data FROM (
                 SELECT * FROM (SELECT id, at, kind, data FROM events
                                 WHERE audience = ?1 AND id > ?2 ORDER BY id LIMIT ?3)
                 UNION ALL
                 SELECT * FROM (SELECT id, at, kind, data FROM events
                                 WHERE audience = 0 AND id > ?2 AND actor_id IS NOT ?1 ORDER BY id LIMIT ?3))
             ORDER BY id LIMIT ?3",
            params![member_id, after, limit],
            event,
        )
    }

    /// The first `limit` events after `after`, whomever they are for, in order: each with its audience and
    /// with the member who caused it.
    pub fn events_after(&self, after: i64, limit: i64) -> Result<Vec<(Event, Audience, Option<i64>)>> {
        self.all(
            "SELECT id, at, kind, data, audience, actor_id FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
            [after, limit],
            |row| {
                let audience = match row.get(4)? {
                    Some(0) => Audience::Everyone,
                    Some(id) => Audience::Member(id),
                    None => Audience::Nobody,
                };
                Ok((event(row)?, audience, row.get(5)?))
            },
        )
    }
}

fn event(row: &Row<'_>) -> Result<Event> {
    Ok(Event { id: row.get(0)?, at: row.get(1)?, kind: row.get(2)?, data: row.get(3)? })
}
