//! Answers that have just left on a connection. A client that withdraws its request as the answer arrives drops it: what
//! was in it has not been delivered.

use std::collections::VecDeque;
use std::time::Duration;

use rmcp::model::RequestId;
use tokio::time::Instant;

use crate::tools::Delivery;

/// How long after an answer a cancellation of its request still counts: longer than any crossing takes.
const LATE: Duration = Duration::from_secs(10);
/// Most answers that are kept in mind; the oldest counts as arrived first.
const MOST: usize = 64;

/// The last answers with messages in them, oldest first.
#[derive(Default)]
pub(super) struct Recent(VecDeque<(RequestId, Instant, Delivery)>);

impl Recent {
    /// Notes an answer that leaves now.
    pub(super) fn push(&mut self, id: RequestId, delivery: Delivery, now: Instant) {
        self.0.push_back((id, now, delivery));
        while self.0.len() > MOST || self.0.front().is_some_and(|(_, left, _)| now - *left > LATE) {
            if let Some((_, _, delivery)) = self.0.pop_front() {
                delivery.arrived();
            }
        }
    }

    /// The client has withdrawn a request: its answer was not taken.
    pub(super) fn withdraw(&mut self, id: &RequestId, now: Instant) {
        self.0.retain(|(other, left, _)| other != id || now - *left > LATE);
    }
}

impl Drop for Recent {
    /// A client that leaves has read what was sent to it.
    fn drop(&mut self) {
        for (_, _, delivery) in self.0.drain(..) {
            delivery.arrived();
        }
    }
}
