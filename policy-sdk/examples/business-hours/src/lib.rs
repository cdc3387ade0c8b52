//! `business-hours`: outside working hours nobody watches, so messages and risky calls wait for a person.

use serde::Deserialize;
use team_table_policy_sdk::{
    Authorize, Facts, Fault, InboxMessage, Policy, Reason, Review, ReviewOutcome, ToolCall, Verdict,
    export_policy,
};

const DAYS: &str = "mon tue wed thu fri sat sun";
/// What can be held. Reading is harmless at night.
const CHANGES: &str =
    "broadcast claim_task create_task deregister register send_message share_context update_task";

/// What the operator may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    utc_offset: i64,    // minutes that local time is ahead of UTC, -720 to 840
    from: String,       // HH:MM in local time
    to: String,         // at most 24:00; earlier than `from`, it is the next day's, as of a night shift
    days: Vec<String>,  // on which working hours begin
    messages: bool,     // whether messages wait for a person
    tools: Vec<String>, // whose calls do
}

impl Default for Settings {
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let (days, tools) = (words("mon tue wed thu fri"), words("broadcast deregister"));
        Self { utc_offset: 0, from: "09:00".to_owned(), to: "17:00".to_owned(), days, messages: true, tools }
    }
}

/// The policy: its settings, and beginning and end in minutes after midnight.
pub struct BusinessHours(Settings, i64, i64);

impl Policy for BusinessHours {
    type Settings = Settings;
    const NAME: &'static str = "business-hours";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "outside working hours messages and risky calls wait for a person";

    fn configure(settings: Settings) -> Result<Self, Vec<String>> {
        let Settings { utc_offset, from, to, days, tools, .. } = &settings;
        let (start, end) = (minutes(from).unwrap_or(1440), minutes(to).unwrap_or(-1));
        let of = |known: &str, words: &[String]| words.iter().all(|it| known.split(' ').any(|one| one == it));
        let rules = [
            ((-720..=840).contains(utc_offset), "utc_offset must be -720 to 840 minutes"),
            (start < 1440, "from must be a time from 00:00 to 23:59"),
            (end >= 0 && end != start, "to must be a time up to 24:00, and another one than from"),
            (!days.is_empty() && of(DAYS, days), "days must be some of mon tue wed thu fri sat sun"),
            (of(CHANGES, tools), "tools must be tools that change something, such as broadcast"),
        ];
        let errors: Vec<_> = rules.iter().filter(|rule| !rule.0).map(|rule| rule.1.to_owned()).collect();
        if errors.is_empty() { Ok(Self(settings, start, end)) } else { Err(errors) }
    }
}

/// `HH:MM` in minutes after midnight.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':').filter(|_| text.len() == 5)?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60 || text == "24:00").then_some(i64::from(hours * 60 + minutes))
}

impl BusinessHours {
    /// Why what this policy is concerned with must wait, unless it is within working hours.
    fn closed(&self, concerned: bool, now: u64) -> Option<Reason> {
        let Self(Settings { utc_offset, from, to, days, .. }, start, end) = self;
        let local = i64::try_from(now / 60_000).unwrap_or_default() + utc_offset;
        let (today, minute) = (local.div_euclid(1440), local.rem_euclid(1440));
        // The first day of the count, 1970-01-01, was a Thursday.
        let at = |day: i64| usize::try_from((day + 3).rem_euclid(7)).ok();
        let works = |day| days.iter().any(|it| DAYS.split(' ').position(|name| name == it) == at(day));
        let (begun, over) = (works(today) && minute >= *start, minute >= *end);
        let open = if start < end { begun && !over } else { begun || works(today - 1) && !over };
        let why = format!("it is outside working hours, {from} to {to} on {}", days.join(", "));
        (concerned && !open).then(|| Reason::new("outside_hours", why))
    }
}

impl Authorize for BusinessHours {
    fn authorize(&self, call: &ToolCall, _: &Facts) -> Result<Verdict, Fault> {
        let closed = self.closed(self.0.tools.contains(&call.tool), call.now);
        Ok(closed.map_or(Verdict::Abstain, Verdict::Escalate))
    }
}

impl Review for BusinessHours {
    fn review(&self, message: &InboxMessage, _: &Facts) -> Result<ReviewOutcome, Fault> {
        let closed = self.closed(self.0.messages, message.now);
        Ok(closed.map_or(ReviewOutcome::Pass, ReviewOutcome::Escalate))
    }
}

export_policy!(BusinessHours: authorization + escalation, cases = "cases/cases.toml");

#[cfg(test)]
team_table_policy_sdk::test_cases!(BusinessHours);
