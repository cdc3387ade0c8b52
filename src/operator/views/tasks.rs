//! `task list` and `task show`.

use serde::{Deserialize, Serialize};

use super::{AuditView, View};
use crate::domain::clock::{self, Millis};
use crate::domain::person::Actor;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Priority, Status, Task, TaskView};
use crate::storage::{BoardQuery, Page, ReadTx, Result, TaskRef, TaskStory};

/// Which tasks to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TaskList {
    /// Only in this state.
    pub status: Option<Status>,
    /// Only this agent's; `Some("")`: only those of nobody.
    pub assignee: Option<String>,
    /// Only those that this agent posted.
    pub creator: Option<String>,
    /// Only of this priority.
    pub priority: Option<Priority>,
    /// Only those that could be begun now.
    pub ready: bool,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Tasks, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskListData {
    /// The tasks.
    pub tasks: Vec<ListedTask>,
    /// What to pass as `before` for what follows.
    pub next: Option<i64>,
}

/// A task in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListedTask {
    /// The task.
    #[serde(flatten)]
    pub task: TaskView,
    /// The numbers of the tasks that it still waits for.
    pub waits_for: Vec<i64>,
}

impl ListedTask {
    pub(super) fn read(tx: &ReadTx<'_>, task: Task, now: Millis) -> Result<Self> {
        let waits_for = if task.unmet > 0 { tx.unmet_dependencies(task.id)? } else { Vec::new() };
        Ok(Self { task: task.view(now), waits_for })
    }

    /// What holds the task up: `stale`, `waits for #3, #4`; empty when nothing does.
    #[must_use]
    pub fn held_up(&self) -> String {
        if self.task.stale {
            return "stale".to_owned();
        }
        if self.waits_for.is_empty() || self.task.status.is_final() {
            return String::new();
        }
        let numbers: Vec<_> = self.waits_for.iter().map(|id| format!("#{id}")).collect();
        format!("waits for {}", numbers.join(", "))
    }
}

impl View for TaskList {
    const NAME: &'static str = "tasks";
    type Data = TaskListData;

    fn limit(&self) -> u32 {
        self.limit
    }

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, now: Millis) -> Result<TaskListData> {
        let query = BoardQuery {
            status: self.status,
            assignee: self.assignee.clone(),
            creator: self.creator.clone(),
            priority: self.priority,
            ready: self.ready,
            before: self.before,
            limit: self.limit.into(),
        };
        let Page { rows, next } = tx.board(&query)?;
        let tasks = rows.into_iter().map(|task| ListedTask::read(tx, task, now)).collect::<Result<_>>()?;
        Ok(TaskListData { tasks, next })
    }
}

/// One task to show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskShow {
    /// Its number.
    pub number: i64,
}

/// A task with all that belongs to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskShowData {
    /// The task.
    pub task: ListedTask,
    /// When its assignee was last seen.
    pub assignee_seen: Option<String>,
    /// All that it depends on, done or not.
    pub depends_on: Vec<TaskRef>,
    /// What depends on it.
    pub needed_by: Vec<TaskRef>,
    /// The tasks that are parts of it.
    pub parts: Vec<TaskRef>,
    /// The task that it is a part of.
    pub part_of: Option<TaskRef>,
    /// The thread in which members are told of it.
    pub thread_id: Option<i64>,
    /// The audit rows about it, newest first.
    pub changes: Vec<AuditView>,
}

impl View for TaskShow {
    const NAME: &'static str = "task";
    type Data = TaskShowData;

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, now: Millis) -> Result<TaskShowData> {
        let number = self.number;
        let story = tx.task_story(number)?.ok_or_else(|| {
            Refusal::not_found(format!("there is no task {number}"), "team-table task list shows them")
        })?;
        let TaskStory { task, waits_for, needed_by, children, parent, thread_id, changes } = story;
        Ok(TaskShowData {
            assignee_seen: task.assignee_seen.map(clock::format),
            task: ListedTask::read(tx, task, now)?,
            depends_on: waits_for,
            needed_by,
            parts: children,
            part_of: parent,
            thread_id,
            changes: changes.into_iter().map(Into::into).collect(),
        })
    }
}
