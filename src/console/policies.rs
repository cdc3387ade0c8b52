//! What decides: the set with who changed it, and one policy with its settings. Other settings are tried first (`trials`).

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::form::Form;
use super::frame::{self, Ask, PageError, View};
use super::live::Region;
use super::server::Console;
use super::trials::{self, What};
use super::visitor::{Visitor, see};
use super::{settings, words};
use crate::domain::decision::Mode;
use crate::domain::person::{Actor, Role};
use crate::domain::refusal::{Code, Refusal};
use crate::operator::{Changed, Described, FieldError, OperatorError, Policies, RecordedChange};
use crate::policy::{PolicyStatus, SetStatus, listed};
use crate::storage;

/// Changes that are shown.
const CHANGES: i64 = 30;
/// What the copy of a policy that is tried beside it ends in.
const NEXT: &str = "-next";
/// Longest wait until this process has the set that a form made.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the policies of a table are.
#[derive(Debug, Clone)]
pub struct PolicyFiles {
    /// The policy directory.
    pub dir: PathBuf,
    /// The last good set, and modules that were in force before.
    pub state: PathBuf,
}

impl Console {
    /// What a person does to the policies, with the engine of this process.
    pub(super) fn policies(&self) -> Policies {
        let (files, loader) = (&self.options.policies, self.table.policies().loader().clone());
        Policies::new(files.dir.clone(), files.state.clone(), loader, self.db.clone())
    }
}

fn short(digest: Option<&String>) -> &str {
    digest.map_or("-", |digest| words::short(digest))
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
                p.meta { "Set " span.mono { (words::short(&status.digest)) } ", since " (words::when(status.since, ask.now)) "." }
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
    form: Form,
    errors: Vec<FieldError>,
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
    let status = ask.console.table.policies().status().ok_or_else(|| {
        Refusal::new(Code::Unavailable, "the policies are being loaded", "look again in a moment")
    })?;
    let Some(standing) = known(&status).into_iter().find(|policy| policy.name == name).cloned() else {
        return Err(Refusal::not_found(
            "there is no such policy in the set",
            "the list of policies shows them",
        )
        .into());
    };
    // A process follows the set file within a second, and a module may be gone from it: then there is nothing to set.
    let is_operator = ask.person.role == Role::Operator;
    let described = is_operator.then(|| ask.console.policies().describe(name).ok()).flatten();
    let changes = changes(ask)?;
    let state = Region::new("state", facts(ask, &standing, described.as_ref()));
    let body = html! {
        div.stack.stack-l {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" { a href=(ask.at("/policies")) { "Policies" } }
                h1 { (name) }
                p { (words::inline(standing.summary.as_deref().unwrap_or_default())) }
            }
            @if let Some(kept) = kept {
                div.notice.bad role="alert" { (frame::not_done(&kept.refusal, "Nothing was changed")) }
            }
            div.two {
                div.stack.stack-l {
                    (state.element())
                    @if let Some(described) = described.as_ref().filter(|_| is_operator) {
                        (settings_form(ask, name, &standing, described, kept))
                    }
                    (history(ask, &changes, Some(name)))
                }
                @if is_operator { (actions(ask, name, &standing, described.as_ref())) }
            }
        }
    };
    Ok(View { nav: "/policies", title: name.to_owned(), class: "", regions: vec![state], body })
}

