//! The queue in front of the writer: which thread commits, when, and how many jobs at once. A caller that finds the connection
//! free commits all queued jobs; jobs queued meanwhile, and deferred jobs, are committed by a background thread. Must not
//! depend on SQLite: a connection is an exclusive resource, a job an opaque value.
//!
//! Its locks come from `super::sync`, so that `tests/interleavings` can run this very file under every schedule.

use std::collections::VecDeque;
use std::time::Duration;

use super::sync::{Condvar, Instant, Mutex};

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Jobs that may wait; a caller that finds so many waits itself.
    pub(super) waiting: usize,
    /// Most jobs in one commit.
    pub(super) group: usize,
    /// How long a deferred job (no caller waits for it) may stay queued before it is committed on its own.
    pub(super) linger: Duration,
}

/// The queue takes nothing more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClosedError;

/// Commits a group and notifies the waiting callers.
type Commit<C, J> = Box<dyn Fn(&C, Vec<J>) + Send + Sync>;

/// Jobs of type `J` on their way to the one connection `C`.
pub(super) struct Queue<C, J> {
    waiting: Mutex<Waiting<J>>,
    /// For the thread: there is work for it.
    work: Condvar,
    /// For callers: the queue is no longer full.
    room: Condvar,
    /// The thread that holds the lock commits. `None` when the queue has ended.
    connection: Mutex<Option<C>>,
    commit: Commit<C, J>,
    limits: Limits,
}

struct Waiting<J> {
    /// Each with whether somebody waits for it.
    jobs: VecDeque<(J, bool)>,
    /// For how many of them somebody does.
    awaited: usize,
    /// When the first of the others has lain long enough.
    due: Option<Instant>,
    closed: bool,
}

impl<J> Waiting<J> {
    /// Whether the thread has something to commit now.
    fn is_due(&self, now: Instant) -> bool {
        self.awaited > 0 || self.closed || self.due.is_some_and(|due| due <= now)
    }

    /// The next group, in the order of arrival.
    fn take(&mut self, most: usize) -> Vec<J> {
        let group: Vec<_> = self.jobs.drain(..self.jobs.len().min(most)).collect();
        self.awaited -= group.iter().filter(|(_, awaited)| *awaited).count();
        if self.jobs.is_empty() {
            self.due = None;
        }
        group.into_iter().map(|(job, _)| job).collect()
    }
}

impl<C, J> Queue<C, J> {
    /// A queue before `connection`. `commit` gets each group, never an empty one, and notifies the waiting callers.
    pub(super) fn new(
        connection: C,
        limits: Limits,
        commit: impl Fn(&C, Vec<J>) + Send + Sync + 'static,
    ) -> Self {
        let waiting = Waiting { jobs: VecDeque::new(), awaited: 0, due: None, closed: false };
        Self {
            waiting: Mutex::new(waiting),
            work: Condvar::new(),
            room: Condvar::new(),
            connection: Mutex::new(Some(connection)),
            commit: Box::new(commit),
            limits,
        }
    }

    /// Queues a job without waking the thread: [`try_commit`](Self::try_commit) or [`wake`](Self::wake) must follow.
    pub(super) fn push(&self, job: J, awaited: bool) -> Result<(), ClosedError> {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.len() >= self.limits.waiting && !waiting.closed {
            self.room.wait(&mut waiting);
        }
        if waiting.closed {
            return Err(ClosedError);
        }
        if awaited {
            waiting.awaited += 1;
        } else {
            waiting.due.get_or_insert_with(|| Instant::now() + self.limits.linger);
        }
        waiting.jobs.push_back((job, awaited));
        Ok(())
    }

    /// Commits the queued jobs, unless another thread is committing.
    pub(super) fn try_commit(&self) {
        if let Some(connection) = self.connection.try_lock() {
            self.commit_next(connection.as_ref());
        }
        // After the lock is released: jobs queued while the connection was taken are for the thread.
        self.wake();
    }

    /// Lends the connection for a moment, if it is free.
    pub(super) fn if_free<T>(&self, use_it: impl FnOnce(&C) -> T) -> Option<T> {
        // A caller that finds the connection taken meanwhile leaves its job to the thread, which waits for the lock.
        let connection = self.connection.try_lock()?;
        connection.as_ref().map(use_it)
    }

    /// Wakes the thread, if there is anything in the queue.
    pub(super) fn wake(&self) {
        if !self.waiting.lock().jobs.is_empty() {
            self.work.notify_one();
        }
    }

    /// One group.
    fn commit_next(&self, connection: Option<&C>) {
        let group = self.waiting.lock().take(self.limits.group);
        self.room.notify_all();
        if let Some(connection) = connection.filter(|_| !group.is_empty()) {
            (self.commit)(connection, group);
        }
    }

    /// The thread's life: to the end of the queue after it was closed. Drops the connection then.
    pub(super) fn run(&self) {
        loop {
            let mut waiting = self.waiting.lock();
            while !waiting.is_due(Instant::now()) {
                match waiting.due {
                    Some(due) => drop(self.work.wait_until(&mut waiting, due)),
                    None => self.work.wait(&mut waiting),
                }
            }
            let is_over = waiting.closed && waiting.jobs.is_empty();
            drop(waiting);
            let mut connection = self.connection.lock();
            if is_over {
                *connection = None;
                return;
            }
            self.commit_next(connection.as_ref());
        }
    }

    /// Lets nothing more in. What is queued is still committed, by [`run`](Self::run).
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }
}
