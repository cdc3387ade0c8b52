//! The records and variants of `policy-sdk/wit/v1` as wasmtime passes them, and their translation to and from the words of
//! `domain`. The order and names of the fields are the interface: wasmtime compares them with every component that is
//! loaded. Must not depend on stores and limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use team_table_policy_sdk::limits;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::domain::decision::{
    Answer, FactRequest, InboxMessage, PolicyErrorKind, PrincipalView, Reason, ToolCall,
};

use crate::policy::file::canonical_json;

/// The interface version this module speaks.
pub(crate) const VERSION: &str = "1.0.0";
/// The interface every policy exports.
pub(crate) const METADATA: &str = "team-table:policy/metadata@1.0.0";
/// The interface of the authorization hook.
pub(crate) const AUTHORIZER: &str = "team-table:policy/authorizer@1.0.0";
/// The interface of the escalation hook.
pub(crate) const ESCALATOR: &str = "team-table:policy/escalator@1.0.0";

/// `record fact`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct FactIn<'a> {
    name: &'a str,
    params: &'a [Entry],
    value: &'a str,
}

impl<'a> FactIn<'a> {
    /// The answer, as JSON text, to what the policy asked.
    pub(crate) fn new(asked: &'a AskedFact, value: &'a str) -> Self {
        Self { name: &asked.name, params: &asked.params, value }
    }
}

/// `record principal`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct PrincipalIn<'a> {
    pub(super) name: &'a str,
    role: &'a str,
    capabilities: &'a [String],
    authenticated: bool,
}

impl<'a> From<&'a PrincipalView> for PrincipalIn<'a> {
    fn from(principal: &'a PrincipalView) -> Self {
        Self {
            name: &principal.name,
            role: &principal.role,
            capabilities: &principal.capabilities,
            authenticated: principal.authenticated,
        }
    }
}

/// `record tool-call`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct CallIn<'a> {
    pub(super) tool: &'a str,
    pub(super) principal: PrincipalIn<'a>,
    arguments: &'a str,
    transport: &'a str,
    now: u64,
    pub(crate) extra: &'a [Entry],
}

impl<'a> CallIn<'a> {
    /// `arguments` is the JSON text of the call's arguments, written once for all policies.
    pub(crate) fn new(call: &'a ToolCall, arguments: &'a str) -> Self {
        Self {
            tool: &call.tool,
            principal: (&call.principal).into(),
            arguments,
            transport: &call.transport,
            now: unsigned(call.now),
            extra: &[],
        }
    }
}

/// `record inbox-message`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct MessageIn<'a> {
    id: u64,
    agent: &'a str,
    pub(super) sender: PrincipalIn<'a>,
    content: &'a str,
    thread: u64,
    #[component(name = "reply-to")]
    reply_to: Option<u64>,
    broadcast: bool,
    automatic: bool,
    #[component(name = "created-at")]
    created_at: u64,
    now: u64,
    pub(crate) extra: &'a [Entry],
}

impl<'a> From<&'a InboxMessage> for MessageIn<'a> {
    fn from(message: &'a InboxMessage) -> Self {
        Self {
            id: unsigned(message.id),
            agent: &message.agent,
            sender: (&message.sender).into(),
            content: &message.content,
            thread: unsigned(message.thread),
            reply_to: message.reply_to.map(unsigned),
            broadcast: message.broadcast,
            automatic: message.automatic,
            created_at: unsigned(message.created_at),
            now: unsigned(message.now),
            extra: &[],
        }
    }
}

/// Ids and times are never negative; a clock before 1970 counts as 1970.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// `record entry`, as a policy wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `record fact-request`. Handed back with the answer exactly as the policy wrote it, so that it can find it again by
/// comparing text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub(crate) struct AskedFact {
    pub(super) name: String,
    pub(super) params: Vec<Entry>,
}

impl AskedFact {
    /// The same in the host's normal form; says which parameter is not JSON or comes twice.
    pub(crate) fn normalise(&self) -> Result<FactRequest, String> {
        let mut params = BTreeMap::new();
        for Entry { key, value } in &self.params {
            let parsed: Value = serde_json::from_str(value)
                .map_err(|_| format!("parameter `{key}` of fact `{}` is not JSON", self.name))?;
            if params.insert(key.clone(), canonical_json(&parsed)).is_some() {
                return Err(format!("parameter `{key}` of fact `{}` comes twice", self.name));
            }
        }
        Ok(FactRequest { name: self.name.clone(), params })
    }
}

