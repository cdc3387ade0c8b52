//! Sessions that take a name by themselves.

use serde_json::Map;

use super::super::registry;
use super::super::reply::{Reply, Request, Transport};
use super::super::{NEWCOMERS_TOOL, Table};

impl Table {
    /// Registers a session under the name that its first hook reserved for it, as a call like any other; its answer. `None`
    /// where no name is reserved.
    pub async fn sit_down(&self, seats: &[String]) -> Option<Reply> {
        let register = registry::find(NEWCOMERS_TOOL)?;
        if seats.is_empty() {
            return None;
        }
        let (db, keys) = (self.inner.db.clone(), seats.to_vec());
        let seat = tokio::task::spawn_blocking(move || db.read_hot(|tx| tx.first_seat(&keys))).await;
        let seat = seat.ok()?.ok()??;
        let mut arguments = Map::new();
        arguments.insert("name".into(), seat.reserved?.into());
        arguments.insert("role".into(), seat.role?.into());
        let (tool, transport, seats) = (NEWCOMERS_TOOL.to_owned(), Transport::Stdio, seats.to_vec());
        let request = Request { tool, arguments, bearer: None, transport, seats };
        Some(self.attempts(register, request).await.arrived())
    }
}
