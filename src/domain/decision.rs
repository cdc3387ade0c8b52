//! What policies are asked, what they answer, and how the answers of a whole set are written down.
//! Must not depend on WebAssembly: these are the words that `policy`, `tools`, `storage` and `daemon` share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The action of the question whether a message may wake its recipient: a call of a tool that agents do not have.
pub const WAKE: &str = "wake";

/// The questions a policy can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// May this agent make this tool call?
    Authorization,
    /// May this message be answered automatically, or must a person see it? `escalation` in the WIT, the database and
    /// everything printed.
    #[serde(rename = "escalation")]
    Review,
    /// May this message wake its recipient? Asked of the authorizers that ask for a `wake.*` fact, as a call of [`WAKE`] by
    /// the sender.
    Wake,
}

impl Hook {
    /// The name stored in the database and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Review => "escalation",
            Self::Wake => "wake",
        }
    }

    /// The hook that a call of this tool belongs to.
    #[must_use]
    pub fn of_tool(tool: &str) -> Self {
        if tool == WAKE { Self::Wake } else { Self::Authorization }
    }
}

/// A fact that a policy asked for when it was configured: a name of the host's catalogue and parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FactRequest {
    /// For instance `messages.sent`.
    pub name: String,
    /// Parameter name to its JSON text, normalised (sorted by name) so that equal requests are equal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}

/// A fact as it was read for one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What was asked.
    #[serde(flatten)]
    pub request: FactRequest,
    /// The answer.
    pub value: Value,
}

/// The caller as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalView {
    /// Agent name; empty for a caller that has not registered yet (only `register` is called so).
    pub name: String,
    /// Role; for `register` the role asked for.
    pub role: String,
    /// Capabilities as registered.
    pub capabilities: Vec<String>,
    /// Whether a token proved the name.
    pub authenticated: bool,
}

/// A tool call as policies see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Tool name, the *action*.
    pub tool: String,
    /// Who calls.
    pub principal: PrincipalView,
    /// Arguments as given, the token removed.
    pub arguments: Value,
    /// `stdio`, `http`, `sse` or `cli`.
    pub transport: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// An unread message as policies see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboxMessage {
    /// Message id.
    pub id: i64,
    /// The agent whose inbox this is.
    pub agent: String,
    /// Who sent it.
    pub sender: PrincipalView,
    /// The text.
    pub content: String,
    /// Thread id.
    pub thread: i64,
    /// The message this one answers.
    pub reply_to: Option<i64>,
    /// Sent to everybody.
    pub broadcast: bool,
    /// Written by a daemon.
    pub automatic: bool,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub created_at: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// The input of one evaluation, whichever hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "hook", rename_all = "snake_case")]
pub enum Input {
    /// A tool call to authorize.
    Authorization(ToolCall),
    /// A message to review.
    #[serde(rename = "escalation")]
    Review(InboxMessage),
}

impl Input {
    /// The same without what the caller wrote, which can be long. An input like that cannot be judged again.
    #[must_use]
    pub fn without_arguments(&self) -> Self {
        match self {
            Self::Authorization(call) => {
                Self::Authorization(ToolCall { arguments: Value::Null, ..call.clone() })
            }
            Self::Review(message) => Self::Review(message.clone()),
        }
    }

    /// Whether it is as it was asked, so that it can be judged again.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !matches!(self, Self::Authorization(ToolCall { arguments: Value::Null, .. }))
    }

    /// The hook this input belongs to.
    #[must_use]
    pub fn hook(&self) -> Hook {
        match self {
            Self::Authorization(call) => Hook::of_tool(&call.tool),
            Self::Review(_) => Hook::Review,
        }
    }
}

/// Why a policy did not simply let something through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs.
    pub code: String,
    /// For the agent: one sentence.
    pub message: String,
    /// For the decision log, and, as `name=value`, for the host: `retry_after_seconds`, `notice`, `holds`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Reason {
    /// The value of the first note `name=value`: what a policy says to the host.
    fn says(&self, name: &str) -> Option<&str> {
        self.notes.iter().find_map(|note| note.strip_prefix(name)?.strip_prefix('='))
    }

    /// In how many seconds the refused call may pass.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.says("retry_after_seconds")?.parse().ok()
    }

    /// What the sender of an escalated message is told.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.says("notice").filter(|notice| !notice.trim().is_empty())
    }

    /// Whether nothing in the inbox may be answered automatically until the person has decided.
    #[must_use]
    pub fn holds_inbox(&self) -> bool {
        self.says("holds") == Some("inbox")
    }
}

