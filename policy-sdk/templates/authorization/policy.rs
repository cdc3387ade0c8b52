//! `my-rule`: a task's title is short enough to read in a list.

use serde::Deserialize;
use team_table_policy_sdk::{Authorize, Facts, Fault, Policy, ToolCall, Verdict, export_policy};

/// What the operator may set; what is left out has the value of `default`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The most characters a title may have, at least 1.
    pub max_title: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_title: 80 }
    }
}

/// The configured policy.
#[derive(Debug)]
pub struct MyRule {
    settings: Settings,
}

impl Policy for MyRule {
    type Settings = Settings;

    const NAME: &'static str = "my-rule";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "a task's title is short enough to read in a list";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        if settings.max_title == 0 {
            return Err(vec!["max_title is 0, allowed is at least 1".to_owned()]);
        }
        Ok(Self { settings })
    }
}

impl Authorize for MyRule {
    fn authorize(&self, call: &ToolCall, _facts: &Facts) -> Result<Verdict, Fault> {
        if call.tool != "create_task" {
            return Ok(Verdict::Abstain);
        }
        let title = call.arguments.text("title")?.unwrap_or_default();
        let (length, max) = (title.chars().count(), self.settings.max_title);
        if length > max {
            let message = format!("the title has {length} characters, at most {max} are allowed");
            return Ok(Verdict::deny("title_too_long", message));
        }
        Ok(Verdict::Abstain)
    }
}

export_policy!(MyRule: authorization, cases = "templates/authorization/cases.toml", settings = "templates/authorization/settings.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(MyRule);
