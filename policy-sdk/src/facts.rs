//! The facts a host offers, typed. Each type here is both the request (what [`Policy::facts`](crate::Policy::facts)
//! returns) and the reader of the answer (what [`Facts::get`] takes), so that the two cannot drift apart.
//!
//! A fact that is missing or does not parse is a [`Fault`]: return it with `?`, and the evaluation counts as failed,
//! which refuses a call and hands a message to a person. It never reads as zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Fault;

/// A fact of the host's catalogue and its parameters: parameter name to JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRequest {
    /// For instance `messages.sent`.
    pub name: String,
    /// Parameter name to JSON text.
    pub params: BTreeMap<String, String>,
}

impl FactRequest {
    /// A request without parameters.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), params: BTreeMap::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with<T: Serialize + ?Sized>(mut self, key: &str, value: &T) -> Self {
        // A value that JSON cannot express (a map with other keys than strings, say) becomes null, which no host accepts.
        let value = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.params.insert(key.to_owned(), value);
        self
    }
}

/// A fact that can be asked for.
pub trait Fact {
    /// What the host answers.
    type Value: DeserializeOwned;

    /// The request in the host's words.
    fn request(&self) -> FactRequest;
}

/// The facts of one evaluation: those that the policy asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(Vec<(FactRequest, String)>);

impl Facts {
    /// Reads the answer to a request.
    ///
    /// # Errors
    ///
    /// When the host gave no such fact (it was not in [`Policy::facts`](crate::Policy::facts)), or not in the
    /// documented form.
    pub fn get<F: Fact>(&self, fact: &F) -> Result<F::Value, Fault> {
        let request = fact.request();
        let (_, value) = self
            .0
            .iter()
            .find(|(given, _)| *given == request)
            .ok_or_else(|| Fault::MissingFact(request.name.clone()))?;
        serde_json::from_str(value)
            .map_err(|error| Fault::MalformedFact { name: request.name, error: error.to_string() })
    }

    /// Requests and the JSON text of their answers.
    pub fn iter(&self) -> impl Iterator<Item = (&FactRequest, &str)> {
        self.0.iter().map(|(request, value)| (request, value.as_str()))
    }
}

impl FromIterator<(FactRequest, String)> for Facts {
    fn from_iter<I: IntoIterator<Item = (FactRequest, String)>>(answers: I) -> Self {
        Self(answers.into_iter().collect())
    }
}

/// How many, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Count {
    /// How many were counted.
    pub count: u64,
    /// Time of the oldest one counted, in milliseconds since 1970-01-01T00:00:00Z; `None` when there is none.
    pub oldest: Option<u64>,
}

impl Count {
    /// Seconds, at least 1, until the oldest one counted has left a window of `window_seconds`.
    #[must_use]
    pub fn seconds_until_one_leaves(&self, window_seconds: u32, now: u64) -> u64 {
        let leaves = self.oldest.unwrap_or(now).saturating_add(u64::from(window_seconds) * 1000);
        leaves.saturating_sub(now).div_ceil(1000).max(1)
    }
}

/// Tool calls of the calling principal in the last `window_seconds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    // Written once, when the policy is configured: to write the list of tools again is dear beside what a policy does.
    request: FactRequest,
}

impl Calls {
    /// `calls.attempted`: every call, whatever became of it. No tools means all tools.
    #[must_use]
    pub fn attempted(tools: &[&str], window_seconds: u32) -> Self {
        Self::new("calls.attempted", tools, window_seconds)
    }

    /// `calls.allowed`: the calls that were let through. No tools means all tools.
    #[must_use]
    pub fn allowed(tools: &[&str], window_seconds: u32) -> Self {
        Self::new("calls.allowed", tools, window_seconds)
    }

    /// `calls.denied`: the calls that were refused. No tools means all tools.
    #[must_use]
    pub fn denied(tools: &[&str], window_seconds: u32) -> Self {
        Self::new("calls.denied", tools, window_seconds)
    }

