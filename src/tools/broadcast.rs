//! `broadcast`: a message to every other member.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use crate::domain::message::{Draft, Origin};
use crate::domain::refusal::Refusal;
use crate::storage::{ReadTx, Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    sender: String,
    content: String,
    #[serde(default)]
    idempotency_key: Option<String>,
}

pub(super) struct Broadcast {
    sender: String,
    draft: Draft<'static>,
}

impl From<Arguments> for Broadcast {
    fn from(arguments: Arguments) -> Self {
        let Arguments { sender, content, idempotency_key } = arguments;
        let draft = Draft {
            content: content.into(),
            reply_to: None,
            idempotency_key: idempotency_key.map(Into::into),
            origin: Origin::Agent,
            person: None,
        };
        Self { sender, draft }
    }
}

impl Call for Broadcast {
    fn name(&self) -> Option<&str> {
        Some(&self.sender)
    }

    fn check(&self) -> Result<(), Refusal> {
        self.draft.check()
    }

    fn has_recipients(&self) -> bool {
        true
    }

    fn recipients(&self, tx: &ReadTx<'_>, context: &Context) -> Result<Vec<String>> {
        let sender = context.member()?;
        let others = tx.members(false)?.into_iter().filter(|member| member.id != sender.id);
        Ok(others.map(|member| member.name).collect())
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let allowed = context.recipients.as_deref();
        let message = tx.broadcast(context.member()?, allowed, &self.draft, context.now)?;
        body(&message.view(None))
    }
}
