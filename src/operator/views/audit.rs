//! A row of the audit log.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::clock;
use crate::storage::AuditRow;

/// A row of the audit log, for programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditView {
    /// Number.
    pub id: i64,
    /// When, in ISO 8601.
    pub at: String,
    /// Who acted.
    pub agent: String,
    /// The tool or command.
    pub action: String,
    /// Type of what was acted on.
    pub target_type: String,
    /// Id of what was acted on.
    pub target_id: String,
    /// What changed.
    pub details: Value,
    /// The decision that allowed it.
    pub decision_id: Option<i64>,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: clock::format(row.at),
            details: serde_json::from_str(&row.details).unwrap_or_default(),
            agent: row.agent,
            action: row.action,
            target_type: row.target_type,
            target_id: row.target_id,
            decision_id: row.decision_id,
        }
    }
}
