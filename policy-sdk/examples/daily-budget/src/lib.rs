//! `daily-budget`: at most so many calls a day per agent and group of tools, and when there is room again.
//!
//! The day is the last 24 hours, so no budget is spent twice around midnight. The host reads the counts again when it
//! commits: a budget of 500 is 500 with any number of processes racing. Refused calls cost nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, Policy, Reason, ToolCall, Verdict, export_policy,
    facts::{Calls, Fact},
};

const DAY: u32 = 86_400; // seconds
const CODE: &str = "rate_limited";
/// The tools there are: a mistyped one would have a budget that nothing ever uses up.
const TOOLS: &str = "broadcast claim_task create_task deregister get_messages get_shared_context heartbeat \
                     list_members list_tasks register send_message share_context update_task";

/// What the operator may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    budgets: BTreeMap<String, Budget>, // by name; a tool in several of them needs room in each
    exempt_roles: Vec<String>,         // any but `admin` and `lead` can be taken by whoever likes it
}

/// What one agent may do in 24 hours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    tools: Vec<String>, // those whose calls count, at least one
    calls: u64,         // how many of them are allowed, at least 1
}

impl Default for Settings {
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let budget = |name: &str, tools, calls| (name.to_owned(), Budget { tools: words(tools), calls });
        let budgets =
            [budget("messages", "broadcast send_message", 500), budget("tasks", "create_task", 100)];
        Self { budgets: budgets.into(), exempt_roles: Vec::new() }
    }
}

/// The policy.
pub struct DailyBudget(Settings);

impl Policy for DailyBudget {
    type Settings = Settings;
    const NAME: &'static str = "daily-budget";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "at most so many calls a day per agent and group of tools";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        for (name, Budget { tools, calls }) in &settings.budgets {
            let known = tools.iter().all(|tool| TOOLS.split(' ').any(|it| it == tool));
            if *calls == 0 || tools.is_empty() || !known {
                errors.push(format!("budgets.{name} needs calls of at least 1 and tools out of {TOOLS}"));
            }
        }
        if errors.is_empty() { Ok(Self(settings)) } else { Err(errors) }
    }

    fn facts(&self) -> Vec<FactRequest> {
        self.0.budgets.values().map(|budget| used(budget).request()).collect()
    }
}

fn used(budget: &Budget) -> Calls {
    let tools: Vec<_> = budget.tools.iter().map(String::as_str).collect();
    Calls::allowed(&tools, DAY)
}

impl Authorize for DailyBudget {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        // Without a token the name is only claimed, and so is its role.
        if call.principal.authenticated && self.0.exempt_roles.contains(&call.principal.role) {
            return Ok(Verdict::Abstain);
        }
        for (name, budget) in self.0.budgets.iter().filter(|(_, budget)| budget.tools.contains(&call.tool)) {
            let used = facts.get(&used(budget))?;
            if used.count >= budget.calls {
                let seconds = used.seconds_until_one_leaves(DAY, call.now);
                let wait = seconds.div_ceil(60);
                let (calls, hours, minutes) = (budget.calls, wait / 60, wait % 60);
                let room = format!("there is room again in {hours} h {minutes} min");
                let text = format!("{calls} calls a day are allowed ({name}); {room}");
                // Answered with `resource_exhausted`, which says "later" and not "never".
                return Ok(Verdict::Deny(Reason::new(CODE, text).retry_after(seconds)));
            }
        }
        Ok(Verdict::Abstain)
    }
}

export_policy!(DailyBudget: authorization, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(DailyBudget);
