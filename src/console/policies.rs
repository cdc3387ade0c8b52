//! What decides: the set with who changed it, one policy with its settings, and trying other settings over what was recorded.
//!
//! A trial runs beside the pages: it replays the recorded decisions with other settings, tells how far it is, and what would have
//! come out otherwise. Nothing of it changes the set until a person installs the settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::form::Form;
use super::frame::{self, Ask, PageError, View};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::clock::DAY;
use crate::domain::decision::Mode;
use crate::domain::person::{Actor, Role};
use crate::domain::refusal::{Code, Refusal};
use crate::operator::{
    Candidate, Changed, FlipKind, OperatorError, Policies, Progress, RecordedChange, Replay, ReplayOptions,
};
use crate::policy::{Loader, PolicyEntry, PolicyStatus, SetStatus, read_set};
use crate::storage;

/// Changes that are shown.
const CHANGES: i64 = 30;
/// Trials that are kept, and how many run at once: each uses all cores.
const TRIALS: usize = 20;
const RUNNING: usize = 1;
/// How far back a trial replays.
const BACK: i64 = 30 * DAY;
/// Examples of each kind of flip.
const EXAMPLES: usize = 5;

/// Where the policies of a table are.
#[derive(Debug, Clone)]
pub struct PolicyFiles {
    /// The policy directory.
    pub dir: PathBuf,
    /// Compiled code.
    pub cache: PathBuf,
    /// The last good set, and modules that were in force before.
    pub state: PathBuf,
}

impl PolicyFiles {
    fn open(&self, console: &Console) -> Result<Policies, OperatorError> {
        let loader = Loader::new(Some(&self.cache))?;
        Ok(Policies::new(self.dir.clone(), self.state.clone(), loader, console.db.clone()))
    }
}

/// Other settings, replayed over what was recorded.
pub(super) struct Trial {
    policy: String,
    settings: Map<String, Value>,
    person: String,
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
    /// What came of it, once it has ended.
    result: Mutex<Option<Result<Replay, String>>>,
}

impl Trial {
    fn is_running(&self) -> bool {
        self.result.lock().is_none()
    }
}

/// The trials of this process, by number.
#[derive(Default)]
pub(super) struct Trials(Mutex<BTreeMap<i64, Arc<Trial>>>);

impl Trials {
    pub(super) fn get(&self, id: i64) -> Option<Arc<Trial>> {
        self.0.lock().get(&id).cloned()
    }

