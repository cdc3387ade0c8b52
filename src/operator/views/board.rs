//! `board`: the tasks by state.

use serde::{Deserialize, Serialize};

use super::{ListedTask, View};
use crate::domain::clock::Millis;
use crate::domain::person::Actor;
use crate::domain::task::Status;
use crate::storage::{BoardQuery, ReadTx, Result};

/// The board to show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Board {
    /// At most so many tasks of each state, the newest.
    pub limit: u32,
}

/// The board.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BoardData {
    /// The states, in the order of a task's life.
    pub columns: Vec<Column>,
}

/// The tasks of one state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    /// The state.
    pub status: Status,
    /// How many tasks there are, counted up to [`BOARD_COUNT_CAP`](crate::storage::BOARD_COUNT_CAP).
    pub count: i64,
    /// The newest of them.
    pub tasks: Vec<ListedTask>,
}

impl View for Board {
    const NAME: &'static str = "board";
    type Data = BoardData;

    fn limit(&self) -> u32 {
        self.limit
    }

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, now: Millis) -> Result<BoardData> {
        let column = |(status, count)| {
            let query =
                BoardQuery { status: Some(status), limit: self.limit.into(), ..BoardQuery::default() };
            let tasks = tx.board(&query)?.rows.into_iter().map(|task| ListedTask::read(tx, task, now));
            Ok(Column { status, count, tasks: tasks.collect::<Result<_>>()? })
        };
        let columns = tx.board_counts()?.into_iter().map(column).collect::<Result<_>>()?;
        Ok(BoardData { columns })
    }
}
