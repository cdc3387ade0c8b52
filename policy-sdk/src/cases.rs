//! Test cases that travel with a policy: a TOML file, embedded in the component, run by `cargo test` natively and by
//! the host before it activates the policy. Both read the same file with the same types and judge by the same rules, which
//! is what makes "the verdicts are equal" checkable.
//!
//! ```toml
//! [[case]]
//! name = "the 31st message in a minute is refused"
//! settings = { max_messages = 30 }
//! call = { tool = "send_message", principal = { name = "alice" }, arguments = { recipient = "bob" } }
//! facts = [{ name = "messages.sent", params = { window_seconds = 60 }, value = { count = 30, oldest = 0 } }]
//! expect = { outcome = "deny", code = "rate_limited" }
//! ```
//!
//! - A case has a `call` (authorization), or a `message` (escalation), or `expect_config_error` and neither.
//! - It runs with its own `settings` (none given: `{}`), never with those installed.
//! - A given fact answers every request of its name whose parameters contain the given ones. A request that no given fact
//!   answers gets the quiet value of the catalogue: no calls, no messages, no target, a limit of 13. A given fact
//!   that nothing asked for is a mistake in the case.
//! - `message` and `text` expect a part of the answer's text; the other fields of `expect` are compared as a whole.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Arguments, Exported, FactRequest, Facts, InboxMessage, Principal, Reason, ReviewOutcome, ToolCall,
    Verdict,
};

/// `now` of a case that does not say: 2026-01-01T00:00:00Z in milliseconds.
pub const DEFAULT_NOW: u64 = 1_767_225_600_000;

/// A file of cases.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a few words.
    pub name: String,
    /// The policy's settings.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// The call to judge.
    pub call: Option<GivenCall>,
    /// The message to judge.
    pub message: Option<GivenMessage>,
    /// What the host knows.
    #[serde(default)]
    pub facts: Vec<GivenFact>,
    /// The answer that is right.
    pub expect: Option<Expect>,
    /// The settings are refused, and one of the sentences contains this text.
    pub expect_config_error: Option<String>,
}

/// A principal of a case: the agent `alice`, proved by a token, unless told otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GivenPrincipal {
    /// `alice`.
    pub name: String,
    /// `agent`.
    pub role: String,
    /// None.
    pub capabilities: Vec<String>,
    /// True.
    pub authenticated: bool,
}

impl Default for GivenPrincipal {
    fn default() -> Self {
        Self { name: "alice".into(), role: "agent".into(), capabilities: Vec::new(), authenticated: true }
    }
}

impl From<GivenPrincipal> for Principal {
    fn from(given: GivenPrincipal) -> Self {
        Self {
            name: given.name,
            role: given.role,
            capabilities: given.capabilities,
            authenticated: given.authenticated,
        }
    }
}

/// A tool call of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenCall {
    /// The tool.
    pub tool: String,
    /// Who calls.
    #[serde(default)]
    pub principal: GivenPrincipal,
    /// The arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// `stdio` unless told otherwise.
    pub transport: Option<String>,
    /// [`DEFAULT_NOW`] unless told otherwise.
    pub now: Option<u64>,
    /// Additions of later hosts.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

impl From<GivenCall> for ToolCall {
    fn from(given: GivenCall) -> Self {
        Self {
            tool: given.tool,
            principal: given.principal.into(),
            arguments: Arguments::from_json(Value::Object(given.arguments).to_string()),
            transport: given.transport.unwrap_or_else(|| "stdio".into()),
            now: given.now.unwrap_or(DEFAULT_NOW),
            extra: texts(&given.extra),
        }
    }
}

/// A message of a case: number 1 of its own thread, direct, from `bob` to `alice`, unless told otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenMessage {
    /// The text.
    pub content: String,
    /// Whose inbox it is in: `alice`.
    pub agent: Option<String>,
    /// Who wrote it: `bob`.
    pub sender: Option<GivenPrincipal>,
    /// 1.
    pub id: Option<u64>,
    /// Its own number.
    pub thread: Option<u64>,
    /// Nothing.
    pub reply_to: Option<u64>,
    /// False.
    #[serde(default)]
    pub broadcast: bool,
    /// False.
    #[serde(default)]
    pub automatic: bool,
    /// The same as `now`.
    pub created_at: Option<u64>,
    /// [`DEFAULT_NOW`].
    pub now: Option<u64>,
    /// Additions of later hosts.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