    fn begin(&self, trial: Trial) -> Result<(i64, Arc<Trial>), Refusal> {
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

fn short(digest: Option<&String>) -> String {
    digest.map_or_else(|| "-".into(), |digest| digest.chars().take(12).collect())
}

fn mode_chip(mode: &str) -> Markup {
    let colour = match mode {
        "enforce" => "ok",
        "shadow" => "warn",
        _ => "",
    };
    html! { span class={ "chip " (colour) } { (mode) } }
}

fn changes(ask: &Ask<'_>) -> storage::Result<Vec<RecordedChange>> {
    Ok(ask.tx.policy_changes(None, 500)?.iter().map(RecordedChange::read).collect())
}

/// The policies that the directory names, those of the set that decides first.
fn known(status: &SetStatus) -> Vec<&PolicyStatus> {
    let mut all: Vec<&PolicyStatus> = status.deciding.iter().collect();
    all.extend(
        status.policies.iter().filter(|other| !status.deciding.iter().any(|it| it.name == other.name)),
    );
    all
}

/// What decides.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let changes = changes(ask)?;
    let status = ask.console.table.policies().status();
    let list = html! {
        @match &status {
            None => { p.notice { "The policies are being loaded." } }
            Some(status) => {
                @if let Some(error) = &status.error {
                    div.notice.bad role="status" {
                        p { b { "The last change was refused; the set before it decides." } }
                        (words::paragraph(error))
                    }
                }
                @if !status.not_deciding.is_empty() {
                    p.notice.warn { "Not deciding: " (status.not_deciding.join(", ")) "." }
                }
                (table(ask, status, &changes))
                p.meta { "Set " span.mono { (status.digest.chars().take(12).collect::<String>()) } ", since " (words::when(status.since, ask.now)) "." }
            }
        }
        (history(ask, &changes, None))
    };
    let list = Region::new("list", html! { div.stack.stack-l { (list) } });
    let body = html! { div.head { h1 { "Policies" } } (list.element()) };
    Ok(View { nav: "/policies", title: "Policies".into(), class: "", regions: vec![list], body })
}

fn table(ask: &Ask<'_>, status: &SetStatus, changes: &[RecordedChange]) -> Markup {
    html! {
        table.table {
            caption.sr { "Policies" }
            thead { tr {
                th scope="col" { "Policy" } th scope="col" { "Mode" } th scope="col" { "What it does" } th scope="col" { "Module" }
                th scope="col" { "Changed by" }
            } }
            tbody { @for policy in known(status) {
                @let change = changes.iter().find(|change| change.policy == policy.name && change.change != "set");
                tr {
                    th scope="row" { a href=(ask.at(&format!("/policies/{}", policy.name))) { (policy.name) } }
                    td data-label="Mode" { (mode_chip(policy.mode.as_str())) }
                    td data-label="What it does" {
                        (words::inline(policy.error.as_deref().or(policy.rolled_back.as_deref()).or(policy.summary.as_deref()).unwrap_or_default()))
                    }
                    td.mono data-label="Module" { (short(policy.digest.as_ref())) }
                    td data-label="Changed by" {
                        @match change { Some(change) => { (words::name(&change.who)) " " (words::when(change.at, ask.now)) } None => { span.meta { "nobody" } } }
                    }
                }
            } }
        }
    }
}

fn history(ask: &Ask<'_>, changes: &[RecordedChange], policy: Option<&str>) -> Markup {
    let wanted = |change: &&RecordedChange| policy.is_none_or(|policy| change.policy == policy);
    html! {
        section.stack.stack-s aria-labelledby="h-changes" {
            h2 #h-changes { "Changes" }
            @if !changes.iter().any(|change| wanted(&change)) { p.meta { "None yet." } }
            ol.history {
                @for change in changes.iter().filter(wanted).take(usize::try_from(CHANGES).unwrap_or(0)) {
                    li {
                        span.meta { (words::when(change.at, ask.now)) }
                        span {
                            (words::name(&change.who)) ": " (change.change) " "
                            @if policy.is_none() { (words::inline(&change.policy)) " " }
                            @if let (Some(from), Some(to)) = (&change.from.mode, &change.to.mode) && from != to { (from) " → " (to) " " }
                            @if change.from.digest != change.to.digest {
                                span.mono { (short(change.from.digest.as_ref())) " → " (short(change.to.digest.as_ref())) } " "
                            }
                            @if change.from.settings != change.to.settings && change.to.settings.is_some() { "other settings" }
                        }
                    }
                }
            }
        }
    }
}

/// What a form wanted that had no effect.
struct Kept {
    refusal: Refusal,
    settings: String,
}

/// One policy.
///
/// # Errors
/// Those of storage; `not_found`.
pub(super) fn policy(ask: &Ask<'_>) -> storage::Result<View> {
    policy_with(ask, None)
}

fn policy_with(ask: &Ask<'_>, kept: Option<&Kept>) -> storage::Result<View> {
    let name = ask.path.get(1).copied().unwrap_or_default();
    let status = ask.console.table.policies().status();
    let entries = read_set(&ask.console.options.policies.dir).unwrap_or_default();
    let entry = entries.iter().find(|entry| entry.name == name);
    let standing = status
        .as_ref()
        .and_then(|status| known(status).into_iter().find(|policy| policy.name == name).cloned());
    let (Some(standing), entry) = (standing, entry) else {
        return Err(Refusal::not_found(
            "there is no such policy in the set",
            "the list of policies shows them",
        )
        .into());
    };
    let changes = changes(ask)?;
    let state = Region::new("state", html! { (facts(ask, &standing, entry)) });
    let body = html! {
        div.stack.stack-l {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" { a href=(ask.at("/policies")) { "Policies" } }
                h1 { (name) }
                p { (words::inline(standing.summary.as_deref().unwrap_or_default())) }
            }
            @if let Some(kept) = kept {
                div.notice.bad role="alert" {
                    p { b { (words::inline(&kept.refusal.message)) } }
                    p { "Nothing was changed; " (words::inline(&kept.refusal.hint)) "." }
                }
            }
            div.two {
                div.stack.stack-l {
                    (state.element())
                    @if ask.person.role == Role::Operator { (try_form(ask, name, entry, kept)) }
                    (history(ask, &changes, Some(name)))
                }
                @if ask.person.role == Role::Operator { (actions(ask, name, &standing)) }
            }
        }
    };
    Ok(View { nav: "/policies", title: name.to_owned(), class: "", regions: vec![state], body })
}

