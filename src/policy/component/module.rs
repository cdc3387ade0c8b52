//! From the bytes of a `.wasm` file to a module that can be asked: gate, configure, snapshot, compile (or take all that
//! from the cache), and the module's own cases. Must not depend on sets and on the source of the bytes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use team_table_policy_sdk::settings::Setting;
use wasmtime::component::{Component, InstancePre};

use crate::domain::decision::{FactRequest, Hook};

use super::cache::Cache;
use super::cases::{self, CaseReport};
use super::gate::{self, Gated};
use super::workbench::{Workbench, missing, prelink};
use crate::policy::PolicyError;
use crate::policy::eval::instance::{self, Evaluated, Exports, Question};
use crate::policy::eval::{AskedFact, DescriptionOut, FactIn, Limits, Meter, Runtime};
use crate::policy::file::{canonical_json, settings_digest};

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
    /// The tools whose calls it judges; none: all.
    pub tools: Option<BTreeSet<String>>,
    /// The facts it asked for.
    pub facts: Vec<FactRequest>,
    /// The same facts as the policy wrote them, in the same order.
    pub(super) asked: Vec<AskedFact>,
    pre: InstancePre<Meter>,
    exports: Exports,
}

/// What the cache keeps beside the code.
#[derive(Serialize, Deserialize)]
struct Kept {
    description: DescriptionOut,
    hooks: Vec<Hook>,
    sdk: Option<String>,
    tools: Option<BTreeSet<String>>,
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
    /// The tools whose calls it judges; none: all.
    pub tools: Option<BTreeSet<String>>,
    /// The facts it asks for under these settings.
    pub facts: Vec<FactRequest>,
    /// What it says of its settings; empty when it does not describe them.
    pub settings: Vec<Setting>,
    /// How its embedded cases went.
    pub cases: Vec<CaseReport>,
    /// Milliseconds from bytes to ready, without the cases.
    pub load_millis: u64,
}

impl CheckReport {
    /// Whether the host would activate it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.result.passed)
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

    pub(in crate::policy) fn with_runtime(runtime: Runtime, cache_dir: Option<&Path>) -> Self {
        let cache = cache_dir.and_then(|dir| match Cache::open(dir, runtime.compatibility()) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                tracing::warn!(%error, "compiled policies are not cached");
                None
            }
        });
        Self { runtime: Arc::new(runtime), cache }
    }

    pub(in crate::policy) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The whole way from bytes to a module that may decide: everything `policy check` looks at holds, now or when the
    /// same bytes were looked at with the same settings and limits before.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn load(&self, bytes: &[u8], settings: &Value, limits: Limits) -> Result<Module, PolicyError> {
        gate::check_size(bytes, limits)?;
        let keys = Keys::of(bytes, settings, limits);
        if self.held(&keys)
            && let Some(module) = self.cached(&keys, settings, limits)
        {
            return Ok(module);
        }
        let gated = gate::inspect(bytes, limits)?;
        let workbench = Workbench::open(&self.runtime, &gated, limits)?;
        let module = self.prepare(&workbench, &gated, settings, limits)?;
        if !self.held(&keys) {
            cases::hold(&run_cases(&workbench, &gated)?)?;
            self.put(&keys.cases, b"", b"");
        }
        Ok(module)
    }

    /// Looks at everything and reports on it; nothing is taken from the cache.
    ///
    /// # Errors
    /// What keeps the module from being asked at all. Failed cases are in the report.
    pub fn check(&self, bytes: &[u8], settings: &Value, limits: Limits) -> Result<CheckReport, PolicyError> {
        let start = Instant::now();
        let gated = gate::inspect(bytes, limits)?;
        let described = gated.described()?;
        let workbench = Workbench::open(&self.runtime, &gated, limits)?;
        let module = self.prepare(&workbench, &gated, settings, limits)?;
        let load_millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let cases = run_cases(&workbench, &gated)?;
        let Module { digest, name, version, summary, sdk, hooks, tools, facts, .. } = module;
        Ok(CheckReport {
            digest,
            name,
            version,
            summary,
            sdk,
            hooks,
            tools,
            facts,
            settings: described,
            cases,
            load_millis,
        })
    }

    /// Runs a module's embedded cases and nothing else; it need not accept the default settings.
    ///
    /// # Errors
    /// What keeps it from being asked at all.
    pub fn run_cases(&self, bytes: &[u8], limits: Limits) -> Result<Vec<CaseReport>, PolicyError> {
        let gated = gate::inspect(bytes, limits)?;
        run_cases(&Workbench::open(&self.runtime, &gated, limits)?, &gated)
    }

    /// Configured, snapshotted and compiled.
    pub(super) fn prepare(
        &self,
        workbench: &Workbench<'_>,
        gated: &Gated<'_>,
        settings: &Value,
        limits: Limits,
    ) -> Result<Module, PolicyError> {
        let configured = workbench.configure(&canonical_json(settings))?;
        let description = configured.description.clone();
        let snapshot = workbench.snapshot(configured)?;
        let component = Component::new(self.runtime.engine(), &snapshot)
            .map_err(|error| PolicyError::Snapshot(format!("{error:#}")))?;
        let (hooks, sdk, tools) = (gated.hooks.clone(), gated.sdk.clone(), gated.tools.clone());
        let kept = Kept { description, hooks, sdk, tools };
        let keys = Keys::of(gated.bytes, settings, limits);
        if let (Ok(kept), Ok(code)) = (serde_json::to_vec(&kept), component.serialize()) {
            self.put(&keys.module, &kept, &code);
        }
        ready(keys, settings, limits, kept, &component)
    }

    /// Whether the embedded cases are known to hold, on this engine and under these limits.
    fn held(&self, keys: &Keys) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.get(&keys.cases).is_some())
    }

    fn cached(&self, keys: &Keys, settings: &Value, limits: Limits) -> Option<Module> {
        let (kept, component) = self.cache.as_ref()?.get(&keys.module)?.component(self.runtime.engine())?;
        let kept = serde_json::from_slice(&kept).ok()?;
        ready(keys.clone(), settings, limits, kept, &component).ok()
    }

    fn put(&self, key: &[String], kept: &[u8], code: &[u8]) {
        if let Some(cache) = &self.cache {
            cache.put(key, kept, code);
        }
    }
}

