//! `claim_task`: take a task on, a given one or the best ready one that the policies allow.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Candidate, Context, body};
use super::params;
use crate::domain::refusal::Refusal;
use crate::storage::{FactScope, ReadTx, Result, WriteTx};

/// How many tasks are judged before the caller is told that it may have none. Each costs a judgement.
const MAX_CANDIDATES: i64 = 20;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimTask {
    /// default: the best ready task that you may have
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

    fn candidates(&self, tx: &ReadTx<'_>, context: &Context) -> Result<Vec<Candidate>> {
        if self.task_id.is_some() {
            return Ok(Vec::new());
        }
        let ready = tx.ready_tasks(context.member()?, MAX_CANDIDATES)?;
        let candidate = |(at, id): (usize, &i64)| Candidate {
            call: Arc::new(Best {
                id: *id,
                refused: ready.iter().take(at).copied().collect(),
                agent_name: self.agent_name.clone(),
            }),
            argument: ("task_id", (*id).into()),
        };
        Ok(ready.iter().enumerate().map(candidate).collect())
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        // Without a number, and with nothing that it could stand for.
        let id = self.task_id.ok_or_else(|| {
            Refusal::not_found(
                "no task is ready for you",
                "list_tasks shows what others work on; get_messages with wait_seconds hears of new ones, or create_task",
            )
        })?;
        let task = tx.claim_task(context.member()?, id, context.now)?;
        body(&task.view(context.now))
    }
}

/// The best ready task, when those before it were refused.
struct Best {
    id: i64,
    refused: Vec<i64>,
    agent_name: String,
}

impl Call for Best {
    fn name(&self) -> Option<&str> {
        Some(&self.agent_name)
    }

    fn target(&self, scope: &mut FactScope) {
        scope.task = Some(self.id);
    }

    fn is_still_best(&self, tx: &ReadTx<'_>, context: &Context) -> Result<bool> {
        let ready = tx.ready_tasks(context.member()?, MAX_CANDIDATES)?;
        Ok(ready.into_iter().find(|id| !self.refused.contains(id)) == Some(self.id))
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let task = tx.claim_task(context.member()?, self.id, context.now)?;
        body(&task.view(context.now))
    }
}
