//! What a policy is asked and what it may answer. Plain data: knows neither WebAssembly nor JSON documents beyond
//! the arguments of a call.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Fault;

/// The agent whose call or message is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// Agent name, 1-64 characters; empty for a caller that has no name yet, which only `register` allows.
    pub name: String,
    /// Role as registered; for `register` the role asked for.
    pub role: String,
    /// Capabilities as registered, at most 20 of at most 64 characters.
    pub capabilities: Vec<String>,
    /// True when a token proved the name; false when the server was told to believe it.
    pub authenticated: bool,
}

/// A tool call that has been decoded and whose caller is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// One of the server's tools, for instance `send_message`.
    pub tool: String,
    /// Who calls.
    pub principal: Principal,
    /// The arguments, without the token.
    pub arguments: Arguments,
    /// `stdio`, `http`, `sse` or `cli`.
    pub transport: String,
    /// Milliseconds since 1970-01-01T00:00:00Z: the only clock a policy has.
    pub now: u64,
    /// Open-ended additions of later hosts: name to JSON text.
    pub extra: BTreeMap<String, String>,
}

/// The arguments of a call: a JSON object, parsed only by the policies that look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments(String);

impl Arguments {
    /// Wraps the text of a JSON object.
    #[must_use]
    pub fn from_json(text: String) -> Self {
        Self(text)
    }

    /// The JSON text as the host sent it.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Reads the arguments into a type of your own; unknown arguments are ignored unless the type forbids them.
    ///
    /// # Errors
    ///
    /// When the arguments do not fit `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_str(&self.0).map_err(|error| Fault::Arguments(error.to_string()))
    }

    /// One argument, if it is there and a string.
    ///
    /// # Errors
    ///
    /// When the arguments are not a JSON object.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let mut all: BTreeMap<String, Value> = self.parse()?;
        Ok(match all.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        })
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

/// An unread message in the inbox of an agent that a poll daemon answers for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxMessage {
    /// The message's number.
    pub id: u64,
    /// The agent whose inbox this is.
    pub agent: String,
    /// Who wrote it.
    pub sender: Principal,
    /// The text, at most 10,000 characters.
    pub content: String,
    /// The number of the thread's first message.
    pub thread: u64,
    /// The message this one answers.
    pub reply_to: Option<u64>,
    /// True when it was sent to everybody.
    pub broadcast: bool,
    /// True when a daemon wrote it, not an agent.
    pub automatic: bool,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub created_at: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z: the only clock a policy has.
    pub now: u64,
    /// Open-ended additions of later hosts: name to JSON text.
    pub extra: BTreeMap<String, String>,
}

/// Why something was not simply let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For programs: `[a-z][a-z0-9_]*`, at most 64 characters.
    pub code: String,
    /// For the agent: one sentence that says what was wrong and what is allowed.
    pub message: String,
    /// For the decision log. The host acts on those that [`Reason::retry_after`], [`Reason::notice`] and
    /// [`Reason::holding_inbox`] write, and shows no other to anyone but the operator.
    pub notes: Vec<String>,
}

impl Reason {
    /// A reason without notes.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), notes: Vec::new() }
    }

    /// Adds a note for the decision log.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Of a refused call: the same call may pass in so many seconds. It is then answered with `resource_exhausted`, which
    /// says "later", and not with `permission_denied`.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.note(format!("retry_after_seconds={seconds}"))
    }

    /// Of an escalated message: what its sender is told, after `[AUTO] `. Without it, the sender is told the message of the
    /// reason.
    #[must_use]
    pub fn notice(self, text: impl AsRef<str>) -> Self {
        self.note(format!("notice={}", text.as_ref()))
    }

    /// Of an escalated message: until its person has decided, no message of the inbox is answered automatically, whatever
    /// thread it is in.
    #[must_use]
    pub fn holding_inbox(self) -> Self {
        self.note("holds=inbox")
    }
}

/// A policy's answer about a tool call. Over the whole set, `deny > escalate > allow > abstain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No opinion. When nobody objects, the call is allowed.
    Abstain,
    /// In favour. Does not overrule another policy's objection.
    Allow,
    /// The call is refused.
    Deny(Reason),
    /// The call is held until a person approves it.
    Escalate(Reason),
}

impl Verdict {
    /// A refusal without notes.
    #[must_use]
    pub fn deny(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Deny(Reason::new(code, message))
    }

    /// A call held for a person, without notes.
    #[must_use]
    pub fn escalate(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Escalate(Reason::new(code, message))
    }
}

/// A policy's answer about a message in an inbox. Over the whole set, `escalate > ignore > reply > pass`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewOutcome {
    /// No objection: the plain acknowledgement may be sent.
    Pass,
    /// Answer with this text instead.
    Reply(String),
    /// Mark as read and say nothing.
    Ignore(Reason),
    /// A person must see it.
    Escalate(Reason),
}

impl ReviewOutcome {
    /// A message for a person, without notes.
    #[must_use]
    pub fn escalate(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Escalate(Reason::new(code, message))
    }
}
