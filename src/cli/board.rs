//! `board`: the tasks by state, with what holds them up.

use clap::Args;
use serde_json::{Value, json};

use super::task::{as_json, held_up, listed};
use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{Clock, Millis};
use crate::domain::task::{Status, Task};
use crate::storage::{BOARD_COUNT_CAP, BoardQuery, Result};

/// Characters of a title.
const TITLE: usize = 100;

#[derive(Debug, Args)]
pub(super) struct BoardArguments {
    /// At most so many tasks of each state, the newest
    #[arg(long, default_value_t = 10)]
    limit: u32,
}

/// The tasks of one state.
struct Column {
    status: Status,
    count: i64,
    tasks: Vec<(Task, Vec<i64>)>,
}

pub(super) fn run(config: &Config, arguments: &BoardArguments) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let now = db.now(&Clock::System);
    let columns: Vec<Column> = db.read(|tx| {
        let column = |(status, count)| {
            let query =
                BoardQuery { status: Some(status), limit: arguments.limit.into(), ..BoardQuery::default() };
            let tasks =
                tx.board(&query)?.rows.into_iter().map(|task| listed(tx, task)).collect::<Result<_>>()?;
            Ok(Column { status, count, tasks })
        };
        tx.board_counts()?.into_iter().map(column).collect()
    })?;
    if output::is_json() {
        let columns: Vec<Value> = columns.into_iter().map(|column| column_json(column, now)).collect();
        return Ok(output::json(&json!({ "columns": columns }))?);
    }
    if columns.iter().all(|column| column.count == 0) {
        return Ok(output::line(
            "there are no tasks yet: agents post them with create_task; team-table setup seats agents",
        )?);
    }
    for Column { status, count, tasks } in columns.iter().filter(|column| column.count > 0) {
        let many = if *count >= BOARD_COUNT_CAP { " or more" } else { "" };
        output::line(&format!("{} ({count}{many})", status.as_str()))?;
        for (task, waits_for) in tasks {
            output::line(&line(task, waits_for, now))?;
        }
        if i64::try_from(tasks.len()).is_ok_and(|shown| shown < *count) {
            let oldest = tasks.last().map_or(String::new(), |(task, _)| format!(" --before {}", task.id));
            output::line(&format!("    … team-table task list --status {}{oldest}", status.as_str()))?;
        }
    }
    Ok(())
}

/// A task on one line; `!` where somebody should look.
fn line(task: &Task, waits_for: &[i64], now: Millis) -> String {
    let held_up = held_up(task, waits_for, now);
    let mark = if task.is_stale(now) || task.status == Status::Blocked { '!' } else { ' ' };
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

fn column_json(column: Column, now: Millis) -> Value {
    let Column { status, count, tasks } = column;
    let tasks: Vec<Value> =
        tasks.into_iter().map(|(task, waits_for)| as_json(task, &waits_for, now)).collect();
    json!({ "status": status.as_str(), "count": count, "tasks": tasks })
}
