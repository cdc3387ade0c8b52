//! One rule of the settings: `tool` or `tool(argument=value, …)`, with `*` as wildcard in all three.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use team_table_policy_sdk::{Fault, ToolCall, glob};

/// The tools there are, so that a mistyped rule is refused instead of never fitting.
const TOOLS: [&str; 13] = [
    "broadcast",
    "claim_task",
    "create_task",
    "deregister",
    "get_messages",
    "get_shared_context",
    "heartbeat",
    "list_members",
    "list_tasks",
    "register",
    "send_message",
    "share_context",
    "update_task",
];

/// The arguments that a rule may look at.
const ARGUMENTS: [&str; 4] = ["assignee", "key", "priority", "recipient"];

/// The arguments of a call, as far as rules look at them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Arguments {
    assignee: Option<String>,
    key: Option<String>,
    priority: Option<String>,
    recipient: Option<String>,
}

/// Reads the arguments of a call.
pub(crate) fn arguments(call: &ToolCall) -> Result<Arguments, Fault> {
    call.arguments.parse()
}

impl Arguments {
    /// An argument; one that is left out is what the tool takes it for.
    fn value(&self, name: &str) -> &str {
        let (given, left_out) = match name {
            "assignee" => (&self.assignee, ""),
            "key" => (&self.key, ""),
            "priority" => (&self.priority, "medium"),
            _ => (&self.recipient, ""),
        };
        given.as_deref().unwrap_or(left_out)
    }
}

/// A rule, parsed.
#[derive(Debug, PartialEq)]
pub(crate) struct Rule {
    tool: String,
    arguments: BTreeMap<String, String>,
}

impl Rule {
    /// Reads `tool` or `tool(argument=value, …)`. The error is the rest of a sentence about the setting.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (tool, arguments) = match text.trim().split_once('(') {
            None => (text.trim(), None),
            Some((tool, rest)) => {
                let inside = rest
                    .strip_suffix(')')
                    .ok_or_else(|| format!("\"{text}\" lacks a closing parenthesis"))?;
                (tool.trim(), Some(inside))
            }
        };
        if !TOOLS.iter().any(|known| glob::matches(tool, known)) {
            return Err(format!("\"{tool}\" is no tool, there are {}", TOOLS.join(", ")));
        }
        let mut read = BTreeMap::new();
        for pair in arguments.into_iter().flat_map(|inside| inside.split(',')) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| format!("\"{}\" is not argument=value", pair.trim()))?;
            let name = name.trim();
            if !ARGUMENTS.contains(&name) {
                return Err(format!(
                    "\"{name}\" is no argument that a rule can look at, these are {}",
                    ARGUMENTS.join(", ")
                ));
            }
            read.insert(name.to_owned(), value.trim().to_owned());
        }
        Ok(Self { tool: tool.to_owned(), arguments: read })
    }

    /// Whether the rule is about this call: the tool and all named arguments fit.
    pub(crate) fn fits(&self, tool: &str, arguments: &Arguments) -> bool {
        glob::matches(&self.tool, tool)
            && self.arguments.iter().all(|(name, pattern)| glob::matches(pattern, arguments.value(name)))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tool)?;
        let pairs: Vec<_> = self.arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { Ok(()) } else { write!(f, "({})", pairs.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn a_rule_reads_as_it_is_written() {
        for text in
            ["heartbeat", "list_*", "create_task(assignee=bob, priority=high)", "share_context(key=alice/*)"]
        {
            assert_eq!(Rule::parse(text).unwrap().to_string(), text);
        }
    }
}
