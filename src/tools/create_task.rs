//! `create_task`: post a task to the board.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use super::params;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Priority, TaskDraft};
use crate::storage::{FactScope, Result, WriteTx};

fn default_priority() -> String {
    Priority::Medium.as_str().to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTask {
    title: String,
    creator: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    assignee: String,
    #[serde(default = "default_priority")]
    #[schemars(extend("enum" = ["high", "medium", "low"]))]
    priority: String,
    /// ids of tasks to be done first
    #[serde(default, deserialize_with = "params::list")]
    depends_on: Vec<i64>,
    #[serde(default, deserialize_with = "params::optional_integer")]
    parent_id: Option<i64>,
    /// who must approve it; not the assignee
    #[serde(default)]
    reviewer: String,
    #[serde(default)]
    idempotency_key: Option<String>,
}

impl CreateTask {
    fn draft(&self) -> Result<TaskDraft, Refusal> {
        let draft = TaskDraft {
            title: self.title.clone(),
            description: self.description.clone(),
            assignee: self.assignee.clone(),
            priority: Priority::parse(&self.priority)?,
            depends_on: self.depends_on.clone(),
            parent_id: self.parent_id,
            reviewer: self.reviewer.clone(),
            idempotency_key: self.idempotency_key.clone(),
        };
        draft.check().map(|()| draft)
    }
}

impl Call for CreateTask {
    fn name(&self) -> Option<&str> {
        Some(&self.creator)
    }

    fn check(&self) -> Result<(), Refusal> {
        self.draft().map(|_| ())
    }

    fn target(&self, scope: &mut FactScope) {
        scope.member = (!self.assignee.is_empty()).then(|| self.assignee.clone());
        scope.task = self.parent_id;
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let task = tx.create_task(context.member()?, &self.draft()?, context.now)?;
        body(&task.view(context.now))
    }
}
