//! The running of the test cases a policy carries inside its component (custom section `team-table:cases`): the host activates no
//! module whose own cases do not hold. What a case is and how an answer is judged is the SDK's, so that the policy's own
//! `cargo test` and the host agree. Knows nothing of sets and files.

use serde::Serialize;
use team_table_policy_sdk as sdk;
use team_table_policy_sdk::cases::{Answer as Got, Case, Input};

use crate::domain::decision::{Answer, FactRequest, Hook, InboxMessage, PrincipalView, Reason, ToolCall};
use crate::domain::facts;

use super::error::{PolicyError, kind_name};
use super::instance::{Evaluated, Question};
use super::wire::{CallIn, Entry, FactIn, MessageIn};
use super::workbench::{Configured, Workbench};

/// How one case went.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// What it expected and what it got; `None` when they agree.
    pub failure: Option<String>,
    /// What the policy said; `None` when the case is about settings, or the policy could not be asked.
    pub answer: Option<Answer>,
    /// Fuel the evaluation took.
    pub fuel: u64,
    /// Wall-clock microseconds it took.
    pub micros: u64,
    /// The most linear memory the instance had, in bytes.
    pub memory: usize,
}

/// Reads embedded cases.
pub(super) fn parse(text: &str) -> Result<Vec<Case>, PolicyError> {
    sdk::cases::parse(text).map_err(|error| PolicyError::CasesUnreadable(error.trim().replace('\n', "; ")))
}

/// Runs every case.
pub(super) fn run(workbench: &Workbench<'_>, cases: &[Case]) -> Vec<CaseReport> {
    cases.iter().map(|case| run_one(workbench, case)).collect()
}

/// The error of a run in which not everything held.
pub(super) fn hold(reports: &[CaseReport]) -> Result<(), PolicyError> {
    let mut failures = reports.iter().filter_map(|report| Some((&report.name, report.failure.as_ref()?)));
    let Some((name, failure)) = failures.next() else { return Ok(()) };
    let first = format!("`{name}`: {failure}");
    Err(PolicyError::CasesFailed { failed: failures.count() + 1, total: reports.len(), first })
}

fn run_one(workbench: &Workbench<'_>, case: &Case) -> CaseReport {
    let mut facts = sdk::Facts::default();
    let (got, evaluated) = match workbench.configure(&case.settings_json()) {
        Err(PolicyError::Settings(complaints)) => (Got::ConfigError(complaints), None),
        Err(error) => (Got::Failed(error.to_string()), None),
        Ok(configured) => match case.facts_for(&requests(&configured)) {
            Err(error) => (Got::Failed(error), None),
            Ok(answered) => {
                facts = answered;
                match ask(workbench, configured, case, &facts) {
                    None => (Got::Configured, None),
                    Some(evaluated) => (got(&evaluated.answer), Some(evaluated)),
                }
            }
        },
    };
    let result = case.judge(&got, &facts);
    let failure = (!result.passed).then(|| format!("expected {}, got {}", result.expected, result.got));
    let Some(Evaluated { answer, fuel, micros, memory }) = evaluated else {
        return CaseReport { name: result.name, failure, answer: None, fuel: 0, micros: 0, memory: 0 };
    };
    CaseReport { name: result.name, failure, answer: Some(answer), fuel, micros, memory }
}

/// Puts the case's question to the instance that was configured for it. `None` when it has none.
fn ask(
    workbench: &Workbench<'_>,
    configured: Configured<'_>,
    case: &Case,
    facts: &sdk::Facts,
) -> Option<Evaluated> {
    let input = case.input();
    let hook = match &input {
        Input::Configure => return None,
        Input::Call(_) => Hook::Authorization,
        Input::Message(_) => Hook::Escalation,
    };
    // The answers are in the order of the requests, and those in the order of the description.
    let asked = configured.description.facts.clone();
    let facts: Vec<_> = asked
        .iter()
        .zip(&configured.requests)
        .zip(facts.iter())
        .filter(|((_, request), _)| facts::applies(request, hook))
        .map(|((asked, _), (_, value))| FactIn::new(asked, value))
        .collect();
    Some(match input {
        Input::Call(call) => {
            let extra = entries(&call.extra);
            let arguments = call.arguments.as_json().to_owned();
            let call = call_of(call);
            let mut question = CallIn::new(&call, &arguments);
            question.extra = &extra;
            workbench.ask(configured, Question::Authorize(&question), &facts)
        }
        Input::Message(message) => {
            let extra = entries(&message.extra);
            let message = message_of(message);
            let mut question = MessageIn::from(&message);
            question.extra = &extra;
            workbench.ask(configured, Question::Review(&question), &facts)
        }
        Input::Configure => return None,
    })
}

fn requests(configured: &Configured<'_>) -> Vec<sdk::FactRequest> {
    let convert = |FactRequest { name, params }: FactRequest| sdk::FactRequest { name, params };
    configured.requests.iter().cloned().map(convert).collect()
}

fn entries(extra: &std::collections::BTreeMap<String, String>) -> Vec<Entry> {
    extra.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect()
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn principal_of(principal: sdk::Principal) -> PrincipalView {
    let sdk::Principal { name, role, capabilities, authenticated } = principal;
    PrincipalView { name, role, capabilities, authenticated }
}

/// The arguments stay behind: they are handed over as the text they are.
fn call_of(call: sdk::ToolCall) -> ToolCall {
    ToolCall {
        tool: call.tool,
        principal: principal_of(call.principal),
        arguments: serde_json::Value::Null,
        transport: call.transport,
        now: signed(call.now),
    }
}

fn message_of(message: sdk::InboxMessage) -> InboxMessage {
    InboxMessage {
        id: signed(message.id),
        agent: message.agent,
        sender: principal_of(message.sender),
        content: message.content,
        thread: signed(message.thread),
        reply_to: message.reply_to.map(signed),
        broadcast: message.broadcast,
        automatic: message.automatic,
        created_at: signed(message.created_at),
        now: signed(message.now),
    }
}

/// The host's answer in the SDK's words.
fn got(answer: &Answer) -> Got {
    let why = |reason: &Reason| {
        let Reason { code, message, notes } = reason.clone();
        sdk::Reason { code, message, notes }
    };
    match answer {
        Answer::Abstain => Got::Verdict(sdk::Verdict::Abstain),
        Answer::Allow => Got::Verdict(sdk::Verdict::Allow),
        Answer::Deny(reason) => Got::Verdict(sdk::Verdict::Deny(why(reason))),
        Answer::Escalate(reason) => Got::Verdict(sdk::Verdict::Escalate(why(reason))),
        Answer::Pass => Got::Review(sdk::ReviewOutcome::Pass),
        Answer::Reply { text } => Got::Review(sdk::ReviewOutcome::Reply(text.clone())),
        Answer::Ignore(reason) => Got::Review(sdk::ReviewOutcome::Ignore(why(reason))),
        Answer::Error { kind, detail } => Got::Failed(format!("{}: {detail}", kind_name(*kind))),
    }
}
