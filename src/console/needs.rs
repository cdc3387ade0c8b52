//! What waits for a person: open questions and held calls, and deciding them, one by one or several at once.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::form::Form;
use super::frame::{self, Ask, PageError, View};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::decision::{Fact, Hook};
use crate::domain::facts::CATALOGUE;
use crate::domain::message::{Message, Origin, Receipt};
use crate::domain::person::{Person, Role};
use crate::domain::refusal::Refusal;
use crate::storage::{self, Answer, EscalationRow, ReadTx, Vote};

/// Items of one list. More than a person decides one by one.
const LISTED: i64 = 200;
/// Messages of the thread that are shown around a question.
const THREAD: i64 = 20;
/// Characters of a question in the list.
const LINE: usize = 110;
/// Characters of an argument that the list shows.
const SHORT: usize = 60;
/// Items that one form decides at most.
const AT_ONCE: usize = 200;

/// What a person may be asked to do about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Question,
    Held,
    Wake,
}

impl Kind {
    fn of(row: &EscalationRow) -> Self {
        match row.hook.as_str() {
            hook if hook == Hook::Review.as_str() => Self::Question,
            hook if hook == Hook::Wake.as_str() => Self::Wake,
            _ => Self::Held,
        }
    }

    fn badge(self) -> Markup {
        match self {
            Self::Question => html! { span.badge.accent { "question" } },
            Self::Held => html! { span.badge.warn { "held call" } },
            Self::Wake => html! { span.badge.warn { "wake-up" } },
        }
    }
}

/// What one person is shown: an approver what they decide, the others everything.
fn concerns(person: &Person, row: &EscalationRow) -> bool {
    person.role != Role::Approver || person.decides_for(&row.agent)
}

fn open_rows(tx: &ReadTx<'_>, person: &Person) -> storage::Result<Vec<EscalationRow>> {
    let mut rows = tx.escalations(None, false, LISTED)?;
    rows.retain(|row| concerns(person, row));
    Ok(rows)
}

/// How many items are open for the person who looks.
///
/// # Errors
/// Those of storage.
pub(super) fn open(ask: &Ask<'_>) -> storage::Result<i64> {
    Ok(i64::try_from(open_rows(ask.tx, ask.person)?.len()).unwrap_or(i64::MAX))
}

/// What a form wanted that had no effect: its words are kept on the page.
struct Kept {
    refusal: Refusal,
    text: String,
}

/// The list and one item of it.
///
/// # Errors
/// Those of storage; `not_found` for an item that never was.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    view_with(ask, None)
}

fn view_with(ask: &Ask<'_>, kept: Option<&Kept>) -> storage::Result<View> {
    let mut rows = match ask.query.get("show") {
        Some("decided") => {
            let mut rows = ask.tx.escalations(None, true, LISTED)?;
            rows.retain(|row| row.status != "open" && concerns(ask.person, row));
            rows
        }
        _ => open_rows(ask.tx, ask.person)?,
    };
    let counts = |kind| rows.iter().filter(|row| (Kind::of(row) == Kind::Question) == kind).count();
    let (questions, calls) = (counts(true), counts(false));
    match ask.query.get("show") {
        Some("questions") => rows.retain(|row| Kind::of(row) == Kind::Question),
        Some("calls") => rows.retain(|row| Kind::of(row) != Kind::Question),
        _ => {}
    }
    let chosen = match ask.path.get(1) {
        Some(_) => Some(ask.number()?),
        None => None,
    };
    let shown = match chosen {
        Some(id) => {
            Some(ask.tx.escalation(id)?.filter(|row| concerns(ask.person, row)).ok_or_else(|| {
                Refusal::not_found(
                    format!("there is no item {id}"),
                    "go back to the list of what waits for you",
                )
            })?)
        }
        None => match ask.query.number("item") {
            Some(id) => ask.tx.escalation(id)?.filter(|row| concerns(ask.person, row)),
            None => rows.first().cloned(),
        },
    };
    let list = Region::new("list", list(ask, &rows, (questions, calls), shown.as_ref().map(|row| row.id)));
    let Some(row) = shown else {
        let body = list.element();
        return Ok(View { nav: "/", title: "Needs you".into(), class: "", regions: vec![list], body });
    };
    let item = Item::read(ask.tx, row)?;
    let state = Region::new("state", item.state(ask));
    // Beside the list, the item stays the one that the page was loaded with, whatever comes into the list.
    let state = if chosen.is_some() { state } else { state.followed_at(beside_list(ask, item.row.id)) };
    let body = html! {
        section.pane aria-labelledby="h-list" { (list.element()) }
        article.pane aria-labelledby="h-item" { (item.pane(ask, &state, kept)) }
    };
    let class = if chosen.is_some() { "split split-item" } else { "split split-list" };
    let title = if chosen.is_some() { format!("Item {}", item.row.id) } else { "Needs you".into() };
    Ok(View { nav: "/", title, class, regions: vec![list, state], body })
}