fn facts(ask: &Ask<'_>, standing: &PolicyStatus, described: Option<&Described>) -> Markup {
    let hooks = standing.hooks.iter().map(|hook| hook.as_str()).collect::<Vec<_>>().join(", ");
    html! {
        table.facts { tbody {
            tr { th scope="row" { "Mode" } td { (mode_chip(standing.mode.as_str())) } }
            tr { th scope="row" { "Answers" } td { (hooks) } }
            @if let Some(tools) = &standing.tools { tr { th scope="row" { "Calls of" } td { (listed(tools)) } } }
            tr { th scope="row" { "Version" } td { (words::inline(standing.version.as_deref().unwrap_or("not known"))) } }
            tr { th scope="row" { "Module" } td.mono { (standing.module) " " (short(standing.digest.as_ref())) } }
            @if standing.approvals > 1 { tr { th scope="row" { "Approvals" } td { "a call that it holds needs " (standing.approvals) " persons" } } }
            @if let Some(Described { entry, .. }) = described { tr { th scope="row" { "Fuel" } td { "at most " (entry.limits.fuel) " an answer" } } }
            @if let Some(error) = &standing.error { tr { th scope="row" { "Refused" } td { (words::text(error)) } } }
            @if let Some(why) = &standing.rolled_back { tr { th scope="row" { "Rolled back" } td { (words::text(why)) } } }
            tr { th scope="row" { "Decisions" } td { a href=(ask.at(&format!("/decisions?since=7d&policy={}", words::encoded(&standing.name)))) { "that it determined in 7 days" } } }
        } }
    }
}

/// The settings: tried over what was recorded, tried in the shadow, or put in force.
fn settings_form(
    ask: &Ask<'_>,
    name: &str,
    standing: &PolicyStatus,
    described: &Described,
    kept: Option<&Kept>,
) -> Markup {
    let typed = kept.map(|kept| &kept.form).filter(|form| form.raw("settings").is_none());
    let errors = kept.map_or(&[][..], |kept| &kept.errors);
    let install = ask.at(&format!("/policies/{name}/install"));
    html! {
        section.stack.stack-s aria-labelledby="h-settings" {
            h2 #h-settings { "Settings" }
            form.card.stack method="post" action=(ask.at(&format!("/policies/{name}/try"))) {
                (settings::fields(described, typed, errors))
                div.row {
                    button.btn.btn-primary { "Replay the last 30 days first" }
                    button.btn formaction=(install) name="mode" value="shadow" {
                        @if standing.mode == Mode::Shadow { "Set them in the shadow" } @else { "Try them in the shadow" }
                    }
                    @if standing.mode != Mode::Shadow {
                        button.btn.btn-danger formaction=(install) name="mode" value="enforce" { "Set them live" }
                    }
                }
                p.hint { "A replay changes nothing. In the shadow they are those of a copy, " span.mono { (name.trim_end_matches(NEXT)) (NEXT) } "." }
            }
        }
    }
}

fn actions(ask: &Ask<'_>, name: &str, standing: &PolicyStatus, described: Option<&Described>) -> Markup {
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
                        @if let Some(live) = name.strip_suffix(NEXT) { (button("replace", &format!("Let it decide instead of {live}"), "")) }
                    }
                    Mode::Off => { (button("enable", "Let it decide", "btn-primary")) }
                    Mode::Enforce => { (button("disable", "Switch it off", "btn-danger")) }
                }
                @if let Some(before) = described.and_then(|described| described.before.as_ref()) {
                    (button("rollback", &format!("Back to the module before, {}", short(Some(before))), ""))
                }
                (button("remove", "Take it out of the set file", ""))
            }
            @if standing.mode == Mode::Shadow {
                div.card.stack.stack-s {
                    h2 { "In the shadow" }
                    (button("report", "How it agreed with the live ones", ""))
                    @if let Some(live) = name.strip_suffix(NEXT) {
                        (button("report-instead", &format!("What it would have changed instead of {live}"), ""))
                    }
                }
            }
        }
    }
}

/// Why a form had no effect: what is wrong with its fields, or with the whole.
enum NotDone {
    Fields(Vec<FieldError>),
    Refused(Refusal),
    Broken(PageError),
}

