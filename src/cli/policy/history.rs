//! A walk over the recorded decisions, on all cores, with a bar for the person who waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use super::CliError;
use crate::storage::{self, Db, DecisionRow};

/// Decisions read at a time by one thread: a read transaction of a few milliseconds.
const CHUNK: usize = 256;

/// Shows every decision made since then to `look`, each core collecting into a value of its own that `begin` makes. The
/// values come back in no particular order. The bar is on standard error, and only there when that is a terminal.
pub(super) fn walk<T: Send>(
    db: &Db,
    since: i64,
    begin: impl Fn() -> T + Sync,
    look: impl Fn(&mut T, DecisionRow) + Sync,
) -> Result<Vec<T>, CliError> {
    let ids = db.read(|tx| tx.decision_ids(since))?;
    let chunks: Vec<&[i64]> = ids.chunks(CHUNK).collect();
    let bar = ProgressBar::new(ids.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} decisions, {eta} left")
    {
        bar.set_style(style);
    }
    let next = AtomicUsize::new(0);
    let work = || -> storage::Result<T> {
        let mut collected = begin();
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let [first, ..] = chunk
                && let [.., last] = chunk
            {
                for row in db.read(|tx| tx.decisions_between(*first, *last, since))? {
                    look(&mut collected, row);
                }
            }
            bar.inc(chunk.len() as u64);
        }
        Ok(collected)
    };
    let collected = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        let all = workers.into_iter().map(|worker| {
            worker.join().map_err(|_| CliError::Io(std::io::Error::other("a worker panicked")))
        });
        all.map(|result| Ok(result??)).collect::<Result<Vec<T>, CliError>>()
    });
    bar.finish_and_clear();
    collected
}

/// How many decisions are looked at at a time.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
