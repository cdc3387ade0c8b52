//! The operations on a table: methods of `ReadTx` and `WriteTx`, one file for each table family. They hold the rules that
//! a change must keep (ownership, audit row, event, idempotency). Must not depend on an engine.

#![expect(
    clippy::missing_errors_doc,
    reason = "every operation can fail with `storage::Error`; an Errors section names what else it refuses"
)]

mod acts;
mod agents;
mod audit;
mod browse;
mod context;
mod decision_counts;
mod decisions;
mod escalations;
mod events;
mod facts;
mod handover;
mod inbox;
mod leases;
mod listing;
mod messages;
mod passkeys;
mod persons;
mod reviews;
mod search;
mod search_index;
mod seats;
mod size;
mod steady;
mod tasks;
mod upkeep;
mod voice;
mod votes;

pub use acts::Recipient;
pub use agents::{Claim, Registration};
pub use audit::{AuditFilter, AuditRow, ChainReport, POLICY_SET, PolicyChange};
pub use browse::{
    BOARD_COUNT_CAP, BoardQuery, ContextHead, ContextVersion, Page, THREAD_COUNT_CAP, TaskRef, TaskStory,
    ThreadQuery, ThreadRow, WALK,
};
pub use context::ContextWrite;
pub use decision_counts::{DecisionCount, DecisionCounts, MAX_BUCKETS};
pub use decisions::{DecisionFilter, DecisionRecord, DecisionRow, KEEP_BYTES, KEEP_FOR, REFUSED_BYTES};
pub use escalations::{Answer, Approval, EscalationRow, NewEscalation};
pub use facts::{FactScope, ReviewScope};
pub use inbox::{InboxMessage, InboxPage, InboxQuery, Unread};
pub use listing::REMAINING_CAP;
pub use passkeys::PasskeyRow;
pub use persons::{Invitation, Session};
pub use search::{Excerpt, Hit, Place, SearchKind, SearchQuery};
pub use seats::{DueWake, NewSeat, WakeScope};
pub use size::Size;
pub use steady::CLOCK_TOLERANCE;
pub use tasks::TaskQuery;
pub use upkeep::{LastDone, ProcessRow, Upkeep};
pub use votes::Vote;

pub(super) use audit::Entry as AuditEntry;
pub(super) use steady::Steady;
