//! `get_messages`: read the inbox, and wait for it if asked to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::{Body, Call, Context, Preview, body};
use super::{check_limit, default_limit, params};
use crate::domain::clock;
use crate::domain::message::{Answered, MessageView};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::storage::{InboxMessage, InboxPage, InboxQuery, ReadTx, Result, WriteTx};

/// Longest wait, in seconds: below the minute after which clients give up on a call.
const MAX_WAIT: i64 = 55;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetMessages {
    #[serde(default)]
    agent_name: Option<String>,
    #[serde(default, deserialize_with = "params::boolean")]
    include_read: bool,
    /// at most 200
    #[serde(default = "default_limit", deserialize_with = "params::integer")]
    limit: i64,
    /// wait up to 55 s for a message
    #[serde(default, deserialize_with = "params::integer")]
    wait_seconds: i64,
    /// do not mark as read
    #[serde(default, deserialize_with = "params::boolean")]
    peek: bool,
    #[serde(default, deserialize_with = "params::optional_integer")]
    thread_id: Option<i64>,
    /// older than this id
    #[serde(default, deserialize_with = "params::optional_integer")]
    before_id: Option<i64>,
    /// newer than this id
    #[serde(default, deserialize_with = "params::optional_integer")]
    after_id: Option<i64>,
    /// The Python Team Table's; accepted and without effect, since archived messages are not kept apart.
    #[serde(default, rename = "include_archived")]
    #[schemars(skip)]
    _include_archived: serde::de::IgnoredAny,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Messages {
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    messages: Vec<MessageView>,
    remaining: i64,
}

impl GetMessages {
    fn page(&self, tx: &ReadTx<'_>, reader: &Principal) -> Result<InboxPage> {
        tx.inbox(
            reader.id,
            &InboxQuery {
                include_read: self.include_read,
                thread_id: self.thread_id,
                before_id: self.before_id,
                after_id: self.after_id,
                limit: self.limit,
            },
        )
    }
}

fn answer(page: InboxPage) -> Result<Body> {
    let view = |it: InboxMessage| MessageView {
        answered: it.answered.map(Answered::view),
        announced_at: it.receipt.announced_at.map(clock::format),
        read_at: it.receipt.read_at.map(clock::format),
        ..it.message.view(Some(it.read))
    };
    let messages = page.messages.into_iter().map(view).collect();
    body(&Messages { messages, remaining: page.remaining })
}

impl Call for GetMessages {
    fn name(&self) -> Option<&str> {
        self.agent_name.as_deref()
    }

    fn check(&self) -> Result<(), Refusal> {
        check_limit(self.limit)?;
        if !(0..=MAX_WAIT).contains(&self.wait_seconds) {
            return Err(Refusal::invalid(
                format!("wait_seconds is {}", self.wait_seconds),
                format!("use 0 to {MAX_WAIT}, and call again to wait longer"),
            ));
        }
        Ok(())
    }

    fn handed_out(&self, answer: &Body) -> Vec<i64> {
        let messages = answer.get("messages").and_then(Value::as_array).filter(|_| !self.peek);
        let new =
            messages.into_iter().flatten().filter(|message| message.get("read") == Some(&Value::Bool(false)));
        new.filter_map(|message| message.get("id")?.as_i64()).collect()
    }

    fn wait(&self) -> Duration {
        // Asked before `check` has refused what is out of range.
        Duration::from_secs(self.wait_seconds.clamp(0, MAX_WAIT).unsigned_abs())
    }

    fn preview(&self, tx: &ReadTx<'_>, context: &Context) -> Result<Preview> {
        let page = self.page(tx, context.member()?)?;
        // A thread is there at once; what is waited for is something new in it.
        let nothing_new =
            page.messages.is_empty() || self.thread_id.is_some() && page.unread_ids().is_empty();
        if nothing_new && self.wait_seconds > 0 && !context.last_look {
            return Ok(Preview::Wait);
        }
        if self.peek || page.unread_ids().is_empty() {
            return Ok(Preview::Answer(answer(page)?));
        }
        Ok(Preview::Change)
    }

    /// Reads again: what another call of the same agent has returned meanwhile is not returned twice.
    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let reader = context.member()?;
        let page = self.page(tx, reader)?;
        if !self.peek {
            tx.mark_read(reader, &page.unread_ids(), context.now)?;
        }
        answer(page)
    }
}
