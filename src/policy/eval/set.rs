//! The policies that decide, as one immutable value: asked together, swapped together. In-flight questions finish on the set
//! they started with because they hold it. Must not depend on files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::domain::decision::{
    Answer, Decision, Fact, FactRequest, Hook, InboxMessage, Input, Mode, Outcome, PolicyErrorKind,
    SetRecord, ToolCall, Verdict,
};
use crate::domain::facts;

use super::combine::{Combined, combine};
use super::instance::{Evaluated, Question};
use super::limits::Limits;
use super::wire::{CallIn, MessageIn};
use crate::policy::PolicyError;
use crate::policy::component::{Loader, Module};
use crate::policy::file::{BUILTINS, Builtin, PolicyEntry, canonical_json};
use crate::policy::life::{Counters, Monitor};

/// A policy of a set: a module under a name, with what is counted of it.
pub struct Policy {
    /// Its name in the set.
    pub name: String,
    /// Whether its answers count.
    pub mode: Mode,
    /// How many persons must approve a call that it holds.
    pub approvals: i64,
    /// The tools whose calls it judges; none: all. Of another call it is not asked, and its facts are not read.
    pub tools: Option<BTreeSet<String>>,
    /// What is asked.
    pub module: Arc<Module>,
    counters: Option<Arc<Counters>>,
    /// Whether the last verdict in this set was no failure: the monitor need not hear of another.
    answered: AtomicBool,
}

impl Policy {
    /// A policy of which nothing is counted yet; one person approves what it holds.
    #[must_use]
    pub fn new(name: &str, mode: Mode, module: Arc<Module>) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            approvals: 1,
            tools: module.tools.clone(),
            module,
            counters: None,
            answered: AtomicBool::new(false),
        }
    }

    /// A policy as its entry has it, with this module.
    pub(in crate::policy) fn of(entry: &PolicyEntry, module: Arc<Module>) -> Self {
        let tools = match (&entry.tools, &module.tools) {
            (Some(named), Some(judged)) => Some(named & judged),
            (Some(tools), None) | (None, Some(tools)) => Some(tools.clone()),
            (None, None) => None,
        };
        Self { approvals: entry.approvals, tools, ..Self::new(&entry.name, entry.mode, module) }
    }

    /// Whether it is asked a question of this hook; `tool` is that of a call.
    fn judges(&self, hook: Hook, tool: &str) -> bool {
        self.module.hooks.contains(&hook)
            && (hook != Hook::Authorization || self.tools.as_ref().is_none_or(|tools| tools.contains(tool)))
    }

    /// Loads the module of an entry from its bytes.
    ///
    /// # Errors
    /// What keeps the module from deciding.
    pub fn load(loader: &Loader, entry: &PolicyEntry, bytes: &[u8]) -> Result<Self, PolicyError> {
        let module = loader.load(bytes, &Value::Object(entry.settings.clone()), entry.limits)?;
        Ok(Self::of(entry, Arc::new(module)))
    }

    /// What is recorded of it: its entry, with the module's digest in the place of the module.
    pub(in crate::policy) fn record(&self) -> PolicyEntry {
        PolicyEntry {
            mode: self.mode,
            approvals: self.approvals,
            tools: self.tools.clone(),
            settings: self.module.settings.as_object().cloned().unwrap_or_default(),
            limits: self.module.limits,
            ..PolicyEntry::new(&self.name, &self.module.digest)
        }
    }
}

/// What is active.
pub struct PolicySet {
    digest: String,
    generation: u64,
    loader: Loader,
    policies: Vec<Policy>,
    requests: Requests,
    monitor: Option<Arc<Monitor>>,
    /// Why there is no set; every question is then answered with a failure.
    unavailable: Option<String>,
}

impl PolicySet {
    /// A set of these policies; those that are off are left out. `generation` counts the sets of a process.
    #[must_use]
    pub fn new(loader: &Loader, policies: Vec<Policy>, generation: u64) -> Self {
        Self::build(loader, policies, generation, None, None)
    }

    pub(in crate::policy) fn monitored(
        loader: &Loader,
        policies: Vec<Policy>,
        generation: u64,
        monitor: &Arc<Monitor>,
    ) -> Self {
        Self::build(loader, policies, generation, Some(monitor), None)
    }

    /// The set that stands in when none could be loaded: every call is refused, every message goes to a person.
    pub(in crate::policy) fn unavailable(loader: &Loader, why: String) -> Self {
        Self::build(loader, Vec::new(), 0, None, Some(why))
    }

    fn build(
        loader: &Loader,
        mut policies: Vec<Policy>,
        generation: u64,
        monitor: Option<&Arc<Monitor>>,
        unavailable: Option<String>,
    ) -> Self {
        policies.retain(|policy| policy.mode != Mode::Off);
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let digest = digest(policies.iter().map(|policy| {
            let Module { digest, settings_digest, limits, .. } = &*policy.module;
            // What the module itself says is in its digest.
            let tools = policy.tools.as_ref().filter(|_| policy.tools != policy.module.tools);
            let held = (policy.mode, policy.approvals, tools);
            (policy.name.as_str(), held, digest.as_str(), settings_digest.as_str(), *limits)
        }));
        let requests = Requests::of(&policies);
        for policy in &mut policies {
            policy.counters = monitor.map(|monitor| monitor.counters(&policy.name));
        }
        let (loader, monitor) = (loader.clone(), monitor.cloned());
        Self { digest, generation, loader, policies, requests, monitor, unavailable }
    }

