//! A question or a held call that waits for a person.

use super::clock::{HOUR, Millis};

/// How long an approval lets the same call pass, once.
pub const APPROVAL_LASTS: Millis = HOUR;

/// The most persons that a policy's entry in the set file can want to approve a call that the policy holds.
pub const MAX_APPROVALS: i64 = 5;

/// How often an open escalation is announced again before it counts as overdue.
pub const MAX_REMINDERS: i64 = 3;

/// The voice in which a person's decision reaches an agent. No agent can take this name.
pub const OPERATOR: &str = "operator";

/// Where an escalation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscalationStatus {
    /// Waiting for a person.
    Open,
    /// A held call may pass once.
    Approved,
    /// A held call may not pass.
    Denied,
    /// A question was answered, or closed without an answer.
    Resolved,
}

impl EscalationStatus {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Resolved => "resolved",
        }
    }
}