fn facts(ask: &Ask<'_>, standing: &PolicyStatus, entry: Option<&PolicyEntry>) -> Markup {
    let hooks = standing.hooks.iter().map(|hook| hook.as_str()).collect::<Vec<_>>().join(", ");
    html! {
        table.facts { tbody {
            tr { th scope="row" { "Mode" } td { (mode_chip(standing.mode.as_str())) } }
            tr { th scope="row" { "Answers" } td { (hooks) } }
            tr { th scope="row" { "Version" } td { (words::inline(standing.version.as_deref().unwrap_or("not known"))) } }
            tr { th scope="row" { "Module" } td.mono { (standing.module) " " (short(standing.digest.as_ref())) } }
            @if standing.approvals > 1 { tr { th scope="row" { "Approvals" } td { "a call that it holds needs " (standing.approvals) " persons" } } }
            @if let Some(entry) = entry { tr { th scope="row" { "Fuel" } td { "at most " (entry.limits.fuel) " an answer" } } }
            @if let Some(error) = &standing.error { tr { th scope="row" { "Refused" } td { (words::text(error)) } } }
            @if let Some(why) = &standing.rolled_back { tr { th scope="row" { "Rolled back" } td { (words::text(why)) } } }
            tr { th scope="row" { "Decisions" } td { a href=(ask.at(&format!("/decisions?since=7d&policy={}", words::encoded(&standing.name)))) { "that it determined in 7 days" } } }
        } }
    }
}

fn try_form(ask: &Ask<'_>, name: &str, entry: Option<&PolicyEntry>, kept: Option<&Kept>) -> Markup {
    let settings = entry.map(|entry| entry.settings.clone()).unwrap_or_default();
    let shown = kept.map_or_else(|| format!("{:#}", Value::Object(settings)), |kept| kept.settings.clone());
    html! {
        section.stack.stack-s aria-labelledby="h-try" {
            h2 #h-try { "Try a setting" }
            form.stack.stack-s method="post" action=(ask.at(&format!("/policies/{name}/try"))) {
                div.field {
                    label for="settings" { "Settings, as JSON" }
                    textarea.mono #settings name="settings" rows="10" spellcheck="false" aria-describedby="settings-hint" { (shown) }
                    p.hint #settings-hint { "What is left out has the policy's own default. Trying changes nothing." }
                }
                div.row { button.btn.btn-primary { "Replay the last 30 days" } }
            }
        }
    }
}

fn actions(ask: &Ask<'_>, name: &str, standing: &PolicyStatus) -> Markup {
    let button = |action: &str, label: &str, class: &'static str| {
        html! {
            form method="post" action=(ask.at(&format!("/policies/{name}/{action}"))) { button class={ "btn " (class) } { (label) } }
        }
    };
    html! {
        aside.stack aria-label="Change this policy" {
            div.card.stack.stack-s {
                h2 { "Change" }
                @match standing.mode {
                    Mode::Shadow => {
                        (button("promote", "Let it decide", "btn-primary"))
                        @if let Some(live) = name.strip_suffix("-next") { (button("replace", &format!("Let it decide instead of {live}"), "")) }
                    }
                    Mode::Off => { (button("enable", "Let it decide", "btn-primary")) }
                    Mode::Enforce => { (button("disable", "Switch it off", "btn-danger")) }
                }
                (button("rollback", "Back to the module before", ""))
                (button("remove", "Take it out of the set file", ""))
            }
            @if standing.mode == Mode::Shadow {
                p.meta { "How it agreed with the live ones: " code.mono { "team-table policy shadow-report " (name) } }
            }
        }
    }
}

/// A trial: how far it is, or what came of it.
///
/// # Errors
/// Those of storage; `not_found`.
pub(super) fn trial(ask: &Ask<'_>) -> storage::Result<View> {
    let id = ask.number()?;
    let trial =
        ask.console.trials.get(id).ok_or_else(|| {
            Refusal::not_found("there is no such trial (any more)", "try the setting again")
        })?;
    let name = trial.policy.clone();
    let result = Region::new("result", html! { (progress(ask, id, &trial)) });
    let body = html! {
        div.stack.stack-l {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" {
                    a href=(ask.at("/policies")) { "Policies" } " / " a href=(ask.at(&format!("/policies/{name}"))) { (name) }
                }
                h1 { "Trial of other settings of " (name) }
                p.meta { "tried by " (words::name(&trial.person)) }
            }
            (result.element())
            details.fold { summary { "The settings that are tried" } (words::code(&format!("{:#}", Value::Object(trial.settings.clone())), "The settings")) }
        }
    };
    Ok(View { nav: "/policies", title: format!("Trial {id}"), class: "", regions: vec![result], body })
}

fn progress(ask: &Ask<'_>, id: i64, trial: &Trial) -> Markup {
    let (done, total) = (trial.done.load(Ordering::Relaxed), trial.total.load(Ordering::Relaxed));
    html! {
        @match &*trial.result.lock() {
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
            Some(Ok(replay)) => { (outcome(ask, trial, replay)) }
        }
    }
}

