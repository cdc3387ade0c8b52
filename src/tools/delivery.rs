//! Messages that were handed out and may not have arrived. They are marked as read in the transaction that handed them
//! out; when the answer does not reach the agent, the mark is taken back.

use std::fmt;

use crate::storage::Db;

/// The messages of one answer. Dropped without [`Delivery::arrived`], they are unread again.
pub struct Delivery {
    db: Db,
    member: i64,
    ids: Vec<i64>,
}

impl Delivery {
    pub(super) const fn new(db: Db, member: i64, ids: Vec<i64>) -> Self {
        Self { db, member, ids }
    }

    /// The answer has reached the agent, as far as can be told.
    pub fn arrived(mut self) {
        self.ids.clear();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let (member, ids) = (self.member, std::mem::take(&mut self.ids));
        tracing::debug!(member, ?ids, "an answer did not arrive: its messages are unread again");
        self.db.write_later(move |tx| tx.mark_unread(member, &ids));
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("member", &self.member)
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}
