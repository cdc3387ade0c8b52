//! `reply-cap`: hands over to a person after so many automatic replies, or when agents answer each other in a circle.
//!
//! The cap counts since the last escalation, because then a person has looked. The circle is seen by the length of the
//! chain of automatic messages at the end of the thread: two agents or five, it is one chain.

use serde::Deserialize;
use team_table_policy_sdk::{
    FactRequest, Facts, Fault, InboxMessage, Policy, Reason, Review, ReviewOutcome, export_policy,
    facts::{Fact, MaxReplies, Replies, Since, ThreadAutoDepth, ThreadParticipants},
};

/// Participants of a thread that the note names: so many fit into it, however long their names are.
const NAMED: usize = 10;

/// Whose replies count towards the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All automatic replies of the agent.
    Total,
    /// Only those to the sender of the message.
    Sender,
}

/// What the operator may set.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Automatic replies between two escalations; the next message goes to a person. Not set: the daemon's
    /// `--max-messages`, which is 13 by default. With 0 every message goes to a person.
    pub max_replies: Option<u64>,
    /// Which replies count.
    pub scope: Scope,
    /// Automatic messages in a row in one thread, at least 1; the next one goes to a person.
    pub max_auto_depth: u64,
    /// Switches the rule `reply_limit`.
    pub reply_limit: bool,
    /// Switches the rule `reply_loop`.
    pub reply_loop: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_replies: None,
            scope: Scope::Total,
            max_auto_depth: 6,
            reply_limit: true,
            reply_loop: true,
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct ReplyCap {
    settings: Settings,
    replies: Replies,
}

impl Policy for ReplyCap {
    type Settings = Settings;

    const NAME: &'static str = "reply-cap";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "a person takes over after so many automatic replies, or when agents answer in a circle";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        if settings.max_auto_depth == 0 {
            return Err(vec![
                "max_auto_depth is 0, allowed is at least 1; reply_loop = false switches the rule off"
                    .to_owned(),
            ]);
        }
        let replies = match settings.scope {
            Scope::Total => Replies::sent(Since::Escalation),
            Scope::Sender => Replies::sent_to_sender(Since::Escalation),
        };
        Ok(Self { settings, replies })
    }

    fn facts(&self) -> Vec<FactRequest> {
        let mut facts = Vec::new();
        if self.settings.reply_limit {
            facts.push(self.replies.request());
            if self.settings.max_replies.is_none() {
                facts.push(MaxReplies.request());
            }
        }
        if self.settings.reply_loop {
            facts.extend([ThreadAutoDepth.request(), ThreadParticipants.request()]);
        }
        facts
    }
}

impl Review for ReplyCap {
    fn review(&self, message: &InboxMessage, facts: &Facts) -> Result<ReviewOutcome, Fault> {
        if self.settings.reply_limit
            && let Some(reason) = self.over_limit(message, facts)?
        {
            return Ok(ReviewOutcome::Escalate(reason));
        }
        // An answer to a message that somebody wrote starts a new chain, however long the thread's last one was.
        if self.settings.reply_loop
            && message.automatic
            && let Some(reason) = self.in_a_circle(facts)?
        {
            return Ok(ReviewOutcome::Escalate(reason));
        }
        Ok(ReviewOutcome::Pass)
    }
}

impl ReplyCap {
    fn over_limit(&self, message: &InboxMessage, facts: &Facts) -> Result<Option<Reason>, Fault> {
        let max = match self.settings.max_replies {
            Some(max) => max,
            None => facts.get(&MaxReplies)?,
        };
        let sent = facts.get(&self.replies)?.count;
        if sent < max {
            return Ok(None);
        }
        let to = match self.settings.scope {
            Scope::Total => String::new(),
            Scope::Sender => format!(" to {}", message.sender.name),
        };
        let text = format!("{} sent {sent} automatic replies{to}, at most {max} are allowed", message.agent);
        let notice = format!("Message limit ({max}) reached. Escalating to human operator. Please stand by.");
        Ok(Some(Reason::new("reply_limit", text).notice(notice).holding_inbox()))
    }

    fn in_a_circle(&self, facts: &Facts) -> Result<Option<Reason>, Fault> {
        let max = self.settings.max_auto_depth;
        let depth = facts.get(&ThreadAutoDepth)?;
        if depth < max {
            return Ok(None);
        }
        let mut who = facts.get(&ThreadParticipants)?;
        let unnamed = who.len().saturating_sub(NAMED);
        who.truncate(NAMED);
        if unnamed > 0 {
            who.push(format!("and {unnamed} more"));
        }
        let who = who.join(", ");
        let text =
            format!("the thread ends with {depth} automatic messages in a row, at most {max} are allowed");
        Ok(Some(Reason::new("reply_loop", text).note(format!("participants: {who}"))))
    }
}

export_policy!(ReplyCap: escalation, cases = "cases/cases.toml", settings = "src/settings.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(ReplyCap);

#[cfg(test)]
#[test]
fn every_question_gets_an_answer() {
    for settings in ["{}", r#"{ "scope": "sender", "max_replies": 2, "max_auto_depth": 1 }"#] {
        team_table_policy_sdk::strategies::assert_answers::<ReplyCap>(settings);
    }
}
