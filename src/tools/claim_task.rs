//! `claim_task`: take a task on, a given one or the best ready one.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use super::params;
use crate::storage::{FactScope, Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimTask {
    /// default: the best ready task
    #[serde(default, deserialize_with = "params::optional_integer")]
    task_id: Option<i64>,
    agent_name: String,
}

impl Call for ClaimTask {
    fn name(&self) -> Option<&str> {
        Some(&self.agent_name)
    }

    fn target(&self, scope: &mut FactScope) {
        scope.task = self.task_id;
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let task = tx.claim_task(context.member()?, self.task_id, context.now)?;
        body(&task.view(context.now))
    }
}
