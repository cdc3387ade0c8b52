//! `done-with-result`: an important task is done only when its result is written down.

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, Policy, ToolCall, Verdict, export_policy,
    facts::{Fact, TargetTask},
};

/// What the operator may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The priorities that count as important.
    pub priorities: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { priorities: vec!["high".to_owned()] }
    }
}

/// The configured policy.
#[derive(Debug)]
pub struct DoneWithResult {
    settings: Settings,
}

impl Policy for DoneWithResult {
    type Settings = Settings;

    const NAME: &'static str = "done-with-result";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "an important task is done only when its result is written down";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        for priority in &settings.priorities {
            if !["high", "medium", "low"].contains(&priority.as_str()) {
                return Err(vec![format!("priority \"{priority}\" is none of high, medium and low")]);
            }
        }
        Ok(Self { settings })
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![TargetTask.request()]
    }
}

impl Authorize for DoneWithResult {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        if call.tool != "update_task" || call.arguments.text("status")?.as_deref() != Some("done") {
            return Ok(Verdict::Abstain);
        }
        let Some(task) = facts.get(&TargetTask)? else {
            return Ok(Verdict::Abstain); // the tool itself says that there is no such task
        };
        let result = call.arguments.text("result")?.unwrap_or_default();
        if self.settings.priorities.contains(&task.priority) && result.trim().is_empty() {
            let message = format!("task {} is important: say in result what was done", task.id);
            return Ok(Verdict::deny("result_missing", message));
        }
        Ok(Verdict::Abstain)
    }
}

export_policy!(DoneWithResult: authorization, cases = "tests/done_with_result/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(DoneWithResult);
