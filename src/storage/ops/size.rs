//! How big the table has become, for the operator's graphs.

use crate::storage::{ReadTx, Result};

/// Numbers of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the database's pages, free ones included.
    pub bytes: u64,
    /// Rows of the audit log.
    pub audit_rows: u64,
    /// Escalations that wait for a person.
    pub open_escalations: u64,
    /// When the oldest of them was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub oldest_open_escalation: Option<i64>,
}

impl ReadTx<'_> {
    /// The size of the table now.
    pub fn size(&self) -> Result<Size> {
        let count = |sql| self.number(sql, ()).map(|count| u64::try_from(count).unwrap_or(0));
        let oldest =
            "SELECT created_at FROM escalations WHERE status = 'open' AND id > 0 ORDER BY id LIMIT 1";
        Ok(Size {
            bytes: u64::try_from(self.bytes()?).unwrap_or(0),
            // Nothing is ever removed from it, so the newest number is the count.
            audit_rows: count("SELECT coalesce(max(id), 0) FROM audit")?,
            open_escalations: count("SELECT count(*) FROM escalations WHERE status = 'open' AND id > 0")?,
            oldest_open_escalation: self.one(oldest, (), |row| row.get(0))?,
        })
    }
}
