//! One task: its description, what it waits for, its result and history; moved, assigned and commented by a person.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::board::{marks, names, options, status_words};
use super::form::Form;
use super::frame::{self, Ask, Kept, PageError, View};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::person::{Actor, Person, Role};
use crate::domain::refusal::Refusal;
use crate::domain::task::{Status, Task};
use crate::storage::{self, AuditRow, TaskRef, TaskStory};

/// One task.
///
/// # Errors
/// Those of storage; `not_found`.
pub(super) fn task(ask: &Ask<'_>) -> storage::Result<View> {
    task_with(ask, None)
}

fn task_with(ask: &Ask<'_>, kept: Option<&Kept>) -> storage::Result<View> {
    let id = ask.number()?;
    let story = ask.tx.task_story(id)?.ok_or_else(|| {
        Refusal::not_found(format!("there is no task {id}"), "the board shows the tasks there are")
    })?;
    let members = names(ask.tx)?;
    let head = Region::new("state", task_head(ask, &story));
    let talk = Region::new("story", task_body(ask, &story));
    let may_change = may_change(ask.person, &story.task);
    let body = html! {
        (head.element())
        @if let Some(kept) = kept {
            div.notice.bad role="alert" {
                (frame::not_done(&kept.refusal, "Nothing was changed"))
                @if let Some(text) = written(kept, &story.task, may_change) {
                    p { "What you wrote, to be copied:" }
                    (words::paragraph(text))
                }
            }
        }
        div.two {
            div.stack.stack-l {
                (talk.element())
                @if may_change {
                    form.stack.stack-s.read method="post" action=(ask.at(&format!("/tasks/{id}/comment"))) {
                        div.field {
                            label for="c-text" { "Comment" }
                            textarea #c-text name="text" rows="3" required { (kept.and_then(|kept| kept.form.get("text")).unwrap_or_default()) }
                        }
                        div { button.btn.btn-primary { "Add comment" } }
                    }
                }
            }
            @if may_change { (changes(ask, &story.task, &members, kept)) }
        }
    };
    let title = format!("Task {id}");
    Ok(View { nav: "/board", title, class: "", regions: vec![head, talk], body })
}

/// What was typed into a form that the page does not show any more.
fn written<'a>(kept: &'a Kept, task: &Task, may_change: bool) -> Option<&'a str> {
    match (kept.form.get("text"), kept.form.get("reason")) {
        (Some(comment), _) if !may_change => Some(comment),
        (_, Some(reason)) if !may_change || task.status.next().is_empty() => Some(reason),
        _ => None,
    }
}

/// Whether a person may change a task: `acts.rs` says the same where it counts.
fn may_change(person: &Person, task: &Task) -> bool {
    person.role >= Role::Approver && (task.assignee.is_empty() || person.decides_for(&task.assignee))
}

fn task_head(ask: &Ask<'_>, story: &TaskStory) -> Markup {
    let task = &story.task;
    html! {
        div.head { div.stack.stack-s {
            nav.crumb aria-label="Breadcrumb" { a href=(ask.at("/board")) { "Board" } " / #" (task.id) }
            h1 { (words::inline(&task.title)) }
            p.row {
                span.badge.accent { (status_words(task.status)) }
                (marks(ask, task))
                span.meta {
                    "posted by " (words::name(&task.creator)) " " (words::when(task.created_at, ask.now))
                    @if !task.assignee.is_empty() { ", assigned to " (words::name(&task.assignee)) }
                    @if !task.reviewer.is_empty() { ", reviewed by " (words::name(&task.reviewer)) }
                }
            }
        } }
    }
}

fn task_body(ask: &Ask<'_>, story: &TaskStory) -> Markup {
    let task = &story.task;
    let related =
        [("Waits for", &story.waits_for), ("Needed by", &story.needed_by), ("Parts", &story.children)];
    html! {
        div.stack.stack-l {
            section.stack.stack-s.read aria-labelledby="h-description" {
                h2 #h-description { "Description" }
                @if task.description.is_empty() { p.meta { "None." } } @else { (words::paragraph(&task.description)) }
            }
            @if related.iter().any(|(_, tasks)| !tasks.is_empty()) || story.parent.is_some() || story.thread_id.is_some() {
                section.stack.stack-s aria-labelledby="h-related" {
                    h2 #h-related { "Related" }
                    table.facts { tbody {
                        @if let Some(parent) = &story.parent { tr { th scope="row" { "Part of" } td { (reference(ask, parent)) } } }
                        @for (name, tasks) in related {
                            @if !tasks.is_empty() {
                                tr { th scope="row" { (name) } td { @for task in tasks { div { (reference(ask, task)) } } } }
                            }
                        }
                        @if let Some(thread) = story.thread_id {
                            tr { th scope="row" { "Messages" } td { a href=(ask.at(&format!("/threads/{thread}"))) { "Thread " (thread) } } }
                        }
                    } }
                }
            }
            section.stack.stack-s.read aria-labelledby="h-result" {
                h2 #h-result { "Result and comments" }
                @if task.result.is_empty() { p.meta { "Nothing yet." } } @else { (words::paragraph(&task.result)) }
            }
            section.stack.stack-s aria-labelledby="h-history" {
                h2 #h-history { "History" }
                ol.history { @for change in &story.changes { (change_line(ask, change)) } }
            }
        }
    }
}

