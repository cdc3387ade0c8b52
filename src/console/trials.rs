//! Trials: what other settings of a policy, or a shadow, would have changed. A trial walks over the recorded decisions beside the
//! pages and tells how far it is; it changes nothing until a person installs its settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::frame::{Ask, PageError, View};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::clock::DAY;
use crate::domain::person::{Actor, Role};
use crate::domain::refusal::{Code, Refusal};
use crate::operator::{
    Candidate, FlipKind, OperatorError, Progress, Replay, ReplayOptions, ShadowOptions, ShadowReport, cores,
};
use crate::storage;

/// Trials that are kept, and how many run at once.
const TRIALS: usize = 20;
const RUNNING: usize = 1;
/// How far back a trial looks.
const BACK: i64 = 30 * DAY;
/// Examples of each kind of flip.
const EXAMPLES: usize = 5;

/// What is tried.
pub(super) enum What {
    /// Other settings of a policy, all of them.
    Settings(Map<String, Value>),
    /// A policy that is in the shadow already, in the place of this one too.
    Shadow(Option<String>),
}

/// What came of it.
enum Outcome {
    Replay(Replay),
    Shadow(ShadowReport),
}

/// A look at what was recorded.
pub(super) struct Trial {
    policy: String,
    what: What,
    person: String,
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
    /// None until it has ended.
    outcome: Mutex<Option<Result<Outcome, String>>>,
}

impl Trial {
    fn is_running(&self) -> bool {
        self.outcome.lock().is_none()
    }

    /// Walks over the decisions; uses half of the cores, for the table is at work beside it.
    fn run(&self, console: &Console) -> Result<Outcome, OperatorError> {
        let tell = |done, total| {
            self.done.fetch_max(done, Ordering::Relaxed);
            self.total.store(total, Ordering::Relaxed);
            console.live.wrote();
        };
        let progress = Progress { tell: &tell, stop: &self.stop, cores: (cores() / 2).max(1) };
        let (policies, since) = (console.policies(), console.db.now(&console.options.clock) - BACK);
        match &self.what {
            What::Settings(settings) => {
                let candidate = Candidate::with_settings(&self.policy, settings.clone());
                let options = ReplayOptions { since, hook: None, examples: EXAMPLES };
                policies.replay(&candidate, options, progress).map(Outcome::Replay)
            }
            What::Shadow(instead_of) => {
                let status = policies.status()?;
                let options = ShadowOptions { instead_of: instead_of.as_deref(), since, examples: EXAMPLES };
                policies.shadow_report(&status.policies, &self.policy, options, progress).map(Outcome::Shadow)
            }
        }
    }
}

/// The trials of this process, by number.
#[derive(Default)]
pub(super) struct Trials(Mutex<BTreeMap<i64, Arc<Trial>>>);

impl Trials {
    fn get(&self, id: i64) -> Option<Arc<Trial>> {
        self.0.lock().get(&id).cloned()
    }

    fn add(&self, trial: Trial) -> Result<(i64, Arc<Trial>), Refusal> {
        let mut trials = self.0.lock();
        if trials.values().filter(|trial| trial.is_running()).count() >= RUNNING {
            return Err(Refusal::new(
                Code::ResourceExhausted,
                "another trial runs",
                "wait for it, or stop it, and try again",
            ));
        }
        let id = trials.keys().next_back().copied().unwrap_or(0) + 1;
        let trial = Arc::new(trial);
        trials.insert(id, Arc::clone(&trial));
        while trials.len() > TRIALS {
            trials.pop_first();
        }
        Ok((id, trial))
    }
}

/// Begins a trial; its number.
pub(super) fn begin(console: &Console, by: &Actor, policy: &str, what: What) -> Result<i64, Refusal> {
    by.check_role(Role::Operator)?;
    let (id, trial) = console.trials.add(Trial {
        policy: policy.to_owned(),
        what,
        person: by.name().to_owned(),
        done: AtomicU64::new(0),
        total: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        outcome: Mutex::new(None),
    })?;
    let console = console.clone();
    let (running, pages) = (Arc::clone(&trial), console.clone());
    let run = tokio::task::spawn_blocking(move || running.run(&pages).map_err(|error| error.to_string()));
    tokio::spawn(async move {
        // A trial that panicked has ended, too: the next one may begin.
        let outcome = run.await.unwrap_or_else(|error| Err(format!("the trial failed: {error}")));
        *trial.outcome.lock() = Some(outcome);
        console.live.wrote();
    });
    Ok(id)
}

/// A trial: how far it is, or what came of it.
///
/// # Errors
/// Those of storage; `not_found`.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let id = ask.number()?;
    let trial =
        ask.console.trials.get(id).ok_or_else(|| {
            Refusal::not_found("there is no such trial (any more)", "try the setting again")
        })?;
    let name = trial.policy.clone();
    let result = Region::new("result", progress(ask, id, &trial));
    let body = html! {
        div.stack.stack-l {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" {
                    a href=(ask.at("/policies")) { "Policies" } " / " a href=(ask.at(&format!("/policies/{name}"))) { (name) }
                }
                @match &trial.what {
                    What::Settings(_) => { h1 { "Trial of other settings of " (name) } }
                    What::Shadow(None) => { h1 { "What " (name) " said in the shadow" } }
                    What::Shadow(Some(old)) => { h1 { "What " (name) " would have changed in the place of " (old) } }
                }
                p.meta { "asked for by " (words::name(&trial.person)) ", over the last 30 days" }
            }
            (result.element())
            @if let What::Settings(settings) = &trial.what {
                details.fold {
                    summary { "The settings that are tried" }
                    (words::code(&format!("{:#}", Value::Object(settings.clone())), "The settings"))
                }
            }
        }
    };
    Ok(View { nav: "/policies", title: format!("Trial {id}"), class: "", regions: vec![result], body })
}

