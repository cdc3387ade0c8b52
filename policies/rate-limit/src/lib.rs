//! `rate-limit`: at most so many messages, and so many changes, in a sliding window per agent.
//!
//! Refused calls do not use up the budget, so an agent that waits as long as it is told to gets through. The host reads the
//! counts again when it commits, so a limit of 30 is 30 with any number of processes racing.

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, Policy, Reason, ToolCall, Verdict, export_policy,
    facts::{Calls, Count, Fact, MessagesSent},
};

/// The tools that send a message.
const MESSAGES: [&str; 2] = ["broadcast", "send_message"];

/// The tools that change something.
const CHANGES: [&str; 8] = [
    "broadcast",
    "claim_task",
    "create_task",
    "deregister",
    "register",
    "send_message",
    "share_context",
    "update_task",
];

/// A day: longer windows would make the host count over long histories on every call.
const MAX_WINDOW_SECONDS: u32 = 86_400;

/// What the operator may set.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Messages, direct and broadcast, that one agent may send in the window, at least 1.
    pub max_messages: u64,
    /// Changes, messages included, that one agent may make in the window, at least 1.
    pub max_changes: u64,
    /// Length of the sliding window, 1 to 86,400 seconds.
    pub window_seconds: u32,
    /// Switches the limit of messages.
    pub limit_messages: bool,
    /// Switches the limit of changes.
    pub limit_changes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_messages: 30,
            max_changes: 120,
            window_seconds: 60,
            limit_messages: true,
            limit_changes: true,
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct RateLimit {
    settings: Settings,
    messages: MessagesSent,
    changes: Calls,
}

impl Policy for RateLimit {
    type Settings = Settings;

    const NAME: &'static str = "rate-limit";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "at most so many messages and changes a minute per agent";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let window = settings.window_seconds;
        let mut errors = Vec::new();
        if !(1..=MAX_WINDOW_SECONDS).contains(&window) {
            errors.push(format!("window_seconds is {window}, allowed are 1 to {MAX_WINDOW_SECONDS}"));
        }
        for (max, what) in [(settings.max_messages, "messages"), (settings.max_changes, "changes")] {
            if max == 0 {
                errors.push(format!(
                    "max_{what} is 0, allowed is at least 1; limit_{what} = false switches the limit off"
                ));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            settings,
            messages: MessagesSent::within(window),
            changes: Calls::allowed(&CHANGES, window),
        })
    }

    fn facts(&self) -> Vec<FactRequest> {
        let mut facts = Vec::new();
        if self.settings.limit_messages {
            facts.push(self.messages.request());
        }
        if self.settings.limit_changes {
            facts.push(self.changes.request());
        }
        facts
    }
}

impl Authorize for RateLimit {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        let Settings { max_messages, max_changes, limit_messages, limit_changes, .. } = self.settings;
        let tool = call.tool.as_str();
        if limit_messages && MESSAGES.contains(&tool) {
            let sent = facts.get(&self.messages)?;
            if sent.count >= max_messages {
                return Ok(self.refuse("messages", max_messages, sent, call.now));
            }
        }
        if limit_changes && CHANGES.contains(&tool) {
            let made = facts.get(&self.changes)?;
            if made.count >= max_changes {
                return Ok(self.refuse("changes", max_changes, made, call.now));
            }
        }
        Ok(Verdict::Abstain)
    }
}

impl RateLimit {
    fn refuse(&self, what: &str, max: u64, made: Count, now: u64) -> Verdict {
        let window = self.settings.window_seconds;
        let wait = made.seconds_until_one_leaves(window, now);
        let seconds = if wait == 1 { "second" } else { "seconds" };
        let reason = Reason::new(
            "rate_limited",
            format!("at most {max} {what} in {window} seconds are allowed; try again in {wait} {seconds}"),
        );
        Verdict::Deny(reason.retry_after(wait).note(format!("{} {what} in the window", made.count)))
    }
}

export_policy!(
    RateLimit: authorization,
    tools = ["broadcast", "claim_task", "create_task", "deregister", "register", "send_message", "share_context", "update_task"],
    cases = "cases/cases.toml",
    settings = "src/settings.toml"
);

#[cfg(test)]
team_table_policy_sdk::test_cases!(RateLimit);

#[cfg(test)]
#[test]
fn it_judges_the_tools_that_change_something() {
    let judged = <RateLimit as team_table_policy_sdk::Exported>::TOOLS;
    assert_eq!(judged.lines().collect::<Vec<_>>(), CHANGES);
    assert!(MESSAGES.iter().all(|tool| CHANGES.contains(tool)));
}

#[cfg(test)]
#[test]
fn every_question_gets_an_answer() {
    for settings in ["{}", r#"{ "window_seconds": 1, "max_messages": 1, "max_changes": 1 }"#] {
        team_table_policy_sdk::strategies::assert_answers::<RateLimit>(settings);
    }
}