/// `record description`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub(crate) struct DescriptionOut {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) facts: Vec<AskedFact>,
}

/// `record reason`.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct ReasonOut {
    code: String,
    message: String,
    notes: Vec<String>,
}

/// `variant verdict`.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(variant)]
pub(super) enum VerdictOut {
    #[component(name = "abstain")]
    Abstain,
    #[component(name = "allow")]
    Allow,
    #[component(name = "deny")]
    Deny(ReasonOut),
    #[component(name = "escalate")]
    Escalate(ReasonOut),
}

/// `variant review-outcome`.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(variant)]
pub(super) enum ReviewOut {
    #[component(name = "pass")]
    Pass,
    #[component(name = "reply")]
    Reply(String),
    #[component(name = "ignore")]
    Ignore(ReasonOut),
    #[component(name = "escalate")]
    Escalate(ReasonOut),
}

impl From<VerdictOut> for Answer {
    fn from(verdict: VerdictOut) -> Self {
        match verdict {
            VerdictOut::Abstain => Self::Abstain,
            VerdictOut::Allow => Self::Allow,
            VerdictOut::Deny(reason) => judged(reason, Self::Deny),
            VerdictOut::Escalate(reason) => judged(reason, Self::Escalate),
        }
    }
}

impl From<ReviewOut> for Answer {
    fn from(review: ReviewOut) -> Self {
        match review {
            ReviewOut::Pass => Self::Pass,
            ReviewOut::Reply(text) => match limits::reply_error(&text) {
                None => Self::Reply { text },
                Some(validation_error) => malformed(validation_error),
            },
            ReviewOut::Ignore(reason) => judged(reason, Self::Ignore),
            ReviewOut::Escalate(reason) => judged(reason, Self::Escalate),
        }
    }
}

fn judged(reason: ReasonOut, answer: impl FnOnce(Reason) -> Answer) -> Answer {
    let ReasonOut { code, message, notes } = reason;
    match limits::reason_error(&code, &message, &notes) {
        None => answer(Reason { code, message, notes }),
        Some(validation_error) => malformed(validation_error),
    }
}

fn malformed(detail: String) -> Answer {
    Answer::Error { kind: PolicyErrorKind::Malformed, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: &str, message: &str, notes: usize) -> ReasonOut {
        ReasonOut { code: code.into(), message: message.into(), notes: vec!["n".into(); notes] }
    }

    #[test]
    fn answers_over_the_limits_are_malformed() {
        for bad in [
            reason("", "m", 0),
            reason("Nope", "m", 0),
            reason("1st", "m", 0),
            reason(&"a".repeat(65), "m", 0),
            reason("ok", &"ü".repeat(1_001), 0),
            reason("ok", "m", 21),
        ] {
            let answer = Answer::from(VerdictOut::Deny(bad));
            assert!(matches!(answer, Answer::Error { kind: PolicyErrorKind::Malformed, .. }), "{answer:?}");
        }
        let good = reason(&"a".repeat(64), &"ü".repeat(1_000), 20);
        assert!(matches!(Answer::from(VerdictOut::Deny(good)), Answer::Deny(_)));
        for length in [0, limits::MAX_REPLY_CHARS + 1] {
            let answer = Answer::from(ReviewOut::Reply("x".repeat(length)));
            assert!(matches!(answer, Answer::Error { .. }));
        }
    }

    #[test]
    fn requests_are_normalised() {
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        let asked = AskedFact {
            name: "messages.sent".into(),
            params: vec![entry("window_seconds", " 60 "), entry("recipient", "\"bob\"")],
        };
        let request = asked.normalise().unwrap();
        assert_eq!(request.params["window_seconds"], "60");
        let twice = AskedFact { name: "x".into(), params: vec![entry("a", "1"), entry("a", "1")] };
        assert_eq!(twice.normalise().unwrap_err(), "parameter `a` of fact `x` comes twice");
        let text = AskedFact { name: "x".into(), params: vec![entry("a", "run")] };
        assert_eq!(text.normalise().unwrap_err(), "parameter `a` of fact `x` is not JSON");
    }
}