fn progress(ask: &Ask<'_>, id: i64, trial: &Trial) -> Markup {
    let (done, total) = (trial.done.load(Ordering::Relaxed), trial.total.load(Ordering::Relaxed));
    html! {
        @match &*trial.outcome.lock() {
            None => {
                div.stack.stack-s {
                    label for="bar" { (done) " of " (total) " decisions" }
                    progress #bar value=(done) max=(total.max(1)) {}
                    div.row {
                        form method="post" action=(ask.at(&format!("/trials/{id}/stop"))) { button.btn { "Stop" } }
                        a.meta href=(ask.at(&format!("/trials/{id}"))) { "Look again" }
                    }
                }
            }
            Some(Err(error)) => { div.notice.bad role="alert" { (words::paragraph(error)) } }
            Some(Ok(Outcome::Replay(replay))) => { (replayed(ask, trial, replay)) }
            Some(Ok(Outcome::Shadow(report))) => { (reported(ask, report)) }
        }
    }
}

fn replayed(ask: &Ask<'_>, trial: &Trial, replay: &Replay) -> Markup {
    let settings = match &trial.what {
        What::Settings(settings) => Value::Object(settings.clone()).to_string(),
        What::Shadow(_) => String::new(),
    };
    let install = |mode: &str, label: &str, class: &str| {
        html! {
            form method="post" action=(ask.at(&format!("/policies/{}/install", trial.policy))) {
                input type="hidden" name="settings" value=(settings);
                input type="hidden" name="mode" value=(mode);
                button class={ "btn " (class) } { (label) }
            }
        }
    };
    html! {
        div.stack.stack-l {
            div.notice.stack.stack-s role="status" {
                p {
                    b { @if replay.flipped == 0 { "Nothing would have come out otherwise" } @else { (replay.flipped) " of " (replay.replayed) " decisions would have come out otherwise" } }
                    " (" (replay.replayed) " replayed)"
                }
                @if replay.own_answer_differs > 0 { p { (replay.own_answer_differs) " more where the policy itself answers otherwise and the outcome stays." } }
                @for missing in &replay.not_replayed { p.meta { (missing.count) " not replayed: " (words::inline(&missing.why)) } }
            }
            @for kind in &replay.flips { (flips(ask, kind)) }
            @if ask.person.role == Role::Operator {
                div.row {
                    (install("shadow", "Install in the shadow", "btn-primary"))
                    (install("enforce", "Install live", "btn-danger"))
                    a.btn href=(ask.at(&format!("/policies/{}", trial.policy))) { "Change the settings" }
                }
            }
        }
    }
}

fn reported(ask: &Ask<'_>, report: &ShadowReport) -> Markup {
    let number = |number: u64, label: &str| html! { div.card { p.stat { (number) } p.meta { (label) } } };
    html! {
        div.stack.stack-l {
            div.grid {
                (number(report.asked, "times asked"))
                (number(report.agreed, "agreed"))
                (number(report.disagreed, "would have changed"))
                (number(report.failed, "failed"))
            }
            @if report.by_earlier_versions > 0 {
                p.meta { (report.by_earlier_versions) " verdicts of an earlier module or other settings are left out." }
            }
            @for kind in &report.disagreements { (flips(ask, kind)) }
            p.row { a.btn href=(ask.at(&format!("/policies/{}", report.policy))) { "To the policy" } }
        }
    }
}

fn flips(ask: &Ask<'_>, kind: &FlipKind) -> Markup {
    html! {
        section.stack.stack-s {
            h2 { (super::decisions::chip(&kind.from)) " → " (super::decisions::chip(&kind.to)) ": " (kind.count) }
            table.table.dense {
                caption.sr { "Examples from " (kind.from) " to " (kind.to) }
                thead { tr { th scope="col" { "Decision" } th scope="col" { "Agent" } th scope="col" { "Action" } th scope="col" { "Was" } th scope="col" { "Would be" } } }
                tbody { @for flip in &kind.examples { tr {
                    td.slim { a href=(ask.at(&format!("/decisions/{}", flip.decision))) { (flip.decision) } " " span.meta { (words::when(flip.millis, ask.now)) } }
                    td { (words::name(&flip.agent)) }
                    td.mono { (flip.action) }
                    td data-label="Was" { (words::first_line(flip.was.as_deref().unwrap_or("nobody objected"), 140)) }
                    td data-label="Would be" { (words::first_line(flip.now.as_deref().unwrap_or("nobody objects"), 140)) }
                } } }
            }
        }
    }
}

/// `POST /trials/{id}/stop`.
pub(super) async fn stop(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    Path(id): Path<i64>,
) -> Response {
    if let Err(refusal) = visitor.actor().check_role(Role::Operator) {
        return PageError::from(refusal).into_response();
    }
    if let Some(trial) = console.trials.get(id) {
        trial.stop.store(true, Ordering::Relaxed);
    }
    see(&console, &format!("/trials/{id}"))
}
