//! `update_task`: move a task to another state.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use super::params;
use crate::domain::refusal::Refusal;
use crate::domain::task::{self, Status};
use crate::storage::{FactScope, Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateTask {
    #[serde(deserialize_with = "params::integer")]
    task_id: i64,
    #[schemars(description = "a reviewer sends work back with in_progress")]
    #[schemars(extend("enum" = ["in_progress", "done", "blocked", "awaiting_review", "cancelled"]))]
    status: String,
    #[serde(default)]
    result: String,
    agent_name: String,
}

impl Call for UpdateTask {
    fn name(&self) -> Option<&str> {
        Some(&self.agent_name)
    }

    fn check(&self) -> Result<(), Refusal> {
        Status::parse(&self.status)?;
        task::check_result(&self.result)
    }

    fn target(&self, scope: &mut FactScope) {
        scope.task = Some(self.task_id);
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let to = Status::parse(&self.status)?;
        let task = tx.update_task(context.member()?, self.task_id, to, &self.result, context.now)?;
        body(&task.view(context.now))
    }
}
