//! How a thread that works only while somebody needs it goes to sleep and is woken, without a lock on the way of those
//! who need it. Knows nothing of what the work is.
//!
//! Its locks come from `super::sync`, so that `tests/interleavings` can run this very file under every schedule.

use super::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, Ordering};

/// Who needs the thread, and whether it sleeps.
pub(super) struct Parking {
    needed: AtomicUsize,
    parked: AtomicBool,
    over: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Parking {
    pub(super) fn new() -> Self {
        Self {
            needed: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            over: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// The thread is needed until [`release`](Self::release).
    pub(super) fn need(&self) {
        // Sequentially consistent on both sides: either this sees `parked` and wakes the thread, or the thread sees
        // the count before it goes to sleep.
        self.needed.fetch_add(1, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.notify();
        }
    }

    /// The end of one [`need`](Self::need).
    pub(super) fn release(&self) {
        self.needed.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether anybody needs the thread now.
    pub(super) fn is_needed(&self) -> bool {
        self.needed.load(Ordering::SeqCst) > 0
    }

    /// Whether the thread is to end.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether the thread sleeps.
    #[cfg(test)]
    pub(super) fn is_parked(&self) -> bool {
        self.parked.load(Ordering::SeqCst)
    }

    /// For the thread: sleeps until it is needed or to end.
    pub(super) fn park(&self) {
        let mut lock = self.lock.lock();
        self.parked.store(true, Ordering::SeqCst);
        while !self.is_needed() && !self.is_over() {
            self.wake.wait(&mut lock);
        }
        self.parked.store(false, Ordering::SeqCst);
    }

    /// Has the thread end.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// Through the lock: the thread is not between its look and its sleep then.
    fn notify(&self) {
        drop(self.lock.lock());
        self.wake.notify_one();
    }
}
