//! `tool-authorization`: which role may use which tool, and with which arguments.
//!
//! Out of the box every known role may use every tool, and only a role that nobody knows cannot register: a typing mistake
//! in a role would otherwise make an agent that no rule applies to.

mod rule;

use std::collections::BTreeMap;

use serde::Deserialize;
use team_table_policy_sdk::{Authorize, Facts, Fault, Policy, Reason, ToolCall, Verdict, export_policy};

use rule::Rule;

/// The roles known without any setting.
const ROLES: [&str; 10] =
    ["admin", "agent", "coder", "design", "designer", "lead", "ops", "qa", "reviewer", "tester"];

/// Of these, those that an agent cannot choose.
const GRANTED: [&str; 2] = ["admin", "lead"];

/// The key of the rules that hold for every role.
const EVERY_ROLE: &str = "*";

/// What the operator may set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Roles that are known besides the built-in ones.
    pub extra_roles: Vec<String>,
    /// Rules by role; those under `*` hold for every role as well.
    pub roles: BTreeMap<String, RoleSettings>,
}

/// Rules of one role, each `tool` or `tool(argument=value, …)` with `*` as wildcard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleSettings {
    /// Only these calls are allowed. Not set: all.
    pub allow: Option<Vec<String>>,
    /// These calls are refused.
    pub deny: Vec<String>,
    /// These calls wait for a person.
    pub escalate: Vec<String>,
}

#[derive(Debug)]
struct RoleRules {
    allow: Option<Vec<Rule>>,
    deny: Vec<Rule>,
    escalate: Vec<Rule>,
}

/// The policy.
#[derive(Debug)]
pub struct ToolAuthorization {
    known: Vec<String>,
    by_role: BTreeMap<String, RoleRules>,
}

impl Policy for ToolAuthorization {
    type Settings = Settings;

    const NAME: &'static str = "tool-authorization";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "which role may use which tool, and with which arguments";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let mut known: Vec<String> = ROLES.iter().map(|&role| role.to_owned()).collect();
        known.extend(settings.extra_roles);
        let mut errors = Vec::new();
        let mut by_role = BTreeMap::new();
        for (role, given) in settings.roles {
            if role != EVERY_ROLE && !known.contains(&role) {
                errors.push(format!(
                    "roles.{role} is no known role ({}); extra_roles makes it one",
                    known.join(", ")
                ));
            }
            let mut parse = |list: &str, texts: Vec<String>| -> Vec<Rule> {
                let mut rules = Vec::new();
                for text in texts {
                    match Rule::parse(&text) {
                        Ok(rule) => rules.push(rule),
                        Err(error) => errors.push(format!("roles.{role}.{list}: {error}")),
                    }
                }
                rules
            };
            let rules = RoleRules {
                allow: given.allow.map(|texts| parse("allow", texts)),
                deny: parse("deny", given.deny),
                escalate: parse("escalate", given.escalate),
            };
            by_role.insert(role, rules);
        }
        if errors.is_empty() { Ok(Self { known, by_role }) } else { Err(errors) }
    }
}

impl Authorize for ToolAuthorization {
    fn authorize(&self, call: &ToolCall, _facts: &Facts) -> Result<Verdict, Fault> {
        let role = call.principal.role.as_str();
        let tool = call.tool.as_str();
        if tool == "register" && !self.known.iter().any(|known| known == role) {
            let free: Vec<&str> =
                self.known.iter().map(String::as_str).filter(|known| !GRANTED.contains(known)).collect();
            let message = format!(
                "the role \"{role}\" is not known: register as {}; {} are granted by the operator",
                free.join(", "),
                GRANTED.join(" and ")
            );
            return Ok(Verdict::deny("unknown_role", message));
        }
        let rules: Vec<&RoleRules> =
            [role, EVERY_ROLE].iter().filter_map(|role| self.by_role.get(*role)).collect();
        if rules.is_empty() {
            return Ok(Verdict::Abstain);
        }
        let arguments = rule::arguments(call)?;
        let first =
            |list: &'_ [Rule]| list.iter().find(|rule| rule.fits(tool, &arguments)).map(Rule::to_string);

        let refused =
            || Reason::new("tool_not_allowed", format!("the role \"{role}\" may not use {tool} like this"));
        if let Some(rule) = rules.iter().find_map(|rules| first(&rules.deny)) {
            return Ok(Verdict::Deny(refused().note(format!("denied by {rule}"))));
        }
        if rules.iter().any(|rules| rules.allow.as_ref().is_some_and(|allow| first(allow).is_none())) {
            return Ok(Verdict::Deny(refused().note("no allow rule fits")));
        }
        if let Some(rule) = rules.iter().find_map(|rules| first(&rules.escalate)) {
            let message = format!("a person must approve that the role \"{role}\" uses {tool} like this");
            let reason = Reason::new("tool_needs_approval", message);
            return Ok(Verdict::Escalate(reason.note(format!("held by {rule}"))));
        }
        Ok(Verdict::Allow)
    }
}

export_policy!(ToolAuthorization: authorization, cases = "cases/cases.toml", settings = "src/settings.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(ToolAuthorization);

#[cfg(test)]
#[test]
fn every_question_gets_an_answer() {
    let rules = r#"{ "roles": {
        "*": { "escalate": ["share_context(key=*/*)"] },
        "agent": { "allow": ["list_*", "create_task(assignee=bob, priority=medium)"], "deny": ["send_message(recipient=bob)"] }
    } }"#;
    for settings in ["{}", rules] {
        team_table_policy_sdk::strategies::assert_answers::<ToolAuthorization>(settings);
    }
}
