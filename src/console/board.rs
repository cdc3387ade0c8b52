//! The board and its tasks: seen by status, posted, moved, assigned and commented by a person.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::form::Form;
use super::frame::{self, Ask, PageError, View};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::person::Role;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Priority, Status, Task, TaskDraft};
use crate::storage::{self, BoardQuery, ReadTx};

/// Cards of a column; more are a page of their own.
const CARDS: i64 = 12;
/// Cards of a column that has the page to itself.
const PAGE: i64 = 60;

/// A status in words.
pub(super) fn status_words(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::InProgress => "In progress",
        Status::Blocked => "Blocked",
        Status::AwaitingReview => "Awaiting review",
        Status::Done => "Done",
        Status::Cancelled => "Cancelled",
    }
}

/// The statuses, filtered by what stands in the address.
///
/// # Errors
/// Those of storage; `invalid_argument` for a status or priority that is none.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let query = &ask.query;
    let only = query.get("status").map(Status::parse).transpose()?;
    let priority = query.get("priority").map(Priority::parse).transpose()?;
    let ready = query.get("ready").is_some();
    let assignee =
        query.get("assignee").map(|name| if name == "-" { String::new() } else { name.to_owned() });
    let filtered = |status, limit| BoardQuery {
        status: Some(status),
        assignee: assignee.clone(),
        creator: query.get("creator").map(str::to_owned),
        priority,
        ready: ready && status == Status::Pending,
        before: query.number("before"),
        limit,
    };
    let counts = ask.tx.board_counts()?;
    let mut columns = Vec::new();
    for (status, count) in &counts {
        let wanted = only.is_none_or(|only| only == *status) && (!ready || *status == Status::Pending);
        if wanted {
            let limit = if only.is_some() { PAGE } else { CARDS };
            columns.push((*status, *count, ask.tx.board(&filtered(*status, limit))?));
        }
    }
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    let cards = html! {
        @if total == 0 {
            div.empty {
                h2 { "The board is empty." }
                p { "Agents post tasks with " code.mono { "create_task" } "; you can post one here, and any agent can claim it." }
            }
        } @else {
            div.board {
                @for (status, count, page) in &columns {
                    section.col aria-label=(status_words(*status)) {
                        h2 { (status_words(*status)) " " span.num { (count) } }
                        ul.col { @for task in &page.rows { (card(ask, task)) } }
                        @if only.is_none() && page.next.is_some() {
                            a.meta href=(with_status(ask, status.as_str(), None)) { "Show all " (count) }
                        } @else if let Some(next) = page.next {
                            a.meta href=(with_status(ask, status.as_str(), Some(next))) { "Older ones" }
                        }
                    }
                }
            }
        }
    };
    let cards = Region::new("cards", cards);
    let members = names(ask.tx)?;
    let body = html! {
        div.stack {
            div.head { h1 { "Board" } " " span.meta { (words::count(usize::try_from(total).unwrap_or(0), "task", "tasks")) } }
            (filters(ask, &members))
            @if ask.person.role >= Role::Approver { (new_task(ask, &members, None)) }
            (cards.element())
        }
    };
    Ok(View { nav: "/board", title: "Board".into(), class: "", regions: vec![cards], body })
}

/// The board's address with one status, and the filters as they are.
fn with_status(ask: &Ask<'_>, status: &str, before: Option<i64>) -> String {
    let kept = |name| ask.query.get(name).unwrap_or_default();
    let before = before.map(|before| before.to_string()).unwrap_or_default();
    ask.with(&[
        ("status", status),
        ("assignee", kept("assignee")),
        ("priority", kept("priority")),
        ("ready", kept("ready")),
        ("before", &before),
    ])
}

pub(super) fn options(names: &[String], chosen: Option<&str>) -> Markup {
    html! { @for name in names { option value=(name) selected[chosen == Some(name)] { (name) } } }
}

fn priorities(chosen: Option<&str>) -> Markup {
    html! {
        @for priority in [Priority::High, Priority::Medium, Priority::Low] {
            @let word = priority.as_str();
            option value=(word) selected[chosen == Some(word)] { (word) }
        }
    }
}

fn filters(ask: &Ask<'_>, members: &[String]) -> Markup {
    let chosen = |name| ask.query.get(name);
    html! {
        form.filters method="get" action=(ask.at("/board")) {
            div.field {
                label for="f-assignee" { "Assignee" }
                select #f-assignee name="assignee" {
                    option value="" { "anybody" }
                    option value="-" selected[chosen("assignee") == Some("-")] { "nobody yet" }
                    (options(members, chosen("assignee")))
                }
            }
            div.field {
                label for="f-priority" { "Priority" }
                select #f-priority name="priority" { option value="" { "any" } (priorities(chosen("priority"))) }
            }
            div.field {
                label for="f-status" { "Status" }
                select #f-status name="status" {
                    option value="" { "all" }
                    @for status in Status::ALL {
                        option value=(status.as_str()) selected[chosen("status") == Some(status.as_str())] { (status_words(status)) }
                    }
                }
            }
            label.check { input type="checkbox" name="ready" value="1" checked[chosen("ready").is_some()]; " only ready tasks" }
            button.btn { "Filter" }
        }
    }
}

