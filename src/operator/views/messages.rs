//! `message list` and `message thread`.

use serde::{Deserialize, Serialize};

use super::View;
use crate::domain::clock::{self, Millis};
use crate::domain::message::{Message, MessageView, Receipt};
use crate::domain::person::Actor;
use crate::domain::refusal::Refusal;
use crate::storage::{Page, ReadTx, Result, ThreadQuery, ThreadRow};

/// Which threads to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MessageList {
    /// Only those in which this agent wrote or got a message.
    pub agent: Option<String>,
    /// Only those whose latest message has a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Threads, the one with the latest message first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageListData {
    /// The threads.
    pub threads: Vec<ThreadView>,
    /// What to pass as `before` for what follows.
    pub next: Option<i64>,
}

/// A thread in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ThreadView {
    /// Number: that of its first message.
    pub thread_id: i64,
    /// How many messages it has, counted up to [`THREAD_COUNT_CAP`](crate::storage::THREAD_COUNT_CAP).
    pub messages: i64,
    /// Who wrote or got one of them.
    pub participants: Vec<String>,
    /// Its first message.
    pub first: MessageView,
    /// Its latest message.
    pub last: MessageView,
}

impl From<ThreadRow> for ThreadView {
    fn from(row: ThreadRow) -> Self {
        let ThreadRow { thread_id, first, last, messages, participants } = row;
        Self { thread_id, messages, participants, first: first.view(None), last: last.view(None) }
    }
}

impl View for MessageList {
    const NAME: &'static str = "threads";
    type Data = MessageListData;

    fn limit(&self) -> u32 {
        self.limit
    }

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, _now: Millis) -> Result<MessageListData> {
        let query = ThreadQuery { agent: self.agent.clone(), before: self.before, limit: self.limit.into() };
        let Page { rows, next } = tx.threads(&query)?;
        Ok(MessageListData { threads: rows.into_iter().map(Into::into).collect(), next })
    }
}

/// One thread to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageThread {
    /// Its number, that of its first message.
    pub number: i64,
    /// Only messages with a smaller number.
    pub before: Option<i64>,
    /// At most so many, the newest.
    pub limit: u32,
}

/// A part of a thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageThreadData {
    /// Its messages, oldest first.
    pub messages: Vec<ThreadMessage>,
    /// What to pass as `before` for those that came earlier.
    pub next: Option<i64>,
}

/// A message of a thread, with what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ThreadMessage {
    /// The message.
    #[serde(flatten)]
    pub message: MessageView,
    /// It lies in an inbox, and was not read yet.
    pub unread: bool,
}

impl ThreadMessage {
    fn new(message: Message, receipt: Option<Receipt>) -> Self {
        let unread = receipt.is_some_and(|receipt| receipt.read_at.is_none());
        let Receipt { announced_at, read_at } = receipt.unwrap_or_default();
        let message = MessageView {
            announced_at: announced_at.map(clock::format),
            read_at: read_at.map(clock::format),
            ..message.view(None)
        };
        Self { message, unread }
    }
}

impl View for MessageThread {
    const NAME: &'static str = "thread";
    type Data = MessageThreadData;

    fn limit(&self) -> u32 {
        self.limit
    }

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, _now: Millis) -> Result<MessageThreadData> {
        let number = self.number;
        let messages = tx.thread_page(number, self.before, self.limit.into())?;
        if messages.is_empty() && self.before.is_none() {
            let hint = match tx.message(number)? {
                Some(part) => format!("message {number} is part of thread {}", part.thread_id),
                None => "team-table message list shows the threads there are".to_owned(),
            };
            return Err(Refusal::not_found(format!("there is no thread {number}"), hint).into());
        }
        // A thread has the number of its first message.
        let next = messages.first().map(|(message, _)| message.id).filter(|first| *first != number);
        let messages = messages.into_iter().map(|(message, receipt)| ThreadMessage::new(message, receipt));
        Ok(MessageThreadData { messages: messages.collect(), next })
    }
}
