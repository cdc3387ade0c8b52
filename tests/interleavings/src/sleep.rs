//! What `src/policy/parking.rs` promises, under every schedule of a few threads and whatever a weak memory may show them:
//! the thread never sleeps for ever while it is needed or to end. Must not know what it is needed for.

#[path = "../../../src/policy/parking.rs"]
mod parking;
mod sync;

// Not loom's: that one ends the whole process when a model fails.
use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use parking::Parking;
use sync::Fences;

/// Runs the model under every schedule; a sleep for ever is found out by `loom`.
fn explore(model: fn()) {
    for fences in [Fences::AfterWrites, Fences::BeforeReads] {
        sync::put(fences);
        loom::model(model);
    }
}

/// A thread that sleeps when nobody needs it, until the end.
fn working(parking: &Arc<Parking>) -> JoinHandle<()> {
    let parking = Arc::clone(parking);
    thread::spawn(move || {
        while !parking.is_over() {
            if parking.is_needed() {
                thread::yield_now();
            } else {
                parking.park();
            }
        }
    })
}

/// One that goes to sleep once.
fn parked(parking: &Arc<Parking>) -> JoinHandle<()> {
    let parking = Arc::clone(parking);
    thread::spawn(move || {
        parking.park();
        assert!(!parking.is_parked());
    })
}

#[test]
fn whoever_needs_it_wakes_it() {
    explore(|| {
        let parking = Arc::new(Parking::new());
        let thread = parked(&parking);
        parking.need();
        thread.join().unwrap();
        assert!(parking.is_needed());
    });
}

#[test]
fn it_wakes_for_the_second_time_as_for_the_first() {
    explore(|| {
        let parking = Arc::new(Parking::new());
        let of_thread = Arc::clone(&parking);
        let thread = thread::spawn(move || {
            of_thread.park();
            of_thread.release();
            of_thread.park();
        });
        parking.need();
        parking.need();
        thread.join().unwrap();
        assert!(parking.is_needed());
    });
}

#[test]
fn one_that_is_needed_no_more_hides_none_that_still_is() {
    explore(|| {
        let parking = Arc::new(Parking::new());
        let thread = parked(&parking);
        let of_other = Arc::clone(&parking);
        let other = thread::spawn(move || {
            of_other.need();
            of_other.release();
        });
        parking.need();
        other.join().unwrap();
        thread.join().unwrap();
        parking.release();
        assert!(!parking.is_needed());
    });
}

#[test]
fn the_end_ends_it_asleep_or_not() {
    explore(|| {
        let parking = Arc::new(Parking::new());
        let thread = working(&parking);
        parking.end();
        thread.join().unwrap();
        assert!(!parking.is_parked());
    });
}

#[test]
fn the_end_ends_it_while_it_is_needed_and_no_more() {
    explore(|| {
        let parking = Arc::new(Parking::new());
        let thread = working(&parking);
        let of_other = Arc::clone(&parking);
        let other = thread::spawn(move || {
            of_other.need();
            of_other.release();
        });
        parking.end();
        other.join().unwrap();
        thread.join().unwrap();
    });
}