impl From<OperatorError> for NotDone {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Refused(refusal) => Self::Refused(refusal),
            OperatorError::Storage(error) => match PageError::from(error).into_refusal() {
                Ok(refusal) => Self::Refused(refusal),
                Err(error) => Self::Broken(error),
            },
            // The change was made: the page of a form that had no effect would say otherwise.
            done @ (OperatorError::Slow | OperatorError::Unfinished { .. }) => {
                Self::Broken(PageError::from(Refusal::precondition(
                    done.to_string(),
                    "look at the policy, and do it again if it does not decide",
                )))
            }
            other => {
                Self::Refused(Refusal::precondition(other.to_string(), "mend what it names, and try again"))
            }
        }
    }
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The settings that a form asks for: field by field, or, from a trial, as JSON.
fn settings_of(policies: &Policies, name: &str, form: &Form) -> Result<Map<String, Value>, NotDone> {
    let Some(text) = form.raw("settings") else {
        return policies.describe(name)?.read_form(|input| form.raw(input)).map_err(NotDone::Fields);
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(settings)) => Ok(settings),
        _ => Err(Refusal::invalid("settings are a JSON object", "send the form of the trial again").into()),
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
    let job = {
        let (console, actor, name, form) = (console.clone(), visitor.actor(), name.clone(), form.clone());
        move || act_now(&console, &actor, &name, &action, &form)
    };
    let done = match tokio::task::spawn_blocking(job).await {
        Ok(done) => done,
        Err(error) => return PageError::broken(&error).into_response(),
    };
    console.live.wrote();
    let (refusal, errors) = match done {
        Ok(address) => return see(&console, &address),
        Err(NotDone::Broken(error)) => return error.into_response(),
        Err(NotDone::Refused(refusal)) => (refusal, Vec::new()),
        Err(NotDone::Fields(errors)) => {
            let message = words::count(errors.len(), "field is not right", "fields are not right");
            (Refusal::invalid(message, "what each takes stands beside it"), errors)
        }
    };
    let kept = Kept { refusal, form, errors };
    frame::answer(&console, visitor, &format!("/policies/{name}"), move |ask| policy_with(ask, Some(&kept)))
        .await
}

/// Does it; where the page of what came of it is. Blocks.
fn act_now(
    console: &Console,
    actor: &Actor,
    name: &str,
    action: &str,
    form: &Form,
) -> Result<String, NotDone> {
    actor.check_role(Role::Operator)?;
    let policies = console.policies();
    let live = || name.strip_suffix(NEXT);
    let trial = match action {
        "try" => Some(What::Settings(settings_of(&policies, name, form)?)),
        "report" => Some(What::Shadow(None)),
        "report-instead" => Some(What::Shadow(live().map(str::to_owned))),
        _ => None,
    };
    if let Some(what) = trial {
        return Ok(format!("/trials/{}", trials::begin(console, actor, name, what)?));
    }
    let changed = match action {
        "install" => {
            let mode = if form.get("mode") == Some("enforce") { Mode::Enforce } else { Mode::Shadow };
            policies.set_settings(name, settings_of(&policies, name, form)?, mode, actor)?
        }
        "promote" => policies.promote(name, None, actor)?,
        "replace" => policies.promote(name, live(), actor)?,
        "enable" => policies.enable(name, actor)?,
        "disable" => policies.disable(name, actor)?,
        "rollback" => policies.rollback(name, actor)?,
        "remove" => policies.remove(name, actor)?,
        _ => return Err(Refusal::not_found("there is no such form", "go back to the policy").into()),
    };
    Ok(page_of(console, &changed))
}

/// The page of a policy that was changed, once this process follows: a page that shows the set before would seem to say that
/// nothing was done.
fn page_of(console: &Console, changed: &Changed) -> String {
    let host = console.table.policies();
    host.reload();
    let wanted = |status: &SetStatus| status.digest == changed.status.digest || status.error.is_some();
    if host.wait_for(PATIENCE, wanted).is_none() {
        tracing::debug!("this process does not follow the policy set yet");
    }
    let is_listed = known(&changed.status).iter().any(|policy| policy.name == changed.policy);
    if is_listed { format!("/policies/{}", changed.policy) } else { "/policies".into() }
}
