//! A whole policy held against everything that a host may ask. Must not know how the questions are drawn.

use std::fmt::Debug;

use proptest::{
    prelude::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{facts, inbox_message, tool_call};
use crate::{
    Exported, FactRequest, Fault, Reason, ReviewOutcome, Verdict,
    limits::{reason_error, reply_error},
};

/// Whether a host supplies the fact when it asks for a verdict (`false`: for a review).
fn is_supplied(request: &FactRequest, to_authorize: bool) -> bool {
    let only_for = |families: &[&str]| families.iter().any(|family| request.name.starts_with(family));
    !only_for(if to_authorize { &["limits.", "replies.", "thread."] } else { &["calls.", "target."] })
}

/// Asserts that a policy with these settings (JSON text) answers everything: whatever the call or the message is and whatever
/// the host knows, there is an answer, it is the same when it is asked again, and the host would take it.
///
/// 256 questions to each hook, or as many as `PROPTEST_CASES` says.
///
/// # Panics
///
/// When the settings are refused, and with the simplest question found that the policy does not answer.
pub fn assert_answers<P: Exported>(settings: &str) {
    let [policy, twin] = [(); 2].map(|()| match crate::configure::<P>(settings) {
        Ok(policy) => policy,
        Err(errors) => give_up::<P>(&format!("refuses {settings}: {}", errors.join("; "))),
    });
    let supplied = |to_authorize| {
        let requests: Vec<_> =
            policy.facts().into_iter().filter(|request| is_supplied(request, to_authorize)).collect();
        facts(&requests)
    };
    run::<P, _>(&(tool_call(), supplied(true)), |(call, facts)| {
        judge([&policy, &twin], |policy| policy.ask_authorize(call, facts), complaint_of_verdict)
    });
    run::<P, _>(&(inbox_message(), supplied(false)), |(message, facts)| {
        judge([&policy, &twin], |policy| policy.ask_review(message, facts), complaint_of_review)
    });
}

fn run<P: Exported, S: Strategy>(questions: &S, test: impl Fn(&S::Value) -> Result<(), TestCaseError>) {
    // Where a failed question would be kept for the next run, only the macros of proptest know.
    let config = Config { failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(questions, |question| test(&question));
    if let Err(error) = outcome {
        give_up::<P>(&error.to_string());
    }
}

/// Asks a policy twice and its twin once, so that what a policy remembers shows in the answers.
fn judge<P, A: PartialEq + Debug>(
    [policy, twin]: [&P; 2],
    ask: impl Fn(&P) -> Option<Result<A, Fault>>,
    validation_error: impl Fn(&A) -> Option<String>,
) -> Result<(), TestCaseError> {
    let Some(first) = ask(policy) else { return Ok(()) };
    for other in [policy, twin].into_iter().filter_map(ask) {
        if other != first {
            return Err(TestCaseError::fail(format!("two answers to one question: {first:?}, {other:?}")));
        }
    }
    let validation_error = match first {
        Ok(answer) => validation_error(&answer),
        Err(fault) => Some(format!("no answer: {fault}")),
    };
    validation_error.map_or(Ok(()), |validation_error| Err(TestCaseError::fail(validation_error)))
}

fn complaint_of_verdict(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Abstain | Verdict::Allow => None,
        Verdict::Deny(reason) | Verdict::Escalate(reason) => complaint_of_reason(reason),
    }
}

fn complaint_of_review(review: &ReviewOutcome) -> Option<String> {
    match review {
        ReviewOutcome::Pass => None,
        ReviewOutcome::Reply(text) => reply_error(text),
        ReviewOutcome::Ignore(reason) | ReviewOutcome::Escalate(reason) => complaint_of_reason(reason),
    }
}

fn complaint_of_reason(reason: &Reason) -> Option<String> {
    reason_error(&reason.code, &reason.message, &reason.notes)
}

#[allow(clippy::panic, reason = "the body of a test")]
fn give_up<P: Exported>(what: &str) -> ! {
    panic!("{}: {what}", P::NAME)
}
