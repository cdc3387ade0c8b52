//! Searching messages, tasks and shared context.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use maud::{Markup, html};

use super::frame::{Ask, PageError, View};
use super::live;
use super::server::Console;
use super::visitor::Visitor;
use super::words;
use crate::domain::refusal::Refusal;
use crate::storage::{self, Excerpt, Hit, Place, SearchKind, SearchQuery};

/// Hits of one page.
const PAGE: i64 = 30;

/// `GET /search`: brings the index up to date, then shows the page.
pub(super) async fn page(state: State<Console>, visitor: axum::Extension<Visitor>, uri: Uri) -> Response {
    if uri.query().is_some_and(|query| query.contains("q=")) {
        let db = state.0.db.clone();
        match tokio::task::spawn_blocking(move || db.update_search()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return PageError::from(error).into_response(),
            Err(error) => return PageError::broken(&error).into_response(),
        }
    }
    live::page(state, visitor, uri).await
}

/// The form and what was found.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let text = ask.query.get("q").unwrap_or_default();
    let kind = ask.query.get("kind").map(SearchKind::parse).transpose()?;
    let found = if text.is_empty() {
        None
    } else {
        let query = SearchQuery {
            text: text.to_owned(),
            kinds: kind.into_iter().collect(),
            agent: None,
            before: ask.query.number("before"),
            limit: PAGE,
        };
        match ask.tx.search(&query, ask.now) {
            Ok(page) => Some(Ok(page)),
            Err(storage::Error::Refused(refusal)) => Some(Err(refusal)),
            Err(error) => return Err(error),
        }
    };
    let word = kind.map(SearchKind::as_str).unwrap_or_default();
    let body = html! {
        div.stack.stack-l.read {
            h1 { "Search" }
            form.filters role="search" method="get" action=(ask.at("/search")) {
                div.field.grow { label for="q" { "Words" } input #q name="q" type="search" value=(text) autofocus[text.is_empty()]; }
                div.field {
                    label for="kind" { "In" }
                    select #kind name="kind" {
                        option value="" { "everything" }
                        @for (kind, name) in [("message", "messages"), ("task", "tasks"), ("context", "context")] {
                            option value=(kind) selected[kind == word] { (name) }
                        }
                    }
                }
                button.btn.btn-primary { "Search" }
            }
            @match &found {
                None => { p.meta { "All words must be there, in any order; the last one may be a beginning." } }
                Some(Err(refusal)) => { (refused(refusal)) }
                Some(Ok(page)) => {
                    @if page.rows.is_empty() && page.next.is_none() {
                        div.empty { h2 { "Nothing was found." } p { "Try fewer words, or the beginning of one." } }
                    } @else {
                        ul.list { @for hit in &page.rows { (line(ask, hit)) } }
                        @if let Some(next) = page.next {
                            p { a.btn.btn-small href=(ask.with(&[("q", text), ("kind", word), ("before", &next.to_string())])) { "Older ones" } }
                        }
                    }
                }
            }
        }
    };
    Ok(View { nav: "/search", title: "Search".into(), class: "", regions: Vec::new(), body })
}

fn refused(refusal: &Refusal) -> Markup {
    html! { div.notice.warn role="status" { p { (words::inline(&refusal.message)) } p { (words::inline(&refusal.hint)) } } }
}

fn line(ask: &Ask<'_>, hit: &Hit) -> Markup {
    let (kind, address) = match &hit.place {
        Place::Message { id, thread_id, .. } => {
            ("message", format!("/threads/{thread_id}?before={}#m{id}", id.saturating_add(50)))
        }
        Place::Task { id, .. } => ("task", format!("/tasks/{id}")),
        Place::Context { key } => ("context", format!("/context?key={}", words::encoded(key))),
    };
    html! {
        li.item.plain {
            a href=(ask.at(&address)) {
                span.item-top {
                    span {
                        span.badge { (kind) } " "
                        @match &hit.place {
                            Place::Message { sender, recipient, .. } => { (words::name(sender)) " to " (words::name(if recipient == "*" { "everyone" } else { recipient })) }
                            Place::Task { id, .. } => { "#" (id) " " (words::first_line(&hit.title, 90)) }
                            Place::Context { key } => { (words::first_line(key, 90)) }
                        }
                    }
                    " " span.meta { (words::ago(hit.at, ask.now)) }
                }
                span.line { (excerpt(&hit.excerpt)) }
            }
        }
    }
}

/// An excerpt with what matches marked.
fn excerpt(excerpt: &Excerpt) -> Markup {
    let mut parts = Vec::new();
    let mut end = 0;
    for range in &excerpt.matches {
        parts.push((excerpt.text.get(end..range.start).unwrap_or_default(), false));
        parts.push((excerpt.text.get(range.clone()).unwrap_or_default(), true));
        end = range.end;
    }
    parts.push((excerpt.text.get(end..).unwrap_or_default(), false));
    html! { @for (part, matches) in parts { @if matches { mark { (words::inline(part)) } } @else { (words::inline(part)) } } }
}
