//! `repeat-guard`: who says the same thing again and again in a thread is put before a person, not answered again.
//!
//! A loop that no depth shows: an agent that asks, is acknowledged, and asks the same again, written by hand each time.

use serde::Deserialize;
use team_table_policy_sdk::{
    FactRequest, Facts, Fault, InboxMessage, Policy, Reason, Review, ReviewOutcome, export_policy,
    facts::{Fact, ThreadRepeated},
};

/// The host looks at the last 100 messages of a thread and so can never count more.
const MOST: u64 = 100;

/// What the operator may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    max_times: u64, // how often the same may be said in a thread, 1 to 100; once more goes to a person
    ignore: Vec<String>, // what may be said as often as one likes, whatever its case and the marks around it
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_times: 3, ignore: Vec::new() }
    }
}

/// The policy.
pub struct RepeatGuard {
    max_times: u64,
    ignored: Vec<String>,
}

/// The text without case, and without white space and marks around it.
fn plain(text: &str) -> String {
    text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

impl Policy for RepeatGuard {
    type Settings = Settings;
    const NAME: &'static str = "repeat-guard";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "who says the same thing again and again is put before a person";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let Settings { max_times, ignore } = settings;
        let mut errors = Vec::new();
        if !(1..=MOST).contains(&max_times) {
            errors.push(format!("max_times is {max_times}, allowed are 1 to {MOST}"));
        }
        let ignored: Vec<_> = ignore.iter().map(|text| plain(text)).collect();
        if ignored.iter().any(String::is_empty) {
            errors
                .push("ignore has a text without a letter or digit, which would be any such text".to_owned());
        }
        if errors.is_empty() { Ok(Self { max_times, ignored }) } else { Err(errors) }
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![ThreadRepeated.request()]
    }
}

impl Review for RepeatGuard {
    fn review(&self, message: &InboxMessage, facts: &Facts) -> Result<ReviewOutcome, Fault> {
        let before = facts.get(&ThreadRepeated)?;
        if before < self.max_times || self.ignored.contains(&plain(&message.content)) {
            return Ok(ReviewOutcome::Pass);
        }
        let (who, max) = (&message.sender.name, self.max_times);
        let text =
            format!("{who} says the same for the {}. time in this thread, allowed are {max}", before + 1);
        Ok(ReviewOutcome::Escalate(Reason::new("repeated", text).note(format!("thread {}", message.thread))))
    }
}

export_policy!(RepeatGuard: escalation, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(RepeatGuard);