/// The address below the console of the list with an item beside it.
fn beside_list(ask: &Ask<'_>, id: i64) -> String {
    let show = ask.query.get("show").unwrap_or_default();
    let address = ask.with(&[("show", show), ("item", &id.to_string())]);
    address.strip_prefix(ask.base).unwrap_or(&address).to_owned()
}

/// The list, with the bar that decides several at once.
fn list(
    ask: &Ask<'_>,
    rows: &[EscalationRow],
    (questions, calls): (usize, usize),
    shown: Option<i64>,
) -> Markup {
    let show = ask.query.get("show").unwrap_or("open");
    let tab = |value: &str, name: String| {
        let address = if value == "open" { ask.at("/") } else { format!("{}?show={value}", ask.at("/")) };
        html! { a href=(address) aria-current=[(value == show).then_some("true")] { (name) } }
    };
    let empty = rows.is_empty() && show == "open";
    let decides = rows.iter().any(|row| row.status == "open" && ask.person.decides_for(&row.agent));
    html! {
        div.head {
            // Where the item has an address of its own, its title is the page's; on a narrow screen only one of both shows.
            @if ask.path.is_empty() { h1.title #h-list { "Needs you" } } @else { h2.title #h-list { "Needs you" } }
            @if let Some(oldest) = rows.last().filter(|row| row.status == "open") {
                " " span.meta { "oldest " (words::ago(oldest.created_at, ask.now)) }
            }
            button.btn.btn-small.end #notify type="button" hidden { "Notify me" }
        }
        nav.tabs aria-label="What is listed" {
            (tab("open", format!("All {}", questions + calls)))
            (tab("questions", format!("Questions {questions}")))
            (tab("calls", format!("Held calls {calls}")))
            (tab("decided", "Decided".into()))
        }
        @if empty {
            div.empty {
                h2 { "Nothing waits for you." }
                p { "Questions that an agent's daemon does not answer by itself, and calls that a policy holds, appear here at once." }
                p.row {
                    a.btn href=(ask.at("/board")) { "Open the board" }
                    a.btn href=(ask.at("/decisions")) { "What was decided" }
                }
            }
        } @else if rows.is_empty() {
            div.empty { h2 { "Nothing here." } p { "Choose another list above." } }
        } @else {
            form method="post" action=(ask.at("/needs")) {
                @if decides {
                    div.bulk {
                        p.bulk-hint.meta { "Tick items to decide several at once." }
                        div.bulk-do.row {
                            button.btn.btn-small name="do" value="approve" { "Approve" }
                            button.btn.btn-small.btn-danger name="do" value="deny" { "Deny" }
                            button.btn.btn-small name="do" value="dismiss" { "Dismiss" }
                        }
                    }
                }
                ul.list { @for row in rows { (line(ask, row, shown == Some(row.id), show)) } }
            }
        }
    }
}

fn line(ask: &Ask<'_>, row: &EscalationRow, is_shown: bool, show: &str) -> Markup {
    let is_open = row.status == "open";
    let address = match show {
        "open" => ask.at(&format!("/needs/{}", row.id)),
        show => ask.at(&format!("/needs/{}?show={show}", row.id)),
    };
    html! {
        li.item {
            @if is_open && ask.person.decides_for(&row.agent) {
                input.pick type="checkbox" name="item" value=(row.id) aria-label={ "Select item " (row.id) };
            } @else { span {} }
            a href=(address) aria-current=[is_shown.then_some("true")] {
                span.item-top { (words::name(&row.asker)) " " span.meta { (words::ago(row.created_at, ask.now)) } }
                span.line { (summary(row)) }
                span.meta {
                    (Kind::of(row).badge()) " "
                    @if row.agent != row.asker { span { "for " (words::name(&row.agent)) } " " }
                    span.mono { (row.policy) } " "
                    @if !is_open { span { (row.status) @if let Some(who) = &row.resolved_by { " by " (words::name(who)) } } }
                    @if is_open && row.approvals > 1 { span { "needs " (row.approvals) " persons" } }
                    @if row.repeats > 0 { span { "asked " (row.repeats + 1) " times" } }
                }
            }
        }
    }
}

/// What is asked, in one line.
fn summary(row: &EscalationRow) -> Markup {
    let arguments: Value = serde_json::from_str(&row.arguments).unwrap_or_default();
    match Kind::of(row) {
        Kind::Question => {
            let content = arguments.get("content").and_then(Value::as_str).unwrap_or(&row.message);
            words::first_line(content, LINE)
        }
        Kind::Wake => html! { "messages wait to wake " (words::name(&row.agent)) },
        Kind::Held => {
            // What is short says best what the call is about; the rest is with the item.
            let is_short = |value: &Value| value.to_string().chars().count() <= SHORT;
            let shown: Vec<String> = arguments
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| value.as_str() != Some(row.asker.as_str()) && is_short(value))
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            html! { b { (row.action) } " " (words::first_line(&shown.join(" "), LINE)) }
        }
    }
}

