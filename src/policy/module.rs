//! From the bytes of a `.wasm` file to a module that can be asked: gate, configure, snapshot, compile (or take all that
//! from the cache), and the module's own cases. Knows nothing of sets and of where the bytes come from.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmtime::component::{Component, InstancePre};

use crate::domain::decision::{FactRequest, Hook};

use super::cache::Cache;
use super::cases::{self, CaseReport};
use super::engine::{Meter, Runtime};
use super::error::PolicyError;
use super::gate::{self, Gated};
use super::instance::{self, Evaluated, Exports, Question};
use super::limits::Limits;
use super::settings::{canonical_json, settings_digest};
use super::wire::{AskedFact, DescriptionOut, FactIn};
use super::workbench::{Workbench, missing, prelink};

/// A configured, compiled module, ready to be asked.
pub struct Module {
    /// Digest (hex blake3) of the `.wasm` bytes.
    pub digest: String,
    /// Digest (hex blake3) of the settings' canonical JSON.
    pub settings_digest: String,
    /// The settings it was configured with.
    pub settings: Value,
    /// What it may use.
    pub limits: Limits,
    /// The hooks it answers.
    pub hooks: Vec<Hook>,
    /// The name it gives itself.
    pub name: String,
    /// Its version, in its own words.
    pub version: String,
    /// What it does, in its own words.
    pub summary: String,
    /// The SDK it was built with, if it says.
    pub sdk: Option<String>,
    /// The facts it asked for.
    pub facts: Vec<FactRequest>,
    /// The same facts as the policy wrote them, in the same order.
    asked: Vec<AskedFact>,
    pre: InstancePre<Meter>,
    exports: Exports,
}

/// What the cache keeps beside the code.
#[derive(Serialize, Deserialize)]
struct Kept {
    description: DescriptionOut,
}

/// What `policy check` prints.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// Digest of the file.
    pub digest: String,
    /// The name it gives itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// The SDK it was built with, if it says.
    pub sdk: Option<String>,
    /// The hooks it answers.
    pub hooks: Vec<Hook>,
    /// The facts it asks for under these settings.
    pub facts: Vec<FactRequest>,
    /// How its embedded cases went.
    pub cases: Vec<CaseReport>,
    /// Milliseconds from bytes to ready, without the cases.
    pub load_millis: u64,
}

impl CheckReport {
    /// Whether the host would activate it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.failure.is_none())
    }
}

/// Makes modules: the engine and the cache of compiled code. Clones share both.
#[derive(Clone)]
pub struct Loader {
    runtime: Arc<Runtime>,
    cache: Option<Arc<Cache>>,
}

impl Loader {
    /// A loader with an engine of its own (one per process is enough) that keeps compiled code in `cache_dir`. Without
    /// one, or with one that cannot be trusted, it compiles every time.
    ///
    /// # Errors
    /// When the engine cannot be made.
    pub fn new(cache_dir: Option<&Path>) -> Result<Self, PolicyError> {
        Ok(Self::with_runtime(Runtime::new()?, cache_dir))
    }