impl From<GivenMessage> for InboxMessage {
    fn from(given: GivenMessage) -> Self {
        let id = given.id.unwrap_or(1);
        let now = given.now.unwrap_or(DEFAULT_NOW);
        let bob = || GivenPrincipal { name: "bob".into(), ..GivenPrincipal::default() };
        Self {
            id,
            agent: given.agent.unwrap_or_else(|| "alice".into()),
            sender: given.sender.unwrap_or_else(bob).into(),
            content: given.content,
            thread: given.thread.unwrap_or(id),
            reply_to: given.reply_to,
            broadcast: given.broadcast,
            automatic: given.automatic,
            created_at: given.created_at.unwrap_or(now),
            now,
            extra: texts(&given.extra),
        }
    }
}

/// A fact of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenFact {
    /// Its name in the catalogue.
    pub name: String,
    /// Answers only requests with these parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// The answer. TOML has no null: leave this out for it.
    #[serde(default)]
    pub value: Value,
}

impl GivenFact {
    fn answers(&self, request: &FactRequest) -> bool {
        self.name == request.name
            && texts(&self.params).iter().all(|(key, value)| request.params.get(key) == Some(value))
    }

    /// The value as the host would write it: a count with the fields that the case left out.
    fn value(&self) -> String {
        match (&self.value, quiet(&self.name)) {
            (Value::Object(given), Some(Value::Object(mut whole))) => {
                whole.extend(given.clone());
                Value::Object(whole).to_string()
            }
            (value, _) => value.to_string(),
        }
    }
}

/// The answer that a case calls right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Which answer.
    pub outcome: Outcome,
    /// The code of the reason.
    pub code: Option<String>,
    /// A part of the reason's message.
    pub message: Option<String>,
    /// A part of the reply.
    pub text: Option<String>,
}

/// The answers of both hooks by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// [`Verdict::Abstain`]
    Abstain,
    /// [`Verdict::Allow`]
    Allow,
    /// [`Verdict::Deny`]
    Deny,
    /// [`Verdict::Escalate`] and [`ReviewOutcome::Escalate`]
    Escalate,
    /// [`ReviewOutcome::Pass`]
    Pass,
    /// [`ReviewOutcome::Reply`]
    Reply,
    /// [`ReviewOutcome::Ignore`]
    Ignore,
}

/// What a case asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Only whether the settings are good.
    Configure,
    /// The authorization hook.
    Call(ToolCall),
    /// The escalation hook.
    Message(InboxMessage),
}

/// What the policy answered, natively or as a component.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The settings were accepted; [`Input::Configure`] asks no more.
    Configured,
    /// The settings were refused, with these sentences.
    ConfigError(Vec<String>),
    /// The authorization hook answered.
    Verdict(Verdict),
    /// The escalation hook answered.
    Review(ReviewOutcome),
    /// There was no answer: a fault, a trap or a limit.
    Failed(String),
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Whether the answer was the expected one.
    pub passed: bool,
    /// What was expected.
    pub expected: String,
    /// What was answered, the reason's notes included.
    pub got: String,
    /// Whether there was an answer at all: false after a fault, a trap or a limit.
    pub answered: bool,
    /// The facts that were given, one a line.
    pub facts: Vec<String>,
}

impl CaseResult {
    /// Whether two runs of a case came to the same: the same answer, or none in both. Why there was none is told in other
    /// words by a native run (a fault) than by a component (a trap).
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        if self.answered && other.answered { self.got == other.got } else { self.answered == other.answered }
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.passed { "ok  " } else { "FAIL" }, self.name)?;
        if !self.passed {
            write!(f, "\n       expected  {}\n       got       {}", self.expected, self.got)?;
            for fact in &self.facts {
                write!(f, "\n       fact      {fact}")?;
            }
        }
        Ok(())
    }
}

/// Reads a file of cases.
///
/// # Errors
///
/// When it is not TOML of the documented form, or a case is contradictory.
pub fn parse(toml: &str) -> Result<Vec<Case>, String> {
    let file: File = toml_edit::de::from_str(toml).map_err(|error| error.to_string())?;
    for case in &file.case {
        case.check().map_err(|error| format!("case \"{}\": {error}", case.name))?;
    }
    Ok(file.case)
}

impl Case {
    fn check(&self) -> Result<(), String> {
        let asks = usize::from(self.call.is_some()) + usize::from(self.message.is_some());
        match (asks, &self.expect, &self.expect_config_error) {
            (1, Some(_), None) | (0, None, Some(_)) => Ok(()),
            _ => Err("needs either one of call and message, and expect; or only expect_config_error".into()),
        }
    }

    /// The settings as JSON text.
    #[must_use]
    pub fn settings_json(&self) -> String {
        Value::Object(self.settings.clone()).to_string()
    }

