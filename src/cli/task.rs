//! `task`: the tasks, and one with all that belongs to it.

use clap::Subcommand;
use serde_json::json;

use super::listing::Before;
use super::view_source::ViewSource;
use super::{CliError, output};
use crate::domain::task::{Priority, Status};
use crate::operator::views::{TaskList, TaskListData, TaskShow, TaskShowData};
use crate::storage::TaskRef;

/// Characters of a title in a list.
const TITLE: usize = 80;

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// List tasks, newest first
    List {
        /// Only in this state: pending, `in_progress`, blocked, `awaiting_review`, done or cancelled
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        /// Only this agent's; "" for those of nobody
        #[arg(long)]
        assignee: Option<String>,
        /// Only those that this agent posted
        #[arg(long)]
        creator: Option<String>,
        /// Only of this priority: high, medium or low
        #[arg(long, value_parser = priority)]
        priority: Option<Priority>,
        /// Only those that could be begun now
        #[arg(long)]
        ready: bool,
        #[command(flatten)]
        page: Before,
    },
    /// One task: what it waits for, what waits for it, its texts and its changes
    Show {
        /// Its number
        number: i64,
    },
}

fn status(word: &str) -> Result<Status, String> {
    Status::parse(word).map_err(|refusal| refusal.hint)
}

fn priority(word: &str) -> Result<Priority, String> {
    Priority::parse(word).map_err(|refusal| refusal.hint)
}

pub(super) fn run(source: &ViewSource<'_>, command: TaskCommand) -> Result<(), CliError> {
    match command {
        TaskCommand::List { status, assignee, creator, priority, ready, page } => {
            let Before { before, limit } = page;
            list(source, &TaskList { status, assignee, creator, priority, ready, before, limit })
        }
        TaskCommand::Show { number } => show(source, number),
    }
}

fn list(source: &ViewSource<'_>, query: &TaskList) -> Result<(), CliError> {
    let list = source.view(query)?;
    if output::is_json() {
        return Ok(output::json(&json!(list))?);
    }
    let TaskListData { tasks, next } = list;
    let rows = tasks.into_iter().map(|listed| {
        let (held_up, task) = (listed.held_up(), listed.task);
        [
            task.id.to_string(),
            task.status.as_str().to_owned(),
            held_up,
            task.priority.as_str().to_owned(),
            task.assignee,
            task.creator,
            output::local(&task.updated_at),
            output::first_line(&task.title, TITLE),
        ]
    });
    let header = ["N", "STATUS", "HELD UP", "PRIORITY", "ASSIGNEE", "CREATOR", "CHANGED", "TITLE"];
    let is_all = query.status.is_none() && query.assignee.is_none() && query.creator.is_none();
    let empty = match (next, is_all && query.priority.is_none() && !query.ready && query.before.is_none()) {
        (Some(_), _) => "no task of those looked at matches",
        (None, true) => "there are no tasks yet: agents post them with create_task",
        (None, false) => "no task matches: team-table task list shows them all",
    };
    output::table(header, &["CREATOR", "CHANGED", "PRIORITY"], rows, empty)?;
    Ok(output::more(next)?)
}

fn show(source: &ViewSource<'_>, number: i64) -> Result<(), CliError> {
    let story = source.view(&TaskShow { number })?;
    if output::is_json() {
        return Ok(output::json(&json!(story))?);
    }
    let TaskShowData {
        task: listed,
        assignee_seen,
        depends_on,
        needed_by,
        parts,
        part_of,
        thread_id,
        changes,
    } = story;
    let (held_up, task) = (listed.held_up(), listed.task);
    let field = |name: &str, text: &str| match text {
        "" => Ok(()),
        text => output::line(&format!("{name:<9} {}", output::visible(text))),
    };
    field("task", &format!("{} {}", task.id, task.title))?;
    let comma = if held_up.is_empty() { "" } else { ", " };
    field("status", &format!("{}{comma}{held_up}", task.status.as_str()))?;
    field("priority", task.priority.as_str())?;
    let seen = assignee_seen.map(|at| format!(", last seen {}", output::local(&at)));
    match task.assignee.as_str() {
        "" => field("assignee", "nobody yet")?,
        name => field("assignee", &format!("{name}{}", seen.unwrap_or_default()))?,
    }
    field("creator", &task.creator)?;
    field("reviewer", &task.reviewer)?;
    field("posted", &output::local(&task.created_at))?;
    field("changed", &output::local(&task.updated_at))?;
    if let Some(parent) = part_of {
        field("part of", &named(&parent))?;
    }
    for (name, tasks) in [("waits for", depends_on), ("needed by", needed_by), ("parts", parts)] {
        if !tasks.is_empty() {
            output::line(name)?;
            tasks.iter().try_for_each(|task| output::quote(&named(task)))?;
        }
    }
    for (name, text) in [("description", &task.description), ("result", &task.result)] {
        if !text.trim().is_empty() {
            output::line(name)?;
            output::quote(text)?;
        }
    }
    if !changes.is_empty() {
        output::line("changes")?;
    }
    for row in changes {
        let [agent, action, details] =
            [&row.agent, &row.action, &row.details.to_string()].map(|text| output::visible(text));
        output::line(&format!("    {} {agent} {action} {details}", output::local(&row.at)))?;
    }
    if let Some(thread) = thread_id {
        output::line(&format!("what its members were told: team-table message thread {thread}"))?;
    }
    Ok(())
}

fn named(task: &TaskRef) -> String {
    format!("#{} {}: {}", task.id, task.status.as_str(), output::first_line(&task.title, TITLE))
}
