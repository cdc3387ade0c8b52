//! The running of the test cases a policy carries inside its component (custom section `team-table:cases`): the host activates no
//! module whose own cases do not hold. What a case is and how an answer is judged is the SDK's, so that the policy's own
//! `cargo test` and the host agree. Must not depend on sets and files.

use serde::Serialize;
use team_table_policy_sdk as sdk;
use team_table_policy_sdk::cases::{Answer as Got, Case, Input};
pub use team_table_policy_sdk::cases::{CaseResult, RESULTS_FILE};
use team_table_policy_sdk::limits::MAX_MESSAGE_CHARS;

use crate::domain::decision::{Answer, FactRequest, Hook, InboxMessage, PrincipalView, Reason, ToolCall};
use crate::domain::facts;

use super::workbench::{Configured, Workbench};
use crate::policy::error::{PolicyError, kind_name};
use crate::policy::eval::instance::{Evaluated, Question};
use crate::policy::eval::{AskedFact, CallIn, Entry, FactIn, MessageIn};

/// How one case went as a component.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// What was expected and what came.
    #[serde(flatten)]
    pub result: CaseResult,
    /// Fuel the evaluation took; 0 when nothing was asked.
    pub fuel: u64,
    /// Wall-clock microseconds it took.
    pub micros: u64,
    /// The most linear memory the instance had, in bytes.
    pub memory: usize,
}

/// Reads embedded cases.
pub(super) fn parse(text: &str) -> Result<Vec<Case>, PolicyError> {
    // The message quotes the line it stumbled over, however long that is.
    let shown = |error: String| error.trim().replace('\n', "; ").chars().take(MAX_MESSAGE_CHARS).collect();
    sdk::cases::parse(text).map_err(|error| PolicyError::CasesUnreadable(shown(error)))
}

/// Runs every case.
pub(super) fn run(workbench: &Workbench<'_>, cases: &[Case]) -> Vec<CaseReport> {
    cases.iter().map(|case| run_one(workbench, case)).collect()
}

/// The error of a run in which not everything held.
pub(super) fn hold(reports: &[CaseReport]) -> Result<(), PolicyError> {
    let mut failures = reports.iter().map(|report| &report.result).filter(|result| !result.passed);
    let Some(failure) = failures.next() else { return Ok(()) };
    let first = format!("`{}`: {}", failure.name, difference(failure));
    Err(PolicyError::CasesFailed { failed: failures.count() + 1, total: reports.len(), first })
}

fn run_one(workbench: &Workbench<'_>, case: &Case) -> CaseReport {
    let mut facts = sdk::Facts::default();
    let (got, evaluated) = match workbench.configure(&case.settings_json()) {
        Err(PolicyError::Settings(validation_errors)) => (Got::ConfigError(validation_errors), None),
        Err(error) => (Got::Failed(error.to_string()), None),
        Ok(configured) => match case.facts_for(&requests(&configured.requests)) {
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
    let (fuel, micros, memory) = evaluated.map_or((0, 0, 0), |it| (it.fuel, it.micros, it.memory));
    CaseReport { result: case.judge(&got, &facts), fuel, micros, memory }
}

/// What was expected of a case and what came, in one line.
#[must_use]
pub fn difference(result: &CaseResult) -> String {
    format!("expected {}, got {}", result.expected, result.got)
}

/// Puts the case's question to the instance that was configured for it. `None` when it has none.
fn ask(
    workbench: &Workbench<'_>,
    configured: Configured<'_>,
    case: &Case,
    facts: &sdk::Facts,
) -> Option<Evaluated> {
    let asked = configured.description.facts.clone();
    let requests = configured.requests.clone();
    put(case, &asked, &requests, facts, |question, facts| workbench.ask(configured, question, facts))
}

/// Puts the question of a case, with its facts, to `ask`. `None` when it has none. `asked` and `requests` are the facts that the
/// policy wants, as it wrote them and in normal form; `facts` are the answers, in the same order.
pub(super) fn put<R>(
    case: &Case,
    asked: &[AskedFact],
    requests: &[FactRequest],
    facts: &sdk::Facts,
    ask: impl FnOnce(Question<'_>, &[FactIn<'_>]) -> R,
) -> Option<R> {
    let input = case.input();
    let hook = match &input {
        Input::Configure => return None,
        Input::Call(call) => Hook::of_tool(&call.tool),
        Input::Message(_) => Hook::Review,
    };
    let facts: Vec<_> = asked
        .iter()
        .zip(requests)
        .zip(facts.iter())
        .filter(|((_, request), _)| facts::applies(request, hook))
        .map(|((asked, _), (_, value))| FactIn::new(asked, value))
        .collect();
    match input {
        Input::Call(call) => {
            let extra = entries(&call.extra);
            let arguments = call.arguments.as_json().to_owned();
            let call = call_of(call);
            let mut question = CallIn::new(&call, &arguments);
            question.extra = &extra;
            Some(ask(Question::Authorize(&question), &facts))
        }
        Input::Message(message) => {
            let extra = entries(&message.extra);
            let message = message_of(message);
            let mut question = MessageIn::from(&message);
            question.extra = &extra;
            Some(ask(Question::Review(&question), &facts))
        }
        Input::Configure => None,
    }
}

/// The host's requests in the SDK's words.
pub(super) fn requests(wanted: &[FactRequest]) -> Vec<sdk::FactRequest> {
    let convert = |FactRequest { name, params }: FactRequest| sdk::FactRequest { name, params };
    wanted.iter().cloned().map(convert).collect()
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
