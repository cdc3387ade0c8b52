//! What the operator may set.

use serde::Deserialize;

use crate::Rule;

/// At most so many `patterns`, and as many `ignore`: each is looked for in every line.
const MAX_PATTERNS: usize = 32;

/// Characters in one pattern, at most.
const MAX_PATTERN_LENGTH: usize = 200;

/// What the operator may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "one switch per rule")]
pub struct Settings {
    /// A sentence ends with a question mark, of whatever script.
    pub question_mark: bool,
    /// A sentence starts like a question: "should we", "can you", "soll ich".
    pub opener: bool,
    /// The message asks for an opinion: "what do you think", "your thoughts".
    pub opinion: bool,
    /// The message wants a decision: "decide", "approve", "waiting for your go-ahead".
    pub decision: bool,
    /// The message wants a person: "escalate", "ask the user", "need human".
    pub escalation: bool,
    /// Further texts that make a line a question: part of the line, any case, `*` for anything between.
    pub patterns: Vec<String>,
    /// Texts that make a line harmless, whatever else is in it; written like `patterns`, and stronger.
    pub ignore: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            question_mark: true,
            opener: true,
            opinion: true,
            decision: true,
            escalation: true,
            patterns: Vec::new(),
            ignore: Vec::new(),
        }
    }
}

impl Settings {
    /// Checks the patterns and makes each fit a part of a line in lower case.
    pub(crate) fn prepare(&mut self) -> Result<(), Vec<String>> {
        let mut errors = Vec::new();
        for (name, patterns) in [("patterns", &mut self.patterns), ("ignore", &mut self.ignore)] {
            if patterns.len() > MAX_PATTERNS {
                errors.push(format!("{name} has {} entries, allowed are {MAX_PATTERNS}", patterns.len()));
            }
            for pattern in patterns {
                let length = pattern.trim_matches(['*', ' ']).chars().count();
                if !(1..=MAX_PATTERN_LENGTH).contains(&length) {
                    errors.push(format!(
                        "{name}: \"{pattern}\" has {length} characters besides *, allowed are 1 to {MAX_PATTERN_LENGTH}"
                    ));
                }
                *pattern = format!("*{}*", pattern.to_lowercase());
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    pub(crate) fn enabled(&self, rule: Rule) -> bool {
        match rule {
            Rule::QuestionMark => self.question_mark,
            Rule::Opener => self.opener,
            Rule::Opinion => self.opinion,
            Rule::Decision => self.decision,
            Rule::Escalation => self.escalation,
        }
    }
}
