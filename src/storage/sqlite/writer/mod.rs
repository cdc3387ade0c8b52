//! The one writer: queued jobs are committed in groups, so that any number of waiting callers share one fsync. A caller that
//! finds the connection free commits by itself, with all queued jobs; so a lone writer wakes no thread. `queue` decides which
//! thread commits, `turns` which process, this file what a commit is. Must not depend on what the jobs do.

mod queue;
mod turns;
/// What `queue` is built on here.
mod sync {
    pub(super) use std::time::Instant;

    pub(super) use parking_lot::{Condvar, Mutex};
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::file::OpenFile;
use super::open;
use super::readers::consistent;
use crate::storage::error::{Error, Result};
use crate::storage::tx::{ReadTx, WriteTx};
use queue::{Limits, Queue};
pub(super) use turns::Turns;

const LIMITS: Limits = Limits {
    waiting: 4_096,
    // So that the first one's wait stays bounded.
    group: 512,
    // Bounds what a crash can take from the log of read calls, and the age of presence as other processes see it.
    linger: Duration::from_millis(20),
};

/// A queued job: run inside the transaction, then told once what became of the commit.
trait Job: Send {
    /// Does the work; `false` asks for the job's own changes to be rolled back.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Whether it may run again after its changes were rolled back.
    fn is_repeatable(&self) -> bool;
    /// Hands the result over: the job's own when the commit went well.
    fn finish(self: Box<Self>, committed: Result<()>);
}

struct Queued<T, J, F> {
    job: Option<J>,
    outcome: Option<Result<T>>,
    finish: F,
}

impl<T, J, F> Job for Queued<T, J, F>
where
    T: Send,
    J: FnOnce(&WriteTx<'_>) -> Result<T> + Send,
    F: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        let Some(job) = self.job.take() else { return false };
        let outcome = caught(|| job(tx));
        let ok = outcome.is_ok();
        self.outcome = Some(outcome);
        ok
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let outcome = self.outcome.unwrap_or(Err(Error::Closed));
        (self.finish)(committed.and(outcome));
    }
}

/// A job that no caller waits for.
struct Deferred<J> {
    job: J,
    outcome: Result<()>,
}

impl<J: Fn(&WriteTx<'_>) -> Result<()> + Send> Job for Deferred<J> {
    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        self.outcome = caught(|| (self.job)(tx));
        self.outcome.is_ok()
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        if let Err(error) = committed.and(self.outcome) {
            tracing::warn!(%error, "a deferred write was lost");
        }
    }
}

fn caught<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(Error::Fault("a write panicked".into())))
}

/// The handle to the writer. Dropping it commits what is queued and ends the thread.
pub(super) struct Writer {
    queue: Arc<Queue<Connection, Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    file: Arc<OpenFile>,
}