    /// What is asked.
    #[must_use]
    pub fn input(&self) -> Input {
        match (&self.call, &self.message) {
            (Some(call), _) => Input::Call(call.clone().into()),
            (None, Some(message)) => Input::Message(message.clone().into()),
            (None, None) => Input::Configure,
        }
    }

    /// The answers to the facts that the policy, configured with the case's settings, asks for.
    ///
    /// # Errors
    ///
    /// When the case gives a fact that nothing asked for, or the policy asks for one that is not in the catalogue.
    pub fn facts_for(&self, requests: &[FactRequest]) -> Result<Facts, String> {
        if let Some(idle) =
            self.facts.iter().find(|fact| !requests.iter().any(|request| fact.answers(request)))
        {
            let asked: Vec<_> = requests.iter().map(show_request).collect();
            return Err(format!(
                "the case gives {} {}, but the policy asks for: {}",
                idle.name,
                Value::Object(idle.params.clone()),
                asked.join(", ")
            ));
        }
        requests
            .iter()
            .map(|request| {
                let value = match self.facts.iter().find(|fact| fact.answers(request)) {
                    Some(given) => given.value(),
                    None => quiet(&request.name)
                        .ok_or_else(|| format!("no host offers the fact {}", request.name))?
                        .to_string(),
                };
                Ok((request.clone(), value))
            })
            .collect()
    }

    /// Compares an answer with what the case expects.
    #[must_use]
    pub fn judge(&self, answer: &Answer, facts: &Facts) -> CaseResult {
        CaseResult {
            name: self.name.clone(),
            passed: self.expects(answer),
            expected: self.expected(),
            got: show_answer(answer),
            answered: !matches!(answer, Answer::Failed(_)),
            facts: facts
                .iter()
                .map(|(request, value)| format!("{} = {value}", show_request(request)))
                .collect(),
        }
    }

    fn expects(&self, answer: &Answer) -> bool {
        if let Some(part) = &self.expect_config_error {
            return matches!(answer, Answer::ConfigError(errors) if errors.iter().any(|error| error.contains(part)));
        }
        let (Some(expect), Some((outcome, reason, text))) = (&self.expect, taken_apart(answer)) else {
            return false;
        };
        let contains = |part: &Option<String>, whole: Option<&str>| {
            part.as_ref().is_none_or(|part| whole.is_some_and(|whole| whole.contains(part)))
        };
        outcome == expect.outcome
            && expect.code.as_ref().is_none_or(|code| reason.is_some_and(|reason| reason.code == *code))
            && contains(&expect.message, reason.map(|reason| reason.message.as_str()))
            && contains(&expect.text, text)
    }

    fn expected(&self) -> String {
        if let Some(part) = &self.expect_config_error {
            return format!("settings refused: …{part}…");
        }
        let Some(expect) = &self.expect else {
            return "nothing".into();
        };
        let mut shown = format!("{:?}", expect.outcome).to_lowercase();
        for (name, value) in [("code", &expect.code), ("message", &expect.message), ("text", &expect.text)] {
            if let Some(value) = value {
                let _ = write!(shown, ", {name} {value:?}");
            }
        }
        shown
    }
}

/// Runs every case natively, in the process: what a policy's own `cargo test` does.
///
/// # Errors
///
/// When the file cannot be read; see [`parse`].
pub fn run_native<P: Exported>(toml: &str) -> Result<Vec<CaseResult>, String> {
    Ok(parse(toml)?.iter().map(run_one::<P>).collect())
}

fn run_one<P: Exported>(case: &Case) -> CaseResult {
    let none = Facts::default();
    let policy = match crate::configure::<P>(&case.settings_json()) {
        Ok(policy) => policy,
        Err(errors) => return case.judge(&Answer::ConfigError(errors), &none),
    };
    let facts = match case.facts_for(&policy.facts()) {
        Ok(facts) => facts,
        Err(error) => return case.judge(&Answer::Failed(error), &none),
    };
    let asked = match case.input() {
        Input::Configure => return case.judge(&Answer::Configured, &none),
        Input::Call(call) => policy.ask_authorize(&call, &facts).map(|answer| answer.map(Answer::Verdict)),
        Input::Message(message) => {
            policy.ask_review(&message, &facts).map(|answer| answer.map(Answer::Review))
        }
    };
    let answer = match asked {
        Some(Ok(answer)) => answer,
        Some(Err(fault)) => Answer::Failed(fault.to_string()),
        None => Answer::Failed("the policy does not export this hook".into()),
    };
    case.judge(&answer, &facts)
}

