//! One evaluation: a question put to one instance of a policy, and its answer or what became of it. Every failure of the
//! guest is an answer here, never an error and never a panic. Must not depend on sets and files.

use std::time::Instant;

use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre};
use wasmtime::{Store, Trap};

use crate::domain::decision::{Answer, Hook, PolicyErrorKind};

use super::engine::{MemoryExceededError, Meter, Runtime};
use super::limits::Limits;
use super::wire::{AUTHORIZER, CallIn, ESCALATOR, FactIn, METADATA, MessageIn, ReviewOut, VerdictOut};

/// Characters of a failure's detail that are kept.
const DETAIL_CHARS: usize = 500;

/// A question, in the form in which it is handed to guests.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    Authorize(&'a CallIn<'a>),
    Review(&'a MessageIn<'a>),
}

impl Question<'_> {
    pub(crate) fn hook(&self) -> Hook {
        match self {
            Self::Authorize(call) => Hook::of_tool(call.tool),
            Self::Review(_) => Hook::Review,
        }
    }

    /// The tool of a call.
    pub(super) const fn tool(&self) -> &str {
        match self {
            Self::Authorize(call) => call.tool,
            Self::Review(_) => "",
        }
    }

    /// The agent whose words are judged.
    pub(super) const fn agent(&self) -> &str {
        match self {
            Self::Authorize(call) => call.principal.name,
            Self::Review(message) => message.sender.name,
        }
    }
}

/// An answer and what it cost.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) answer: Answer,
    pub(crate) fuel: u64,
    pub(crate) micros: u64,
    /// Most linear memory the instance had, in bytes.
    pub(crate) memory: usize,
}

impl Evaluated {
    /// The host could not even try.
    pub(crate) fn not_run(detail: impl Into<String>) -> Self {
        let answer = Answer::Error { kind: PolicyErrorKind::Host, detail: detail.into() };
        Self { answer, fuel: 0, micros: 0, memory: 0 }
    }
}

/// Where in a component the interface's functions are. Looked up once, used for every instance.
#[derive(Clone, Copy)]
pub(crate) struct Exports {
    pub(crate) configure: ComponentExportIndex,
    authorize: Option<ComponentExportIndex>,
    review: Option<ComponentExportIndex>,
}

impl Exports {
    /// `Err` names the function that is missing.
    pub(crate) fn find(component: &Component, hooks: &[Hook]) -> Result<Self, String> {
        let find = |interface: &str, function: &str| {
            component
                .get_export_index(None, interface)
                .and_then(|interface| component.get_export_index(Some(&interface), function))
                .ok_or_else(|| format!("{interface}.{function}"))
        };
        let hook =
            |hook, interface, function| hooks.contains(&hook).then(|| find(interface, function)).transpose();
        Ok(Self {
            configure: find(METADATA, "configure")?,
            authorize: hook(Hook::Authorization, AUTHORIZER, "authorize")?,
            review: hook(Hook::Review, ESCALATOR, "review")?,
        })
    }

    /// Whether the hooks' functions have the interface's types. `Err` is the function and what differs.
    pub(crate) fn check_hook_types(
        &self,
        store: &mut Store<Meter>,
        of: &Instance,
    ) -> Result<(), (String, String)> {
        if let Some(index) = &self.authorize {
            of.get_typed_func::<AuthorizeIn<'_>, (VerdictOut,)>(&mut *store, index)
                .map_err(|error| (format!("{AUTHORIZER}.authorize"), format!("{error:#}")))?;
        }
        if let Some(index) = &self.review {
            of.get_typed_func::<ReviewIn<'_>, (ReviewOut,)>(&mut *store, index)
                .map_err(|error| (format!("{ESCALATOR}.review"), format!("{error:#}")))?;
        }
        Ok(())
    }
}

type AuthorizeIn<'a> = (CallIn<'a>, &'a [FactIn<'a>]);
type ReviewIn<'a> = (MessageIn<'a>, &'a [FactIn<'a>]);

/// Puts a question to a fresh instance.
pub(crate) fn evaluate(
    runtime: &Runtime,
    pre: &InstancePre<Meter>,
    exports: &Exports,
    limits: Limits,
    question: Question<'_>,
    facts: &[FactIn<'_>],
) -> Evaluated {
    let Some(slot) = runtime.slot() else {
        return Evaluated::not_run("every instance was busy for too long");
    };
    let start = Instant::now();
    let mut store = match slot.store(limits) {
        Ok(store) => store,
        Err(error) => return Evaluated::not_run(format!("{error:#}")),
    };
    let answer = match pre.instantiate(&mut store) {
        Ok(instance) => ask(&mut store, &instance, exports, question, facts),
        Err(error) => failure(&error, PolicyErrorKind::Host),
    };
    measured(answer, &store, limits, start)
}

/// Puts a question to an instance that is there already.
pub(crate) fn ask(
    store: &mut Store<Meter>,
    instance: &Instance,
    exports: &Exports,
    question: Question<'_>,
    facts: &[FactIn<'_>],
) -> Answer {
    let answered = match (question, &exports.authorize, &exports.review) {
        (Question::Authorize(call), Some(index), _) => instance
            .get_typed_func::<AuthorizeIn<'_>, (VerdictOut,)>(&mut *store, index)
            .and_then(|function| function.call(&mut *store, (*call, facts)))
            .map(|(verdict,)| Answer::from(verdict)),
        (Question::Review(message), _, Some(index)) => instance
            .get_typed_func::<ReviewIn<'_>, (ReviewOut,)>(&mut *store, index)
            .and_then(|function| function.call(&mut *store, (*message, facts)))
            .map(|(review,)| Answer::from(review)),
        _ => {
            let detail = "the policy does not answer this hook".to_owned();
            return Answer::Error { kind: PolicyErrorKind::Host, detail };
        }
    };
    // What is neither a trap nor a limit is an answer that could not be read: text that is not UTF-8, a list outside
    // of memory, or more bytes than the host copies.
    answered.unwrap_or_else(|error| failure(&error, PolicyErrorKind::Malformed))
}

/// Adds what the evaluation cost.
pub(crate) fn measured(answer: Answer, store: &Store<Meter>, limits: Limits, start: Instant) -> Evaluated {
    Evaluated {
        answer,
        fuel: limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
        micros: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        memory: store.data().used(),
    }
}

fn failure(error: &wasmtime::Error, otherwise: PolicyErrorKind) -> Answer {
    let (kind, detail) = classify(error, otherwise);
    Answer::Error { kind, detail }
}

/// What kind of failure an error of wasmtime is; `otherwise` when it is none of the guest's doing.
pub(crate) fn classify(error: &wasmtime::Error, otherwise: PolicyErrorKind) -> (PolicyErrorKind, String) {
    let kind = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => PolicyErrorKind::OutOfFuel,
        Some(Trap::Interrupt) => PolicyErrorKind::Deadline,
        Some(_) => PolicyErrorKind::Trap,
        None if error.is::<MemoryExceededError>() => PolicyErrorKind::OutOfMemory,
        None => otherwise,
    };
    // The cause alone, without the backtrace: it has many lines and does not help a reader of the log.
    (kind, error.root_cause().to_string().chars().take(DETAIL_CHARS).collect())
}