    /// Digest (hex blake3) over names, modes, modules, settings, limits and approvals.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Sequence number of the set in this process, from 1; 0 when none could be loaded.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Its policies, sorted by name, shadow ones included.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// The built-in policies that do not decide in this set: not in it, or only in the shadow.
    #[must_use]
    pub fn not_deciding(&self) -> Vec<&'static str> {
        let decides = |builtin: &&Builtin| {
            let digest = blake3::hash(builtin.bytes).to_hex();
            self.policies()
                .filter(|policy| policy.mode == Mode::Enforce)
                .any(|policy| policy.name == builtin.name || policy.module.digest == digest.as_str())
        };
        BUILTINS.iter().filter(|builtin| !decides(builtin)).map(|builtin| builtin.name).collect()
    }

    /// What the digest is over: enough to put the set together again from the modules' bytes. Each entry names its module by
    /// digest.
    #[must_use]
    pub fn manifest(&self) -> Vec<PolicyEntry> {
        self.policies().map(Policy::record).collect()
    }

    /// What the database keeps of the set; none where it cannot be written down.
    #[must_use]
    pub fn record(&self) -> Option<SetRecord> {
        let policies = serde_json::to_string(&self.manifest()).ok()?;
        Some(SetRecord { digest: self.digest.clone(), policies, window_seconds: self.longest_window() })
    }

    /// How far back its counting facts look, in seconds.
    #[must_use]
    pub fn longest_window(&self) -> i64 {
        let window = |request: &FactRequest| request.params.get("window_seconds")?.parse().ok();
        self.requests.all().filter_map(window).max().unwrap_or(0)
    }

    /// The facts that must be given to a question: those of all policies that judge it, each once.
    #[must_use]
    pub fn fact_requests(&self, input: &Input) -> &[FactRequest] {
        let Requests { calls, of_tool, reviews, wakes, .. } = &self.requests;
        match input {
            Input::Authorization(call) => match Hook::of_tool(&call.tool) {
                Hook::Wake => wakes,
                _ => of_tool.get(&call.tool).unwrap_or(calls),
            },
            Input::Review(_) => reviews,
        }
    }

    /// Whether a policy counts the calls of a tool, whatever calls it judges.
    #[must_use]
    pub fn counts_calls_of(&self, tool: &str) -> bool {
        let Counted { all, tools } = &self.requests.counted;
        *all || tools.contains(tool)
    }

    /// May this agent make this call? Takes as long as the policies do: not for async threads, and no lock may be held.
    #[must_use]
    pub fn authorize(&self, call: &ToolCall, facts: &[Fact]) -> Decision {
        let arguments = canonical_json(&call.arguments);
        self.decide(Question::Authorize(&CallIn::new(call, &arguments)), facts)
    }

    /// May this message be answered automatically? As [`PolicySet::authorize`].
    #[must_use]
    pub fn review(&self, message: &InboxMessage, facts: &[Fact]) -> Decision {
        self.decide(Question::Review(&MessageIn::from(message)), facts)
    }

    /// The answer to a question of any hook: a live one, or a recorded one that is replayed.
    #[must_use]
    pub fn answer(&self, input: &Input, facts: &[Fact]) -> Decision {
        match input {
            Input::Authorization(call) => self.authorize(call, facts),
            Input::Review(message) => self.review(message, facts),
        }
    }

    fn decide(&self, question: Question<'_>, facts: &[Fact]) -> Decision {
        let (hook, tool) = (question.hook(), question.tool());
        let span = tracing::debug_span!("decide", hook = hook.as_str(), set = %self.digest);
        let _entered = span.enter();
        if let Some(why) = &self.unavailable {
            return self.no_decision(hook, why);
        }
        // Written once for all policies that ask for it.
        let texts: Vec<_> = facts.iter().map(|fact| (&fact.request, canonical_json(&fact.value))).collect();
        let verdicts: Vec<_> = self
            .policies
            .iter()
            .filter(|policy| policy.judges(hook, tool))
            .map(|policy| self.ask(policy, question, &texts))
            .collect();
        let Combined { outcome, policy, reason, reply } = combine(hook, &verdicts);
        let (set, generation) = (self.digest.clone(), self.generation);
        let approvals = self.approvals(&verdicts);
        Decision { hook, set, generation, outcome, policy, reason, reply, approvals, verdicts }
    }

    /// How many persons must approve what the policies hold: the most that one of those asks for that want a person to decide.
    fn approvals(&self, verdicts: &[Verdict]) -> i64 {
        let wants = |policy: &&Policy| {
            verdicts.iter().any(|verdict| {
                verdict.policy == policy.name
                    && verdict.mode == Mode::Enforce
                    && matches!(verdict.answer, Answer::Escalate(_))
            })
        };
        self.policies.iter().filter(wants).map(|policy| policy.approvals).max().unwrap_or(1)
    }

    fn ask(&self, policy: &Policy, question: Question<'_>, texts: &[(&FactRequest, String)]) -> Verdict {
        let Policy { name, mode, module, counters, answered, .. } = policy;
        let value_of = |request: &FactRequest| {
            texts.iter().find(|(given, _)| *given == request).map(|(_, text)| text.as_str())
        };
        let Evaluated { answer, fuel, micros, .. } = module.ask(self.loader.runtime(), question, value_of);
        tracing::debug!(policy = %name, digest = %module.digest, ?answer, fuel, micros, "verdict");
        let verdict = Verdict {
            policy: name.clone(),
            module: module.digest.clone(),
            settings: module.settings_digest.clone(),
            mode: *mode,
            answer,
            fuel,
            micros,
        };
        if let Some(counters) = counters {
            counters.count(&verdict.answer, micros);
        }
        let Some(monitor) = &self.monitor else { return verdict };
        if let Answer::Error { kind, detail } = &verdict.answer {
            tracing::warn!(policy = %name, digest = %module.digest, ?kind, %detail, "a policy failed");
            answered.store(false, Ordering::Relaxed);
            monitor.record_failure(&verdict, *kind, detail, question.agent());
        } else if !answered.swap(true, Ordering::Relaxed) {
            monitor.record_answer(&verdict);
        }
        verdict
    }

    /// What every question comes to when there is no set. The reason stands in the place of a verdict, so that the log
    /// has it.
    fn no_decision(&self, hook: Hook, why: &str) -> Decision {
        let verdict = Verdict {
            policy: "(no set)".to_owned(),
            module: String::new(),
            settings: String::new(),
            mode: Mode::Enforce,
            answer: Answer::Error { kind: PolicyErrorKind::Host, detail: why.to_owned() },
            fuel: 0,
            micros: 0,
        };
        Decision {
            hook,
            set: self.digest.clone(),
            generation: self.generation,
            outcome: Outcome::Error,
            policy: None,
            reason: None,
            reply: None,
            approvals: 1,
            verdicts: vec![verdict],
        }
    }
}

