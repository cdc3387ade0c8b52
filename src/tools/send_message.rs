//! `send_message`: a direct message to one member.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use super::params;
use crate::domain::agent;
use crate::domain::message::{Draft, Origin};
use crate::domain::refusal::Refusal;
use crate::domain::seat::Sight;
use crate::storage::{FactScope, Result, WriteTx};
use crate::wake;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    sender: String,
    recipient: String,
    content: String,
    /// id of the message answered
    #[serde(default, deserialize_with = "params::optional_integer")]
    reply_to: Option<i64>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

pub(super) struct SendMessage {
    sender: String,
    recipient: String,
    draft: Draft<'static>,
}

impl From<Arguments> for SendMessage {
    fn from(arguments: Arguments) -> Self {
        let Arguments { sender, recipient, content, reply_to, idempotency_key } = arguments;
        let draft = Draft {
            content: content.into(),
            reply_to,
            idempotency_key: idempotency_key.map(Into::into),
            origin: Origin::Agent,
            person: None,
        };
        Self { sender, recipient, draft }
    }
}

impl Call for SendMessage {
    fn name(&self) -> Option<&str> {
        Some(&self.sender)
    }

    fn check(&self) -> Result<(), Refusal> {
        agent::check_name("recipient", &self.recipient)?;
        self.draft.check()
    }

    fn target(&self, scope: &mut FactScope) {
        scope.member = Some(self.recipient.clone());
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let message = tx.send_message(context.member()?, &self.recipient, &self.draft, context.now)?;
        let mut body = body(&message.view(None))?;
        // A recipient that has left since a repeated call was first made has none.
        let seat = tx.seat_of_name(&self.recipient)?.filter(wake::is_live);
        body.insert("seen".into(), Sight::of(seat.as_ref()).as_str().into());
        Ok(body)
    }
}
