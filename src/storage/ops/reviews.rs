//! Messages that an agent's daemon may answer.

use super::messages::read_message;
use crate::domain::escalation::OPERATOR;
use crate::domain::message::Message;
use crate::storage::error::Result;
use crate::storage::tx::ReadTx;
use crate::storage::value::params;

impl ReadTx<'_> {
    /// The oldest messages of an agent after `after` that its daemon may take: unread, not handled yet, and written by
    /// another agent or its daemon or person. What the operator or the task board says is for the agent alone.
    pub fn to_review(&self, agent_id: i64, after: i64, limit: i64) -> Result<Vec<Message>> {
        self.all(
            "SELECT m.* FROM inbox i JOIN messages m ON m.id = i.message_id
              WHERE i.member_id = ?1 AND i.read_at IS NULL AND i.handled_at IS NULL AND i.message_id > ?2
                AND m.sender_id IS NOT ?1 AND m.sender <> ?3 AND m.origin IN ('agent', 'automatic', 'person')
              ORDER BY i.message_id LIMIT ?4",
            params![agent_id, after, OPERATOR, limit],
            read_message,
        )
    }

    /// Whether neither the member has read a message nor its daemon has handled it.
    pub fn is_unhandled(&self, member_id: i64, message_id: i64) -> Result<bool> {
        let unread = self.one(
            "SELECT 1 FROM inbox WHERE member_id = ?1 AND message_id = ?2 AND read_at IS NULL AND handled_at IS NULL",
            [member_id, message_id],
            |_| Ok(()),
        )?;
        Ok(unread.is_some())
    }
}