/// Ready to be asked.
fn ready(
    keys: Keys,
    settings: &Value,
    limits: Limits,
    kept: Kept,
    component: &Component,
) -> Result<Module, PolicyError> {
    let Kept { description, hooks: exported, sdk, tools } = kept;
    let facts: Vec<FactRequest> = description
        .facts
        .iter()
        .map(AskedFact::normalise)
        .collect::<Result<_, _>>()
        .map_err(PolicyError::Description)?;
    let hooks = crate::domain::facts::answered(&exported, &facts);
    // Otherwise done by the first call.
    component.initialize_copy_on_write_image().map_err(|error| PolicyError::Engine(format!("{error:#}")))?;
    let [_, digest, settings_digest] = keys.module;
    Ok(Module {
        digest,
        settings_digest,
        settings: settings.clone(),
        limits,
        name: description.name,
        version: description.version,
        summary: description.summary,
        sdk,
        tools,
        facts,
        asked: description.facts,
        pre: prelink(component)?,
        exports: Exports::find(component, &exported).map_err(missing)?,
        hooks,
    })
}

/// What the cache calls a module with its settings, and the passing of its cases.
#[derive(Clone)]
struct Keys {
    /// A word, the digest of the bytes, the digest of the settings.
    module: [String; 3],
    /// A word, the digest of the bytes, the limits.
    cases: [String; 3],
}

impl Keys {
    fn of(bytes: &[u8], settings: &Value, limits: Limits) -> Self {
        let digest = blake3::hash(bytes).to_hex().to_string();
        let Limits { fuel, millis, memory_mib, module_mib: _ } = limits;
        Self {
            module: ["module".to_owned(), digest.clone(), settings_digest(settings)],
            cases: ["cases".to_owned(), digest, format!("{fuel} {millis} {memory_mib}")],
        }
    }
}

fn run_cases(workbench: &Workbench<'_>, gated: &Gated<'_>) -> Result<Vec<CaseReport>, PolicyError> {
    let cases = gated.cases.as_deref().map_or_else(|| Ok(Vec::new()), cases::parse)?;
    Ok(cases::run(workbench, &cases))
}

impl Module {
    /// Puts a question to a fresh instance. `value_of` gives the JSON text of a fact.
    pub(in crate::policy) fn ask<'a>(
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
        self.evaluate(runtime, question, &facts)
    }

    /// Puts a question to a fresh instance, with the facts of its hook in the order in which it asked for them.
    pub(super) fn evaluate(
        &self,
        runtime: &Runtime,
        question: Question<'_>,
        facts: &[FactIn<'_>],
    ) -> Evaluated {
        instance::evaluate(runtime, &self.pre, &self.exports, self.limits, question, facts)
    }
}