/// An item with what belongs to it.
struct Item {
    row: EscalationRow,
    thread: Vec<Message>,
    waiting: Vec<Message>,
    approvals: Vec<Vote>,
}

impl Item {
    fn read(tx: &ReadTx<'_>, row: EscalationRow) -> storage::Result<Self> {
        let thread = row.thread_id.map(|thread| tx.thread(thread, THREAD)).transpose()?.unwrap_or_default();
        let waiting = tx.waiting_with(&row)?;
        let approvals = tx.votes(row.id)?;
        Ok(Self { row, thread, waiting, approvals })
    }

    fn is_open(&self) -> bool {
        self.row.status == "open"
    }

    /// What became of it; changes while the page is open.
    fn state(&self, ask: &Ask<'_>) -> Markup {
        let row = &self.row;
        html! {
            @if !self.is_open() {
                div.notice.warn.stack.stack-s role="status" data-closed {
                    p {
                        b { (row.status) @if let Some(who) = &row.resolved_by { " by " (words::name(who)) } }
                        @if let Some(at) = row.resolved_at { " " (words::when(at, ask.now)) }
                    }
                    @if let Some(reply) = &row.reply { (words::paragraph(reply)) }
                    @if let Some(note) = &row.note { p { "Note: " (words::text(note)) } }
                    @if row.used_at.is_some() { p.meta { "The call was made." } }
                    p.row { a.btn.btn-small href=(ask.at("/")) { "Next open item" } }
                }
            } @else if row.approvals > 1 {
                p.row {
                    span.badge.warn { (self.approvals.len()) " of " (row.approvals) " approvals" }
                    @for approval in &self.approvals {
                        span.meta {
                            (words::name(&approval.person)) " " (words::when(approval.at, ask.now))
                            @if let Some(note) = &approval.note { ": “" (words::inline(note)) "”" }
                        }
                    }
                }
            }
        }
    }

