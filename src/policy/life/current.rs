//! A shared current value: one thread swaps it, all threads read it, and a thread can wait for the first one or for one that
//! meets a condition. Must not depend on policies.
//!
//! Its locks come from `super::sync`, so that `tests/interleavings` can run this very file under every schedule.

use super::sync::{Arc, Condvar, Instant, Mutex};

/// A value that is not there yet, or the latest one.
pub(super) struct Current<T> {
    value: Mutex<Option<Arc<T>>>,
    changed: Condvar,
}

impl<T> Current<T> {
    pub(super) fn new() -> Self {
        Self { value: Mutex::new(None), changed: Condvar::new() }
    }

    /// The latest value, if there is one.
    pub(super) fn try_get(&self) -> Option<Arc<T>> {
        self.value.lock().clone()
    }

    /// The latest value. Waits for the first.
    pub(super) fn get(&self) -> Arc<T> {
        let mut value = self.value.lock();
        loop {
            match &*value {
                Some(value) => return Arc::clone(value),
                None => self.changed.wait(&mut value),
            }
        }
    }

    /// Waits for a value that is as wanted, to a deadline.
    pub(super) fn wait_for(&self, deadline: Instant, wanted: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let mut value = self.value.lock();
        let mut is_over = false;
        loop {
            if let Some(value) = value.as_ref().filter(|value| wanted(value)) {
                return Some(Arc::clone(value));
            }
            if is_over {
                return None;
            }
            // One more look afterwards: a value may be there in time and its notice too late.
            is_over = self.changed.wait_until(&mut value, deadline).timed_out();
        }
    }

    /// Swaps it and notifies the waiting threads.
    pub(super) fn publish(&self, value: T) {
        let old = self.value.lock().replace(Arc::new(value));
        self.changed.notify_all();
        // After the lock: its memory may be a lot.
        drop(old);
    }
}
