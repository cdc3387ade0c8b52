//! A walk over the recorded decisions, on several cores, that tells how far it is and can be stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::OperatorError;
use crate::domain::clock::Millis;
use crate::storage::{Db, DecisionRow};

/// Decisions read at a time by one thread: a read transaction of a few milliseconds.
const CHUNK: usize = 256;

/// What somebody who waits is told, and how they end the waiting.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    /// Called at the start and after every few hundred decisions, from several threads: how many were looked at, of how many.
    pub tell: &'a (dyn Fn(u64, u64) + Sync),
    /// Once this is true, the walk ends with [`OperatorError::Stopped`].
    pub stop: &'a AtomicBool,
    /// How many threads walk: [`cores`], or fewer where something else needs them.
    pub cores: usize,
}

/// Shows every decision made since then to `look`, each core collecting into a value of its own that `begin` makes. The
/// values come back in no particular order.
pub(super) fn walk<T: Send>(
    db: &Db,
    since: Millis,
    progress: Progress<'_>,
    begin: impl Fn() -> T + Sync,
    look: impl Fn(&mut T, DecisionRow) + Sync,
) -> Result<Vec<T>, OperatorError> {
    let ids = db.read(|tx| tx.decision_ids(since))?;
    let (total, done, next) = (ids.len() as u64, AtomicU64::new(0), AtomicUsize::new(0));
    let chunks: Vec<&[i64]> = ids.chunks(CHUNK).collect();
    (progress.tell)(0, total);
    let work = || -> Result<T, OperatorError> {
        let mut collected = begin();
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let [first, ..] = chunk
                && let [.., last] = chunk
            {
                for row in db.read(|tx| tx.decisions_between(*first, *last, since))? {
                    if progress.stop.load(Ordering::Relaxed) {
                        return Err(OperatorError::Stopped);
                    }
                    look(&mut collected, row);
                }
            }
            let looked_at = chunk.len() as u64;
            (progress.tell)(done.fetch_add(looked_at, Ordering::Relaxed) + looked_at, total);
        }
        Ok(collected)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..progress.cores.max(1)).map(|_| scope.spawn(work)).collect();
        let all = workers.into_iter().map(|worker| worker.join().map_err(|_| OperatorError::Thread));
        all.map(|result| result?).collect()
    })
}

/// How many decisions this machine can look at at a time.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