    fn new(name: &str, tools: &[&str], window_seconds: u32) -> Self {
        let request = FactRequest::new(name).with("window_seconds", &window_seconds);
        Self { request: if tools.is_empty() { request } else { request.with("tools", tools) } }
    }
}

impl Fact for Calls {
    type Value = Count;

    fn request(&self) -> FactRequest {
        self.request.clone()
    }
}

/// `messages.sent`: messages, direct and broadcast, that the calling principal sent in the last `window_seconds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagesSent {
    /// Length of the window that ends now.
    pub window_seconds: u32,
    /// Only those to this recipient (`*` is the broadcasts).
    pub recipient: Option<String>,
}

impl MessagesSent {
    /// Messages to anybody in the last `window_seconds`.
    #[must_use]
    pub fn within(window_seconds: u32) -> Self {
        Self { window_seconds, recipient: None }
    }
}

impl Fact for MessagesSent {
    type Value = Count;

    fn request(&self) -> FactRequest {
        let request = FactRequest::new("messages.sent").with("window_seconds", &self.window_seconds);
        match &self.recipient {
            Some(recipient) => request.with("recipient", recipient),
            None => request,
        }
    }
}

/// From when on automatic replies are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Since the poll daemon started.
    Run,
    /// Since the agent's last escalation to a person.
    Escalation,
    /// In the last so many seconds.
    Window(u32),
}

/// Automatic replies of the agent whose inbox it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replies {
    name: &'static str,
    since: Since,
}

impl Replies {
    /// `replies.sent`: to anybody.
    #[must_use]
    pub fn sent(since: Since) -> Self {
        Self { name: "replies.sent", since }
    }

    /// `replies.sent_to_sender`: to the sender of the message under review.
    #[must_use]
    pub fn sent_to_sender(since: Since) -> Self {
        Self { name: "replies.sent_to_sender", since }
    }
}

impl Fact for Replies {
    type Value = Count;

    fn request(&self) -> FactRequest {
        let request = FactRequest::new(self.name);
        match self.since {
            Since::Run => request.with("since", "run"),
            Since::Escalation => request.with("since", "escalation"),
            Since::Window(seconds) => request.with("since", "window").with("window_seconds", &seconds),
        }
    }
}

/// `thread.auto_depth`: how many automatic messages in a row the thread of the message already ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadAutoDepth;

/// `thread.participants`: the names of all who wrote in the thread of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadParticipants;

/// `thread.repeated`: how many of the last 100 earlier messages of the thread are by the same sender and say the same,
/// apart from white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadRepeated;

/// `wake.in_hour`: how often the recipient was woken in the last hour. A policy that asks for a `wake.*` fact is asked
/// whether a message may wake its recipient: a [`ToolCall`](crate::ToolCall) of the tool [`WAKE`] by the sender, with the
/// arguments `recipient`, `message_id` and `kind` (`message`, `task`, `person` or `broadcast`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakesInHour;

/// `wake.ping_pong`: how many of the thread's last messages, at most 100, went back and forth between sender and recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakePingPong;

/// `wake.since_person`: how often the recipient was woken since a person typed in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakesSincePerson;

/// The tool of the question whether a message may wake its recipient.
pub const WAKE: &str = "wake";

/// `limits.max_replies`: the daemon's `--max-messages`, 13 unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxReplies;

/// `target.task`: the task that the call's `task_id` names; `None` when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetTask;

/// `target.context`: the entry that the call's `key` names; `None` when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetContext;

/// `target.member`: the member that the call's `recipient` or `assignee` names; `None` when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetMember;

/// `member.role`: the role of the member of this name; `None` when there is no such member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRole {
    /// Agent name.
    pub name: String,
}

macro_rules! plain_facts {
    ($($fact:ty: $name:literal -> $value:ty;)*) => {$(
        impl Fact for $fact {
            type Value = $value;

            fn request(&self) -> FactRequest {
                FactRequest::new($name)
            }
        }
    )*};
}

