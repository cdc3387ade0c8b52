//! `board`: the tasks by state, with what holds them up.

use clap::Args;
use serde_json::json;

use super::view_source::ViewSource;
use super::{CliError, output};
use crate::domain::task::Status;
use crate::operator::views::{Board, BoardData, Column, ListedTask};
use crate::storage::BOARD_COUNT_CAP;

/// Characters of a title.
const TITLE: usize = 100;

#[derive(Debug, Args)]
pub(super) struct BoardArguments {
    /// At most so many tasks of each state, the newest
    #[arg(long, default_value_t = 10)]
    limit: u32,
}

pub(super) fn run(source: &ViewSource<'_>, arguments: &BoardArguments) -> Result<(), CliError> {
    let board = source.view(&Board { limit: arguments.limit })?;
    if output::is_json() {
        return Ok(output::json(&json!(board))?);
    }
    let BoardData { columns } = board;
    if columns.iter().all(|column| column.count == 0) {
        return Ok(output::line(
            "there are no tasks yet: agents post them with create_task; team-table setup seats agents",
        )?);
    }
    for Column { status, count, tasks } in columns.iter().filter(|column| column.count > 0) {
        let many = if *count >= BOARD_COUNT_CAP { " or more" } else { "" };
        output::line(&format!("{} ({count}{many})", status.as_str()))?;
        for task in tasks {
            output::line(&line(task))?;
        }
        if i64::try_from(tasks.len()).is_ok_and(|shown| shown < *count) {
            let oldest = tasks.last().map_or(String::new(), |last| format!(" --before {}", last.task.id));
            output::line(&format!("    … team-table task list --status {}{oldest}", status.as_str()))?;
        }
    }
    Ok(())
}

/// A task on one line; `!` where somebody should look.
fn line(listed: &ListedTask) -> String {
    let (task, held_up) = (&listed.task, listed.held_up());
    let mark = if task.stale || task.status == Status::Blocked { '!' } else { ' ' };
    let assignee = if task.assignee.is_empty() { "nobody" } else { &task.assignee };
    let title = output::visible(&output::first_line(&task.title, TITLE));
    let comma = if held_up.is_empty() { "" } else { ", " };
    format!(
        "  {mark} #{} {title} [{}, {}{comma}{held_up}]",
        task.id,
        output::visible(assignee),
        task.priority.as_str()
    )
}
