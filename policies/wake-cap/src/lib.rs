//! `wake-cap`: how often a message may wake an idle agent. Every wake is a turn that the recipient's person pays for, perhaps
//! while nobody watches. It is asked about wakes only.

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, FactRequest, Facts, Fault, Policy, Reason, ToolCall, Verdict, export_policy,
    facts::{Fact, WAKE, WakePingPong, WakesInHour, WakesSincePerson},
};

/// What the operator may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Wakes of one agent since a person typed in its session, at least 1; before the next one a person is asked. 13, as many
    /// as automatic replies under `reply-cap`.
    pub max_unattended: u64,
    /// Wakes of one agent in an hour, at least 1; the next message waits for its next turn. 30: one every two minutes.
    pub max_per_hour: u64,
    /// Roles whose broadcasts wake those who hear them.
    pub broadcast_roles: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_unattended: 13,
            max_per_hour: 30,
            broadcast_roles: vec!["admin".to_owned(), "lead".to_owned()],
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct WakeCap {
    settings: Settings,
}

impl Policy for WakeCap {
    type Settings = Settings;

    const NAME: &'static str = "wake-cap";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "at most so many wakes of an idle agent; then a person is asked";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let zero = |(name, value): (&str, u64)| {
            (value == 0).then(|| {
                format!("{name} is 0, allowed is at least 1; mode = \"off\" switches the policy off")
            })
        };
        let errors: Vec<_> =
            [("max_unattended", settings.max_unattended), ("max_per_hour", settings.max_per_hour)]
                .into_iter()
                .filter_map(zero)
                .collect();
        if errors.is_empty() { Ok(Self { settings }) } else { Err(errors) }
    }

    fn facts(&self) -> Vec<FactRequest> {
        vec![WakesInHour.request(), WakePingPong.request(), WakesSincePerson.request()]
    }
}

impl Authorize for WakeCap {
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault> {
        if call.tool != WAKE {
            return Ok(Verdict::Abstain);
        }
        let Settings { max_unattended, max_per_hour, broadcast_roles } = &self.settings;
        let recipient = call.arguments.text("recipient")?.unwrap_or_default();
        let kind = call.arguments.text("kind")?.unwrap_or_default();
        if kind == "broadcast" && !broadcast_roles.contains(&call.principal.role) {
            let text = format!("a broadcast of {} wakes nobody", named(&call.principal.role));
            return Ok(Verdict::Deny(Reason::new("broadcast", text)));
        }
        let unattended = facts.get(&WakesSincePerson)?;
        if unattended >= *max_unattended {
            let exchanged = facts.get(&WakePingPong)?;
            let text = format!(
                "{recipient} was woken {unattended} times since a person typed there, at most {max_unattended} are allowed"
            );
            let note = format!(
                "the last {exchanged} messages of the thread went between {} and {recipient}",
                call.principal.name
            );
            return Ok(Verdict::Escalate(Reason::new("wake_limit", text).note(note)));
        }
        let in_hour = facts.get(&WakesInHour)?;
        if in_hour >= *max_per_hour {
            let text = format!(
                "{recipient} was woken {in_hour} times in the last hour, at most {max_per_hour} are allowed"
            );
            return Ok(Verdict::Deny(Reason::new("wake_rate", text)));
        }
        Ok(Verdict::Abstain)
    }
}

fn named(role: &str) -> String {
    if role.is_empty() { "an agent without a role".to_owned() } else { format!("the role {role}") }
}

export_policy!(WakeCap: authorization, cases = "cases/cases.toml", settings = "src/settings.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(WakeCap);

#[cfg(test)]
#[test]
fn every_question_gets_an_answer() {
    for settings in ["{}", r#"{ "max_unattended": 1, "max_per_hour": 1, "broadcast_roles": [] }"#] {
        team_table_policy_sdk::strategies::assert_answers::<WakeCap>(settings);
    }
}
