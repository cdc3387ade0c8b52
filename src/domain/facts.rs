//! The catalogue of facts a policy may ask for: their names, parameters and the hooks each has a meaning for.
//! Says nothing of how a fact is computed (that is `tools`' and `daemon`'s work) nor of WebAssembly.

use std::fmt;

use serde_json::Value;

use super::decision::{FactRequest, Hook};

/// The longest window a counting fact accepts: 30 days, in seconds.
pub const MAX_WINDOW_SECONDS: u64 = 2_592_000;
/// The longest string parameter, in characters.
const MAX_TEXT_CHARS: usize = 256;
/// The most names a list parameter may hold.
const MAX_LIST: usize = 64;

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A whole number of seconds, 1 to [`MAX_WINDOW_SECONDS`].
    Seconds,
    /// One name.
    Name,
    /// A list of names.
    Names,
    /// `"run"`, `"escalation"` or `"window"`.
    Since,
}

impl ParamKind {
    const fn allowed(self) -> &'static str {
        match self {
            Self::Seconds => "a whole number from 1 to 2592000",
            Self::Name => "a string of 1 to 256 characters",
            Self::Names => "a list of 1 to 64 strings",
            Self::Since => "\"run\", \"escalation\" or \"window\"",
        }
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Seconds => value.as_u64().is_some_and(|n| (1..=MAX_WINDOW_SECONDS).contains(&n)),
            Self::Name => is_name(value),
            Self::Names => value
                .as_array()
                .is_some_and(|list| (1..=MAX_LIST).contains(&list.len()) && list.iter().all(is_name)),
            Self::Since => matches!(value.as_str(), Some("run" | "escalation" | "window")),
        }
    }
}

fn is_name(value: &Value) -> bool {
    value.as_str().is_some_and(|s| !s.is_empty() && s.chars().count() <= MAX_TEXT_CHARS)
}

/// One parameter of a fact.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParamKind,
    /// Whether it must be given. (`window_seconds` beside `since` follows a rule of its own.)
    pub required: bool,
}

/// One fact of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct FactSpec {
    /// Its name, for instance `messages.sent`.
    pub name: &'static str,
    /// The hooks in which it has a meaning; asked for in another, it is not supplied.
    pub hooks: &'static [Hook],
    /// Its parameters.
    pub params: &'static [ParamSpec],
    /// What it is, in one line.
    pub summary: &'static str,
}

const AUTHORIZATION: &[Hook] = &[Hook::Authorization];
const ESCALATION: &[Hook] = &[Hook::Review];
const BOTH: &[Hook] = &[Hook::Authorization, Hook::Review];
const WAKE: &[Hook] = &[Hook::Wake];

const WINDOW: ParamSpec = ParamSpec { name: "window_seconds", kind: ParamKind::Seconds, required: true };
const CALLS: &[ParamSpec] = &[ParamSpec { name: "tools", kind: ParamKind::Names, required: false }, WINDOW];
const REPLIES: &[ParamSpec] = &[
    ParamSpec { name: "since", kind: ParamKind::Since, required: true },
    ParamSpec { name: "window_seconds", kind: ParamKind::Seconds, required: false },
];

