//! The wasmtime engine that decides, with its pool of instances and the semaphore before the pool; beside it the one on which
//! modules are configured; and stores with the limits of one policy set. Must not depend on what a policy says.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use cpu_time::ThreadTime;
use parking_lot::{Condvar, Mutex};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, ResourceLimiter,
    Store, UpdateDeadline, WasmFeatures,
};

use super::limits::{Limits, MAX_MEMORY_MIB};
use super::ticker::{Ticker, Ticking};
use crate::os::CPU_TICK;
use crate::policy::PolicyError;

/// Core instances, memories and tables that one component may have. The components of C and Rust have one of each,
/// those of the larger language runtimes a handful; Python has 38 core instances, one for each of its libraries. The
/// pool only counts them: they cost nothing until they exist.
const CORE_INSTANCES: u32 = 64;
pub(crate) const MEMORIES: u32 = 4;
const TABLES: u32 = 8;
/// Bytes of every memory that stay mapped between two evaluations in the same slot, which saves their page faults.
const KEEP_RESIDENT: usize = 256 * 1024;
/// How long an evaluation waits for a free instance before it counts as failed.
const SLOT_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of strings and lists the host copies out of an answer; the largest allowed one is well below.
const ANSWER_BYTES: usize = 256 * 1024;

/// The engine and what it hands out.
pub(crate) struct Runtime {
    engine: Engine,
    bench: Engine,
    ticker: Ticker,
    free: Mutex<usize>,
    freed: Condvar,
    timeout: Duration,
    compatibility: String,
}

/// The right to have one instance, with the epoch advancing.
pub(crate) struct Slot<'a> {
    runtime: &'a Runtime,
    _ticking: Ticking<'a>,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.runtime.free.lock() += 1;
        self.runtime.freed.notify_one();
    }
}

impl Runtime {
    /// An engine for as many evaluations at a time as this machine can use.
    pub(crate) fn new() -> Result<Self, PolicyError> {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        Self::with_slots((cores * 2).clamp(8, 64), SLOT_PATIENCE)
    }

    /// An engine for `slots` evaluations at a time, each of which waits at most `timeout` for its turn.
    pub(crate) fn with_slots(slots: usize, timeout: Duration) -> Result<Self, PolicyError> {
        let failed = |error: wasmtime::Error| PolicyError::Engine(format!("{error:#}"));
        let mut config = base_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
        // This engine evaluates a few questions while an operator waits for `policy install`: unoptimised code compiles in
        // two thirds of the time.
        let mut bench = base_config();
        bench.cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config).or_else(|_| {
            // Where address space is rationed (`ulimit -v`, small containers) the pool cannot be reserved: slower is
            // better than not at all.
            unreserved(&mut bench);
            Engine::new(unreserved(&mut base_config()))
        });
        let engine = engine.map_err(failed)?;
        let bench = Engine::new(&bench).map_err(failed)?;
        let ticker = Ticker::start(&[&engine, &bench])
            .map_err(|error| PolicyError::Engine(format!("no ticker thread: {error}")))?;
        let compatibility = compatibility(&engine);
        Ok(Self {
            engine,
            bench,
            ticker,
            free: Mutex::new(slots),
            freed: Condvar::new(),
            timeout,
            compatibility,
        })
    }

    /// The engine that decides.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine on which modules are configured and their cases run.
    pub(crate) fn bench(&self) -> &Engine {
        &self.bench
    }

    /// A text that is equal for engines that can run each other's compiled code.
    pub(crate) fn compatibility(&self) -> &str {
        &self.compatibility
    }

    /// Waits for the right to have one instance. `None` when none came free in time.
    pub(crate) fn slot(&self) -> Option<Slot<'_>> {
        let mut free = self.free.lock();
        while *free == 0 {
            if self.freed.wait_for(&mut free, self.timeout).timed_out() && *free == 0 {
                return None;
            }
        }
        *free -= 1;
        drop(free);
        Some(Slot { runtime: self, _ticking: self.ticker.hold() })
    }
}

impl Slot<'_> {
    /// A store in which one evaluation runs under `limits`. Its clock starts now.
    pub(super) fn store(&self, limits: Limits) -> wasmtime::Result<Store<Meter>> {
        limited(&self.runtime.engine, limits)
    }

    /// The same on the engine for configuring.
    pub(crate) fn bench_store(&self, limits: Limits) -> wasmtime::Result<Store<Meter>> {
        limited(&self.runtime.bench, limits)
    }
}

