//! `task`: the tasks, and one with all that belongs to it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::listing::Before;
use super::{CliError, audit, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{Clock, Millis};
use crate::domain::refusal::Refusal;
use crate::domain::task::{Priority, Status, Task};
use crate::storage::{BoardQuery, Page, ReadTx, Result, TaskRef, TaskStory};

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

pub(super) fn run(config: &Config, command: TaskCommand) -> Result<(), CliError> {
    match command {
        TaskCommand::List { status, assignee, creator, priority, ready, page } => {
            let Before { before, limit } = page;
            let limit = limit.into();
            list(config, &BoardQuery { status, assignee, creator, priority, ready, before, limit })
        }
        TaskCommand::Show { number } => show(config, number),
    }
}

/// A task in a list, with the numbers of the tasks that it still waits for.
pub(super) fn listed(tx: &ReadTx<'_>, task: Task) -> Result<(Task, Vec<i64>)> {
    let waits_for = if task.unmet > 0 { tx.unmet_dependencies(task.id)? } else { Vec::new() };
    Ok((task, waits_for))
}

/// What holds a task up: "stale", "waits for #3, #4"; empty when nothing does.
pub(super) fn held_up(task: &Task, waits_for: &[i64], now: Millis) -> String {
    if task.is_stale(now) {
        return "stale".to_owned();
    }
    if waits_for.is_empty() || task.status.is_final() {
        return String::new();
    }
    let numbers: Vec<_> = waits_for.iter().map(|id| format!("#{id}")).collect();
    format!("waits for {}", numbers.join(", "))
}

/// A task for programs.
pub(super) fn as_json(task: Task, waits_for: &[i64], now: Millis) -> Value {
    let mut value = json!(task.view(now));
    if let Some(fields) = value.as_object_mut() {
        fields.insert("waits_for".into(), json!(waits_for));
    }
    value
}

fn list(config: &Config, query: &BoardQuery) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let now = db.now(&Clock::System);
    let Page { rows, next } = db.read(|tx| {
        let Page { rows, next } = tx.board(query)?;
        let rows = rows.into_iter().map(|task| listed(tx, task)).collect::<Result<Vec<_>>>()?;
        Ok(Page { rows, next })
    })?;
    if output::is_json() {
        let tasks: Vec<Value> =
            rows.into_iter().map(|(task, waits_for)| as_json(task, &waits_for, now)).collect();
        return Ok(output::json(&json!({ "tasks": tasks, "next": next }))?);
    }
    let rows = rows.iter().map(|(task, waits_for)| {
        [
            task.id.to_string(),
            task.status.as_str().to_owned(),
            held_up(task, waits_for, now),
            task.priority.as_str().to_owned(),
            task.assignee.clone(),
            task.creator.clone(),
            output::local_time(task.updated_at),
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

fn show(config: &Config, number: i64) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let now = db.now(&Clock::System);
    let (story, unmet) = db.read(|tx| Ok((tx.task_story(number)?, tx.unmet_dependencies(number)?)))?;
    let story = story.ok_or_else(|| {
        Refusal::not_found(format!("there is no task {number}"), "team-table task list shows them")
    })?;
    if output::is_json() {
        return Ok(output::json(&story_json(story, &unmet, now))?);
    }
    let TaskStory { task, waits_for, needed_by, children, parent, thread_id, changes } = story;
    let field = |name: &str, text: &str| match text {
        "" => Ok(()),
        text => output::line(&format!("{name:<9} {}", output::visible(text))),
    };
    field("task", &format!("{} {}", task.id, task.title))?;
    let held_up = held_up(&task, &unmet, now);
    let comma = if held_up.is_empty() { "" } else { ", " };
    field("status", &format!("{}{comma}{held_up}", task.status.as_str()))?;
    field("priority", task.priority.as_str())?;
    let seen = task.assignee_seen.map(|at| format!(", last seen {}", output::local_time(at)));
    match task.assignee.as_str() {
        "" => field("assignee", "nobody yet")?,
        name => field("assignee", &format!("{name}{}", seen.unwrap_or_default()))?,
    }
    field("creator", &task.creator)?;
    field("reviewer", &task.reviewer)?;
    field("posted", &output::local_time(task.created_at))?;
    field("changed", &output::local_time(task.updated_at))?;
    if let Some(parent) = parent {
        field("part of", &named(&parent))?;
    }
    for (name, tasks) in [("waits for", waits_for), ("needed by", needed_by), ("parts", children)] {
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
        let (at, agent) = (output::local_time(row.at), output::visible(&row.agent));
        output::line(&format!("    {at} {agent} {} {}", row.action, output::visible(&row.details)))?;
    }
    if let Some(thread) = thread_id {
        output::line(&format!("what its members were told: team-table message thread {thread}"))?;
    }
    Ok(())
}

fn named(task: &TaskRef) -> String {
    format!("#{} {}: {}", task.id, task.status.as_str(), output::first_line(&task.title, TITLE))
}

fn story_json(story: TaskStory, unmet: &[i64], now: Millis) -> Value {
    let one = |task: &TaskRef| json!({ "id": task.id, "title": task.title, "status": task.status.as_str() });
    let all = |tasks: &[TaskRef]| tasks.iter().map(one).collect::<Vec<_>>();
    json!({
        "depends_on": all(&story.waits_for),
        "needed_by": all(&story.needed_by),
        "parts": all(&story.children),
        "part_of": story.parent.as_ref().map(one),
        "thread_id": story.thread_id,
        "changes": story.changes.iter().map(audit::as_json).collect::<Vec<_>>(),
        "task": as_json(story.task, unmet, now),
    })
}