/// Every fact the host offers, sorted by name.
pub const CATALOGUE: &[FactSpec] = &[
    FactSpec {
        name: "calls.allowed",
        hooks: AUTHORIZATION,
        params: CALLS,
        summary: "calls of the principal that were let through",
    },
    FactSpec {
        name: "calls.attempted",
        hooks: AUTHORIZATION,
        params: CALLS,
        summary: "calls of the principal, whatever came of them",
    },
    FactSpec {
        name: "calls.denied",
        hooks: AUTHORIZATION,
        params: CALLS,
        summary: "calls of the principal that were refused",
    },
    FactSpec {
        name: "limits.max_replies",
        hooks: ESCALATION,
        params: &[],
        summary: "the daemon's own cap on automatic replies (--max-messages)",
    },
    FactSpec {
        name: "member.role",
        hooks: BOTH,
        params: &[ParamSpec { name: "name", kind: ParamKind::Name, required: true }],
        summary: "the role of a member",
    },
    FactSpec {
        name: "messages.sent",
        hooks: BOTH,
        params: &[ParamSpec { name: "recipient", kind: ParamKind::Name, required: false }, WINDOW],
        summary: "messages sent by the principal, or by the sender of the message under review",
    },
    FactSpec {
        name: "replies.sent",
        hooks: ESCALATION,
        params: REPLIES,
        summary: "automatic replies of this agent",
    },
    FactSpec {
        name: "replies.sent_to_sender",
        hooks: ESCALATION,
        params: REPLIES,
        summary: "automatic replies of this agent to the sender of this message",
    },
    FactSpec {
        name: "target.context",
        hooks: AUTHORIZATION,
        params: &[],
        summary: "the shared context entry the call acts on",
    },
    FactSpec {
        name: "target.member",
        hooks: AUTHORIZATION,
        params: &[],
        summary: "the member the call acts on",
    },
    FactSpec { name: "target.task", hooks: AUTHORIZATION, params: &[], summary: "the task the call acts on" },
    FactSpec {
        name: "thread.auto_depth",
        hooks: ESCALATION,
        params: &[],
        summary: "how many automatic messages in a row this thread already has",
    },
    FactSpec {
        name: "thread.participants",
        hooks: ESCALATION,
        params: &[],
        summary: "who wrote in this thread",
    },
    FactSpec {
        name: "thread.repeated",
        hooks: ESCALATION,
        params: &[],
        summary: "how often the sender said the same in this thread before, within its last 100 messages",
    },
    FactSpec {
        name: "wake.in_hour",
        hooks: WAKE,
        params: &[],
        summary: "how often the recipient was woken in the last hour",
    },
    FactSpec {
        name: "wake.ping_pong",
        hooks: WAKE,
        params: &[],
        summary: "how many of the thread's last messages, at most 100, went back and forth between sender and recipient",
    },
    FactSpec {
        name: "wake.since_person",
        hooks: WAKE,
        params: &[],
        summary: "how often the recipient was woken since a person typed in its session",
    },
];

/// What is wrong with a request for a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactError {
    /// No fact has this name.
    Unknown(String),
    /// The fact has no such parameter.
    UnknownParam {
        /// The fact.
        fact: &'static str,
        /// The parameter.
        param: String,
    },
    /// A parameter that must be given is not.
    MissingParam {
        /// The fact.
        fact: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// A parameter's value is not one it takes.
    BadParam {
        /// The fact.
        fact: &'static str,
        /// The parameter.
        param: &'static str,
        /// What it takes.
        allowed: &'static str,
    },
    /// None of the hooks that the policy answers has this fact.
    WrongHook {
        /// The fact.
        fact: &'static str,
    },
}

impl fmt::Display for FactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "there is no fact `{name}`; known are ")?;
                for (i, spec) in CATALOGUE.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, spec.name)?;
                }
                Ok(())
            }
            Self::UnknownParam { fact, param } => {
                let known: Vec<_> = spec(fact).map_or(&[][..], |s| s.params).iter().map(|p| p.name).collect();
                if known.is_empty() {
                    write!(f, "fact `{fact}` takes no parameters, not `{param}`")
                } else {
                    write!(f, "fact `{fact}` has no parameter `{param}`; it takes {}", known.join(", "))
                }
            }
            Self::MissingParam { fact, param } => write!(f, "fact `{fact}` needs the parameter `{param}`"),
            Self::BadParam { fact, param, allowed } => {
                write!(f, "parameter `{param}` of fact `{fact}` must be {allowed}")
            }
            Self::WrongHook { fact } => {
                write!(f, "fact `{fact}` has no meaning in any hook this policy answers")
            }
        }
    }
}

impl std::error::Error for FactError {}

/// The catalogue's entry of that name.
#[must_use]
pub fn spec(name: &str) -> Option<&'static FactSpec> {
    CATALOGUE.iter().find(|spec| spec.name == name)
}

/// Whether a fact has a meaning in a hook.
#[must_use]
pub fn applies(request: &FactRequest, hook: Hook) -> bool {
    spec(&request.name).is_some_and(|spec| spec.hooks.contains(&hook))
}

/// The hooks that a policy answers: an authorizer that asks for a `wake.*` fact judges wakes, and calls as well only if it
/// asks for a fact about calls too.
#[must_use]
pub fn answered(exported: &[Hook], facts: &[FactRequest]) -> Vec<Hook> {
    let asks = |hook| facts.iter().any(|request| applies(request, hook));
    let mut hooks = exported.to_vec();
    if exported.contains(&Hook::Authorization) && asks(Hook::Wake) {
        hooks.retain(|hook| *hook != Hook::Authorization || asks(Hook::Authorization));
        hooks.push(Hook::Wake);
    }
    hooks
}

