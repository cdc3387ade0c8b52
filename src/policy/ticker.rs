//! The one thread that makes wall-clock deadlines happen: it advances the engines' epochs while anything runs, and sleeps
//! without a wake-up when nothing does. Knows nothing of policies.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use super::parking::Parking;

/// How often the epoch advances while something runs.
const TICK: Duration = Duration::from_millis(4);
/// How many ticks it goes on with nothing running before it sleeps: waking it costs a system call, and calls come in bursts.
const LINGER: u32 = 50;

/// Counts what runs; the thread ticks while the count is not zero.
pub(super) struct Ticker {
    parking: Arc<Parking>,
}

/// While this lives, the epoch advances.
pub(super) struct Ticking<'a>(&'a Parking);

impl Ticker {
    /// Starts the thread; it ends with the ticker.
    pub(super) fn start(engines: &[&Engine]) -> std::io::Result<Self> {
        let parking = Arc::new(Parking::new());
        let of_thread = Arc::clone(&parking);
        let engines: Vec<_> = engines.iter().map(|engine| engine.weak()).collect();
        std::thread::Builder::new().name("policy-ticker".into()).spawn(move || tick(&of_thread, &engines))?;
        Ok(Self { parking })
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(super) fn hold(&self) -> Ticking<'_> {
        self.parking.need();
        Ticking(&self.parking)
    }

    /// How many ticks make at least this many milliseconds. One more than fit, since the current one is already under way.
    pub(super) fn ticks(millis: u32) -> u64 {
        u64::from(millis).div_ceil(u64::try_from(TICK.as_millis()).unwrap_or(1)) + 1
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.parking.end();
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn tick(parking: &Parking, engines: &[EngineWeak]) {
    let mut idle = 0;
    while !parking.is_over() {
        std::thread::sleep(TICK);
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
        }
        idle = if parking.is_needed() { 0 } else { idle + 1 };
        if idle >= LINGER {
            parking.park();
            idle = 0;
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
    fn wakes_from_parking() {
        let engine = Engine::default();
        let ticker = Ticker::start(&[&engine]).unwrap();
        while !ticker.parking.is_parked() {
            std::thread::yield_now();
        }
        let held = ticker.hold();
        while ticker.parking.is_parked() {
            std::thread::yield_now();
        }
        drop(held);
    }
}
