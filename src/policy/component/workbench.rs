//! Where a module is configured: an instrumented copy of it is compiled once, and each `configure` runs in an instance of
//! that copy, which can then be asked questions (embedded cases) or be turned back into a component whose instances start
//! configured (the snapshot). Must not depend on files, caches and sets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use team_table_policy_sdk::limits::MAX_MESSAGE_CHARS;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentNamedList, Instance, InstancePre, Lift, Linker, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use crate::domain::decision::{FactRequest, PolicyErrorKind};
use crate::domain::facts;

use super::gate::Gated;
use crate::policy::PolicyError;
use crate::policy::eval::instance::{self, Evaluated, Exports, Question, classify};
use crate::policy::eval::{
    DescriptionOut, FactIn, Limits, MEMORIES, METADATA, Meter, Runtime, Slot, restart,
};

/// Facts one policy may ask for.
const MAX_FACTS: usize = 32;
/// The snapshot's reader needs one page beside what the policy uses, in every memory.
const READER_BYTES: usize = 64 * 1024;

/// A module, instrumented and compiled, ready to be configured any number of times.
pub(super) struct Workbench<'a> {
    runtime: &'a Runtime,
    gated: &'a Gated<'a>,
    limits: Limits,
    context: ComponentContext<'a>,
    pre: InstancePre<Meter>,
    exports: Exports,
}

/// An instance after a successful `configure`.
pub(super) struct Configured<'a> {
    // Before the slot: the store gives its instance back to the pool, then the slot may be taken by another.
    store: Store<Meter>,
    instance: Instance,
    _slot: Slot<'a>,
    /// What `configure` said.
    pub(super) description: DescriptionOut,
    /// The facts it asked for, in the host's normal form and the order of the description.
    pub(super) requests: Vec<FactRequest>,
}

impl<'a> Workbench<'a> {
    /// Instruments and compiles a module that passed the gate.
    pub(super) fn open(
        runtime: &'a Runtime,
        gated: &'a Gated<'a>,
        limits: Limits,
    ) -> Result<Self, PolicyError> {
        let (context, instrumented) = guarded(|| Wizer::new().instrument_component(gated.bytes))?
            .map_err(|e| PolicyError::Snapshot(text(&e)))?;
        let component = Component::new(runtime.bench(), &instrumented)
            .map_err(|error| PolicyError::Invalid(text(&error)))?;
        let exports = Exports::find(&component, &gated.hooks).map_err(missing)?;
        let pre = prelink(&component)?;
        Ok(Self { runtime, gated, limits, context, pre, exports })
    }

    /// Runs `configure` in a new instance and checks what it said.
    pub(super) fn configure(&self, settings: &str) -> Result<Configured<'a>, PolicyError> {
        let limits = self.limits.for_configure();
        let busy = || PolicyError::Engine("every instance was busy for too long".to_owned());
        let slot = self.runtime.slot().ok_or_else(busy)?;
        let mut store = slot.bench_store(limits).map_err(|error| PolicyError::Engine(text(&error)))?;
        let failed = |error: wasmtime::Error| {
            let (kind, detail) = classify(&error, PolicyErrorKind::Malformed);
            PolicyError::Configure { kind, detail }
        };
        let instance = self.pre.instantiate(&mut store).map_err(failed)?;
        let configure = instance
            .get_typed_func::<(&str,), (Result<DescriptionOut, Vec<String>>,)>(
                &mut store,
                self.exports.configure,
            )
            .map_err(|error| wrong_type(format!("{METADATA}.configure"), text(&error)))?;
        self.exports
            .check_hook_types(&mut store, &instance)
            .map_err(|(export, detail)| wrong_type(export, detail))?;
        let (answer,) = configure.call(&mut store, (settings,)).map_err(failed)?;
        let description =
            answer.map_err(|validation_errors| PolicyError::Settings(shorten(validation_errors)))?;
        let requests = checked(&description, self.gated)?;
        Ok(Configured { store, instance, _slot: slot, description, requests })
    }

    /// Puts a question to a configured instance, under the limits of an evaluation.
    pub(super) fn ask(
        &self,
        configured: Configured<'_>,
        question: Question<'_>,
        facts: &[FactIn<'_>],
    ) -> Evaluated {
        let Configured { _slot, mut store, instance, .. } = configured;
        if let Err(error) = restart(&mut store, self.limits) {
            return Evaluated::not_run(text(&error));
        }
        let start = Instant::now();
        let answer = instance::ask(&mut store, &instance, &self.exports, question, facts);
        let evaluated = instance::measured(answer, &store, self.limits, start);
        drop(store);
        evaluated
    }

    /// Turns a configured instance into a component whose instances start where this one is.
    pub(super) fn snapshot(&self, configured: Configured<'_>) -> Result<Vec<u8>, PolicyError> {
        let Configured { _slot, mut store, instance, .. } = configured;
        restart(&mut store, self.limits.for_configure())
            .map_err(|error| PolicyError::Engine(text(&error)))?;
        store.data_mut().allow_more(READER_BYTES * MEMORIES as usize);
        store.set_hostcall_fuel(usize::MAX);
        let mut reader = Reader { store: &mut store, instance, failed: None };
        let snapshot = guarded(|| ready(Wizer::new().snapshot_component(&self.context, &mut reader)))?;
        if let Some(error) = reader.failed {
            return Err(PolicyError::Snapshot(text(&error)));
        }
        let snapshot =
            snapshot.ok_or_else(|| PolicyError::Snapshot("the snapshot did not finish".to_owned()))?;
        snapshot.map_err(|error| PolicyError::Snapshot(text(&error)))
    }
}

