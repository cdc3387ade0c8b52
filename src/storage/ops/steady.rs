//! Time that never runs backwards in the database. Limits, presence, leases and retries compare times that were stored
//! with the time now; a machine whose clock is set back would freeze or undo them. So the time now is never before the
//! newest time stored. While the machine's clock is behind that, time goes on at half its pace: windows still end, and
//! the machine's clock catches up.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::domain::clock::{Clock, Millis, SECOND};
use crate::storage::{Db, ReadTx, Result, WriteTx};

/// Two processes that write at once may be this far apart; more is a clock that was set back.
pub const CLOCK_TOLERANCE: Millis = SECOND;

/// How one process makes its way through a jump of the clock.
#[derive(Debug, Default)]
pub(crate) struct Steady(Mutex<Option<Jump>>);

#[derive(Debug)]
struct Jump {
    noticed: Instant,
    /// The newest time stored when it was noticed.
    newest: Millis,
}

impl Steady {
    /// The time now, from the machine's and the newest that is stored.
    fn now(&self, machine: Millis, newest: Millis, at: Instant) -> Millis {
        let mut jump = self.0.lock();
        if newest <= machine + CLOCK_TOLERANCE {
            if jump.take().is_some() {
                tracing::info!("the clock of this machine is right again");
            }
            return machine.max(newest);
        }
        let jump = jump.get_or_insert_with(|| {
            let behind = Duration::from_millis((newest - machine).unsigned_abs());
            tracing::warn!(
                "the clock of this machine is {behind:?} behind the newest time in the database: time goes on from \
                 there, at half its pace, until the clock has caught up"
            );
            Jump { noticed: at, newest }
        });
        let gone = i64::try_from(at.saturating_duration_since(jump.noticed).as_millis()).unwrap_or(0);
        newest.max(jump.newest + gone / 2)
    }
}

impl Db {
    /// The time now, never before the newest time in the database. Where that cannot be read, the clock's.
    #[must_use]
    pub fn now(&self, clock: &Clock) -> Millis {
        self.read_hot(|tx| self.now_in(tx, clock)).unwrap_or_else(|_| clock.now())
    }

    /// As [`now`](Self::now), by what a transaction sees.
    pub fn now_in(&self, tx: &ReadTx<'_>, clock: &Clock) -> Result<Millis> {
        // In this order: what another process stores meanwhile is not from the future.
        let newest = tx.newest()?;
        Ok(self.inner.steady.now(clock.now(), newest, Instant::now()))
    }
}

impl ReadTx<'_> {
    /// The newest time stored: of events, of decisions, and of the daemons that renewed their leases. In milliseconds since
    /// 1970-01-01T00:00:00Z; 0 in a new database.
    pub fn newest(&self) -> Result<Millis> {
        self.number(
            "SELECT max(coalesce((SELECT at FROM events WHERE id > 0 ORDER BY id DESC LIMIT 1), 0),
                        coalesce((SELECT at FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1), 0),
                        coalesce((SELECT max(renewed_at) FROM leases), 0))",
            (),
        )
    }
}

impl WriteTx<'_> {
    /// The time at which a change happens that was prepared at `now`: not before what was committed meanwhile.
    pub fn not_before(&self, now: Millis) -> Result<Millis> {
        Ok(now.max(self.newest()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn time_goes_on_at_half_pace_while_the_clock_is_behind_and_is_the_clocks_again_afterwards() {
        let (steady, start) = (Steady::default(), Instant::now());
        let after = |secs| start + Duration::from_secs(secs);
        assert_eq!(steady.now(5 * HOUR, 5 * HOUR - 7, start), 5 * HOUR);
        assert_eq!(steady.now(5 * HOUR - 7, 5 * HOUR, start), 5 * HOUR, "two processes are a little apart");
        // Set back by an hour.
        assert_eq!(steady.now(4 * HOUR, 5 * HOUR, start), 5 * HOUR);
        let minute = steady.now(4 * HOUR + 60_000, 5 * HOUR, after(60));
        assert_eq!(minute, 5 * HOUR + 30_000);
        // What another process stored is not undone, and its pace is not added to ours.
        assert_eq!(steady.now(4 * HOUR + 60_000, minute + 10, after(60)), minute + 10);
        assert_eq!(steady.now(4 * HOUR + 120_000, minute + 10, after(120)), 5 * HOUR + 60_000);
        // Left alone, the clock has caught up after twice the hour; mended, at once.
        assert_eq!(steady.now(6 * HOUR, 6 * HOUR, after(7_200)), 6 * HOUR);
        assert!(steady.0.lock().is_none());
        assert_eq!(steady.now(8 * HOUR, 6 * HOUR, after(7_201)), 8 * HOUR);
    }
}
