//! A call and its answer, in the pipeline's words; transports translate them.

use serde_json::{Map, Value, json};

use super::call::Body;
use super::delivery::Delivery;
use crate::domain::decision::Decision;
use crate::domain::refusal::{Code, Refusal};
use crate::storage::{Error, Unread};

/// How a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output.
    Stdio,
    /// Streamable HTTP.
    Http,
    /// The older HTTP+SSE pair.
    Sse,
}

impl Transport {
    /// The word policies see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

/// A decoded tool call.
#[derive(Clone)]
pub struct Request {
    /// Tool name.
    pub tool: String,
    /// Arguments as given, the `token` among them.
    pub arguments: Map<String, Value>,
    /// The token that came with the connection: the `Authorization` header, or `TEAM_TABLE_TOKEN`.
    pub bearer: Option<String>,
    /// How it came in.
    pub transport: Transport,
    /// On stdio, the keys that the seat of the client's session may have.
    pub seats: Vec<String>,
}

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// One JSON object.
    pub body: Body,
    /// The call failed, and the body says why.
    pub is_error: bool,
    /// A token was presented that is not valid.
    pub bad_token: bool,
    /// The messages in it that count as read from now on.
    pub delivery: Option<Delivery>,
}

impl Reply {
    /// The answer has reached the agent, as far as can be told.
    pub(super) fn arrived(mut self) -> Self {
        if let Some(delivery) = self.delivery.take() {
            delivery.arrived();
        }
        self
    }

    pub(super) fn done(body: Body) -> Self {
        Self { body, is_error: false, bad_token: false, delivery: None }
    }

    pub(super) fn refused(refusal: &Refusal) -> Self {
        let mut body = Body::new();
        body.insert("error".into(), json!(refusal.message));
        body.insert("code".into(), json!(refusal.code.as_str()));
        body.insert("hint".into(), json!(refusal.hint));
        Self { body, is_error: true, bad_token: false, delivery: None }
    }

    /// A refusal by a policy: who refused, why, and where it is written down.
    pub(super) fn judged(refusal: &Refusal, decision: &Decision, decision_id: Option<i64>) -> Self {
        let mut reply = Self::refused(refusal);
        let code = decision.reason.as_ref().map_or("policy_error", |reason| reason.code.as_str());
        reply.body.insert("policy".into(), json!(decision.policy));
        reply.body.insert("reason".into(), json!(code));
        reply.body.insert("decision_id".into(), json!(decision_id));
        reply
    }

    /// Adds the unread badge.
    pub(super) fn with_badge(mut self, unread: &Unread) -> Self {
        let mut actions = Vec::new();
        if unread.count > 0 {
            actions.push("call get_messages to read them".to_owned());
        }
        if unread.waiting_for_person > 0 {
            actions.push(format!("waiting for your person: {}", unread.waiting_for_person));
        }
        if !actions.is_empty() {
            let badge = json!({
                "unread_messages": unread.count,
                "preview": unread.preview,
                "action": actions.join("; "),
            });
            self.body.insert("_notification".into(), badge);
        }
        self
    }

    /// The canonical code of a failure, for metrics.
    pub(super) fn code(&self) -> &str {
        if !self.is_error {
            return "ok";
        }
        self.body.get("code").and_then(Value::as_str).unwrap_or("internal")
    }
}

/// What a caller is told of trouble in storage: enough to act on, nothing of the inside.
pub(super) fn refusal_of(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => refusal,
        Error::Busy => Refusal::new(
            Code::Unavailable,
            "the database is busy; nothing was changed",
            "try the same call again in a moment; if it stays so, your operator's `team-table doctor` names the process \
             that holds it",
        ),
        Error::Unwritable(reason) => {
            tracing::error!(%reason, "the database cannot be written");
            Refusal::new(
                Code::Unavailable,
                "the database cannot be written right now; nothing was changed",
                "tell your operator: `team-table doctor` says what is wrong; reading still works",
            )
        }
        Error::Replaced => Refusal::new(
            Code::Unavailable,
            "the database file was moved, removed or replaced under this process; nothing was changed",
            "restart this client or server, so that it opens the file that is there now; tell your operator: \
             `team-table doctor` names the processes that still use the old file",
        ),
        Error::Upgraded => Refusal::new(
            Code::Unavailable,
            "team-table was upgraded; nothing was changed",
            "restart this client or server: it still runs the older program",
        ),
        Error::Closed => Refusal::new(
            Code::Unavailable,
            "the server is shutting down; nothing was changed",
            "reconnect and try again",
        ),
        fault @ (Error::Engine { .. } | Error::Fault(_)) => {
            tracing::error!(error = %fault, "a call failed");
            internal()
        }
    }
}

/// A fault of ours.
pub(super) fn internal() -> Refusal {
    Refusal::new(
        Code::Internal,
        "the server failed to carry this out; nothing was changed",
        "tell your operator: the server's log has the details",
    )
}
