//! What `src/storage/sqlite/writer/queue.rs` promises, under many schedules: every job is committed once and in its turn, nobody
//! is forgotten, and the end comes after everything else. Must not know what a commit does.

#[path = "../../../src/storage/sqlite/writer/queue.rs"]
mod queue;
/// What `queue` is built on here.
mod sync {
    pub(super) use crate::locks::{Condvar, Instant, Mutex};
}

use std::sync::{Arc, Mutex, MutexGuard};

use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread::{self, JoinHandle};

use crate::explore;
use crate::locks::{TICK, Time, others_may_run};
use queue::{ClosedError, Limits, Queue};

/// What happened to a job, as moments in `History::moment`.
#[derive(Default)]
struct Fate {
    pushing: usize,
    pushed: Option<usize>,
}

#[derive(Default)]
struct History {
    /// Counts what happens.
    moment: usize,
    /// By number.
    jobs: Vec<Fate>,
    /// In the order of their commits.
    committed: Vec<usize>,
    is_committing: bool,
    is_gone: bool,
}

/// Never locked while another thread may run.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<History>>);

impl Log {
    fn write(&self) -> MutexGuard<'_, History> {
        let mut history = self.0.lock().unwrap();
        history.moment += 1;
        history
    }
}

/// Only one may hold it, and nobody once it is gone.
struct Connection(Log);

impl Drop for Connection {
    fn drop(&mut self) {
        // A failed schedule drops everything in any order.
        if !std::thread::panicking() {
            let mut history = self.0.write();
            assert!(!history.is_committing, "the connection went in the middle of a commit");
            history.is_gone = true;
        }
    }
}

struct Job {
    number: usize,
    done: Sender<()>,
    /// Tells that its commit has begun, and makes it last until the other is dropped.
    held: Option<(Sender<()>, Receiver<()>)>,
}

/// The queue with its thread, and what is known of it.
#[derive(Clone)]
struct Writer {
    queue: Arc<Queue<Connection, Job>>,
    log: Log,
    limits: (usize, usize),
}

impl Writer {
    /// `waiting` and `group` are the limits.
    fn start(waiting: usize, group: usize) -> (Self, JoinHandle<()>) {
        let log = Log::default();
        let limits = Limits { waiting, group, linger: TICK * 2 };
        let commit = move |connection: &Connection, jobs| commit(connection, jobs, group);
        let queue = Arc::new(Queue::new(Connection(log.clone()), limits, commit));
        let of_thread = Arc::clone(&queue);
        let thread = thread::spawn(move || of_thread.run());
        (Self { queue, log, limits: (waiting, group) }, thread)
    }

    /// Queues a job and gives its number and where its end is told.
    fn push(
        &self,
        awaited: bool,
        held: Option<(Sender<()>, Receiver<()>)>,
    ) -> Result<(usize, Receiver<()>), ClosedError> {
        let (done, is_done) = channel();
        let number = {
            let mut history = self.log.write();
            let pushing = history.moment;
            history.jobs.push(Fate { pushing, pushed: None });
            history.jobs.len() - 1
        };
        self.queue.push(Job { number, done, held }, awaited)?;
        let mut history = self.log.write();
        let moment = history.moment;
        history.jobs[number].pushed = Some(moment);
        let open = history.jobs.iter().enumerate();
        let open = open.filter(|(number, job)| job.pushed.is_some() && !history.committed.contains(number));
        // Those of one group are neither in the queue nor committed yet.
        assert!(open.count() <= self.limits.0 + self.limits.1, "more than may wait");
        Ok((number, is_done))
    }

    /// As callers do who want to know: `false` when it is closed.
    fn write(&self) -> bool {
        let Ok((number, is_done)) = self.push(true, None) else { return false };
        self.queue.try_commit();
        is_done.recv().expect("an accepted job was lost");
        assert!(self.log.write().committed.contains(&number), "told before the commit");
        true
    }

    /// As callers do who do not.
    fn write_later(&self) -> Result<Receiver<()>, ClosedError> {
        let (_, is_done) = self.push(false, None)?;
        self.queue.wake();
        Ok(is_done)
    }

    /// As callers do who only look: `false` when it was not free.
    fn look(&self) -> bool {
        let looked = self.queue.if_free(|Connection(log)| {
            {
                let mut history = log.write();
                assert!(!history.is_committing, "lent in the middle of a commit");
                assert!(!history.is_gone, "lent after the end");
                // Nobody may commit meanwhile either.
                history.is_committing = true;
            }
            others_may_run();
            log.write().is_committing = false;
        });
        looked.is_some()
    }

    /// A caller of its own.
    fn spawn<T: Send + 'static>(&self, life: impl FnOnce(&Self) -> T + Send + 'static) -> JoinHandle<T> {
        let writer = self.clone();
        thread::spawn(move || life(&writer))
    }

    /// Closes it, and looks back when the thread has ended and the callers have gone.
    fn finish(self, thread: JoinHandle<()>) {
        self.queue.close();
        thread.join().unwrap();
        assert!(self.log.write().is_gone, "the thread ended without dropping the connection");
        assert!(!self.look(), "lent after the end");
        assert_eq!(self.queue.push(self.surplus(), true), Err(ClosedError));
        self.queue.try_commit();

        let history = self.log.write();
        let accepted = (0..history.jobs.len()).filter(|number| history.jobs[*number].pushed.is_some());
        let mut committed = history.committed.clone();
        committed.sort_unstable();
        assert_eq!(committed, accepted.collect::<Vec<_>>(), "each accepted job once and no other");
        for (at, later) in history.committed.iter().enumerate() {
            for earlier in &history.committed[..at] {
                let was_before = history.jobs[*later].pushed < Some(history.jobs[*earlier].pushing);
                assert!(!was_before, "{later} was there before {earlier} came and was committed after it");
            }
        }
    }

    /// A job to be refused.
    fn surplus(&self) -> Job {
        Job { number: usize::MAX, done: channel().0, held: None }
    }
}

