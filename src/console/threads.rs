//! Threads, read and written as a person.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::board::names;
use super::form::Form;
use super::frame::{self, Ask, Kept, PageError, View};
use super::item::said;
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::message::{EVERYONE, Message, Receipt};
use crate::domain::person::Role;
use crate::domain::refusal::Refusal;
use crate::storage::{self, Recipient, ThreadQuery, ThreadRow};

/// Threads of one page.
const PAGE: i64 = 50;
/// Messages of a thread that are shown at once.
const MESSAGES: i64 = 100;
/// Characters of a message in the list.
const LINE: usize = 120;

/// The threads, those with the newest messages first.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let agent = ask.query.get("agent").map(str::to_owned);
    let query = ThreadQuery { agent: agent.clone(), before: ask.query.number("before"), limit: PAGE };
    let page = ask.tx.threads(&query)?;
    let members = names(ask.tx)?;
    let list = html! {
        @if page.rows.is_empty() && page.next.is_none() {
            div.empty {
                h2 { "No messages here." }
                p { "Agents write to each other with " code.mono { "send_message" } " and " code.mono { "broadcast" } "." }
            }
        } @else {
            ul.list { @for row in &page.rows { (line(ask, row)) } }
            @if let Some(next) = page.next {
                p { a.btn.btn-small href=(ask.with(&[("agent", agent.as_deref().unwrap_or_default()), ("before", &next.to_string())])) { "Older threads" } }
            }
        }
    };
    let list = Region::new("list", list);
    let body = html! {
        div.stack {
            div.head {
                h1 { "Threads" }
                form.filters method="get" action=(ask.at("/threads")) {
                    div.field {
                        label for="f-agent" { "With member" }
                        select #f-agent name="agent" {
                            option value="" { "anybody" }
                            @for name in &members { option value=(name) selected[agent.as_deref() == Some(name)] { (name) } }
                        }
                    }
                    button.btn { "Filter" }
                }
            }
            @if ask.person.role >= Role::Approver { (new_message(ask, &members, None)) }
            (list.element())
        }
    };
    Ok(View { nav: "/threads", title: "Threads".into(), class: "", regions: vec![list], body })
}

fn line(ask: &Ask<'_>, row: &ThreadRow) -> Markup {
    let messages = usize::try_from(row.messages).unwrap_or(0);
    html! {
        li.item.plain {
            a href=(ask.at(&format!("/threads/{}", row.thread_id))) {
                span.item-top { span { (words::first_line(&row.first.content, LINE)) } " " span.meta { (words::ago(row.last.created_at, ask.now)) } }
                @if row.last.id != row.first.id {
                    span.line { (words::name(&row.last.sender)) ": " (words::first_line(&row.last.content, LINE)) }
                }
                span.meta {
                    span { (words::count(messages, "message", "messages")) } " "
                    span { @for (index, name) in row.participants.iter().enumerate() { @if index > 0 { ", " } (words::name(name)) } }
                }
            }
        }
    }
}

fn new_message(ask: &Ask<'_>, members: &[String], kept: Option<&Kept>) -> Markup {
    let typed = |name| kept.and_then(|kept| kept.form.get(name));
    let theirs: Vec<&String> = members.iter().filter(|name| ask.person.decides_for(name)).collect();
    html! {
        details.fold open[kept.is_some()] {
            summary { "Write to an agent" }
            form.card.stack.read method="post" action=(ask.at("/messages")) {
                @if let Some(kept) = kept { (notice(&kept.refusal)) }
                div.field {
                    label for="n-to" { "To" }
                    select #n-to name="to" {
                        @for name in theirs { option value=(name) selected[typed("to") == Some(name)] { (name) } }
                        @if ask.person.role == Role::Operator { option value="*" selected[typed("to") == Some("*")] { "everyone" } }
                    }
                }
                div.field { label for="n-text" { "Message" } textarea #n-text name="text" rows="4" required { (typed("text").unwrap_or_default()) } }
                div { button.btn.btn-primary { "Send" } }
            }
        }
    }
}

fn notice(refusal: &Refusal) -> Markup {
    html! { div.notice.bad role="alert" { (frame::not_done(refusal, "Nothing was sent")) } }
}

/// One thread.
///
/// # Errors
/// Those of storage; `not_found`.
pub(super) fn thread(ask: &Ask<'_>) -> storage::Result<View> {
    thread_with(ask, None)
}

