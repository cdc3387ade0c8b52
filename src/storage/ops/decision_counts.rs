//! How many decisions came out how, over time: what a chart shows.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::clock::Millis;
use crate::storage::error::Result;
use crate::storage::tx::ReadTx;

/// How many decisions are counted at most, the newest: well under a second of work.
const MOST: u64 = 200_000;
/// The most stretches of time that are told apart.
pub const MAX_BUCKETS: i64 = 100;

/// Decisions of one stretch of time that came out alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionCount {
    /// When the stretch begins, in milliseconds since 1970: a multiple of its length.
    pub bucket: Millis,
    /// What they came to.
    pub outcome: String,
    /// The policy that determined the outcome; none where nobody objected.
    pub policy: Option<String>,
    /// How many.
    pub count: u64,
}

/// Decisions by time, outcome and policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionCounts {
    /// From when on all are counted: the time asked for, or a later one where those would be too many decisions or too many
    /// stretches.
    pub since: Millis,
    /// Ordered by time, outcome and policy.
    pub counts: Vec<DecisionCount>,
}

impl ReadTx<'_> {
    /// Counts the decisions from a time on by stretches of `length` milliseconds, outcome and policy. Walks back from the
    /// newest, over at most 200,000 decisions and [`MAX_BUCKETS`] stretches.
    pub fn decision_counts(&self, since: Millis, length: Millis) -> Result<DecisionCounts> {
        let mut count = Count::new(since, length, MOST);
        self.while_wanted(
            "SELECT at, outcome, policy FROM decisions WHERE id > 0 ORDER BY id DESC",
            (),
            |row| Ok((row.get("at")?, row.get("outcome")?, row.get("policy")?)),
            |(at, outcome, policy)| count.add(at, outcome, policy),
        )?;
        Ok(count.end())
    }
}

/// A count under way, from the newest decision backwards.
struct Count {
    length: Millis,
    most: u64,
    since: Millis,
    walked: u64,
    counts: BTreeMap<(Millis, String, Option<String>), u64>,
}

impl Count {
    fn new(since: Millis, length: Millis, most: u64) -> Self {
        Self { length: length.max(1), most, since, walked: 0, counts: BTreeMap::new() }
    }

    /// Counts a decision in; false when the count is over. Decisions are as old as their numbers say.
    fn add(&mut self, at: Millis, outcome: String, policy: Option<String>) -> bool {
        let bucket = at - at.rem_euclid(self.length);
        if self.walked == 0 {
            let stretches = self.length.saturating_mul(MAX_BUCKETS - 1);
            self.since = self.since.max(bucket.saturating_sub(stretches));
        }
        if at < self.since {
            return false;
        }
        if self.walked == self.most {
            // Of this stretch only a part was counted.
            self.since = bucket + self.length;
            return false;
        }
        self.walked += 1;
        *self.counts.entry((bucket, outcome, policy)).or_insert(0) += 1;
        true
    }

    fn end(mut self) -> DecisionCounts {
        self.counts.retain(|(bucket, ..), _| bucket + self.length > self.since);
        let counts = self.counts.into_iter().map(|((bucket, outcome, policy), count)| DecisionCount {
            bucket,
            outcome,
            policy,
            count,
        });
        DecisionCounts { since: self.since, counts: counts.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts calls at these times, the newest first: every even one allowed, every odd one refused by `p`.
    fn count(
        since: Millis,
        length: Millis,
        most: u64,
        times: &[Millis],
    ) -> (Millis, Vec<(Millis, u64, u64)>) {
        let mut count = Count::new(since, length, most);
        for at in times {
            let odd = at % 2 == 1;
            let (outcome, policy) = if odd { ("deny", Some("p".to_owned())) } else { ("allow", None) };
            if !count.add(*at, outcome.to_owned(), policy) {
                break;
            }
        }
        let DecisionCounts { since, counts } = count.end();
        let mut by_bucket = BTreeMap::new();
        for DecisionCount { bucket, outcome, policy, count } in counts {
            let (allowed, refused): &mut (u64, u64) = by_bucket.entry(bucket).or_default();
            assert_eq!(outcome == "deny", policy.is_some());
            *if policy.is_some() { refused } else { allowed } += count;
        }
        (
            since,
            by_bucket.into_iter().map(|(bucket, (allowed, refused))| (bucket, allowed, refused)).collect(),
        )
    }

    #[test]
    fn decisions_are_counted_by_time_outcome_and_policy() {
        let times = [31, 30, 30, 22, 20, 19, 9];
        assert_eq!(count(0, 10, 99, &times), (0, vec![(0, 0, 1), (10, 0, 1), (20, 2, 0), (30, 2, 1)]));
        // A stretch that began before is counted from then on.
        assert_eq!(count(21, 10, 99, &times), (21, vec![(20, 1, 0), (30, 2, 1)]));
        assert_eq!(count(0, 10, 99, &[]), (0, vec![]));
    }

    #[test]
    fn what_is_not_counted_whole_is_not_counted() {
        let times = [31, 30, 30, 22, 20, 19, 9];
        // The limit falls between the two of the twenties.
        assert_eq!(count(0, 10, 4, &times), (30, vec![(30, 2, 1)]));
        assert_eq!(count(0, 10, 7, &times).0, 0);
        let long: Vec<Millis> = (0..=500).rev().map(|at| at * 10).collect();
        let (since, counts) = count(0, 10, 999, &long);
        assert_eq!((since, counts.len(), counts[0].0), (4_010, 100, 4_010));
        // A length that makes no sense ends nothing.
        assert_eq!(count(0, 0, 99, &times).1.len(), 6);
        assert_eq!(count(0, i64::MAX, 99, &times).1.len(), 1);
    }
}
