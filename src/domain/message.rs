//! Messages and threads.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::clock::{self, Millis};
use super::refusal::{Code, Refusal};
use super::text;

/// Longest message, in characters. Clients are told of it.
pub const MAX_CONTENT: usize = 10_000;
/// Longest idempotency key, in characters: room for a UUID with a prefix.
pub const MAX_IDEMPOTENCY_KEY: usize = 128;
/// The recipient of a broadcast.
pub const EVERYONE: &str = "*";

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The agent, by a tool call.
    Agent,
    /// The agent's poll daemon.
    Automatic,
    /// The agent's person, answering an escalation in the agent's name.
    Person,
    /// The task board, telling of what the agent did with a task.
    Task,
}

impl Origin {
    /// The word stored in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Automatic => "automatic",
            Self::Person => "person",
            Self::Task => "task",
        }
    }

    /// The reverse of [`as_str`](Self::as_str); an unknown word is an agent's.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "automatic" => Self::Automatic,
            "person" => Self::Person,
            "task" => Self::Task,
            _ => Self::Agent,
        }
    }
}

/// A message to send. Borrows its text: a message may be large, and a call is judged several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft<'a> {
    /// The text.
    pub content: Cow<'a, str>,
    /// The message this one answers.
    pub reply_to: Option<i64>,
    /// A repeat of the same sender's key sends nothing and returns the first message.
    pub idempotency_key: Option<Cow<'a, str>>,
    /// Who writes it.
    pub origin: Origin,
    /// The person whose words it is, where one has signed in.
    pub person: Option<Cow<'a, str>>,
}

impl Draft<'_> {
    /// Checks the limits.
    ///
    /// # Errors
    /// `invalid_argument` when the text is blank or too long, or the key is.
    pub fn check(&self) -> Result<(), Refusal> {
        text::filled("content", &self.content, MAX_CONTENT)?;
        check_idempotency_key(self.idempotency_key.as_deref())
    }
}

/// Refuses a repeated idempotency key that comes with other content: the first stands, and the second is not sent.
///
/// # Errors
/// `already_exists`, with the digests (the beginning of blake3, hex) of both.
pub fn check_repeat(key: &str, id: i64, first: &[&str], now: &[&str]) -> Result<(), Refusal> {
    if first == now {
        return Ok(());
    }
    let digest = |parts: &[&str]| {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().chars().take(12).collect::<String>()
    };
    let key: String = key.chars().take(MAX_IDEMPOTENCY_KEY).collect();
    Err(Refusal::new(
        Code::AlreadyExists,
        format!(
            "idempotency_key {key:?} was used for {id} with other content ({} then, {} now); nothing was added",
            digest(first),
            digest(now)
        ),
        "repeat the first call exactly, or use a key of its own for new content",
    ))
}

/// Accepts no key, or one of 1 to [`MAX_IDEMPOTENCY_KEY`] characters.
///
/// # Errors
/// `invalid_argument`.
pub fn check_idempotency_key(key: Option<&str>) -> Result<(), Refusal> {
    key.map_or(Ok(()), |key| text::filled("idempotency_key", key, MAX_IDEMPOTENCY_KEY))
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Number, unique and growing.
    pub id: i64,
    /// Agent name.
    pub sender: String,
    /// Agent name, or [`EVERYONE`].
    pub recipient: String,
    /// The text.
    pub content: String,
    /// When it was sent.
    pub created_at: Millis,
    /// Id of the thread's first message.
    pub thread_id: i64,
    /// The message this one answers.
    pub reply_to: Option<i64>,
    /// Who wrote it.
    pub origin: Origin,
    /// The person whose words it is, where one had signed in.
    pub person: Option<String>,
}

/// A message as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Number.
    pub id: i64,
    /// Agent name.
    pub sender: String,
    /// Agent name, or `*`.
    pub recipient: String,
    /// The text.
    pub content: String,
    /// When it was sent.
    pub created_at: String,
    /// Id of the thread's first message.
    pub thread_id: i64,
    /// The message this one answers.
    pub reply_to: Option<i64>,
    /// `automatic` from the sender's poll daemon, `person` from its person, `task` about a task; left out for what the
    /// agent wrote itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The name of the person whose words it is, where one had signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// In an inbox: whether it had been returned before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<bool>,
    /// In an inbox: what was said to it in the reader's name.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub answered: Option<AnsweredView>,
    /// In its sender's thread: when the recipient's client was told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_at: Option<String>,
    /// In its sender's thread: when it was returned to the recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
}

/// What became of a message, for its sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// When the recipient's client was told of it; `None` when it was read before that, or was not.
    pub announced_at: Option<Millis>,
    /// When it was returned to the recipient.
    pub read_at: Option<Millis>,
}

/// An answer that somebody gave in an agent's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// [`Origin::Automatic`] or [`Origin::Person`].
    pub origin: Origin,
    /// The text.
    pub text: String,
    /// When.
    pub at: Millis,
}

/// An answer as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnsweredView {
    /// `auto` for the poll daemon, `person` for the agent's person.
    pub by: &'static str,
    /// The text.
    pub text: String,
    /// When it was sent.
    pub at: String,
}

impl Answered {
    /// The answer as clients see it.
    #[must_use]
    pub fn view(self) -> AnsweredView {
        let by = if self.origin == Origin::Person { "person" } else { "auto" };
        AnsweredView { by, text: self.text, at: clock::format(self.at) }
    }
}

impl Message {
    /// The message as clients see it.
    #[must_use]
    pub fn view(self, read: Option<bool>) -> MessageView {
        MessageView {
            id: self.id,
            sender: self.sender,
            recipient: self.recipient,
            content: self.content,
            created_at: clock::format(self.created_at),
            thread_id: self.thread_id,
            reply_to: self.reply_to,
            origin: (self.origin != Origin::Agent).then_some(self.origin),
            person: self.person,
            read,
            answered: None,
            announced_at: None,
            read_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_counted_in_characters_and_may_not_be_blank() {
        let draft = |content: &str| Draft {
            content: content.to_owned().into(),
            reply_to: None,
            idempotency_key: None,
            origin: Origin::Agent,
            person: None,
        };
        assert!(draft(&"é".repeat(MAX_CONTENT)).check().is_ok());
        assert!(draft(&"é".repeat(MAX_CONTENT + 1)).check().is_err());
        assert!(draft(" \n\t").check().is_err());
    }
}
