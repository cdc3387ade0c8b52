//! What waits for a person: open questions and held calls, and deciding them, one by one or several at once.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, html};

use super::form::Form;
use super::frame::{self, Ask, PageError, View};
use super::item::{Item, Kept, Kind, summary};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::person::{Actor, Person, Role};
use crate::domain::refusal::Refusal;
use crate::operator::views::{concerns, of_person};
use crate::storage::{self, Answer, EscalationRow, ReadTx};

/// Items of one list. More than a person decides one by one.
const LISTED: i64 = 200;
/// Items that one form decides at most.
const AT_ONCE: usize = 200;

/// The newest items that concern a person.
fn rows_for(
    person: &Person,
    list: impl Fn(Option<&str>) -> storage::Result<Vec<EscalationRow>>,
) -> storage::Result<Vec<EscalationRow>> {
    of_person(person, LISTED, list)
}

/// How many items are open for the person who looks.
///
/// # Errors
/// Those of storage.
pub(super) fn open(ask: &Ask<'_>) -> storage::Result<i64> {
    if ask.person.role != Role::Approver {
        return ask.tx.open_escalations(None, LISTED);
    }
    ask.person.agents.iter().map(|agent| ask.tx.open_escalations(Some(agent), LISTED)).sum()
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
        Some("decided") => rows_for(ask.person, |agent| ask.tx.decided_escalations(agent, LISTED))?,
        _ => rows_for(ask.person, |agent| ask.tx.escalations(agent, false, LISTED))?,
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
            Some(ask.tx.escalation(id)?.filter(|row| concerns(ask.person, &row.agent)).ok_or_else(|| {
                Refusal::not_found(
                    format!("there is no item {id}"),
                    "go back to the list of what waits for you",
                )
            })?)
        }
        None => match ask.query.number("item") {
            Some(id) => ask.tx.escalation(id)?.filter(|row| concerns(ask.person, &row.agent)),
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
    address.strip_prefix(&ask.console.options.base).unwrap_or(&address).to_owned()
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

/// Decides one item as a person; says in a few words what became of it.
///
/// # Errors
/// Those of [`resolve_escalation`](crate::storage::WriteTx::resolve_escalation), and `unauthenticated` when the session has ended.
pub(super) async fn resolve(
    console: &Console,
    visitor: &Visitor,
    id: i64,
    answer: Answer,
    note: Option<String>,
) -> Result<String, PageError> {
    let job = move |tx: &storage::WriteTx<'_>, actor: &Actor, now| {
        tx.resolve_escalation(actor, id, &answer, note.as_deref(), now)
    };
    console.act(visitor, job).await
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
        Ok((answer, note)) => resolve(&console, &visitor, id, answer, note).await,
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
    let open = move |tx: &ReadTx<'_>, _| rows_for(&person, |agent| tx.escalations(agent, false, LISTED));
    let rows = console.read(open).await.unwrap_or_default();
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
        if let Err(error) = resolve(&console, &visitor, id, answer.clone(), note.clone()).await {
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
