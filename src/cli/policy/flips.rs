//! What another policy would have changed in the past: flips of outcomes, counted by kind, with the first examples of each.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CliError, output};
use crate::domain::clock::{self, Millis};
use crate::domain::decision::Outcome;
use crate::policy::Combined;
use crate::storage::DecisionRow;

/// One decision that would have come out otherwise.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Flip {
    /// The decision's number, for `policy explain`.
    decision: i64,
    at: String,
    #[serde(skip)]
    millis: Millis,
    agent: String,
    action: String,
    /// Why it came out as it did: policy, code and message, where there was a reason.
    was: Option<String>,
    /// Why it would come out otherwise.
    now: Option<String>,
}

/// Flips by the outcome that was and the one that would be.
#[derive(Debug, Default)]
pub(super) struct Flips {
    kinds: BTreeMap<(String, String), Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    /// The first ones, by number.
    examples: BTreeMap<i64, Flip>,
}

/// Flips of one kind, as programs see them.
#[derive(Debug, Serialize)]
pub(super) struct KindOut<'a> {
    from: &'a str,
    to: &'a str,
    count: u64,
    examples: Vec<&'a Flip>,
}

fn reason(parts: [Option<&str>; 3]) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

impl Flips {
    /// Counts a decision in if what it came to differs. Of each kind the first `examples` are kept.
    pub(super) fn note(&mut self, row: &DecisionRow, now: &Combined, examples: usize) {
        if row.outcome == now.outcome.as_str() {
            return;
        }
        let kind = self.kinds.entry((row.outcome.clone(), now.outcome.as_str().to_owned())).or_default();
        kind.count += 1;
        let reply = now.reply.as_deref().filter(|_| now.outcome == Outcome::Reply);
        let (code, message) = match &now.reason {
            Some(reason) => (Some(reason.code.as_str()), Some(reason.message.as_str())),
            None => (None, reply),
        };
        let flip = Flip {
            decision: row.id,
            at: clock::format(row.at),
            millis: row.at,
            agent: row.agent.clone(),
            action: row.action.clone(),
            was: reason([row.policy.as_deref(), row.code.as_deref(), row.message.as_deref()]),
            now: reason([now.policy.as_deref(), code, message]),
        };
        kind.examples.insert(row.id, flip);
        if kind.examples.len() > examples {
            kind.examples.pop_last();
        }
    }

    /// Adds what another core has found.
    pub(super) fn merge(&mut self, other: Self, examples: usize) {
        for (key, found) in other.kinds {
            let kind = self.kinds.entry(key).or_default();
            kind.count += found.count;
            kind.examples.extend(found.examples);
            while kind.examples.len() > examples {
                kind.examples.pop_last();
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.kinds.values().map(|kind| kind.count).sum()
    }

    /// For programs.
    pub(super) fn kinds(&self) -> Vec<KindOut<'_>> {
        let out = self.kinds.iter().map(|((from, to), kind)| KindOut {
            from,
            to,
            count: kind.count,
            examples: kind.examples.values().collect(),
        });
        out.collect()
    }

    /// For people.
    pub(super) fn print(&self) -> Result<(), CliError> {
        for ((from, to), kind) in &self.kinds {
            output::line(&format!("\n{from} → {to}: {}", kind.count))?;
            let rows = kind.examples.values().map(|flip| {
                let why =
                    |reason: &Option<String>| reason.clone().unwrap_or_else(|| "nobody objected".into());
                let Flip { decision, agent, action, .. } = flip.clone();
                let at = output::local_time(flip.millis);
                [decision.to_string(), at, agent, action, why(&flip.was), why(&flip.now)]
            });
            output::table(["DECISION", "TIME", "AGENT", "ACTION", "WAS", "WOULD BE"], &["TIME"], rows, "")?;
            let shown = kind.examples.len() as u64;
            if kind.count > shown {
                output::line(&format!("  and {} more", kind.count - shown))?;
            }
        }
        Ok(())
    }
}
