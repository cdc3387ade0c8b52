//! `secret-scrubbing`: keys and credentials are not passed around in messages, tasks and shared context.
//!
//! What looks like one is found by the SDK's scanner. The refusal says of what kind it is and in which argument, never what it is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use team_table_policy_sdk::{
    Authorize, Facts, Fault, Policy, ToolCall, Verdict, export_policy,
    secrets::{Scanner, is_key},
};

/// The tools whose arguments others come to read.
const PUBLISHES: [&str; 6] =
    ["broadcast", "create_task", "register", "send_message", "share_context", "update_task"];

/// What the operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    extra_prefixes: Vec<String>, // how keys of your own begin; at least 16 characters follow
    allow: Vec<String>,          // what is no secret, such as an example's key, with `*` as wildcard
}

/// The policy.
pub struct SecretScrubbing(Scanner);

impl Policy for SecretScrubbing {
    type Settings = Settings;
    const NAME: &'static str = "secret-scrubbing";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "keys and credentials are not passed around";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let Settings { extra_prefixes, allow } = settings;
        let mut errors = Vec::new();
        for prefix in &extra_prefixes {
            let starts = prefix.starts_with(|c: char| c.is_ascii_alphanumeric());
            if prefix.len() < 3 || !starts || !prefix.bytes().all(is_key) {
                errors.push(format!(
                    "extra_prefixes names {prefix:?}, allowed are 3 or more of A-Z a-z 0-9 _ -"
                ));
            }
        }
        for pattern in allow.iter().filter(|pattern| pattern.replace('*', "").len() < 8) {
            errors
                .push(format!("allow names {pattern:?}, which fits too much: write 8 characters besides *"));
        }
        if errors.is_empty() { Ok(Self(Scanner::new(extra_prefixes, allow))) } else { Err(errors) }
    }
}

impl Authorize for SecretScrubbing {
    fn authorize(&self, call: &ToolCall, _: &Facts) -> Result<Verdict, Fault> {
        if !PUBLISHES.contains(&call.tool.as_str()) {
            return Ok(Verdict::Abstain);
        }
        for (name, value) in call.arguments.parse::<BTreeMap<String, Value>>()? {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(kind) = self.0.find(&text) {
                let why = format!("{name} holds what looks like {kind}; say where it is kept instead");
                return Ok(Verdict::deny("secret", why));
            }
        }
        Ok(Verdict::Abstain)
    }
}

export_policy!(SecretScrubbing: authorization, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(SecretScrubbing);
