//! `heartbeat`: say "still here".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Body, Call, Context, body};
use crate::domain::clock;
use crate::storage::{Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeat {
    name: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Seen {
    status: &'static str,
    name: String,
    last_heartbeat: String,
}

impl Call for Heartbeat {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let caller = context.member()?;
        tx.touch(caller.id, context.now)?;
        body(&Seen { status: "ok", name: caller.name.clone(), last_heartbeat: clock::format(context.now) })
    }
}