/// Checks a request against the catalogue, for a policy that answers `hooks`.
///
/// # Errors
/// Says what is wrong with the request and what would be right.
pub fn check(request: &FactRequest, hooks: &[Hook]) -> Result<&'static FactSpec, FactError> {
    let spec = spec(&request.name).ok_or_else(|| FactError::Unknown(request.name.clone()))?;
    let fact = spec.name;
    for (name, text) in &request.params {
        let Some(param) = spec.params.iter().find(|p| p.name == name) else {
            return Err(FactError::UnknownParam { fact, param: name.clone() });
        };
        let good = serde_json::from_str(text).is_ok_and(|value| param.kind.accepts(&value));
        if !good {
            return Err(FactError::BadParam { fact, param: param.name, allowed: param.kind.allowed() });
        }
    }
    let missing = spec.params.iter().find(|p| p.required && !request.params.contains_key(p.name));
    if let Some(param) = missing {
        return Err(FactError::MissingParam { fact, param: param.name });
    }
    check_since(fact, request)?;
    let answers =
        |hook: &Hook| hooks.contains(hook) || (*hook == Hook::Wake && hooks.contains(&Hook::Authorization));
    if !spec.hooks.iter().any(answers) {
        return Err(FactError::WrongHook { fact });
    }
    Ok(spec)
}

/// `window_seconds` goes with `since: "window"` and with nothing else.
fn check_since(fact: &'static str, request: &FactRequest) -> Result<(), FactError> {
    let Some(since) = request.params.get("since") else { return Ok(()) };
    let windowed = since == "\"window\"";
    match (windowed, request.params.contains_key("window_seconds")) {
        (true, false) => Err(FactError::MissingParam { fact, param: "window_seconds" }),
        (false, true) => Err(FactError::BadParam {
            fact,
            param: "window_seconds",
            allowed: "left out unless `since` is \"window\"",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str, params: &[(&str, &str)]) -> FactRequest {
        FactRequest {
            name: name.into(),
            params: params.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        }
    }

    #[test]
    fn catalogue_is_sorted_and_unique() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn good_requests_pass() {
        for (name, params) in [
            ("messages.sent", &[("window_seconds", "60")][..]),
            ("messages.sent", &[("window_seconds", "60"), ("recipient", "\"bob\"")]),
            ("calls.allowed", &[("tools", "[\"send_message\"]"), ("window_seconds", "2592000")]),
            ("replies.sent", &[("since", "\"escalation\"")]),
            ("replies.sent", &[("since", "\"window\""), ("window_seconds", "5")]),
            ("thread.auto_depth", &[]),
            ("thread.repeated", &[]),
        ] {
            check(&request(name, params), BOTH).unwrap();
        }
    }

    #[test]
    fn bad_requests_say_what_is_allowed() {
        let said = |name, params: &[(&str, &str)], hooks| {
            check(&request(name, params), hooks).unwrap_err().to_string()
        };
        assert!(said("message.sent", &[], BOTH).contains("known are calls.allowed, calls.attempted"));
        assert_eq!(
            said("messages.sent", &[], BOTH),
            "fact `messages.sent` needs the parameter `window_seconds`"
        );
        assert_eq!(
            said("messages.sent", &[("window_seconds", "0")], BOTH),
            "parameter `window_seconds` of fact `messages.sent` must be a whole number from 1 to 2592000"
        );
        assert!(
            said("messages.sent", &[("window", "6")], BOTH).contains("it takes recipient, window_seconds")
        );
        assert_eq!(
            said("replies.sent", &[("since", "\"window\"")], BOTH),
            "fact `replies.sent` needs the parameter `window_seconds`"
        );
        assert!(
            said("replies.sent", &[("since", "\"run\""), ("window_seconds", "6")], BOTH).contains("left out")
        );
        assert!(said("thread.auto_depth", &[], AUTHORIZATION).contains("no meaning"));
        assert!(said("target.task", &[("id", "1")], BOTH).contains("takes no parameters"));
    }
}
