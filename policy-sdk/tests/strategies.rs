//! What `assert_answers` must find: each setting is a way in which a policy fails, and the one that fails in none passes.
#![cfg(feature = "proptest")]
#![allow(clippy::panic, reason = "a policy that panics is what is tested")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, InboxMessage, Policy, Review, ReviewOutcome, ToolCall, Verdict,
    export_policy,
    facts::{Calls, Fact, ThreadAutoDepth},
    strategies::assert_answers,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    None,
    Panics,
    Remembers,
    LongMessage,
    EmptyReply,
    FactOfTheOtherHook,
}

#[derive(Deserialize)]
struct Settings {
    fails: Way,
}

struct Failing {
    way: Way,
    asked: AtomicU64,
}

impl Policy for Failing {
    type Settings = Settings;

    const NAME: &'static str = "failing";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "fails in the way it is told to";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        Ok(Self { way: settings.fails, asked: AtomicU64::new(0) })
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![Calls::denied(&[], 60).request(), ThreadAutoDepth.request()]
    }
}

impl Authorize for Failing {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        let denied = facts.get(&Calls::denied(&[], 60))?.count;
        let asked = self.asked.fetch_add(1, Relaxed);
        match self.way {
            Way::Panics if denied > 100 => panic!("{denied} is more than it can take"),
            Way::Remembers if asked > 10 => Ok(Verdict::deny("enough", "asked often enough")),
            Way::LongMessage if call.tool == "send_message" => {
                Ok(Verdict::deny("long", call.arguments.text("content")?.unwrap_or_default().repeat(10)))
            }
            _ => Ok(Verdict::Abstain),
        }
    }
}

impl Review for Failing {
    fn review(&self, message: &InboxMessage, facts: &Facts) -> Result<ReviewOutcome, Fault> {
        if self.way == Way::FactOfTheOtherHook {
            facts.get(&Calls::denied(&[], 60))?;
        }
        let empty = self.way == Way::EmptyReply && facts.get(&ThreadAutoDepth)? > 3;
        Ok(ReviewOutcome::Reply(if empty { String::new() } else { format!("to {}", message.id) }))
    }
}

export_policy!(Failing: authorization + escalation);

#[test]
fn a_policy_that_always_answers_passes() {
    assert_answers::<Failing>(r#"{ "fails": "none" }"#);
}

#[test]
#[should_panic(expected = "101 is more than it can take")]
fn a_panic_is_found_with_the_simplest_question() {
    assert_answers::<Failing>(r#"{ "fails": "panics" }"#);
}

#[test]
#[should_panic(expected = "two answers to one question")]
fn a_memory_is_found() {
    assert_answers::<Failing>(r#"{ "fails": "remembers" }"#);
}

#[test]
#[should_panic(expected = "a message may have at most 1000 characters")]
fn a_message_over_the_limit_is_found() {
    assert_answers::<Failing>(r#"{ "fails": "long_message" }"#);
}

#[test]
#[should_panic(expected = "a reply must be 1 to 10000 characters")]
fn an_empty_reply_is_found() {
    assert_answers::<Failing>(r#"{ "fails": "empty_reply" }"#);
}

#[test]
#[should_panic(expected = "no answer: fact calls.denied is missing")]
fn a_fact_that_the_host_does_not_supply_for_this_hook_is_found() {
    assert_answers::<Failing>(r#"{ "fails": "fact_of_the_other_hook" }"#);
}

#[test]
#[should_panic(expected = "failing: refuses")]
fn settings_that_are_refused_are_told() {
    assert_answers::<Failing>(r#"{ "fails": "always" }"#);
}
