//! What another policy would have changed in the past: flips of outcomes, counted by kind, with the first examples of each.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::clock::{self, Millis};
use crate::domain::decision::Outcome;
use crate::policy::Combined;
use crate::storage::DecisionRow;

/// One decision that would have come out otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Flip {
    /// The decision's number.
    pub decision: i64,
    /// When it was made, in RFC 3339.
    pub at: String,
    /// The same in milliseconds since 1970.
    #[serde(skip)]
    pub millis: Millis,
    /// Whose call or inbox it was about.
    pub agent: String,
    /// The tool, or `review`.
    pub action: String,
    /// Why it came out as it did: policy, code and message. None: nobody objected.
    pub was: Option<String>,
    /// Why it would come out otherwise. None: nobody would object.
    pub now: Option<String>,
}

/// The flips from one outcome to another.
#[derive(Debug, Clone, Serialize)]
pub struct FlipKind {
    /// The outcome that was.
    pub from: String,
    /// The outcome that would be.
    pub to: String,
    /// How many there are.
    pub count: u64,
    /// The first ones, by number.
    pub examples: Vec<Flip>,
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

    /// As others see them.
    pub(super) fn into_kinds(self) -> Vec<FlipKind> {
        let out = self.kinds.into_iter().map(|((from, to), kind)| FlipKind {
            from,
            to,
            count: kind.count,
            examples: kind.examples.into_values().collect(),
        });
        out.collect()
    }
}