    fn pane(&self, ask: &Ask<'_>, state: &Region, kept: Option<&Kept>) -> Markup {
        let row = &self.row;
        let kind = Kind::of(row);
        html! {
            div.stack.stack-l {
                div.stack.stack-s {
                    div.row {
                        a.back.btn.btn-small href=(ask.at("/")) { "Back to the list" }
                        (kind.badge()) " " (words::name(&row.asker)) " "
                        span.meta {
                            @match kind {
                                Kind::Question => { "asks " (words::name(&row.agent)) ", " }
                                Kind::Held => { "called " }
                                Kind::Wake => { "wrote to " (words::name(&row.agent)) ", " }
                            }
                            (words::when(row.created_at, ask.now))
                            @if row.reminders > 0 { ", reminded " (row.reminders) " times" }
                        }
                    }
                    @if ask.path.is_empty() { h2.title #h-item { (summary(row)) } } @else { h1.title #h-item { (summary(row)) } }
                }
                @if let Some(kept) = kept {
                    div.notice.bad.stack.stack-s role="alert" {
                        p { b { (words::inline(&kept.refusal.message)) } }
                        p { "Nothing was changed; " (words::inline(&kept.refusal.hint)) "." }
                        @if !self.is_open() && !kept.text.is_empty() {
                            p { "What you wrote, to be copied:" }
                            (words::paragraph(&kept.text))
                        }
                    }
                }
                (state.element())
                @if kind == Kind::Question { (self.talk(ask)) }
                @if kind == Kind::Held { (self.arguments()) }
                @if self.is_open() && !ask.person.decides_for(&row.agent) {
                    p.notice { "You may look at this; an operator, or an approver of " (words::name(&row.agent)) ", decides it." }
                }
                (self.why(ask))
                (keys())
            }
            @if self.is_open() && ask.person.decides_for(&row.agent) {
                (self.form(ask, kind, kept.map_or("", |kept| kept.text.as_str())))
            }
        }
    }

    fn talk(&self, ask: &Ask<'_>) -> Markup {
        let asked = self.row.message_id;
        html! {
            section.stack aria-labelledby="h-thread" {
                div.row {
                    h2 #h-thread { "Thread" }
                    @if let Some(thread) = self.row.thread_id {
                        a.end.meta href=(ask.at(&format!("/threads/{thread}"))) { "Open thread " (thread) }
                    }
                }
                ol.talk {
                    @for message in &self.thread { (said(ask, message, None, Some(message.id) == asked)) }
                }
                @let elsewhere: Vec<_> =
                    self.waiting.iter().filter(|message| Some(message.thread_id) != self.row.thread_id).collect();
                @if !elsewhere.is_empty() {
                    details.fold {
                        summary { (words::count(elsewhere.len(), "message waits", "messages wait")) " until this is decided" }
                        ol.talk { @for message in elsewhere { (said(ask, message, None, false)) } }
                    }
                }
            }
        }
    }

    fn arguments(&self) -> Markup {
        let arguments: Value = serde_json::from_str(&self.row.arguments).unwrap_or_default();
        html! {
            section.stack.stack-s aria-labelledby="h-arguments" {
                h2 #h-arguments { "Exact arguments" }
                (words::code(&format!("{arguments:#}"), "The arguments as JSON"))
            }
        }
    }

    fn why(&self, ask: &Ask<'_>) -> Markup {
        let row = &self.row;
        let facts: Vec<Fact> = serde_json::from_str(&row.facts).unwrap_or_default();
        html! {
            section.stack.stack-s aria-labelledby="h-why" {
                h2 #h-why { "Why this waits for a person" }
                p {
                    "Policy " a.mono href=(ask.at(&format!("/policies/{}", row.policy))) { (row.policy) } ": "
                    q { (words::text(&row.message)) } " " span.meta.mono { (row.code) }
                }
                table.facts { tbody {
                    @for fact in &facts { (fact_row(fact)) }
                    @if let Some(decision) = row.decision_id {
                        tr { th scope="row" { "Decision" } td { a href=(ask.at(&format!("/decisions/{decision}"))) { (decision) } } }
                    }
                    tr { th scope="row" { "Module" } td.mono { (row.module.chars().take(12).collect::<String>()) } }
                } }
            }
        }
    }

    fn form(&self, ask: &Ask<'_>, kind: Kind, typed: &str) -> Markup {
        let row = &self.row;
        let action = ask.at(&format!("/needs/{}", row.id));
        match kind {
            Kind::Question => html! {
                form.decide.stack.stack-s method="post" action=(action) aria-label="Your answer" {
                    div.field {
                        label for="reply" { "Your reply to " (words::name(&row.asker)) }
                        textarea #reply name="text" rows="4" aria-describedby="reply-hint" { (typed) }
                        p.hint #reply-hint {
                            "Sent in the name of " (words::name(&row.agent)) ", marked as written by " (words::name(&ask.person.name)) "."
                        }
                    }
                    div.row {
                        button.btn.btn-primary name="do" value="reply" { "Send reply" }
                        button.btn name="do" value="dismiss" { "Dismiss without reply" }
                    }
                }
            },
            Kind::Held | Kind::Wake => html! {
                form.decide.stack.stack-s method="post" action=(action) aria-label="Your decision" {
                    div.field {
                        label for="note" { "Note to " (words::name(&row.agent)) " (may stay empty)" }
                        input #note name="text" autocomplete="off" value=(typed);
                    }
                    div.row {
                        button.btn.btn-primary name="do" value="approve" {
                            @if kind == Kind::Wake { "Let messages wake it" } @else { "Approve, once" }
                        }
                        button.btn.btn-danger name="do" value="deny" { "Deny" }
                    }
                }
            },
        }
    }
}