impl Writer {
    /// Starts the thread. `committed` is called after every commit, before the callers hear of it.
    pub(super) fn start(
        connection: Connection,
        turns: Turns,
        file: Arc<OpenFile>,
        committed: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let of_commit = Arc::clone(&file);
        let commit = move |connection: &Connection, group| {
            commit(connection, &turns, &of_commit, group, &committed);
        };
        let queue = Arc::new(Queue::new(connection, LIMITS, commit));
        let of_thread = Arc::clone(&queue);
        let thread =
            std::thread::Builder::new().name("storage-writer".into()).spawn(move || of_thread.run())?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)), file })
    }

    /// Runs `job` in a transaction and waits until it is on disk.
    pub(super) fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        self.submit(job, move |result| {
            // A caller that has gone needs no answer; its change stands.
            let _ = reply.send(result);
        })?;
        self.queue.try_commit();
        answer.recv().map_err(|_| Error::Closed)?
    }

    /// Runs `job` on the writer's own connection, unless a write is under way. `Err` gives it back.
    pub(super) fn read_if_free<T, J>(&self, job: J) -> std::result::Result<Result<T>, J>
    where
        J: FnOnce(&ReadTx<'_>) -> Result<T>,
    {
        let mut job = Some(job);
        let done =
            self.queue.if_free(|connection| job.take().map(|job| consistent(connection, &self.file, job)));
        match (done.flatten(), job) {
            (Some(done), _) => Ok(done),
            (None, Some(job)) => Err(job),
            (None, None) => Ok(Err(Error::Closed)),
        }
    }

    /// Queues a job without waiting for it: it joins the next commit, or gets its own within 20 ms. It may run twice, where
    /// another job made the first time undone.
    pub(super) fn write_later(
        &self,
        job: impl Fn(&WriteTx<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let job = Box::new(Deferred { job, outcome: Err(Error::Closed) });
        self.queue.push(job, false).map_err(|_closed| Error::Closed)?;
        self.queue.wake();
        Ok(())
    }

    /// Queues a job that a caller waits for, without waking the thread.
    fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
        finish: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let job = Box::new(Queued { job: Some(job), outcome: None, finish });
        self.queue.push(job, true).map_err(|_closed| Error::Closed)
    }

    /// Commits what is queued, closes the connection and ends the thread. Later writes are
    /// [`Error::Closed`].
    pub(super) fn stop(&self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take() {
            // The thread catches its jobs' panics; there is nothing to learn from its result.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One transaction for the group. No caller is told of success before the commit.
fn commit(
    connection: &Connection,
    turns: &Turns,
    file: &OpenFile,
    mut group: Vec<Box<dyn Job>>,
    committed: &dyn Fn(),
) {
    let result = turns.take().and_then(|_turn| transact(connection, file, &mut group));
    if let Ok(rings) = result {
        // Not before the commit: a process that rings takes the mark, and then looks for what is committed.
        if rings {
            file.note_ring();
        }
        committed();
    } else if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction could not be rolled back");
    }
    if matches!(result, Err(Error::Unwritable(_))) {
        overwrite_failed_commit(connection);
    }
    for job in group {
        job.finish(result.as_ref().map(|_| ()).map_err(Error::again));
    }
}

/// After a failed fsync the WAL may contain the complete transaction, which its callers are about to be told did not happen;
/// recovery after a crash would replay it. So a transaction that changes nothing is written over it.
fn overwrite_failed_commit(connection: &Connection) {
    // Its own fsync may fail as well. That it is written is enough: it protects against the crash of a process, not of the
    // machine.
    let _ = open::rewrite_version(connection);
}

/// Whether something of the group wants to wake an agent.
fn transact(connection: &Connection, file: &OpenFile, group: &mut [Box<dyn Job>]) -> Result<bool> {
    run_cached(connection, "BEGIN IMMEDIATE")?;
    // Under the lock, so that neither changes before the commit, but for a file that is moved at this very moment.
    file.check()?;
    open::check_version(connection)?;
    // One job alone is its own transaction; a savepoint would copy every page that it touches.
    if let [alone] = group {
        let ran = run_job(connection, alone)?;
        run_cached(connection, if ran.stays { "COMMIT" } else { "ROLLBACK" })?;
        return Ok(ran.stays && ran.rings);
    }
    let mut rings = false;
    let mut rest = group;
    while !rest.is_empty() {
        // Deferred jobs that follow one another share a savepoint. One of them fails so rarely that all may run again then.
        let repeatable = rest.iter().take_while(|job| job.is_repeatable()).count();
        let (jobs, others) = rest.split_at_mut(repeatable.max(1));
        match run_in_savepoint(connection, jobs)? {
            Some(all_ring) => rings |= all_ring,
            None if jobs.len() == 1 => {}
            None => {
                for job in jobs {
                    rings |= run_in_savepoint(connection, std::slice::from_mut(job))?.unwrap_or(false);
                }
            }
        }
        rest = others;
    }
    run_cached(connection, "COMMIT")?;
    Ok(rings)
}

/// Runs jobs whose changes stay or go together: whether one wants to wake an agent; `None` when one failed and nothing stays.
fn run_in_savepoint(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<Option<bool>> {
    run_cached(connection, "SAVEPOINT job")?;
    let mut rings = false;
    for job in jobs {
        let ran = run_job(connection, job)?;
        if !ran.stays {
            run_cached(connection, "ROLLBACK TO job")?;
            run_cached(connection, "RELEASE job")?;
            return Ok(None);
        }
        rings |= ran.rings;
    }
    run_cached(connection, "RELEASE job")?;
    Ok(Some(rings))
}

/// What a job has done.
struct Ran {
    /// Its changes are to stay.
    stays: bool,
    /// They want to wake an agent.
    rings: bool,
}

fn run_job(connection: &Connection, job: &mut Box<dyn Job>) -> Result<Ran> {
    let tx = WriteTx::new(connection);
    let stays = job.run(&tx);
    if connection.is_autocommit() {
        return Err(Error::Unwritable("the disk is full or failing".into()));
    }
    Ok(Ran { stays, rings: tx.rings.get() })
}

/// Every group runs these: they are prepared once.
fn run_cached(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::Receiver;
    use std::thread::{scope, spawn};

    use super::*;
    use crate::domain::refusal::Refusal;

    /// A writer on a table of its own, its commits counted, and a connection that sees what is committed.
    fn writer() -> (Writer, Connection, Arc<AtomicUsize>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
        connection.busy_timeout(Duration::from_millis(100)).unwrap();
        let commits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&commits);
        let turns = Turns::open(&path, Duration::from_millis(100)).unwrap();
        let file = Arc::new(OpenFile::register(&path, || Ok(())).unwrap());
        let writer = Writer::start(connection, turns, file, move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        (writer, Connection::open(&path).unwrap(), commits, dir)
    }

    fn put(tx: &WriteTx<'_>, n: i64) -> Result<()> {
        tx.execute("INSERT INTO t VALUES (?1)", [n]).map(drop)
    }

    fn stored(connection: &Connection) -> Vec<i64> {
        let mut all = connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
        all.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    }

    /// Keeps the writer busy until the returned sender is dropped, so that what is submitted meanwhile becomes
    /// one group.
    fn hold(writer: &Writer) -> std::sync::mpsc::Sender<()> {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel();
        writer
            .submit(
                move |_| {
                    begun.send(()).unwrap();
                    // Ends when the other side is dropped.
                    let _ = released.recv();
                    Ok(())
                },
                |_: Result<()>| {},
            )
            .unwrap();
        writer.queue.wake();
        has_begun.recv().unwrap();
        release
    }

    /// Queues a job and gives the place where its result will be.
    fn queue(
        writer: &Writer,
        job: impl FnOnce(&WriteTx<'_>) -> Result<()> + Send + 'static,
    ) -> Receiver<Result<()>> {
        let (reply, answer) = sync_channel(1);
        writer.submit(job, move |result| reply.send(result).unwrap()).unwrap();
        writer.queue.wake();
        answer
    }

    #[test]
    fn a_panicking_and_a_refused_job_take_back_only_their_own() {
        let (writer, outside, commits, _dir) = writer();
        let held = hold(&writer);
        let good = queue(&writer, |tx| put(tx, 1));
        let panicking = queue(&writer, |tx| {
            put(tx, 2)?;
            panic!("in a job")
        });
        let refused = queue(&writer, |tx| {
            put(tx, 3)?;
            Err(Refusal::invalid("no", "never").into())
        });
        let faulty = queue(&writer, |tx| {
            put(tx, 4)?;
            tx.execute("INSERT INTO no_such_table VALUES (1)", ()).map(drop)
        });
        let last = queue(&writer, |tx| put(tx, 5));
        drop(held);
        assert!(good.recv().unwrap().is_ok());
        assert!(matches!(panicking.recv().unwrap(), Err(Error::Fault(_))));
        assert!(matches!(refused.recv().unwrap(), Err(Error::Refused(_))));
        assert!(matches!(faulty.recv().unwrap(), Err(Error::Engine { .. })));
        assert!(last.recv().unwrap().is_ok());
        assert_eq!(stored(&outside), [1, 5]);
        assert_eq!(commits.load(Ordering::SeqCst), 2, "the holding job, and one for all five");
        writer.write(|tx| put(tx, 6)).unwrap();
        assert_eq!(stored(&outside), [1, 5, 6]);
    }

    #[test]
    fn a_ring_is_due_after_the_commit_of_what_wants_it_and_not_before() {
        let (writer, outside, _commits, _dir) = writer();
        let ring = |tx: &WriteTx<'_>, n: i64| {
            tx.rings.set(true);
            put(tx, n)
        };
        let held = hold(&writer);
        let wanted = queue(&writer, move |tx| ring(tx, 1));
        let file = Arc::clone(&writer.file);
        let (seen, early) = sync_channel(1);
        let other = queue(&writer, move |_| {
            seen.send(file.take_rings()).unwrap();
            Ok(())
        });
        drop(held);
        wanted.recv().unwrap().unwrap();
        other.recv().unwrap().unwrap();
        assert!(
            !early.recv().unwrap(),
            "before the commit whoever rings would find nothing, and the mark gone"
        );
        assert!(writer.file.take_rings());
        // What is taken back rings for nobody.
        let refused = writer.write(move |tx| {
            ring(tx, 2)?;
            Err::<(), _>(Refusal::invalid("no", "never").into())
        });
        assert!(refused.is_err() && !writer.file.take_rings());
        assert_eq!(stored(&outside), [1]);
    }

    #[test]
    fn those_who_wait_share_a_commit() {
        let (writer, outside, commits, _dir) = writer();
        let held = hold(&writer);
        let answers: Vec<_> = (0..100).map(|n| queue(&writer, move |tx| put(tx, n))).collect();
        assert_eq!(commits.load(Ordering::SeqCst), 0);
        drop(held);
        for answer in answers {
            answer.recv().unwrap().unwrap();
        }
        assert_eq!(stored(&outside).len(), 100);
        assert_eq!(commits.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_group_is_bounded() {
        let (writer, _outside, commits, _dir) = writer();
        let held = hold(&writer);
        let many = i64::try_from(LIMITS.group).unwrap() + 1;
        let answers: Vec<_> = (0..many).map(|n| queue(&writer, move |tx| put(tx, n))).collect();
        drop(held);
        for answer in answers {
            answer.recv().unwrap().unwrap();
        }
        assert_eq!(commits.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn success_is_reported_only_after_the_commit() {
        let (writer, outside, _commits, _dir) = writer();
        let writer = &writer;
        scope(|scope| {
            for n in 0..8 {
                scope.spawn(move || writer.write(move |tx| put(tx, n)).unwrap());
            }
        });
        assert_eq!(stored(&outside).len(), 8);
        writer.write(|tx| put(tx, 8)).unwrap();
        assert_eq!(stored(&outside).len(), 9);
    }

    #[test]
    fn a_failed_commit_is_told_to_everybody_in_it_and_the_next_one_works() {
        let (writer, outside, commits, _dir) = writer();
        outside.execute_batch("BEGIN IMMEDIATE").unwrap();
        let held: Vec<_> = (0..3).map(|n| queue(&writer, move |tx| put(tx, n))).collect();
        for answer in held {
            assert!(matches!(answer.recv().unwrap(), Err(Error::Busy)));
        }
        outside.execute_batch("ROLLBACK").unwrap();
        assert_eq!(commits.load(Ordering::SeqCst), 0);
        writer.write(|tx| put(tx, 7)).unwrap();
        assert_eq!(stored(&outside), [7]);
    }

    #[test]
    fn deferred_jobs_join_the_next_commit() {
        let (writer, outside, commits, _dir) = writer();
        let held = hold(&writer);
        for n in 0..10 {
            writer.write_later(move |tx| put(tx, n)).unwrap();
        }
        let last = queue(&writer, |tx| put(tx, 10));
        drop(held);
        last.recv().unwrap().unwrap();
        assert_eq!(stored(&outside).len(), 11);
        assert_eq!(commits.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_deferred_job_that_fails_takes_back_only_its_own() {
        let (writer, outside, commits, _dir) = writer();
        let held = hold(&writer);
        for n in 1..=4 {
            let put_and_fail = move |tx: &WriteTx<'_>| {
                put(tx, n)?;
                match n {
                    2 => Err(Refusal::invalid("no", "never").into()),
                    3 => panic!("in a job"),
                    _ => Ok(()),
                }
            };
            writer.write_later(put_and_fail).unwrap();
        }
        let last = queue(&writer, |tx| put(tx, 5));
        drop(held);
        last.recv().unwrap().unwrap();
        assert_eq!(stored(&outside), [1, 4, 5]);
        assert_eq!(commits.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn stopping_commits_what_is_queued_and_refuses_the_rest() {
        let (writer, outside, _commits, _dir) = writer();
        let writer = Arc::new(writer);
        let held = hold(&writer);
        let queued = queue(&writer, |tx| put(tx, 1));
        writer.write_later(|tx| put(tx, 2)).unwrap();
        let stopping = Arc::clone(&writer);
        let stopped = spawn(move || stopping.stop());
        drop(held);
        stopped.join().unwrap();
        queued.recv().unwrap().unwrap();
        assert_eq!(stored(&outside), [1, 2]);
        assert!(matches!(writer.write(|tx| put(tx, 3)), Err(Error::Closed)));
        assert!(matches!(writer.write_later(|tx| put(tx, 3)), Err(Error::Closed)));
        writer.stop();
        assert_eq!(stored(&outside), [1, 2]);
    }

    #[test]
    fn a_refused_job_alone_leaves_nothing_and_the_next_one_works() {
        let (writer, outside, _commits, _dir) = writer();
        let refused = writer.write(|tx| -> Result<()> {
            put(tx, 1)?;
            Err(Refusal::invalid("no", "never").into())
        });
        assert!(matches!(refused, Err(Error::Refused(_))));
        let panicked = writer.write(|tx| -> Result<()> {
            put(tx, 2)?;
            panic!("in a job")
        });
        assert!(matches!(panicked, Err(Error::Fault(_))));
        writer.write(|tx| put(tx, 3)).unwrap();
        assert_eq!(stored(&outside), [3]);
    }

    #[test]
    fn a_caller_that_finds_the_connection_free_takes_along_what_is_queued() {
        let (writer, outside, commits, _dir) = writer();
        writer.write_later(|tx| put(tx, 1)).unwrap();
        writer.write(|tx| put(tx, 2)).unwrap();
        assert_eq!(stored(&outside), [1, 2]);
        assert!(commits.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn deferred_jobs_are_committed_without_another_write() {
        let (writer, _outside, commits, _dir) = writer();
        let (done, is_done) = std::sync::mpsc::channel();
        let finish = move |result: Result<()>| done.send(result.is_ok()).unwrap();
        let job = Queued { job: Some(|tx: &WriteTx<'_>| put(tx, 1)), outcome: None, finish };
        writer.queue.push(Box::new(job), false).unwrap();
        writer.queue.wake();
        assert_eq!(is_done.recv_timeout(Duration::from_mins(1)), Ok(true));
        assert_eq!(commits.load(Ordering::SeqCst), 1);
    }
}
