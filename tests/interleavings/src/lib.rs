//! The locks of the project under every schedule of the threads: the writer's queue, the swap of what is current and the
//! sleep of a thread. Each of the three files is compiled here as it is, on locks that ask a scheduler who goes next. Must
//! not know what is committed, swapped or slept for.
//!
//! `set` and `writer` run under random schedules, by the ten thousand, for they are many threads; `sleep` under every
//! schedule, with every value that a weak memory may show, for it has atomics.
//!
//! A failure of the first kind prints its schedule, and `SCHEDULE=… cargo test --release NAME` repeats it. One of the
//! other kind repeats itself; `LOOM_LOG=trace LOOM_LOCATION=1` tells every step.

#![cfg(test)]

mod locks;
mod set;
mod sleep;
mod writer;

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, MaxSteps, Runner};

/// So many schedules of each kind.
const SCHEDULES: usize = 10_000;
/// More than any schedule needs that comes to an end: a thread that should sleep and turns in circles takes them all.
const STEPS: usize = 20_000;

/// Runs the model under many schedules: half of them with few changes of thread in unlikely places, which find what a
/// fair one never does, and half of them wholly at random.
fn explore(model: fn()) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS);
    // The default is too small for a panic's message.
    config.stack_size = 1 << 18;
    // They are of statics of the models alone.
    config.silence_warnings = true;
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        Runner::new(ReplayScheduler::new_from_encoded(&schedule), config).run(model);
        return;
    }
    Runner::new(PctScheduler::new(3, SCHEDULES), config.clone()).run(model);
    Runner::new(RandomScheduler::new(SCHEDULES), config).run(model);
}
