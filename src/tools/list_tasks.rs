//! `list_tasks`: the board, filtered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Call, Context, Preview, Target, body};
use super::{check_limit, default_limit, params};
use crate::domain::refusal::Refusal;
use crate::domain::task::{Status, TaskView};
use crate::storage::{ReadTx, Result, TaskQuery};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTasks {
    #[serde(default)]
    #[schemars(extend("enum" = ["pending", "in_progress", "blocked", "awaiting_review", "done", "cancelled"]))]
    status: String,
    #[serde(default)]
    assignee: String,
    #[serde(default)]
    reviewer: String,
    #[serde(default)]
    agent_name: Option<String>,
    /// only those that can be started now
    #[serde(default, deserialize_with = "params::boolean")]
    ready: bool,
    #[serde(default = "default_limit", deserialize_with = "params::integer")]
    limit: i64,
    /// next page: last id seen
    #[serde(default, deserialize_with = "params::optional_integer")]
    after_id: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Tasks {
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    tasks: Vec<TaskView>,
    remaining: i64,
}

impl ListTasks {
    fn status(&self) -> Result<Option<Status>, Refusal> {
        (!self.status.is_empty()).then(|| Status::parse(&self.status)).transpose()
    }
}

impl Call for ListTasks {
    fn name(&self) -> Option<&str> {
        self.agent_name.as_deref()
    }

    fn check(&self) -> Result<(), Refusal> {
        self.status()?;
        check_limit(self.limit)
    }

    fn lists(&self) -> Option<(Target, &'static str, &'static str)> {
        Some((Target::Task, "tasks", "id"))
    }

    fn preview(&self, tx: &ReadTx<'_>, context: &Context) -> Result<Preview> {
        let (tasks, remaining) = tx.tasks(&TaskQuery {
            status: self.status()?,
            assignee: self.assignee.clone(),
            reviewer: self.reviewer.clone(),
            ready: self.ready,
            after_id: self.after_id.unwrap_or(0),
            limit: self.limit,
        })?;
        let tasks = tasks.into_iter().map(|task| task.view(context.now)).collect();
        Ok(Preview::Answer(body(&Tasks { tasks, remaining })?))
    }
}