/// What kind of failure kept a policy from answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyErrorKind {
    /// The guest trapped (unreachable, out of bounds, stack overflow, …).
    Trap,
    /// The fuel limit, which is the limit that decides.
    OutOfFuel,
    /// The time limit, the backstop behind fuel.
    Deadline,
    /// The memory limit.
    OutOfMemory,
    /// The answer was not one the interface allows, or over the size limit.
    Malformed,
    /// The host could not run it (no set loaded, instantiation failed).
    Host,
}

/// One policy's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Authorization: no opinion.
    Abstain,
    /// Authorization: allowed.
    Allow,
    /// Authorization: refused.
    Deny(Reason),
    /// Any hook: a person must decide.
    Escalate(Reason),
    /// Escalation hook: no objection to the plain acknowledgement.
    Pass,
    /// Escalation hook: answer with this text.
    Reply {
        /// The text to send.
        text: String,
    },
    /// Escalation hook: mark as read, say nothing.
    Ignore(Reason),
    /// No answer: an outcome of its own, never disguised as a refusal.
    Error {
        /// What went wrong.
        kind: PolicyErrorKind,
        /// For the log, never for clients.
        detail: String,
    },
}

/// Whether a policy's answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its answer counts.
    #[default]
    Enforce,
    /// Asked and recorded beside the live set; affects nothing.
    Shadow,
    /// Not loaded.
    Off,
}

impl Mode {
    /// The name in the set file and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

/// One policy's answer as it is recorded in a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The policy's name in the set.
    pub policy: String,
    /// Digest (hex blake3) of its `.wasm` bytes.
    pub module: String,
    /// Digest (hex blake3) of its settings' canonical JSON.
    pub settings: String,
    /// Whether it counted.
    pub mode: Mode,
    /// What it said.
    #[serde(flatten)]
    pub answer: Answer,
    /// Fuel consumed.
    pub fuel: u64,
    /// Wall-clock microseconds.
    pub micros: u64,
}

/// The combined outcome of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Authorization: no policy objected.
    Allow,
    /// Authorization: a policy refused.
    Deny,
    /// Either hook: a person must decide.
    Escalate,
    /// Escalation hook: plain acknowledgement.
    Pass,
    /// Escalation hook: a policy's own text.
    Reply,
    /// Escalation hook: mark as read, say nothing.
    Ignore,
    /// A policy failed: authorization fails closed, review goes to the person.
    Error,
}

impl Outcome {
    /// The name stored in the database and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Escalate => "escalate",
            Self::Pass => "pass",
            Self::Reply => "reply",
            Self::Ignore => "ignore",
            Self::Error => "error",
        }
    }
}

/// All verdicts of one question, combined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Which question was asked.
    pub hook: Hook,
    /// Digest of the policy set that decided: one set, never two.
    pub set: String,
    /// The set's generation in this process (for metrics and logs only).
    #[serde(skip)]
    pub generation: u64,
    /// What it came to.
    pub outcome: Outcome,
    /// The policy whose verdict determined the outcome; `None` when none objected.
    pub policy: Option<String>,
    /// Its reason.
    pub reason: Option<Reason>,
    /// The text of a `Reply`.
    pub reply: Option<String>,
    /// How many persons must approve what is held, from 1 on: the most that a policy which wants a person to decide asks for
    /// in the set file.
    pub approvals: i64,
    /// Every policy's answer, shadow ones included, sorted by policy name.
    pub verdicts: Vec<Verdict>,
}

/// A policy set as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetRecord {
    /// Digest (hex blake3) over names, modes, modules, settings, limits and approvals.
    pub digest: String,
    /// What the digest is over, as JSON.
    pub policies: String,
    /// How far back its counting facts look, in seconds.
    pub window_seconds: i64,
}