fn outcome(ask: &Ask<'_>, trial: &Trial, replay: &Replay) -> Markup {
    let settings = Value::Object(trial.settings.clone()).to_string();
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

fn settings_of(form: &Form) -> Result<Map<String, Value>, Refusal> {
    let text = form.get("settings").unwrap_or("{}");
    match serde_json::from_str(text) {
        Ok(Value::Object(settings)) => Ok(settings),
        Ok(_) => Err(Refusal::invalid(
            "settings are a JSON object",
            "write {\"name\": value}, or {} for the defaults",
        )),
        Err(error) => {
            Err(Refusal::invalid(format!("the settings are no JSON: {error}"), "mend it and try again"))
        }
    }
}

/// An error of the operator's layer as a refusal, where what was asked for is to blame.
fn refusal_of(error: OperatorError) -> Result<Refusal, PageError> {
    match error {
        OperatorError::Refused(refusal) => Ok(refusal),
        OperatorError::Storage(error) => Err(error.into()),
        other => Ok(Refusal::precondition(other.to_string(), "look at the settings and the set")),
    }
}

/// `POST /policies/{name}/{action}`: tries settings, installs them, or changes what decides.
pub(super) async fn act(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    Path((name, action)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let form = Form::from(body);
    let done = match action.as_str() {
        "try" => begin_trial(&console, &visitor, &name, &form)
            .map(|id| format!("/trials/{id}"))
            .map_err(Into::into),
        _ => change(&console, visitor.actor(), name.clone(), action, form.clone()).await,
    };
    let refusal = match done.map_err(PageError::into_refusal) {
        Ok(address) => return see(&console, &address),
        Err(Ok(refusal)) => refusal,
        Err(Err(error)) => return error.into_response(),
    };
    let kept = Kept { refusal, settings: form.get("settings").unwrap_or("{}").to_owned() };
    frame::answer(&console, visitor, &format!("/policies/{name}"), move |ask| policy_with(ask, Some(&kept)))
        .await
}

fn begin_trial(console: &Console, visitor: &Visitor, name: &str, form: &Form) -> Result<i64, Refusal> {
    visitor.actor().check_role(Role::Operator)?;
    let settings = settings_of(form)?;
    let (id, trial) = console.trials.begin(Trial {
        policy: name.to_owned(),
        settings: settings.clone(),
        person: visitor.person.name.clone(),
        done: AtomicU64::new(0),
        total: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        result: Mutex::new(None),
    })?;
    let console = console.clone();
    tokio::task::spawn_blocking(move || {
        let tell = |done, total| {
            trial.done.store(done, Ordering::Relaxed);
            trial.total.store(total, Ordering::Relaxed);
            console.live.wrote();
        };
        let progress = Progress { tell: &tell, stop: &trial.stop };
        let since = console.db.now(&console.options.clock) - BACK;
        let options = ReplayOptions { since, hook: None, examples: EXAMPLES };
        let candidate = Candidate::with_settings(&trial.policy, settings);
        let replay = console
            .options
            .policies
            .open(&console)
            .and_then(|policies| policies.replay(&candidate, options, progress));
        *trial.result.lock() = Some(replay.map_err(|error| error.to_string()));
        console.live.wrote();
    });
    Ok(id)
}

/// Changes the set; where the page of it is.
async fn change(
    console: &Console,
    actor: Actor,
    name: String,
    action: String,
    form: Form,
) -> Result<String, PageError> {
    let there = console.clone();
    let changed = tokio::task::spawn_blocking(move || change_now(&there, &actor, &name, &action, &form));
    let changed = changed.await.map_err(|error| PageError::broken(&error))?;
    console.live.wrote();
    match changed {
        Ok(changed) => {
            let is_listed = known(&changed.status).iter().any(|policy| policy.name == changed.policy);
            Ok(if is_listed { format!("/policies/{}", changed.policy) } else { "/policies".into() })
        }
        Err(error) => Err(refusal_of(error)?.into()),
    }
}

fn change_now(
    console: &Console,
    actor: &Actor,
    name: &str,
    action: &str,
    form: &Form,
) -> Result<Changed, OperatorError> {
    actor.check_role(Role::Operator)?;
    let policies = console.options.policies.open(console)?;
    match action {
        "install" => {
            let mode = if form.get("mode") == Some("enforce") { Mode::Enforce } else { Mode::Shadow };
            policies.set_settings(name, settings_of(form)?, mode, actor)
        }
        "promote" => policies.promote(name, None, actor),
        "replace" => policies.promote(name, name.strip_suffix("-next"), actor),
        "enable" => policies.enable(name, actor),
        "disable" => policies.disable(name, actor),
        "rollback" => policies.rollback(name, actor),
        "remove" => policies.remove(name, actor),
        _ => Err(Refusal::not_found("there is no such form", "go back to the policy").into()),
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