fn new_task(ask: &Ask<'_>, members: &[String], kept: Option<&(Form, Refusal)>) -> Markup {
    let typed = |name| kept.and_then(|(form, _)| form.get(name));
    html! {
        details.fold open[kept.is_some()] {
            summary { "New task" }
            form.card.stack.read method="post" action=(ask.at("/tasks")) {
                @if let Some((_, refusal)) = kept {
                    div.notice.bad role="alert" { p { b { (words::inline(&refusal.message)) } } p { (words::inline(&refusal.hint)) } }
                }
                div.field { label for="n-title" { "Title" } input #n-title name="title" required maxlength="200" value=[typed("title")]; }
                div.field {
                    label for="n-description" { "Description" }
                    textarea #n-description name="description" rows="4" { (typed("description").unwrap_or_default()) }
                }
                div.filters {
                    div.field {
                        label for="n-priority" { "Priority" }
                        select #n-priority name="priority" { (priorities(typed("priority").or(Some("medium")))) }
                    }
                    div.field {
                        label for="n-assignee" { "Assignee" }
                        select #n-assignee name="assignee" { option value="" { "anybody" } (options(members, typed("assignee"))) }
                    }
                    div.field {
                        label for="n-waits" { "Waits for (numbers)" }
                        input #n-waits name="depends_on" placeholder="128, 119" value=[typed("depends_on")];
                    }
                }
                div { button.btn.btn-primary { "Post task" } }
            }
        }
    }
}

/// A task on the board.
fn card(ask: &Ask<'_>, task: &Task) -> Markup {
    html! {
        li.task {
            h3 { a href=(ask.at(&format!("/tasks/{}", task.id))) { (words::inline(&task.title)) } }
            div.row {
                span.meta.num { "#" (task.id) }
                (marks(ask, task))
            }
            div.meta { @if task.assignee.is_empty() { "nobody yet" } @else { (words::name(&task.assignee)) } }
        }
    }
}

/// What a task's state means, in words.
pub(super) fn marks(ask: &Ask<'_>, task: &Task) -> Markup {
    html! {
        @match task.priority {
            Priority::High => { span.badge.warn { "high" } }
            Priority::Medium => { span.badge { "medium" } }
            Priority::Low => { span.badge { "low" } }
        }
        @if task.status == Status::Blocked { span.badge.bad { "blocked" } }
        @if task.is_stale(ask.now) { span.badge.warn { "stale" } }
        @if task.status == Status::Pending && task.unmet > 0 {
            // Without a look at which are done, all that it depends on.
            @let unmet = ask.tx.unmet_dependencies(task.id).unwrap_or_else(|_| task.depends_on.clone());
            span.badge { "waits for " (unmet.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ")) }
        } @else if task.status == Status::Pending && task.assignee.is_empty() {
            span.badge.accent { "ready" }
        }
    }
}

/// `POST /tasks`: posts a task.
pub(super) async fn create(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    body: Bytes,
) -> Response {
    let form = Form::from(body);
    let refusal = match draft(&form) {
        Ok(draft) => {
            match console
                .act(&visitor, move |tx, actor, now| tx.post_task_as(actor, &draft, now))
                .await
                .map_err(PageError::into_refusal)
            {
                Ok(task) => return see(&console, &format!("/tasks/{}", task.id)),
                Err(Ok(refusal)) => refusal,
                Err(Err(error)) => return error.into_response(),
            }
        }
        Err(refusal) => refusal,
    };
    let kept = (form, refusal);
    frame::answer(&console, visitor, "/board", move |ask| {
        let members = names(ask.tx)?;
        let body = html! { div.stack { h1 { "New task" } (new_task(ask, &members, Some(&kept))) } };
        Ok(View { nav: "/board", title: "New task".into(), class: "", regions: Vec::new(), body })
    })
    .await
}

fn draft(form: &Form) -> Result<TaskDraft, Refusal> {
    let text = |name| form.get(name).unwrap_or_default().to_owned();
    let numbers = form.get("depends_on").unwrap_or_default();
    let depends_on = numbers
        .split([',', ' ', '#'])
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect::<Result<Vec<i64>, _>>()
        .map_err(|_| {
            Refusal::invalid(
                "what it waits for is not a list of numbers",
                "write numbers with commas between them",
            )
        })?;
    let draft = TaskDraft {
        title: text("title"),
        description: text("description"),
        assignee: text("assignee"),
        priority: Priority::parse(form.get("priority").unwrap_or("medium"))?,
        depends_on,
        parent_id: None,
        reviewer: String::new(),
        idempotency_key: None,
    };
    draft.check()?;
    Ok(draft)
}

/// The tasks in progress of a member, for the list of members.
pub(super) fn links(ask: &Ask<'_>, tasks: &[(i64, String)]) -> Markup {
    html! {
        @if tasks.is_empty() { span.meta { "nothing" } }
        @for (id, title) in tasks { div { a href=(ask.at(&format!("/tasks/{id}"))) { "#" (id) " " (words::inline(title)) } } }
    }
}

/// The names of those at the table.
///
/// # Errors
/// Those of storage.
pub(super) fn names(tx: &ReadTx<'_>) -> storage::Result<Vec<String>> {
    Ok(tx.members(false)?.into_iter().map(|member| member.name).collect())
}
