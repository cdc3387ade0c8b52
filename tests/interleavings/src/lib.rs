//! The locks of the project under many schedules of the threads: the writer's queue and the swap of what is current. Each
//! of the files is compiled here as it is, on locks that ask a scheduler who goes next. Must not know what is committed or
//! swapped. A failure prints its schedule, and `SCHEDULE=… cargo test --release NAME` repeats it.

#![cfg(test)]

mod locks;
mod set;
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