/// The environment variable that names a file for the results of [`assert_native`], as a JSON list of [`CaseResult`]:
/// `team-table policy test` compares them with those of the component.
pub const RESULTS_FILE: &str = "TEAM_TABLE_CASE_RESULTS";

/// Runs a policy's embedded cases and panics with every failed one; [`test_cases!`](crate::test_cases) calls it.
///
/// # Panics
///
/// When a case fails, or there are none, or the file of [`RESULTS_FILE`] cannot be written.
#[allow(clippy::panic, reason = "the body of a test")]
pub fn assert_native<P: Exported>() {
    let results = run_native::<P>(P::CASES).unwrap_or_else(|error| panic!("{}: {error}", P::NAME));
    assert!(!results.is_empty(), "{} has no cases: name their file in export_policy!", P::NAME);
    if let Some(file) = std::env::var_os(RESULTS_FILE) {
        let written = serde_json::to_vec(&results)
            .map_err(std::io::Error::from)
            .and_then(|json| std::fs::write(&file, json));
        written.unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }
    let failed: Vec<_> = results.iter().filter(|result| !result.passed).map(ToString::to_string).collect();
    assert!(
        failed.is_empty(),
        "{}: {} of {} cases fail\n\n{}\n",
        P::NAME,
        failed.len(),
        results.len(),
        failed.join("\n\n")
    );
}

/// Makes tests of a policy's embedded cases and of what it says of its settings. Put it behind `#[cfg(test)]`; needs the feature `test-kit`.
#[macro_export]
macro_rules! test_cases {
    ($policy:ty) => {
        #[test]
        fn embedded_cases() {
            $crate::cases::assert_native::<$policy>();
        }

        #[test]
        fn described_settings() {
            $crate::settings::assert_described::<$policy>();
        }
    };
}

/// The value of a fact when nothing has happened; `None` for a name that is not in the catalogue.
fn quiet(name: &str) -> Option<Value> {
    match name {
        "calls.attempted"
        | "calls.allowed"
        | "calls.denied"
        | "messages.sent"
        | "replies.sent"
        | "replies.sent_to_sender" => Some(json!({ "count": 0, "oldest": null })),
        "thread.auto_depth" | "thread.repeated" | "wake.in_hour" | "wake.ping_pong" | "wake.since_person" => {
            Some(json!(0))
        }
        "thread.participants" => Some(json!([])),
        "target.task" | "target.context" | "target.member" | "member.role" => Some(Value::Null),
        "limits.max_replies" => Some(json!(13)),
        _ => None,
    }
}

fn texts(values: &Map<String, Value>) -> BTreeMap<String, String> {
    values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}

fn show_request(request: &FactRequest) -> String {
    let params: Vec<_> = request.params.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{} {{{}}}", request.name, params.join(", "))
}

fn taken_apart(answer: &Answer) -> Option<(Outcome, Option<&Reason>, Option<&str>)> {
    match answer {
        Answer::Configured | Answer::ConfigError(_) | Answer::Failed(_) => None,
        Answer::Verdict(verdict) => Some(match verdict {
            Verdict::Abstain => (Outcome::Abstain, None, None),
            Verdict::Allow => (Outcome::Allow, None, None),
            Verdict::Deny(reason) => (Outcome::Deny, Some(reason), None),
            Verdict::Escalate(reason) => (Outcome::Escalate, Some(reason), None),
        }),
        Answer::Review(review) => Some(match review {
            ReviewOutcome::Pass => (Outcome::Pass, None, None),
            ReviewOutcome::Reply(text) => (Outcome::Reply, None, Some(text)),
            ReviewOutcome::Ignore(reason) => (Outcome::Ignore, Some(reason), None),
            ReviewOutcome::Escalate(reason) => (Outcome::Escalate, Some(reason), None),
        }),
    }
}

fn show_answer(answer: &Answer) -> String {
    match answer {
        Answer::Configured => "settings accepted".into(),
        Answer::ConfigError(errors) => format!("settings refused: {}", errors.join("; ")),
        Answer::Failed(error) => format!("no answer: {error}"),
        Answer::Verdict(_) | Answer::Review(_) => {
            let Some((outcome, reason, text)) = taken_apart(answer) else {
                return String::new();
            };
            let mut shown = format!("{outcome:?}").to_lowercase();
            if let Some(reason) = reason {
                let _ = write!(shown, ", code {:?}, message {:?}", reason.code, reason.message);
                for note in &reason.notes {
                    let _ = write!(shown, ", note {note:?}");
                }
            }
            if let Some(text) = text {
                let _ = write!(shown, ", text {text:?}");
            }
            shown
        }
    }
}
