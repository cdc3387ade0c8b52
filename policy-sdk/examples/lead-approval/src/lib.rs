//! `lead-approval`: ending an important task or somebody else's, taking one over, and leaving need a lead.
//!
//! The server lets creator, assignee and reviewer end a task, and anybody take over one whose assignee is silent. Here
//! such a call waits for a person, unless a lead or an admin makes it.

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, Policy, ToolCall, Verdict, export_policy,
    facts::{Fact, TargetTask, Task},
};

/// The roles that only the operator grants. All others are taken by whoever likes them.
const LEADS: [&str; 2] = ["admin", "lead"];

/// What the operator may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    important: Vec<String>, // priorities; ending such a task needs a lead
    end_others: bool,       // whether ending somebody else's task does
    take_over: bool,        // whether claiming a task that somebody else has does
    leave: bool,            // whether leaving the table does
}

impl Default for Settings {
    fn default() -> Self {
        Self { important: vec!["high".to_owned()], end_others: true, take_over: true, leave: true }
    }
}

/// The policy.
pub struct LeadApproval(Settings);

impl Policy for LeadApproval {
    type Settings = Settings;
    const NAME: &'static str = "lead-approval";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "ending or taking over what is important or another's needs a lead";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let known = |priority: &String| ["high", "medium", "low"].contains(&priority.as_str());
        let good = settings.important.iter().all(known);
        if good {
            Ok(Self(settings))
        } else {
            Err(vec!["important must be of high, medium and low".to_owned()])
        }
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![TargetTask.request()]
    }
}

impl LeadApproval {
    /// What about the call needs a lead.
    fn needs_lead(&self, call: &ToolCall, task: Option<&Task>) -> Result<Option<&'static str>, Fault> {
        let Settings { important, end_others, take_over, leave } = &self.0;
        let (me, status) = (&call.principal.name, call.arguments.text("status")?.unwrap_or_default());
        let ending = ["done", "cancelled"].contains(&status.as_str());
        Ok(match (call.tool.as_str(), task) {
            ("deregister", _) if *leave => Some("leaving the table"),
            ("claim_task", Some(task)) if *take_over && task.assignee != *me && !task.assignee.is_empty() => {
                Some("taking over somebody else's task")
            }
            ("update_task", Some(task)) if status == "done" && accepts(me, task) => None,
            ("update_task", Some(task)) if ending && important.contains(&task.priority) => {
                Some("ending an important task")
            }
            ("update_task", Some(task)) if ending && *end_others && task.assignee != *me => {
                Some("ending somebody else's task")
            }
            _ => None, // also when there is no such task, as the tool itself says
        })
    }
}

/// What a reviewer is there for, whatever the priority: to accept what another did.
fn accepts(me: &str, task: &Task) -> bool {
    task.reviewer == me && task.assignee != me && task.status == "awaiting_review"
}

impl Authorize for LeadApproval {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        // Without a token the name is only claimed, and so is its role.
        if LEADS.contains(&call.principal.role.as_str()) && call.principal.authenticated {
            return Ok(Verdict::Abstain);
        }
        let what = self.needs_lead(call, facts.get(&TargetTask)?.as_ref())?;
        let held =
            |what| Verdict::escalate("lead_needed", format!("{what} needs a lead, or a person's approval"));
        Ok(what.map_or(Verdict::Abstain, held))
    }
}

export_policy!(LeadApproval: authorization, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(LeadApproval);