fn limited(engine: &Engine, limits: Limits) -> wasmtime::Result<Store<Meter>> {
    let meter = Meter { limit: limits.memory_bytes(), used: 0 };
    let mut store = Store::new(engine, meter);
    store.limiter(|meter| meter);
    restart(&mut store, limits)?;
    Ok(store)
}

/// Fills up the fuel of a store and starts its clock again.
///
/// The epoch only says when to look at the clock; the deadline counts the CPU time of this thread. A guest cannot block, so
/// on an idle machine that equals wall-clock time, and on a busy one no call is refused because the machine was busy.
pub(crate) fn restart(store: &mut Store<Meter>, limits: Limits) -> wasmtime::Result<()> {
    store.set_fuel(limits.fuel)?;
    store.set_epoch_deadline(Ticker::ticks(limits.millis));
    // Where the time is counted in steps, a whole one may be somebody else's.
    let deadline = ThreadTime::now().as_duration() + Duration::from_millis(limits.millis.into()) + CPU_TICK;
    store.epoch_deadline_callback(move |_| {
        let left = deadline.saturating_sub(ThreadTime::now().as_duration());
        if left.is_zero() {
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::Continue(Ticker::ticks(u32::try_from(left.as_millis()).unwrap_or(u32::MAX))))
    });
    store.set_hostcall_fuel(ANSWER_BYTES);
    Ok(())
}

/// Reserves no address space ahead.
fn unreserved(config: &mut Config) -> &Config {
    config.memory_reservation(0).memory_reservation_for_growth(0)
}

/// What is the same for both engines.
fn base_config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_component_model(true)
        .wasm_features(WasmFeatures::THREADS | WasmFeatures::RELAXED_SIMD | WasmFeatures::MEMORY64, false)
        // A NaN's bits are the one thing that differs between processors: replay must be exact.
        .cranelift_nan_canonicalization(true)
        .generate_address_map(false);
    config
}

fn pool(slots: usize) -> PoolingAllocationConfig {
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * CORE_INSTANCES)
        .total_memories(slots * MEMORIES)
        .total_tables(slots * TABLES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(MAX_MEMORY_MIB as usize * 1024 * 1024)
        .max_component_instance_size(1024 * 1024)
        .max_core_instance_size(1024 * 1024)
        .table_elements(100_000)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The engine's own compatibility hash and this host's version, as text for cache keys.
fn compatibility(engine: &Engine) -> String {
    /// Hashes with blake3, whose result does not change with the standard library.
    struct Blake(blake3::Hasher);
    impl Hasher for Blake {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut hasher = Blake(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.0.finalize().to_hex().to_string()
}

/// The memory limit of one store, over all its memories.
pub(crate) struct Meter {
    limit: usize,
    used: usize,
}

/// The error a guest is stopped with when it wants more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("wanted {wanted} bytes of memory; at most {limit} are allowed")]
pub(super) struct MemoryExceededError {
    wanted: usize,
    limit: usize,
}

impl Meter {
    /// Bytes of linear memory in use, which is the most there ever were: memories do not shrink.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Makes room for the host's own needs.
    pub(crate) fn allow_more(&mut self, bytes: usize) {
        self.limit = self.limit.saturating_add(bytes);
    }
}

impl ResourceLimiter for Meter {
    // An error, not `Ok(false)`: after `Ok(false)` the guest traps in its allocator, and the log could not tell running out
    // of memory from a bug.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit {
            return Err(MemoryExceededError { wanted, limit: self.limit }.into());
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pool_makes_wait_but_not_for_ever() {
        let runtime = Runtime::with_slots(1, Duration::from_millis(1)).unwrap();
        let held = runtime.slot().unwrap();
        assert!(runtime.slot().is_none());
        drop(held);
        assert!(runtime.slot().is_some());
    }

    #[test]
    fn compatibility_is_stable_within_a_build() {
        let [a, b] = [1, 2].map(|slots| Runtime::with_slots(slots, Duration::ZERO).unwrap());
        assert_eq!(a.compatibility(), b.compatibility());
    }
}
