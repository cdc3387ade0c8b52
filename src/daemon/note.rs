//! What a daemon tells its person.

use serde::Serialize;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Note {
    /// The daemon answers for this agent now.
    Started {
        /// Agent name.
        agent: String,
        /// Automatic replies before a person is asked.
        max_messages: i64,
        /// Longest time between two looks.
        interval_seconds: u64,
        /// The built-in policies that do not decide.
        not_deciding: Vec<&'static str>,
    },
    /// There was no such agent, and now there is.
    Registered {
        /// Agent name.
        agent: String,
    },
    /// Another daemon answers for this agent; this one waits for its end.
    Waiting {
        /// Agent name.
        agent: String,
        /// The other's process.
        holder: String,
    },
    /// A message came.
    Received {
        /// Its number.
        message: i64,
        /// Who sent it.
        from: String,
        /// The text.
        content: String,
    },
    /// It was answered.
    Replied {
        /// Whom.
        to: String,
        /// The text.
        text: String,
        /// Number of automatic replies since a person last looked, this one included.
        count: i64,
        /// The limit.
        max_messages: i64,
    },
    /// Its sender was told that a person is asked.
    Noticed {
        /// Whom.
        to: String,
        /// The text.
        text: String,
    },
    /// It stays unread for the agent, unanswered.
    Ignored {
        /// Its number.
        message: i64,
    },
    /// It asks again what an open escalation asks.
    Joined {
        /// Its number.
        message: i64,
        /// The escalation.
        escalation: i64,
    },
    /// It waits for the person.
    Escalated {
        /// The escalation's number.
        escalation: i64,
        /// Who asks.
        from: String,
        /// `review` for a message; for a held call, the tool.
        action: String,
        /// The policy that wants a person to see it.
        policy: String,
        /// Its reason's code.
        code: String,
        /// Its reason.
        message: String,
        /// 0 the first time, then 1, 2, 3.
        reminder: i64,
    },
    /// Nothing in its thread is answered until this escalation is resolved.
    Paused {
        /// The escalation's number.
        escalation: i64,
    },
    /// The person has resolved it; answering goes on with fresh counters.
    Resumed {
        /// The escalation's number.
        escalation: i64,
        /// The person's answer, if there was one.
        reply: Option<String>,
        /// The person's note.
        note: Option<String>,
    },
    /// The person's command for escalations failed.
    HookFailed {
        /// The command, and what was wrong.
        problem: String,
    },
    /// The database cannot be used; tried again until it can. Said once.
    Trouble {
        /// What is wrong.
        problem: String,
    },
    /// The database can be used again.
    Recovered,
    /// The daemon has ended.
    Ended {
        /// Agent name.
        agent: String,
    },
}