plain_facts! {
    ThreadAutoDepth: "thread.auto_depth" -> u64;
    ThreadParticipants: "thread.participants" -> Vec<String>;
    ThreadRepeated: "thread.repeated" -> u64;
    WakesInHour: "wake.in_hour" -> u64;
    WakePingPong: "wake.ping_pong" -> u64;
    WakesSincePerson: "wake.since_person" -> u64;
    MaxReplies: "limits.max_replies" -> u64;
    TargetTask: "target.task" -> Option<Task>;
    TargetContext: "target.context" -> Option<ContextEntry>;
    TargetMember: "target.member" -> Option<Member>;
}

impl Fact for MemberRole {
    type Value = Option<String>;

    fn request(&self) -> FactRequest {
        FactRequest::new("member.role").with("name", &self.name)
    }
}

/// The task a call acts on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Task {
    /// The task's number.
    pub id: u64,
    /// One line.
    pub title: String,
    /// `pending`, `in_progress`, `blocked`, `awaiting_review`, `done` or `cancelled`.
    pub status: String,
    /// `high`, `medium` or `low`.
    pub priority: String,
    /// Who created it.
    pub creator: String,
    /// Who works on it; empty when nobody does.
    pub assignee: String,
    /// Who accepts it; empty when it needs no review.
    pub reviewer: String,
}

/// The shared context entry a call acts on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ContextEntry {
    /// For instance `alice/plan`.
    pub key: String,
    /// Who wrote it last.
    pub set_by: String,
    /// Starts at 1 and grows by one with every write.
    pub version: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub updated_at: u64,
}

/// The member a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Agent name.
    pub name: String,
    /// Role as registered.
    pub role: String,
    /// Capabilities as registered.
    pub capabilities: Vec<String>,
    /// `active` or `inactive`.
    pub status: String,
    /// `online` or `away`.
    pub presence: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fact: &impl Fact) -> String {
        let request = fact.request();
        let params: Vec<_> = request.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} {}", request.name, params.join(" "))
    }

    #[test]
    fn requests_are_written_in_the_words_of_the_catalogue() {
        assert_eq!(shown(&Calls::allowed(&[], 60)), "calls.allowed window_seconds=60");
        assert_eq!(
            shown(&Calls::denied(&["register", "broadcast"], 5)),
            r#"calls.denied tools=["register","broadcast"] window_seconds=5"#
        );
        assert_eq!(shown(&MessagesSent::within(60)), "messages.sent window_seconds=60");
        let to_bob = MessagesSent { window_seconds: 60, recipient: Some("bob \"b\"".to_owned()) };
        assert_eq!(shown(&to_bob), r#"messages.sent recipient="bob \"b\"" window_seconds=60"#);
        assert_eq!(shown(&Replies::sent(Since::Escalation)), r#"replies.sent since="escalation""#);
        assert_eq!(
            shown(&Replies::sent_to_sender(Since::Window(9))),
            r#"replies.sent_to_sender since="window" window_seconds=9"#
        );
        assert_eq!(shown(&MemberRole { name: "bob".to_owned() }), r#"member.role name="bob""#);
    }

    #[test]
    fn only_the_fact_that_was_asked_for_is_read() {
        let asked = MessagesSent::within(60);
        let facts: Facts =
            [(asked.request(), r#"{"count":3,"oldest":null}"#.to_owned())].into_iter().collect();
        assert_eq!(facts.get(&asked), Ok(Count { count: 3, oldest: None }));
        assert_eq!(facts.get(&MessagesSent::within(61)), Err(Fault::MissingFact("messages.sent".to_owned())));
    }

    #[test]
    fn the_wait_is_rounded_up_and_never_nothing() {
        let since = |oldest| Count { count: 1, oldest };
        assert_eq!(since(Some(52_500)).seconds_until_one_leaves(60, 100_000), 13);
        assert_eq!(since(Some(0)).seconds_until_one_leaves(60, 100_000), 1);
        assert_eq!(since(None).seconds_until_one_leaves(60, 100_000), 60);
        assert_eq!(since(Some(u64::MAX)).seconds_until_one_leaves(60, 0), u64::MAX.div_ceil(1000));
    }
}
