//! `my-rule`: a message with one of these words is not answered before a person has seen it.

use serde::Deserialize;
use team_table_policy_sdk::{
    Facts, Fault, InboxMessage, Policy, Reason, Review, ReviewOutcome, export_policy,
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
    const SUMMARY: &'static str = "a message with one of these words goes to a person";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        if settings.words.iter().any(|word| word.trim().is_empty()) {
            return Err(vec!["words has an empty one, which every message contains".to_owned()]);
        }
        Ok(Self { words: settings.words.iter().map(|word| word.to_lowercase()).collect() })
    }
}

impl Review for MyRule {
    fn review(&self, message: &InboxMessage, _facts: &Facts) -> Result<ReviewOutcome, Fault> {
        let content = message.content.to_lowercase();
        Ok(match self.words.iter().find(|word| content.contains(*word)) {
            Some(word) => {
                let text = format!("a message about {word} is for a person.");
                ReviewOutcome::Escalate(Reason::new("watched_word", text))
            }
            None => ReviewOutcome::Pass,
        })
    }
}

export_policy!(MyRule: escalation, cases = "templates/escalation/cases.toml", settings = "templates/escalation/settings.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(MyRule);