/// The facts that the policies of a set ask for, sorted, each once.
struct Requests {
    /// For a call of a tool that no policy names.
    calls: Vec<FactRequest>,
    /// For a call of each tool that a policy names.
    of_tool: BTreeMap<String, Vec<FactRequest>>,
    reviews: Vec<FactRequest>,
    wakes: Vec<FactRequest>,
    counted: Counted,
}

/// The tools whose calls are counted by a fact.
#[derive(Default)]
struct Counted {
    all: bool,
    tools: BTreeSet<String>,
}

impl Requests {
    fn of(policies: &[Policy]) -> Self {
        let requests = |hook, tool: &str| {
            let asking = policies.iter().filter(|policy| policy.judges(hook, tool));
            let mut requests: Vec<_> = asking.flat_map(|policy| &policy.module.facts).cloned().collect();
            requests.retain(|request| facts::applies(request, hook));
            requests.sort();
            requests.dedup();
            requests
        };
        let named: BTreeSet<&String> =
            policies.iter().filter_map(|policy| policy.tools.as_ref()).flatten().collect();
        let of_tool = |tool: &String| (tool.clone(), requests(Hook::Authorization, tool));
        let facts = policies.iter().flat_map(|policy| &policy.module.facts);
        let mut counted = Counted::default();
        for request in facts.filter(|request| request.name.starts_with("calls.")) {
            let tools = request.params.get("tools").and_then(|text| serde_json::from_str(text).ok());
            let tools: Vec<String> = tools.unwrap_or_default();
            counted.all |= tools.is_empty();
            counted.tools.extend(tools);
        }
        Self {
            // No tool has an empty name.
            calls: requests(Hook::Authorization, ""),
            of_tool: named.into_iter().map(of_tool).collect(),
            reviews: requests(Hook::Review, ""),
            wakes: requests(Hook::Wake, ""),
            counted,
        }
    }

    fn all(&self) -> impl Iterator<Item = &FactRequest> {
        [&self.calls, &self.reviews, &self.wakes].into_iter().chain(self.of_tool.values()).flatten()
    }
}

/// What the set file says of a policy besides its module: mode, approvals, tools.
type Held<'a> = (Mode, i64, Option<&'a BTreeSet<String>>);

/// The digest of a set; its policies sorted by name.
fn digest<'a>(policies: impl Iterator<Item = (&'a str, Held<'a>, &'a str, &'a str, Limits)>) -> String {
    let list: Vec<Value> = policies
        .map(|(name, (mode, approvals, tools), module, settings, limits)| match (approvals, tools) {
            // As it was before a set file could say so: a set keeps its digest.
            (1, None) => serde_json::json!([name, mode, module, settings, limits]),
            (_, None) => serde_json::json!([name, mode, module, settings, limits, approvals]),
            _ => serde_json::json!([name, mode, module, settings, limits, approvals, tools]),
        })
        .collect();
    blake3::hash(canonical_json(&Value::Array(list)).as_bytes()).to_hex().to_string()
}
