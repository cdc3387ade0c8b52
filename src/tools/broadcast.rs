//! `broadcast`: a message to every other member.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use crate::domain::message::{Draft, Origin};
use crate::domain::refusal::Refusal;
use crate::storage::{Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Broadcast {
    sender: String,
    content: String,
    #[serde(default)]
    idempotency_key: Option<String>,
}

impl Broadcast {
    fn draft(&self) -> Draft {
        Draft {
            content: self.content.clone(),
            reply_to: None,
            idempotency_key: self.idempotency_key.clone(),
            origin: Origin::Agent,
        }
    }
}

impl Call for Broadcast {
    fn name(&self) -> Option<&str> {
        Some(&self.sender)
    }

    fn check(&self) -> Result<(), Refusal> {
        self.draft().check()
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let message = tx.broadcast(context.member()?, &self.draft(), context.now)?;
        body(&message.view(None))
    }
}