/// One message of a conversation.
pub(super) fn said(ask: &Ask<'_>, message: &Message, receipt: Option<&Receipt>, is_asked: bool) -> Markup {
    let class = if is_asked {
        "msg msg-asked"
    } else if message.origin == Origin::Person {
        "msg msg-person"
    } else {
        "msg"
    };
    html! {
        li class=(class) #{ "m" (message.id) } {
            div.row {
                span.strong { (words::name(&message.sender)) }
                @if message.recipient == "*" { span.meta { "to everyone" } } @else { span.meta { "to " (words::name(&message.recipient)) } }
                @match message.origin {
                    Origin::Automatic => { span.badge { "automatic" } }
                    Origin::Person => { span.badge.accent { "written by " @if let Some(person) = &message.person { (words::name(person)) } @else { "its person" } } }
                    Origin::Task => { span.badge { "task board" } }
                    Origin::Agent => {}
                }
                @if is_asked { span.badge.warn { "waits for an answer" } }
                span.meta {
                    (words::when(message.created_at, ask.now))
                    @if let Some(receipt) = receipt {
                        @if receipt.read_at.is_some() { ", read" }
                        @else if receipt.announced_at.is_some() { ", announced, not read yet" }
                        @else { ", not read yet" }
                    }
                }
            }
            (words::paragraph(&message.content))
        }
    }
}

/// A fact in words.
pub(super) fn fact_row(fact: &Fact) -> Markup {
    let known = CATALOGUE.iter().find(|spec| spec.name == fact.request.name);
    let parameters: Vec<String> = fact
        .request
        .params
        .iter()
        .map(|(name, value)| format!("{}: {value}", name.replace('_', " ")))
        .collect();
    let count = fact.value.get("count").and_then(Value::as_i64);
    let oldest = fact.value.get("oldest").and_then(Value::as_i64);
    html! {
        tr {
            th scope="row" { @match known { Some(spec) => { (spec.summary) } None => { span.mono { (fact.request.name) } } } }
            td {
                @match (&fact.value, count) {
                    (_, Some(count)) => { (count) @if let Some(oldest) = oldest { ", the first of them at " (words::exact(oldest)) } }
                    (Value::Null, _) => { "not known" }
                    (Value::String(text), _) => { (words::text(text)) }
                    (other, _) => { (words::text(&other.to_string())) }
                }
                @if !parameters.is_empty() { div.meta { (words::inline(&parameters.join("; "))) } }
            }
        }
    }
}

