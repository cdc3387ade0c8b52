//! The newest events of one member, as the dispatcher found them: its streams take them from here rather than
//! each from the log. Must not depend on the database.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::event::Event;

/// Events kept for a stream that is slower than the dispatcher; one that is slower still reads the log.
const KEPT: usize = 32;

/// Every event of a member after a position, up to where the dispatcher is.
pub(super) struct Feed {
    after: i64,
    events: VecDeque<Arc<Event>>,
}

impl Feed {
    /// None yet after `position`.
    pub(super) const fn after(position: i64) -> Self {
        Self { after: position, events: VecDeque::new() }
    }

    /// Adds the member's next event; the oldest one makes way.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        if self.events.len() == KEPT
            && let Some(oldest) = self.events.pop_front()
        {
            self.after = oldest.id;
        }
        self.events.push_back(event);
    }

    /// The number of the newest event, or of the last one before the feed began.
    pub(super) fn last(&self) -> i64 {
        self.events.back().map_or(self.after, |event| event.id)
    }

    /// The events after `position`; none if some of them are no longer, or never were, here.
    pub(super) fn since(&self, position: i64) -> Option<Vec<Arc<Event>>> {
        let first = self.events.partition_point(|event| event.id <= position);
        (self.after <= position).then(|| self.events.range(first..).map(Arc::clone).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Millis;

    #[test]
    fn feed_returns_a_gapless_run_or_nothing() {
        let mut feed = Feed::after(10);
        let ids = |feed: &Feed, position| {
            feed.since(position).map(|events| events.iter().map(|event| event.id).collect::<Vec<_>>())
        };
        assert_eq!((ids(&feed, 9), ids(&feed, 10)), (None, Some(vec![])));
        let last = 11 + i64::try_from(KEPT).unwrap();
        for id in 11..=last {
            let event = Event { id, at: Millis::default(), kind: "message".into(), data: "{}".into() };
            feed.push(Arc::new(event));
        }
        // One too many: the first had to go.
        assert_eq!(ids(&feed, 10), None);
        assert_eq!(ids(&feed, 11), Some((12..=last).collect()));
        assert_eq!(ids(&feed, last - 1), Some(vec![last]));
        assert_eq!(ids(&feed, last + 5), Some(vec![]), "a stream can be ahead: it has read the log");
    }
}