fn reference(ask: &Ask<'_>, task: &TaskRef) -> Markup {
    html! {
        a href=(ask.at(&format!("/tasks/{}", task.id))) { "#" (task.id) " " (words::inline(&task.title)) }
        " " span.badge { (status_words(task.status)) }
    }
}

/// An action of the audit log as what somebody did.
fn did(action: &str) -> String {
    match action {
        "create_task" => "posted it".into(),
        "claim_task" => "claimed it".into(),
        "update_task" => "moved it".into(),
        "assign_task" => "assigned it".into(),
        "comment_task" => "commented".into(),
        other => other.replace('_', " "),
    }
}

/// An audit row in a list of what happened.
pub(super) fn change_line(ask: &Ask<'_>, change: &AuditRow) -> Markup {
    let details: serde_json::Value = serde_json::from_str(&change.details).unwrap_or_default();
    let moved = |name: &str| details.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    html! {
        li {
            span.meta { (words::when(change.at, ask.now)) }
            span {
                (words::name(&change.agent)) " " (did(&change.action))
                @if let (Some(from), Some(to)) = (moved("from"), moved("status")) {
                    ": " (from.replace('_', " ")) " → " (to.replace('_', " "))
                }
                @if let Some(decision) = change.decision_id {
                    " " a.meta href=(ask.at(&format!("/decisions/{decision}"))) { "decision " (decision) }
                }
            }
        }
    }
}

fn changes(ask: &Ask<'_>, task: &Task, members: &[String], kept: Option<&Kept>) -> Markup {
    let id = task.id;
    let next = task.status.next();
    html! {
        aside.stack aria-label="Change this task" {
            @if !next.is_empty() {
                form.card.stack method="post" action=(ask.at(&format!("/tasks/{id}/move"))) {
                    h2 { "Move" }
                    div.field {
                        label for="m-status" { "New status" }
                        select #m-status name="status" { @for status in next { option value=(status.as_str()) { (status_words(*status)) } } }
                    }
                    div.field {
                        label for="m-reason" { "Why" }
                        input #m-reason name="reason" autocomplete="off" value=[kept.and_then(|kept| kept.form.get("reason"))];
                        p.hint { "Kept in the result, and told to those whom it concerns." }
                    }
                    div { button.btn { "Move" } }
                }
                form.card.stack method="post" action=(ask.at(&format!("/tasks/{id}/assign"))) {
                    h2 { "Assign" }
                    div.field {
                        label for="a-assignee" { "Assignee" }
                        select #a-assignee name="assignee" {
                            option value="" { "anybody" }
                            (options(members, Some(&task.assignee)))
                        }
                    }
                    div { button.btn { "Assign" } }
                }
            }
        }
    }
}

/// `POST /tasks/{id}/{what}`: moves, assigns or comments a task.
pub(super) async fn change(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    Path((id, what)): Path<(i64, String)>,
    body: Bytes,
) -> Response {
    let form = Form::from(body);
    let sent = form.clone();
    let changed =
        console.act(&visitor, move |tx, actor, now| change_now(tx, actor, id, &what, &sent, now)).await;
    let refusal = match changed.map_err(PageError::into_refusal) {
        Ok(_) => return see(&console, &format!("/tasks/{id}")),
        Err(Ok(refusal)) => refusal,
        Err(Err(error)) => return error.into_response(),
    };
    let kept = Kept { refusal, form };
    frame::answer(&console, visitor, &format!("/tasks/{id}"), move |ask| task_with(ask, Some(&kept))).await
}

fn change_now(
    tx: &storage::WriteTx<'_>,
    actor: &Actor,
    id: i64,
    what: &str,
    form: &Form,
    now: i64,
) -> storage::Result<Task> {
    let text = |name| form.get(name).unwrap_or_default();
    match what {
        "move" => tx.move_task_as(actor, id, Status::parse(text("status"))?, text("reason"), now),
        "assign" => tx.assign_task_as(actor, id, text("assignee"), now),
        "comment" => tx.comment_task_as(actor, id, text("text"), now),
        _ => Err(Refusal::not_found("there is no such form", "go back to the task").into()),
    }
}