fn keys() -> Markup {
    html! {
        p.keys aria-label="Keys" hidden {
            span { kbd { "j" } " " kbd { "k" } " next, previous" }
            span { kbd { "r" } " reply" }
            span { kbd { "a" } " approve, then " kbd { "Enter" } }
            span { kbd { "d" } " deny or dismiss, then " kbd { "Enter" } }
            span { kbd { "/" } " search" }
        }
    }
}

/// The answer that a form stands for, and the note that goes with it.
fn answer(form: &Form) -> Result<(Answer, Option<String>), Refusal> {
    let text = form.get("text").map(str::to_owned);
    Ok(match form.get("do") {
        Some("reply") => match text {
            Some(text) => (Answer::Reply(text), None),
            None => {
                return Err(Refusal::invalid(
                    "the reply is empty",
                    "write what the agent should know, or dismiss",
                ));
            }
        },
        Some("dismiss") => (Answer::Dismiss, text),
        Some("approve") => (Answer::Approve, text),
        Some("deny") => (Answer::Deny, text),
        _ => return Err(Refusal::invalid("no decision was given", "press one of the buttons")),
    })
}

/// `POST /needs/{id}`: decides one item and goes on to the next.
pub(super) async fn decide(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    Path(id): Path<i64>,
    body: Bytes,
) -> Response {
    let form = Form::from(body);
    let decided = match answer(&form) {
        Ok((answer, note)) => {
            let actor = visitor.actor();
            console
                .write(move |tx, now| tx.resolve_escalation(&actor, id, &answer, note.as_deref(), now))
                .await
        }
        Err(refusal) => Err(refusal.into()),
    };
    let refusal = match decided {
        // An item that is still open waits for another person.
        Ok(_) => return see(&console, &next_after(&console, &visitor, id).await),
        Err(error) => match error.into_refusal() {
            Ok(refusal) => refusal,
            Err(error) => return error.into_response(),
        },
    };
    let kept = Kept { refusal, text: form.get("text").unwrap_or_default().to_owned() };
    frame::answer(&console, visitor, &format!("/needs/{id}"), move |ask| view_with(ask, Some(&kept))).await
}

/// The open item that is next in the list, else the list.
async fn next_after(console: &Console, visitor: &Visitor, id: i64) -> String {
    let person = visitor.person.clone();
    let rows = console.read(move |tx, _| open_rows(tx, &person)).await.unwrap_or_default();
    let next = rows.iter().find(|row| row.id < id).or(rows.first());
    next.map_or_else(|| "/".to_owned(), |row| format!("/needs/{}", row.id))
}

/// `POST /needs`: decides several items alike; what could not be decided is said.
pub(super) async fn decide_several(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    body: Bytes,
) -> Response {
    let form = Form::from(body);
    let items = form.numbers("item");
    let (answer, note) = match answer(&form) {
        Ok((Answer::Reply(_), _)) | Err(_) => {
            let refusal =
                Refusal::invalid("no decision was given", "tick items, then press one of the buttons");
            return PageError::from(refusal).into_response();
        }
        Ok(decision) => decision,
    };
    let mut refused = Vec::new();
    for id in items.into_iter().take(AT_ONCE) {
        let (actor, answer, note) = (visitor.actor(), answer.clone(), note.clone());
        let decided = console
            .write(move |tx, now| tx.resolve_escalation(&actor, id, &answer, note.as_deref(), now))
            .await;
        if let Err(error) = decided {
            match error.into_refusal() {
                Ok(refusal) => refused.push(refusal),
                Err(error) => return error.into_response(),
            }
        }
    }
    if refused.is_empty() {
        return see(&console, "/");
    }
    let body = html! {
        h1 { (words::count(refused.len(), "item was not decided", "items were not decided")) }
        ul.stack.stack-s { @for refusal in &refused { li { (words::inline(&refusal.message)) " " span.meta { (words::inline(&refusal.hint)) } } } }
        p.row { a.btn.btn-primary href=(console.at("/")) { "Needs you" } }
    };
    (StatusCode::CONFLICT, frame::card(&console.options.base, "Not decided", &body)).into_response()
}
