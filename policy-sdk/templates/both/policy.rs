//! `my-rule`: what is said about these things, a person reads first: sent by an agent it waits, received by one it is not
//! answered.

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, Facts, Fault, InboxMessage, Policy, Reason, Review, ReviewOutcome, ToolCall, Verdict,
    export_policy,
};

/// What the operator may set; what is left out has the value of `default`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The words, whatever their case.
    pub words: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { words: vec!["production".to_owned()] }
    }
}

/// The configured policy.
#[derive(Debug)]
pub struct MyRule {
    words: Vec<String>,
}

impl Policy for MyRule {
    type Settings = Settings;

    const NAME: &'static str = "my-rule";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "what is said about these things, a person reads first";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        if settings.words.iter().any(|word| word.trim().is_empty()) {
            return Err(vec!["words has an empty one, which every message contains".to_owned()]);
        }
        Ok(Self { words: settings.words.iter().map(|word| word.to_lowercase()).collect() })
    }
}

impl MyRule {
    /// The one rule of both hooks.
    fn watched(&self, content: &str) -> Option<Reason> {
        let content = content.to_lowercase();
        let word = self.words.iter().find(|word| content.contains(*word))?;
        Some(Reason::new("watched_word", format!("a message about {word} is for a person.")))
    }
}

impl Authorize for MyRule {
    fn authorize(&self, call: &ToolCall, _facts: &Facts) -> Result<Verdict, Fault> {
        if !["send_message", "broadcast"].contains(&call.tool.as_str()) {
            return Ok(Verdict::Abstain);
        }
        let content = call.arguments.text("content")?.unwrap_or_default();
        Ok(self.watched(&content).map_or(Verdict::Abstain, Verdict::Escalate))
    }
}

impl Review for MyRule {
    fn review(&self, message: &InboxMessage, _facts: &Facts) -> Result<ReviewOutcome, Fault> {
        Ok(self.watched(&message.content).map_or(ReviewOutcome::Pass, ReviewOutcome::Escalate))
    }
}

export_policy!(MyRule: authorization + escalation, cases = "templates/both/cases.toml", settings = "templates/both/settings.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(MyRule);