/// Links a component that imports nothing.
pub(super) fn prelink(component: &Component) -> Result<InstancePre<Meter>, PolicyError> {
    Linker::new(component.engine())
        .instantiate_pre(component)
        .map_err(|error| PolicyError::Invalid(text(&error)))
}

/// For a function the interface has and the module has not.
pub(super) fn missing(export: String) -> PolicyError {
    wrong_type(export, "it is missing".to_owned())
}

fn wrong_type(export: String, detail: String) -> PolicyError {
    PolicyError::WrongType { export, detail }
}

fn text(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}

/// At most ten validation errors of at most [`MAX_MESSAGE_CHARS`] characters: they end up on a screen.
fn shorten(validation_errors: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = validation_errors
        .into_iter()
        .take(10)
        .map(|text| text.chars().take(MAX_MESSAGE_CHARS).collect())
        .collect();
    if kept.is_empty() {
        kept.push("configure refused them without saying why".to_owned());
    }
    kept
}

/// Checks what `configure` said of the policy.
fn checked(description: &DescriptionOut, gated: &Gated<'_>) -> Result<Vec<FactRequest>, PolicyError> {
    for (what, value, most) in [
        ("name", &description.name, 64),
        ("version", &description.version, 64),
        ("summary", &description.summary, MAX_MESSAGE_CHARS),
    ] {
        let length = value.chars().count();
        if length == 0 || length > most || value.chars().any(char::is_control) {
            let message = format!("its {what} must be one line of 1 to {most} characters");
            return Err(PolicyError::Description(message));
        }
    }
    if description.facts.len() > MAX_FACTS {
        return Err(PolicyError::Description(format!("at most {MAX_FACTS} facts may be asked for")));
    }
    let mut requests = Vec::with_capacity(description.facts.len());
    for asked in &description.facts {
        let request = asked.normalise().map_err(PolicyError::Description)?;
        facts::check(&request, &gated.hooks)?;
        requests.push(request);
    }
    Ok(requests)
}

/// The snapshotter works on bytes a stranger wrote and asserts what it believes of them: a panic of its is a refusal of
/// the module, not the end of the thread that loads sets.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, PolicyError> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| PolicyError::Snapshot("the snapshotter does not understand this module".to_owned()))
}

/// The result of a future that never waits. `None` if it does.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Lets the snapshotter read the memories and globals of an instance. Its trait has no way to report a failure: the first
/// one is kept, zeros are returned, and [`Workbench::snapshot`] discards the result.
struct Reader<'a> {
    store: &'a mut Store<Meter>,
    instance: Instance,
    failed: Option<wasmtime::Error>,
}

impl Reader<'_> {
    fn call<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> Option<R>
    where
        (R,): ComponentNamedList + Lift,
    {
        let result = self
            .instance
            .get_export_index(&mut *self.store, None, interface)
            .and_then(|interface| {
                self.instance.get_export_index(&mut *self.store, Some(&interface), function)
            })
            .ok_or_else(|| wasmtime::Error::msg(format!("no {interface}.{function}")))
            .and_then(|index| self.instance.get_typed_func::<(), (R,)>(&mut *self.store, index))
            .and_then(|function| function.call(&mut *self.store, ()));
        match result {
            Ok((value,)) => Some(value),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }
}

impl ComponentInstanceState for Reader<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        match self.call::<WasmList<u8>>(instance, func) {
            Some(list) => contents(list.as_le_slice(&*self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call(instance, func).map_or(0, f32::to_bits)
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call(instance, func).map_or(0, f64::to_bits)
    }
}