    pub(super) fn with_runtime(runtime: Runtime, cache_dir: Option<&Path>) -> Self {
        let cache = cache_dir.and_then(|dir| match Cache::open(dir, runtime.compatibility()) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                tracing::warn!(%error, "compiled policies are not cached");
                None
            }
        });
        Self { runtime: Arc::new(runtime), cache }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The whole way from bytes to a module that may decide: everything `policy check` looks at holds.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn load(&self, bytes: &[u8], settings: &Value, limits: Limits) -> Result<Module, PolicyError> {
        let gated = gate::check(bytes, limits)?;
        let mut workbench = None;
        let module = self.prepare(&gated, settings, limits, &mut workbench)?;
        self.hold_cases(&gated, limits, &mut workbench)?;
        Ok(module)
    }

    /// Looks at everything and reports on it; the cases are run whether or not they were before.
    ///
    /// # Errors
    /// What keeps the module from being asked at all. Failed cases are in the report.
    pub fn check(&self, bytes: &[u8], settings: &Value, limits: Limits) -> Result<CheckReport, PolicyError> {
        let start = std::time::Instant::now();
        let gated = gate::check(bytes, limits)?;
        let workbench = Workbench::open(&self.runtime, &gated, limits)?;
        let mut slot = Some(workbench);
        let module = self.prepare(&gated, settings, limits, &mut slot)?;
        let load_millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let cases = match (&gated.cases, &slot) {
            (Some(text), Some(workbench)) => cases::run(workbench, &cases::parse(text)?),
            _ => Vec::new(),
        };
        let Module { digest, name, version, summary, sdk, hooks, facts, .. } = module;
        Ok(CheckReport { digest, name, version, summary, sdk, hooks, facts, cases, load_millis })
    }

    /// Configured, snapshotted and compiled; from the cache if it is there.
    fn prepare<'a>(
        &'a self,
        gated: &'a Gated<'a>,
        settings: &Value,
        limits: Limits,
        workbench: &mut Option<Workbench<'a>>,
    ) -> Result<Module, PolicyError> {
        let digest = settings_digest(settings);
        let key = ["module", &gated.digest, &digest];
        if let Some((kept, component)) = self.cached(&key) {
            return self.module(gated, settings, limits, kept.description, &component);
        }
        let workbench = self.opened(gated, limits, workbench)?;
        let configured = workbench.configure(&canonical_json(settings))?;
        let description = configured.description.clone();
        let snapshot = workbench.snapshot(configured)?;
        let component = Component::new(self.runtime.engine(), &snapshot)
            .map_err(|error| PolicyError::Snapshot(format!("{error:#}")))?;
        let module = self.module(gated, settings, limits, description.clone(), &component)?;
        self.keep(&key, &Kept { description }, &component);
        Ok(module)
    }

    /// The workbench is made when it is first needed: with a warm cache it never is.
    fn opened<'a, 'b>(
        &'a self,
        gated: &'a Gated<'a>,
        limits: Limits,
        workbench: &'b mut Option<Workbench<'a>>,
    ) -> Result<&'b Workbench<'a>, PolicyError> {
        match workbench {
            Some(workbench) => Ok(workbench),
            none => Ok(none.insert(Workbench::open(&self.runtime, gated, limits)?)),
        }
    }

    fn module(
        &self,
        gated: &Gated<'_>,
        settings: &Value,
        limits: Limits,
        description: DescriptionOut,
        component: &Component,
    ) -> Result<Module, PolicyError> {
        let facts = description
            .facts
            .iter()
            .map(AskedFact::normalise)
            .collect::<Result<_, _>>()
            .map_err(PolicyError::Description)?;
        // Otherwise done by the first call.
        component
            .initialize_copy_on_write_image()
            .map_err(|error| PolicyError::Engine(format!("{error:#}")))?;
        Ok(Module {
            digest: gated.digest.clone(),
            settings_digest: settings_digest(settings),
            settings: settings.clone(),
            limits,
            hooks: gated.hooks.clone(),
            name: description.name,
            version: description.version,
            summary: description.summary,
            sdk: gated.sdk.clone(),
            facts,
            asked: description.facts,
            pre: prelink(&self.runtime, component)?,
            exports: Exports::find(component, &gated.hooks).map_err(missing)?,
        })
    }

    fn cached(&self, key: &[&str]) -> Option<(Kept, Component)> {
        let payload = self.cache.as_ref()?.get(key)?;
        let (kept, component) = payload.component(self.runtime.engine())?;
        Some((serde_json::from_slice(&kept).ok()?, component))
    }

    fn keep(&self, key: &[&str], kept: &Kept, component: &Component) {
        let Some(cache) = &self.cache else { return };
        let (Ok(kept), Ok(code)) = (serde_json::to_vec(kept), component.serialize()) else { return };
        cache.put(key, &kept, &code);
    }

    /// Runs the embedded cases, unless they are known to have held on this engine under these limits.
    fn hold_cases<'a>(
        &'a self,
        gated: &'a Gated<'a>,
        limits: Limits,
        workbench: &mut Option<Workbench<'a>>,
    ) -> Result<(), PolicyError> {
        let Some(text) = &gated.cases else { return Ok(()) };
        let under = format!("{} {} {}", limits.fuel, limits.millis, limits.memory_mib);
        let key = ["cases", &gated.digest, &under];
        if self.cache.as_ref().is_some_and(|cache| cache.get(&key).is_some()) {
            return Ok(());
        }
        let cases = cases::parse(text)?;
        cases::hold(&cases::run(self.opened(gated, limits, workbench)?, &cases))?;
        if let Some(cache) = &self.cache {
            cache.put(&key, b"", b"");
        }
        Ok(())
    }
}

impl Module {
    /// Puts a question to a fresh instance. `value_of` gives the JSON text of a fact.
    pub(super) fn ask<'a>(
        &'a self,
        runtime: &Runtime,
        question: Question<'_>,
        value_of: impl Fn(&FactRequest) -> Option<&'a str>,
    ) -> Evaluated {
        let hook = question.hook();
        let mut facts = Vec::with_capacity(self.asked.len());
        for (request, asked) in self.facts.iter().zip(&self.asked) {
            if !crate::domain::facts::applies(request, hook) {
                continue;
            }
            match value_of(request) {
                Some(value) => facts.push(FactIn::new(asked, value)),
                None => return Evaluated::not_run(format!("the fact `{}` was not supplied", request.name)),
            }
        }
        instance::evaluate(runtime, &self.pre, &self.exports, self.limits, question, &facts)
    }
}
