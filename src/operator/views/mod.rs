//! What a person looks at in the terminal: what is asked for, what one transaction reads for it, and the data that programs get. On the
//! machine of the table the command line reads it; on another machine the server reads the same and sends it as JSON.

mod audit;
mod board;
mod context;
mod escalations;
mod messages;
mod search;
mod session;
mod tasks;

pub use audit::AuditView;
pub use board::{Board, BoardData, Column};
pub use context::{ContextHeadView, ContextList, ContextListData, ContextShow, ContextShowData, VersionView};
pub use escalations::{
    Decision, DecisionDone, EscalationList, EscalationListData, EscalationShow, EscalationShowData,
    EscalationView, EscalationWatch, EscalationWatchData, ListedEscalation, concerns, of_person,
};
pub use messages::{
    MessageList, MessageListData, MessageThread, MessageThreadData, ThreadMessage, ThreadView,
};
pub use search::{HitView, Search, SearchData};
pub use session::{SessionEnded, SignIn, SignedIn};
pub use tasks::{ListedTask, TaskList, TaskListData, TaskShow, TaskShowData};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::clock::Millis;
use crate::domain::person::Actor;
use crate::storage::{self, Db, ReadTx};

/// Most rows of one answer over the network. A list says how to ask for those that follow.
pub const MAX_LIMIT: u32 = 1_000;

/// A view: what is asked for.
pub trait View: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in an address.
    const NAME: &'static str;
    /// What is shown.
    type Data: Serialize + DeserializeOwned + Send + 'static;

    /// How many rows are asked for.
    fn limit(&self) -> u32 {
        1
    }

    /// Does what must be done before the transaction that reads.
    ///
    /// # Errors
    /// Those of storage.
    fn prepare(&self, _db: &Db) -> storage::Result<()> {
        Ok(())
    }

    /// Reads what `by` is shown.
    ///
    /// # Errors
    /// Those of storage; `not_found` where one thing is asked for that is not there.
    fn read(&self, tx: &ReadTx<'_>, by: &Actor, now: Millis) -> storage::Result<Self::Data>;
}