fn commit(connection: &Connection, jobs: Vec<Job>, most: usize) {
    let log = &connection.0;
    {
        let mut history = log.write();
        assert!(!history.is_committing, "two commits at once");
        assert!(!history.is_gone, "a commit after the end");
        history.is_committing = true;
    }
    assert!((1..=most).contains(&jobs.len()), "{} jobs in a group", jobs.len());
    others_may_run();
    for job in &jobs {
        if let Some((begun, released)) = &job.held {
            begun.send(()).unwrap();
            // Ends when the other side is dropped.
            let _ = released.recv();
        }
    }
    log.write().committed.extend(jobs.iter().map(|job| job.number));
    for job in jobs {
        // Not everybody listens.
        let _ = job.done.send(());
    }
    others_may_run();
    log.write().is_committing = false;
}

fn join<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Callers that want to know, each with some writes one after the other.
fn callers(writer: &Writer, callers: usize, writes: usize) {
    let callers = (0..callers).map(|_| writer.spawn(move |writer| (0..writes).all(|_| writer.write())));
    assert!(join(callers.collect()).into_iter().all(|accepted| accepted), "refused before the end");
}

#[test]
fn who_waits_is_committed_once_and_in_turn() {
    explore(|| {
        let (writer, thread) = Writer::start(8, 8);
        callers(&writer, 3, 2);
        writer.finish(thread);
    });
}

#[test]
fn a_full_queue_and_small_groups_let_everybody_go_on() {
    explore(|| {
        let (writer, thread) = Writer::start(1, 1);
        callers(&writer, 4, 1);
        writer.finish(thread);
    });
    explore(|| {
        let (writer, thread) = Writer::start(2, 2);
        callers(&writer, 4, 2);
        writer.finish(thread);
    });
}

#[test]
fn who_borrows_the_connection_has_it_alone_and_holds_nobody_up_for_ever() {
    explore(|| {
        let (writer, thread) = Writer::start(2, 2);
        let looking = (0..2).map(|_| writer.spawn(|writer| [writer.look(), writer.look()]));
        let looking = looking.collect();
        callers(&writer, 2, 2);
        join(looking);
        writer.finish(thread);
    });
}

#[test]
fn who_only_wakes_the_thread_is_committed_too() {
    explore(|| {
        let (writer, thread) = Writer::start(2, 1);
        let waking = (0..3).map(|_| {
            writer.spawn(|writer| {
                let (_, is_done) = writer.push(true, None).unwrap();
                writer.queue.wake();
                is_done.recv().expect("an accepted job was lost");
            })
        });
        join(waking.collect());
        writer.finish(thread);
    });
}

#[test]
fn who_waits_needs_no_time_whatever_lies_before_it() {
    explore(|| {
        let (writer, thread) = Writer::start(8, 1);
        let later = writer.spawn(|writer| writer.write_later().map(drop));
        callers(&writer, 2, 1);
        assert_eq!(later.join().unwrap(), Ok(()));
        // What is left of it is committed at the end.
        writer.finish(thread);
    });
}

#[test]
fn what_nobody_waits_for_needs_only_time() {
    explore(|| {
        let time = Time::start();
        let (writer, thread) = Writer::start(1, 1);
        let later = (0..3).map(|_| {
            writer.spawn(|writer| writer.write_later().unwrap().recv().expect("an accepted job was lost"))
        });
        join(later.collect());
        time.stop();
        writer.finish(thread);
    });
}

#[test]
fn callers_who_want_to_know_and_such_who_do_not_share_the_queue() {
    explore(|| {
        let time = Time::start();
        let (writer, thread) = Writer::start(2, 2);
        let later = writer.spawn(|writer| {
            for _ in 0..2 {
                writer.write_later().unwrap();
            }
        });
        callers(&writer, 2, 2);
        later.join().unwrap();
        time.stop();
        writer.finish(thread);
    });
}

#[test]
fn who_races_with_the_end_is_refused_or_committed() {
    fn race(waiting: usize, group: usize) {
        let (writer, thread) = Writer::start(waiting, group);
        let racing = (0..3).map(|_| {
            writer.spawn(|writer| {
                let first = writer.write();
                assert!(!writer.write() || first, "let in after the end");
            })
        });
        let racing = racing.collect();
        // It may come with the queue full of what nobody waits for: time stands still.
        let later = writer.spawn(|writer| writer.write_later().map(drop).unwrap_or_default());
        let closing = writer.spawn(|writer| writer.queue.close());
        closing.join().unwrap();
        join(racing);
        later.join().unwrap();
        writer.finish(thread);
    }
    explore(|| race(8, 8));
    explore(|| race(1, 1));
}

#[test]
fn the_end_is_told_at_once_and_nobody_is_held_up_by_a_long_commit() {
    explore(|| {
        let (writer, thread) = Writer::start(1, 1);
        let (begun, has_begun) = channel();
        let (release, released) = channel();
        writer.push(true, Some((begun, released))).unwrap();
        writer.queue.wake();
        has_begun.recv().unwrap();
        // It is full now.
        writer.push(true, None).unwrap();
        writer.queue.try_commit();
        let too_many = writer.spawn(|writer| writer.push(true, None).map(drop));
        writer.queue.close();
        assert_eq!(too_many.join().unwrap(), Err(ClosedError));
        drop(release);
        writer.finish(thread);
    });
}
