//! `src/policy/life/current.rs` under many schedules: every waiting thread is woken, no thread sees an older value after a newer
//! one, and old values are dropped outside the lock. Must not depend on policies.

#[path = "../../../src/policy/life/current.rs"]
mod current;
/// What `current` is built on here.
mod sync {
    pub(super) use std::sync::Arc;

    pub(super) use crate::locks::{Condvar, Instant, Mutex};
}

use std::sync::{Arc, Weak};

use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;

use crate::explore;
use crate::locks::{Instant, TICK, Time};
use current::Current;

#[test]
fn who_waits_for_the_first_value_is_woken_and_no_reader_sees_an_older_one_after_a_newer() {
    explore(|| {
        let current = Arc::new(Current::new());
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let current = Arc::clone(&current);
                thread::spawn(move || {
                    let before = current.try_get().map_or(0, |value| *value);
                    let first = *current.get();
                    let second = *current.try_get().expect("there is always one after the first");
                    assert!(1 <= first && before <= first && first <= second && second <= 3);
                })
            })
            .collect();
        for number in 1..=3 {
            current.publish(number);
            assert_eq!(*current.get(), number);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn who_waits_for_a_certain_value_needs_no_time_when_it_comes() {
    explore(|| {
        let current = Arc::new(Current::new());
        let waiting: Vec<_> = (1..=3)
            .map(|wanted| {
                let current = Arc::clone(&current);
                let deadline = Instant::now() + TICK;
                thread::spawn(move || {
                    let value = current.wait_for(deadline, |value| *value >= wanted);
                    assert!(value.is_some_and(|value| *value >= wanted));
                })
            })
            .collect();
        for number in 1..=3 {
            current.publish(number);
        }
        for waiting in waiting {
            waiting.join().unwrap();
        }
    });
}

#[test]
fn what_is_there_before_the_deadline_is_seen() {
    explore(|| {
        let time = Time::start();
        let current = Arc::new(Current::new());
        let deadline = Instant::now() + TICK;
        let of_waiter = Arc::clone(&current);
        let waiter = thread::spawn(move || of_waiter.wait_for(deadline, |()| true).is_some());
        let of_witness = Arc::clone(&current);
        let witness = thread::spawn(move || of_witness.try_get().is_some() && Instant::now() < deadline);
        current.publish(());
        let in_time = Instant::now() < deadline;
        let is_seen = waiter.join().unwrap();
        assert!(is_seen || !(in_time | witness.join().unwrap()), "it was there before the deadline");
        time.stop();
    });
}

#[test]
fn who_waits_in_vain_waits_until_the_deadline_and_no_longer() {
    explore(|| {
        let time = Time::start();
        let current = Arc::new(Current::new());
        let deadline = Instant::now() + TICK * 3;
        let of_waiter = Arc::clone(&current);
        let waiter = thread::spawn(move || {
            assert!(of_waiter.wait_for(deadline, |number| *number == 3).is_none());
            assert!(Instant::now() >= deadline, "gave up too early");
        });
        current.publish(1);
        current.publish(2);
        waiter.join().unwrap();
        time.stop();
    });
}

/// Looks at what is current when it goes away, which would stop for ever within the lock.
struct Curious {
    owner: Weak<Current<Curious>>,
    gone: Arc<AtomicUsize>,
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
        if let Some(owner) = self.owner.upgrade() {
            owner.try_get();
        }
    }
}

#[test]
fn a_value_goes_away_outside_the_lock_and_only_once() {
    explore(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let current = Arc::new(Current::new());
        let of_reader = Arc::clone(&current);
        let reader = thread::spawn(move || {
            drop(of_reader.get());
            of_reader.wait_for(Instant::now() + TICK, |_: &Curious| true)
        });
        for _ in 0..3 {
            current.publish(Curious { owner: Arc::downgrade(&current), gone: Arc::clone(&gone) });
        }
        drop(reader.join().unwrap());
        assert_eq!(gone.load(Ordering::SeqCst), 2);
        drop(current);
        assert_eq!(gone.load(Ordering::SeqCst), 3);
    });
}
