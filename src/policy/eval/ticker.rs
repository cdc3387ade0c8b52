//! The one thread that makes deadlines happen: it advances the engines' epochs while anything runs, and sleeps
//! without a wake-up when nothing does. Must not depend on policies.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use wasmtime::{Engine, EngineWeak};

/// How often the epoch advances while something runs.
const TICK: Duration = Duration::from_millis(4);
/// How many ticks it goes on with nothing running before it sleeps: waking it costs a system call, and calls come in bursts.
const LINGER: u32 = 50;

/// Counts what runs; the thread ticks while the count is not zero.
pub(super) struct Ticker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    is_asleep: bool,
    is_over: bool,
}

/// While this lives, the epoch advances.
pub(super) struct Ticking<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread; it ends with the ticker.
    pub(super) fn start(engines: &[&Engine]) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let engines: Vec<_> = engines.iter().map(|engine| engine.weak()).collect();
        std::thread::Builder::new().name("policy-ticker".into()).spawn(move || of_thread.tick(&engines))?;
        Ok(Self(shared))
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(super) fn hold(&self) -> Ticking<'_> {
        let mut state = self.0.state.lock();
        state.running += 1;
        if state.is_asleep {
            self.0.wake.notify_one();
        }
        Ticking(&self.0)
    }

    /// How many ticks make at least this many milliseconds. One more than fit, since the current one is already under way.
    pub(super) fn ticks(millis: u32) -> u64 {
        u64::from(millis).div_ceil(u64::try_from(TICK.as_millis()).unwrap_or(1)) + 1
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.state.lock().is_over = true;
        self.0.wake.notify_one();
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
    }
}

impl Shared {
    fn tick(&self, engines: &[EngineWeak]) {
        let mut idle = 0;
        loop {
            std::thread::sleep(TICK);
            for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                engine.increment_epoch();
            }
            let mut state = self.state.lock();
            idle = if state.running > 0 { 0 } else { idle + 1 };
            if idle >= LINGER {
                state.is_asleep = true;
                self.wake.wait_while(&mut state, |state| state.running == 0 && !state.is_over);
                state.is_asleep = false;
                idle = 0;
            }
            if state.is_over {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_never_cut_early() {
        for millis in 1..200 {
            let ticks = Ticker::ticks(millis);
            let shortest = (ticks - 1) * 4;
            assert!(shortest >= u64::from(millis) && shortest < u64::from(millis) + 4);
        }
    }

    #[test]
    fn sleeps_when_nothing_runs_and_wakes_for_the_next() {
        let engine = Engine::default();
        let ticker = Ticker::start(&[&engine]).unwrap();
        for _ in 0..2 {
            while !ticker.0.state.lock().is_asleep {
                std::thread::yield_now();
            }
            let held = [ticker.hold(), ticker.hold()];
            while ticker.0.state.lock().is_asleep {
                std::thread::yield_now();
            }
            drop(held);
        }
        let shared = Arc::downgrade(&ticker.0);
        drop(ticker);
        while shared.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
