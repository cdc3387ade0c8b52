//! Committed facts in the durable log, as streams deliver them.

use serde::Serialize;

use super::clock::Millis;

/// What an event says happened. The first six are delivered on event streams; the rest are in the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A direct message for the agent.
    Message,
    /// A message for everyone.
    Broadcast,
    /// A task was posted for the agent or given to it, or is there for anyone.
    TaskAssigned,
    /// A task changed.
    TaskUpdated,
    /// A context entry changed.
    ContextUpdated,
    /// Something waits for the agent's person, or was answered.
    Escalation,
    /// A member joined, left, or got another role or token.
    Member,
    /// Messages were marked as read.
    Read,
    /// The session of an agent was rung.
    Wake,
    /// A person was invited or removed, or a session of theirs began or ended.
    Person,
}

impl EventKind {
    /// The word in the database and on the stream.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Broadcast => "broadcast",
            Self::TaskAssigned => "task_assigned",
            Self::TaskUpdated => "task_updated",
            Self::ContextUpdated => "context_updated",
            Self::Escalation => "escalation",
            Self::Member => "member",
            Self::Read => "read",
            Self::Wake => "wake",
            Self::Person => "person",
        }
    }
}

/// Whom an event is delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Every agent but the one who caused it.
    Everyone,
    /// One member, by row id.
    Member(i64),
    /// No agent: it is in the log for the record.
    Nobody,
}

/// An event as read back for a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Number in the log; a stream resumes after it.
    pub id: i64,
    /// When it was committed.
    pub at: Millis,
    /// One of [`EventKind`]'s words.
    pub kind: String,
    /// Ids and names, never message bodies: a JSON object on one line.
    pub data: String,
}
