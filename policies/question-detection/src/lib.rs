//! `question-detection`: a message that asks something, or wants a decision, goes to a person.
//!
//! A missed question costs more than a needless interruption: the sender waits, and the acknowledgement told it that all is well.
//! So the plain rules are a floor that the finer ones add to, and an exception must be narrow to be let in.

mod english;
mod index;
mod languages;
mod marks;
mod openers;
mod patterns;
mod phrases;
mod reports;
mod settings;
mod text;
mod words;

use team_table_policy_sdk::{
    Facts, Fault, InboxMessage, Policy, Reason, Review, ReviewOutcome, export_policy, glob,
};

use languages::Unspaced;
use phrases::Phrases;
pub use settings::Settings;

/// What makes a message a question; each can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    QuestionMark,
    Opener,
    Opinion,
    Decision,
    Escalation,
}

/// The policy.
#[derive(Debug)]
pub struct QuestionDetection {
    settings: Settings,
    phrases: Phrases,
    unspaced: Unspaced,
}

impl Policy for QuestionDetection {
    type Settings = Settings;

    const NAME: &'static str = "question-detection";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "a message that asks something, or wants a decision, goes to a person";

    fn configure(mut settings: Settings) -> Result<Self, Vec<String>> {
        settings.prepare()?;
        Ok(Self { settings, phrases: Phrases::new(), unspaced: Unspaced::new() })
    }
}

impl Review for QuestionDetection {
    fn review(&self, message: &InboxMessage, _facts: &Facts) -> Result<ReviewOutcome, Fault> {
        Ok(match self.find(&message.content) {
            None => ReviewOutcome::Pass,
            Some(why) => ReviewOutcome::Escalate(
                Reason::new(
                    "question",
                    "the message asks something or wants a decision, so a person answers it",
                )
                .notice(format!(
                    "This looks like it needs a human decision. Escalating to {}'s operator. Please stand by.",
                    message.agent
                ))
                .note(why),
            ),
        })
    }
}

impl QuestionDetection {
    /// Why the message is a question, if it is one.
    fn find(&self, message: &str) -> Option<String> {
        let fits =
            |patterns: &[String], line: &str| patterns.iter().any(|pattern| glob::matches(pattern, line));
        let Settings { patterns, ignore, .. } = &self.settings;
        let mut kept = String::with_capacity(message.len());
        for line in message.lines() {
            // Patterns see the line as it was written; the rules see it without quotes, code and addresses.
            if !(patterns.is_empty() && ignore.is_empty()) {
                let line = line.to_lowercase();
                if fits(ignore, &line) {
                    continue;
                }
                if fits(patterns, &line) {
                    return Some("a pattern of the settings".to_owned());
                }
            }
            kept.push_str(line);
            kept.push('\n');
        }
        self.by_rules(&text::own_words(&kept))
    }

    fn by_rules(&self, text: &str) -> Option<String> {
        if self.settings.enabled(Rule::QuestionMark) && text.lines().any(marks::asks) {
            return Some("question_mark".to_owned());
        }
        let text = text.to_lowercase().replace('’', "'");
        text.lines().find_map(|line| {
            let found = words::sentences(line)
                .find_map(|sentence| self.phrases.find(&sentence, |rule| self.settings.enabled(rule)));
            let found = found.or_else(|| {
                let (rule, phrase) = self.unspaced.find(line)?;
                self.settings.enabled(rule).then(|| (rule, phrase.to_owned()))
            });
            found.map(|(rule, phrase)| format!("{}: \"{phrase}\"", rule.name()))
        })
    }
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::QuestionMark => "question_mark",
            Self::Opener => "opener",
            Self::Opinion => "opinion",
            Self::Decision => "decision",
            Self::Escalation => "escalation",
        }
    }
}

export_policy!(QuestionDetection: escalation, cases = "cases/cases.toml", settings = "src/settings.toml");

#[cfg(test)]
mod corpus;
#[cfg(test)]
team_table_policy_sdk::test_cases!(QuestionDetection);

#[cfg(test)]
#[test]
fn every_question_gets_an_answer() {
    for settings in ["{}", r#"{ "question_mark": false, "patterns": ["a*b"], "ignore": ["done*"] }"#] {
        team_table_policy_sdk::strategies::assert_answers::<QuestionDetection>(settings);
    }
}
