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
pub(super) struct Arguments {
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

pub(super) struct CreateTask {
    creator: String,
    draft: TaskDraft,
    /// Refused only once it is known who calls.
    priority: Result<Priority, Refusal>,
}

impl From<Arguments> for CreateTask {
    fn from(arguments: Arguments) -> Self {
        let priority = Priority::parse(&arguments.priority);
        let draft = TaskDraft {
            title: arguments.title,
            description: arguments.description,
            assignee: arguments.assignee,
            priority: priority.as_ref().copied().unwrap_or(Priority::Medium),
            depends_on: arguments.depends_on,
            parent_id: arguments.parent_id,
            reviewer: arguments.reviewer,
            idempotency_key: arguments.idempotency_key,
        };
        Self { creator: arguments.creator, draft, priority }
    }
}

impl Call for CreateTask {
    fn name(&self) -> Option<&str> {
        Some(&self.creator)
    }

    fn check(&self) -> Result<(), Refusal> {
        self.priority.clone()?;
        self.draft.check()
    }

    fn target(&self, scope: &mut FactScope) {
        scope.member = (!self.draft.assignee.is_empty()).then(|| self.draft.assignee.clone());
        scope.task = self.draft.parent_id;
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let task = tx.create_task(context.member()?, &self.draft, context.now)?;
        body(&task.view(context.now))
    }
}
