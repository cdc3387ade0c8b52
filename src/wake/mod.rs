//! Wakes idle agents. A session in which a turn runs is rung, too: a turn that its person interrupts ends without a hook, so that `busy` is no
//! proof. A message marks the seat of its recipient as due, in its own transaction (`storage`); after the commit
//! the process that committed asks the policies whether it may ring, and rings in the way the client can be woken.
//!
//! ```text
//! t0  alice's process commits a message to bob      seats.due = 7
//! t1  the same process sees its own commit, asks the policies: may 7 wake bob?
//! t2  one transaction: the decision, due = NULL, rung_at, one more wake
//! t3  the bell file is written                       Claude Code runs `team-table hook claude bell`
//! t4  that hook announces 7 and clears rung_at       until then no other message rings
//! ```
//!
//! If the process dies before t2 the seat stays due: the next process that commits anything that wakes rings. If it dies
//! between t2 and t3 the ring is lost; after 30 s the next message rings again, and the message itself waits unread.
//!
//! Must not depend on tools, transports and the command line.

pub mod bell;
mod case;
mod process;
mod session;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::decision::Outcome;
use crate::domain::seat::Seat;
use crate::judgement::{CommitResult, Judge};
use crate::policy::{PolicyHost, PolicySet};
use crate::storage::{self, Db, DueWake, NewEscalation, ReadTx};
use case::WakeCase;

pub use bell::input_file;
pub use process::{Process, is_live};
pub use session::{Session, claim_news, hook, remote_key};

/// The pauses after which a ring that was not answered is repeated. A session that has just begun does not watch its bell yet: it
/// does within a second, or within several on a busy machine.
const REPEATED_AFTER: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(12)];

/// How long what was committed last may take to ring before the process ends.
const LAST_RING: Duration = Duration::from_secs(2);

/// Rings for what this process commits, until it is stopped. Keeps the database open. Runs on the current tokio runtime.
pub struct Ringing {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Ringing {
    /// Starts it.
    #[must_use]
    pub fn start(db: Db, policies: Arc<PolicyHost>, clock: Clock) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(ring_for(db, policies, clock, stop.clone()));
        Self { stop, task }
    }

    /// Stops it; what was committed before still rings. A database that is locked holds nobody up: the message is unread, and wakes with
    /// the next one.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Ok(Err(panic)) = tokio::time::timeout(LAST_RING, self.task).await {
            tracing::error!(%panic, "waking agents panicked");
        }
    }
}

async fn ring_for(db: Db, policies: Arc<PolicyHost>, clock: Clock, stop: CancellationToken) {
    let judge = Arc::new(Judge::new(db.clone()));
    let mut commits = db.commits();
    // Dropped, and so aborted, with this task.
    let mut repeats = JoinSet::new();
    let mut last = false;
    while !last {
        last = tokio::select! {
            changed = commits.changed() => changed.is_err(),
            () = stop.cancelled() => true,
        };
        if !db.take_rings() {
            continue;
        }
        while repeats.try_join_next().is_some() {}
        let to_repeat = db.clone();
        let (db, judge, policies, clock) =
            (db.clone(), Arc::clone(&judge), Arc::clone(&policies), clock.clone());
        let rung = tokio::task::spawn_blocking(move || ring_due(&db, &judge, &policies.current(), &clock));
        match rung.await {
            Ok(Ok(rung)) => {
                for key in rung {
                    repeats.spawn(repeat(to_repeat.clone(), key));
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "agents could not be woken"),
            Err(panic) => tracing::error!(%panic, "waking agents panicked"),
        }
    }
}

/// Rings a seat again while its ring is not answered.
async fn repeat(db: Db, key: String) {
    for pause in REPEATED_AFTER {
        tokio::time::sleep(pause).await;
        let (db, key) = (db.clone(), key.clone());
        let again = tokio::task::spawn_blocking(move || {
            let seat = db.read(|tx| tx.seat(&key)).ok().flatten();
            seat.filter(|seat| seat.rung_at.is_some())
                .is_some_and(|seat| bell::ring(&seat.key, seat.wake.as_deref()).is_ok())
        });
        if !again.await.unwrap_or(false) {
            return;
        }
    }
}

/// Decides all wakes that are due, and rings those that are allowed. The keys of the seats whose ring may be repeated. Blocks.
///
/// # Errors
/// Those of storage. A bell that cannot be rung is logged: the message is unread all the same.
pub fn ring_due(db: &Db, judge: &Judge, set: &Arc<PolicySet>, clock: &Clock) -> storage::Result<Vec<String>> {
    let mut repeatable = Vec::new();
    for wake in db.read(|tx| tx.due_wakes())? {
        if !is_live(&wake.seat) {
            let gone = wake.seat.id;
            bell::remove(wake.seat.wake.as_deref());
            db.write(move |tx| tx.leave_seat(gone))?;
            continue;
        }
        if let Some(way) = wake.seat.wake.clone().filter(|way| process::is_gone(way)) {
            let id = wake.seat.id;
            db.write(move |tx| tx.stop_waiting(id, &way))?;
            continue;
        }
        let allowed = judge.retry(|| decide(db, judge, set, clock, &wake))?;
        if allowed != Some(true) {
            continue;
        }
        let way = wake.seat.wake.as_deref();
        match bell::ring(&wake.seat.key, way) {
            Ok(()) if bell::is_idempotent(way) => repeatable.push(wake.seat.key),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, client = %wake.seat.key, "an agent could not be rung"),
        }
    }
    Ok(repeatable)
}

/// Whether the wake may ring; `None`: the facts have moved.
fn decide(
    db: &Db,
    judge: &Judge,
    set: &Arc<PolicySet>,
    clock: &Clock,
    wake: &DueWake,
) -> storage::Result<Option<bool>> {
    let case = WakeCase::new(wake.clone(), db.now(clock));
    let ruling = judge.ask(&case, set)?;
    let rings = ruling.decision.outcome == Outcome::Allow;
    // A policy that failed lets nothing ring; what it could not judge is put before the person, as what it wants one for.
    let held = matches!(ruling.decision.outcome, Outcome::Escalate | Outcome::Error)
        .then(|| ruling.escalation(&case, case.held()));
    let committed = judge.commit_if_unchanged(case, set, &ruling, rings, move |tx, case, decision_id| {
        let now = case.now();
        if let Some(held) = &held {
            tx.escalate(&NewEscalation { decision_id, ..held.clone() }, now)?;
        }
        tx.take_wake(case.wake(), rings, now)
    })?;
    Ok(match committed {
        CommitResult::Done(_, taken) => Some(taken && rings),
        CommitResult::Moved => None,
        CommitResult::Gone => Some(false),
    })
}

/// The seats of members whose session is there, by member.
///
/// # Errors
/// Those of storage.
pub fn live_seats(tx: &ReadTx<'_>) -> storage::Result<HashMap<i64, Seat>> {
    Ok(tx.seats_by_member()?.into_iter().filter(|(_, seat)| is_live(seat)).collect())
}