fn thread_with(ask: &Ask<'_>, kept: Option<&Kept>) -> storage::Result<View> {
    let id = ask.number()?;
    let messages = ask.tx.thread_page(id, ask.query.number("before"), MESSAGES)?;
    let (Some((first, _)), Some((last, _))) = (messages.first(), messages.last()) else {
        return Err(
            Refusal::not_found(format!("there is no thread {id}"), "the list of threads shows them").into()
        );
    };
    let title = ask.tx.message(id)?.map(|message| message.content).unwrap_or_default();
    let talk = html! {
        @if first.id != id { p { a.btn.btn-small href=(ask.with(&[("before", &first.id.to_string())])) { "Older messages" } } }
        ol.talk { @for (message, receipt) in &messages { (said(ask, message, receipt.as_ref(), false)) } }
    };
    let talk = Region::new("talk", talk);
    let body = html! {
        div.stack.stack-l.read {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" { a href=(ask.at("/threads")) { "Threads" } " / " (id) }
                h1 { (words::first_line(&title, LINE)) }
            }
            (talk.element())
            @if ask.person.role >= Role::Approver { (reply(ask, id, &messages, last, kept)) }
        }
    };
    Ok(View { nav: "/threads", title: format!("Thread {id}"), class: "", regions: vec![talk], body })
}

/// Those of the conversation that the person may write to, the last one who wrote first.
fn reply(
    ask: &Ask<'_>,
    id: i64,
    messages: &[(Message, Option<Receipt>)],
    last: &Message,
    kept: Option<&Kept>,
) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for (message, _) in messages.iter().rev() {
        for name in [message.sender.as_str(), message.recipient.as_str()] {
            if name != EVERYONE
                && ask.person.decides_for(name)
                && !names.contains(&name)
                && name != crate::domain::escalation::OPERATOR
            {
                names.push(name);
            }
        }
    }
    let typed = |name| kept.and_then(|kept| kept.form.get(name));
    html! {
        @if names.is_empty() { p.notice { "No agent of this thread answers to you." } } @else {
            form.stack.stack-s method="post" action=(ask.at("/messages")) {
                @if let Some(kept) = kept { (notice(&kept.refusal)) }
                input type="hidden" name="thread" value=(id);
                input type="hidden" name="reply_to" value=(last.id);
                div.field {
                    label for="r-to" { "To" }
                    select #r-to name="to" { @for name in &names { option value=(name) selected[typed("to") == Some(name)] { (name) } } }
                }
                div.field {
                    label for="r-text" { "Write as " (words::name(&ask.person.name)) }
                    textarea #r-text name="text" rows="4" required aria-describedby="r-hint" { (typed("text").unwrap_or_default()) }
                    p.hint #r-hint { "Agents see it from the operator, with your name; they can answer in this thread." }
                }
                div { button.btn.btn-primary { "Send" } }
            }
        }
    }
}

/// `POST /messages`: writes to an agent or to everyone, in a thread or in a new one.
pub(super) async fn write(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    body: Bytes,
) -> Response {
    let form = Form::from(body);
    let to = match form.get("to").unwrap_or_default() {
        EVERYONE => Recipient::Everyone,
        name => Recipient::Agent(name.to_owned()),
    };
    let reply_to = form.number("reply_to");
    let text = form.get("text").unwrap_or_default().to_owned();
    let sent =
        console.act(&visitor, move |tx, actor, now| tx.write_as(actor, &to, reply_to, &text, now)).await;
    let refusal = match sent.map_err(PageError::into_refusal) {
        Ok(message) => return see(&console, &format!("/threads/{}#m{}", message.thread_id, message.id)),
        Err(Ok(refusal)) => refusal,
        Err(Err(error)) => return error.into_response(),
    };
    let thread = form.number("thread");
    let kept = Kept { refusal, form };
    let address = thread.map_or("/threads".to_owned(), |thread| format!("/threads/{thread}"));
    frame::answer(&console, visitor, &address, move |ask| {
        if thread.is_some() {
            return thread_with(ask, Some(&kept));
        }
        let members = names(ask.tx)?;
        let body = html! { div.stack { h1 { "New message" } (new_message(ask, &members, Some(&kept))) } };
        Ok(View { nav: "/threads", title: "New message".into(), class: "", regions: Vec::new(), body })
    })
    .await
}
