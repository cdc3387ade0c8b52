//! `team-walls`: messages stay within a team. An agent's teams are its capabilities of the form `team:web`.
//! Capabilities are what an agent says of itself, so whoever takes on a team is judged as well.

use serde::Deserialize;
use std::collections::BTreeSet;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, Policy, ToolCall, Verdict, export_policy,
    facts::{Fact, TargetMember},
};

/// What becomes of a call that crosses a wall: it passes, waits for a person, or is refused.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wall {
    Open,
    Ask,
    Closed,
}

/// What the operator may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    prefix: String,   // how a capability begins that names a team
    messages: Wall,   // direct messages to other teams
    broadcasts: Wall, // which go to all teams
    tasks: Wall,      // tasks for members of other teams
    joining: Wall,    // registrations that begin with a team or change it
    leads_pass: bool, // whether leads and admins write to everybody, and everybody to them
}

impl Default for Settings {
    fn default() -> Self {
        let (messages, broadcasts, tasks, joining) = (Wall::Closed, Wall::Closed, Wall::Ask, Wall::Ask);
        Self { prefix: "team:".to_owned(), messages, broadcasts, tasks, joining, leads_pass: true }
    }
}

/// The policy.
pub struct TeamWalls(Settings);

impl Policy for TeamWalls {
    type Settings = Settings;
    const NAME: &'static str = "team-walls";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "messages stay within a team";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let errors = vec!["prefix is empty, which every capability begins with".to_owned()];
        if plain(&settings.prefix).is_empty() { Err(errors) } else { Ok(Self(settings)) }
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![TargetMember.request()]
    }
}

/// Without case and white space, which make no other team.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<String>().to_lowercase()
}

fn teams(prefix: &str, capabilities: &[String]) -> BTreeSet<String> {
    let team = |text: &String| plain(text).strip_prefix(&plain(prefix)).map(str::to_owned);
    capabilities.iter().filter_map(team).filter(|team| !team.is_empty()).collect()
}

impl Authorize for TeamWalls {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        let (caller, target) = (&call.principal, facts.get(&TargetMember)?);
        let teams = |all: &[String]| teams(&self.0.prefix, all);
        let (mine, is_known) = (teams(&caller.capabilities), target.is_some());
        let (role, theirs) = target.map(|it| (it.role, teams(&it.capabilities))).unwrap_or_default();
        let passes = |role: &str| self.0.leads_pass && ["admin", "lead"].contains(&role);
        let is_free = passes(&caller.role) && caller.authenticated;
        // Those without a team are a team of their own.
        let is_apart = mine.is_disjoint(&theirs) && !(mine.is_empty() && theirs.is_empty());
        let crosses = !is_free && is_known && is_apart && !passes(&role);
        // Who comes without a token may only have taken the name of somebody who left.
        let joins = if caller.authenticated { mine != theirs } else { !mine.is_empty() };
        let (wall, what) = match call.tool.as_str() {
            "send_message" if crosses => (self.0.messages, "a message to another team"),
            "create_task" if crosses => (self.0.tasks, "a task for another team"),
            "broadcast" if !is_free => (self.0.broadcasts, "a message to all teams"),
            "register" if joins => (self.0.joining, "a registration with another team than before"),
            _ => return Ok(Verdict::Abstain),
        };
        Ok(match wall {
            Wall::Open => Verdict::Abstain,
            Wall::Ask => Verdict::escalate("team_wall", format!("{what} needs a person's approval")),
            Wall::Closed => Verdict::deny("team_wall", format!("{what} is not allowed; ask a lead")),
        })
    }
}

export_policy!(TeamWalls: authorization, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(TeamWalls);
