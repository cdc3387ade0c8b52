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

/// What the operator may set. A limit of 0 switches that limit off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Messages, direct and broadcast, that one agent may send in the window.
    pub max_messages: u64,
    /// Changes, messages included, that one agent may make in the window.
    pub max_changes: u64,
    /// Length of the sliding window, 1 to 86,400 seconds.
    pub window_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_messages: 30, max_changes: 120, window_seconds: 60 }
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
        if !(1..=MAX_WINDOW_SECONDS).contains(&window) {
            return Err(vec![format!(
                "window_seconds is {window}, allowed are 1 to {MAX_WINDOW_SECONDS}"
            )]);
        }
        Ok(Self {
            settings,
            messages: MessagesSent::within(window),
            changes: Calls::allowed(&CHANGES, window),
        })
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![self.messages.request(), self.changes.request()]
    }
}

impl Authorize for RateLimit {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        let tool = call.tool.as_str();
        if MESSAGES.contains(&tool) {
            let sent = facts.get(&self.messages)?;
            if let Some(verdict) = self.limit("messages", self.settings.max_messages, sent, call.now) {
                return Ok(verdict);
            }
        }
        if CHANGES.contains(&tool) {
            let made = facts.get(&self.changes)?;
            if let Some(verdict) = self.limit("changes", self.settings.max_changes, made, call.now) {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Abstain)
    }
}

impl RateLimit {
    fn limit(&self, what: &str, max: u64, made: Count, now: u64) -> Option<Verdict> {
        if max == 0 || made.count < max {
            return None;
        }
        let window = self.settings.window_seconds;
        let wait = made.seconds_until_one_leaves(window, now);
        let reason = Reason::new(
            "rate_limited",
            format!("at most {max} {what} in {window} seconds are allowed; try again in {wait} seconds"),
        );
        Some(Verdict::Deny(reason.note(format!("{} {what} in the window", made.count))))
    }
}

export_policy!(RateLimit: authorization, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(RateLimit);
