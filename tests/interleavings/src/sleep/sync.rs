//! Locks and atomics with the interface of `parking_lot` and `std`, on those of `loom`. Must not know who uses them.
//!
//! `loom` takes a sequentially consistent access for less than it is, but takes fences for what they are. Two ways to
//! make such accesses of weaker ones and fences are known to be right, and what is right must be so with both. One tells
//! whether a write is too weak, the other whether a read is.

use std::cell::Cell;

use loom::sync::atomic::{self, fence};

pub(super) use loom::sync::atomic::Ordering;

/// Where the fences of sequentially consistent accesses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fences {
    AfterWrites,
    BeforeReads,
}

std::thread_local! {
    /// All threads of an execution are one to the system.
    static FENCES: Cell<Fences> = const { Cell::new(Fences::AfterWrites) };
}

/// For the executions on this thread from now on.
pub(super) fn put(fences: Fences) {
    FENCES.set(fences);
}

fn fence_if(wanted: Fences, order: Ordering) {
    if order == Ordering::SeqCst && FENCES.get() == wanted {
        fence(Ordering::SeqCst);
    }
}

pub(super) struct AtomicBool(atomic::AtomicBool);

impl AtomicBool {
    pub(super) fn new(value: bool) -> Self {
        Self(atomic::AtomicBool::new(value))
    }

    pub(super) fn load(&self, order: Ordering) -> bool {
        fence_if(Fences::BeforeReads, order);
        self.0.load(order)
    }

    pub(super) fn store(&self, value: bool, order: Ordering) {
        self.0.store(value, order);
        fence_if(Fences::AfterWrites, order);
    }
}

pub(super) struct AtomicUsize(atomic::AtomicUsize);

impl AtomicUsize {
    pub(super) fn new(value: usize) -> Self {
        Self(atomic::AtomicUsize::new(value))
    }

    pub(super) fn load(&self, order: Ordering) -> usize {
        fence_if(Fences::BeforeReads, order);
        self.0.load(order)
    }

    pub(super) fn fetch_add(&self, more: usize, order: Ordering) -> usize {
        fence_if(Fences::BeforeReads, order);
        let before = self.0.fetch_add(more, order);
        fence_if(Fences::AfterWrites, order);
        before
    }

    pub(super) fn fetch_sub(&self, less: usize, order: Ordering) -> usize {
        fence_if(Fences::BeforeReads, order);
        let before = self.0.fetch_sub(less, order);
        fence_if(Fences::AfterWrites, order);
        before
    }
}

pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

/// Empty only while its owner waits.
pub(super) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().ok())
    }
}

pub(super) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(super) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(super) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.0 = guard.0.take().and_then(|guard| self.0.wait(guard).ok());
    }

    pub(super) fn notify_one(&self) {
        self.0.notify_one();
    }
}
