//! `deregister`: leave the table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Body, Call, Context, body};
use crate::domain::refusal::Refusal;
use crate::storage::{FactScope, Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Deregister {
    name: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Deregistered {
    status: &'static str,
    name: String,
}

impl Call for Deregister {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn target(&self, scope: &mut FactScope) {
        scope.member = Some(self.name.clone());
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let caller = context.member()?;
        let gone = || Refusal::not_found(format!("no member named {:?}", self.name), "it has left already");
        let member = tx.member(&caller.name)?.filter(|member| member.active).ok_or_else(gone)?;
        tx.deregister(&member, context.now)?;
        body(&Deregistered { status: "deregistered", name: member.name })
    }
}
