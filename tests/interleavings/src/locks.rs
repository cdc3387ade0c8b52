//! Locks and time with the interface of `parking_lot` and `std::time`, on primitives whose schedule is chosen by `shuttle`.
//! Time stands still unless [`Time`] lets it go by, so that who must not need it can be seen not to. Must not know who
//! uses them.

use std::collections::VecDeque;
use std::ops::{Add, Deref, DerefMut};
use std::sync::{Arc, PoisonError, TryLockError, Weak};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::sync::mpsc::{Sender, channel};
use shuttle::thread::{self, JoinHandle};

shuttle::lazy_static! {
    /// Milliseconds; each execution has its own.
    static ref NOW: AtomicU64 = AtomicU64::new(0);
    /// Who may wait for a time.
    static ref WAITING: std::sync::Mutex<Vec<Weak<Waiters>>> = std::sync::Mutex::new(Vec::new());
}

/// How much time goes by at once.
pub(crate) const TICK: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(Duration::from_millis(NOW.load(Ordering::SeqCst)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// While this lives, time goes by: at every moment the scheduler likes.
pub(crate) struct Time {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Time {
    pub(crate) fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::SeqCst) {
                tick();
                thread::yield_now();
            }
        });
        Self { is_over, thread: Some(thread) }
    }

    pub(crate) fn stop(mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A place where the scheduler may choose another thread.
pub(crate) fn others_may_run() {
    NOW.load(Ordering::SeqCst);
}

/// A tick goes by, and with it the patience of some.
fn tick() {
    NOW.fetch_add(1, Ordering::SeqCst);
    let now = Instant::now();
    let mut due = Vec::new();
    {
        let mut all = WAITING.lock().unwrap();
        all.retain(|waiters| waiters.strong_count() > 0);
        for waiters in all.iter().filter_map(Weak::upgrade) {
            waiters.lock().unwrap().retain(|waiter| {
                let is_due = waiter.deadline.is_some_and(|deadline| deadline <= now);
                if is_due {
                    due.push(waiter.wake.clone());
                }
                !is_due
            });
        }
    }
    for wake in due {
        // Gone only when the execution has failed already.
        let _ = wake.send(Woken::ByTime);
    }
}

pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

/// The guard inside is gone only while its owner waits.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, guard: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let guard = match self.0.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { mutex: self, guard: Some(guard) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    ByNotice,
    ByTime,
}

struct Waiter {
    deadline: Option<Instant>,
    wake: Sender<Woken>,
}

/// Never locked while another thread may run.
type Waiters = std::sync::Mutex<VecDeque<Waiter>>;

pub(crate) struct Condvar(Arc<Waiters>);

pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        let waiters = Arc::default();
        WAITING.lock().unwrap().push(Arc::downgrade(&waiters));
        Self(waiters)
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.sleep(guard, None);
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        WaitTimeoutResult(self.sleep(guard, Some(deadline)) == Woken::ByTime)
    }

    fn sleep<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> Woken {
        let (wake, woken) = channel();
        // Reading the clock is also where others may come between the look and the sleep.
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            let _ = wake.send(Woken::ByTime);
        } else {
            self.0.lock().unwrap().push_back(Waiter { deadline, wake });
        }
        guard.guard = None;
        let woken = woken.recv().unwrap();
        *guard = guard.mutex.lock();
        woken
    }

    /// Wakes any one of them: the next in line or another.
    pub(crate) fn notify_one(&self) {
        others_may_run();
        let waiter = {
            let mut waiters = self.0.lock().unwrap();
            let at = if waiters.is_empty() { 0 } else { thread_rng().gen_range(0..waiters.len()) };
            waiters.remove(at)
        };
        if let Some(waiter) = waiter {
            let _ = waiter.wake.send(Woken::ByNotice);
        }
    }

    pub(crate) fn notify_all(&self) {
        others_may_run();
        let waiters = std::mem::take(&mut *self.0.lock().unwrap());
        for waiter in waiters {
            let _ = waiter.wake.send(Woken::ByNotice);
        }
    }
}
