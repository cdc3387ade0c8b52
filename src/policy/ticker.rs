//! The one thread that makes wall-clock deadlines happen: it advances the engines' epochs while anything runs, and sleeps
//! without a wake-up when nothing does. Knows nothing of policies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use wasmtime::{Engine, EngineWeak};

/// How often the epoch advances while something runs.
const TICK: Duration = Duration::from_millis(4);
/// How many ticks it goes on with nothing running before it sleeps: waking it costs a system call, and calls come in bursts.
const LINGER: u32 = 50;

/// Counts what runs; the thread ticks while the count is not zero.
pub(super) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

/// While this lives, the epoch advances.
pub(super) struct Ticking<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread; it ends with the ticker.
    pub(super) fn start(engines: &[&Engine]) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let engines: Vec<_> = engines.iter().map(|engine| engine.weak()).collect();
        std::thread::Builder::new().name("policy-ticker".into()).spawn(move || of_thread.run(&engines))?;
        Ok(Self { shared })
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(super) fn hold(&self) -> Ticking<'_> {
        // Sequentially consistent on both sides: either this sees `parked` and wakes the thread, or the thread sees
        // the count before it goes to sleep.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            drop(self.shared.lock.lock());
            self.shared.wake.notify_one();
        }
        Ticking(&self.shared)
    }

    /// How many ticks make at least this many milliseconds. One more than fit, since the current one is already under way.
    pub(super) fn ticks(millis: u32) -> u64 {
        u64::from(millis).div_ceil(u64::try_from(TICK.as_millis()).unwrap_or(1)) + 1
    }

    #[cfg(test)]
    fn is_parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(self.shared.lock.lock());
        self.shared.wake.notify_one();
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn run(&self, engines: &[EngineWeak]) {
        let mut idle = 0;
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                engine.increment_epoch();
            }
            idle = if self.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            if idle >= LINGER {
                self.park();
                idle = 0;
            }
        }
    }

    fn park(&self) {
        let mut lock = self.lock.lock();
        self.parked.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            self.wake.wait(&mut lock);
        }
        self.parked.store(false, Ordering::SeqCst);
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
    fn wakes_from_parking() {
        let engine = Engine::default();
        let ticker = Ticker::start(&[&engine]).unwrap();
        while !ticker.is_parked() {
            std::thread::yield_now();
        }
        let held = ticker.hold();
        while ticker.is_parked() {
            std::thread::yield_now();
        }
        drop(held);
    }
}
