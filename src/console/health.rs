//! Whether the table is well: audit chain, size and growth, processes, what is slow, the last copy.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::frame::{Ask, View};
use super::live::Region;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::clock::DAY;
use crate::domain::person::Role;
use crate::storage::{self, LastDone, ProcessRow, Upkeep};
use crate::wake::Process;

/// Days of the growth that are shown.
const DAYS: i64 = 30;
/// Days after which a copy counts as old.
const OLD: i64 = 7;

/// The health of the table.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let tx = ask.tx;
    let vitals = ask.console.vitals();
    let size = tx.size()?;
    let sizes = tx.sizes(DAYS)?;
    let (audit, backup) = (tx.last_done(Upkeep::Audit)?, tx.last_done(Upkeep::Backup)?);
    let processes: Vec<ProcessRow> =
        tx.processes()?.into_iter().filter(|row| Process::runs(row.pid, row.started)).collect();
    let bytes = i64::try_from(size.bytes).unwrap_or(i64::MAX);
    let numbers = html! {
        div.grid {
            section.card.stack.stack-s {
                h2 { "Audit chain" }
                (audit_state(ask, audit.as_ref()))
                p.meta { (size.audit_rows) " rows" }
                @if ask.person.role == Role::Operator {
                    form method="post" action=(ask.at("/health/verify")) { button.btn.btn-small { "Verify now" } }
                }
            }
            section.card.stack.stack-s {
                h2 { "Database" }
                p.stat { (words::bytes(bytes)) }
                p.meta { "of it decisions " (words::bytes(tx.decision_bytes()?)) }
                (growth(&sizes, bytes))
            }
            section.card.stack.stack-s {
                h2 { "Last copy" }
                (copy_state(ask, backup.as_ref()))
            }
            section.card.stack.stack-s {
                h2 { "Waiting here" }
                p.stat { (vitals.waiting) }
                p.meta { "agents with a stream or a waiting call at this process" }
                p.meta { (words::count(vitals.pages, "open page", "open pages")) " of the console" }
            }
        }
        section.stack.stack-s aria-labelledby="h-processes" {
            h2 #h-processes { "Processes at this table" }
            @if processes.is_empty() { p.meta { "None that said so; before version 0.2 none did." } } @else {
                (process_table(ask, &processes))
            }
        }
        section.stack.stack-s aria-labelledby="h-slow" {
            h2 #h-slow { "Slowest calls of the last hour" }
            @if vitals.slowest.is_empty() { p.meta { "No calls at this process. Each process knows its own." } } @else {
                table.table.dense {
                    caption.sr { "Slowest calls" }
                    thead { tr { th scope="col" { "Tool" } th scope="col" { "Answer" } th.num scope="col" { "Time" } th scope="col" { "When" } } }
                    tbody { @for call in &vitals.slowest { tr {
                        th.mono scope="row" { (call.tool) }
                        td data-label="Answer" { (call.code) }
                        td.num data-label="Time" { (words::micros(i64::try_from(call.took.as_micros()).unwrap_or(i64::MAX))) }
                        td data-label="When" { (words::ago(call.at, ask.now)) }
                    } } }
                }
            }
        }
    };
    let numbers = Region::new("numbers", html! { div.stack.stack-l { (numbers) } });
    let body = html! { div.head { h1 { "Health" } } (numbers.element()) };
    Ok(View { nav: "/health", title: "Health".into(), class: "", regions: vec![numbers], body })
}

fn audit_state(ask: &Ask<'_>, last: Option<&LastDone>) -> Markup {
    html! {
        @match last {
            None => { p { span.chip.warn { "never verified" } } p.meta { "Walking it shows whether a row was changed or removed." } }
            Some(last) => {
                p {
                    @if last.details.starts_with("intact") { span.chip.ok { "intact" } } @else { span.chip.bad { "broken" } }
                    " " (words::when(last.at, ask.now))
                }
                p.meta { (words::inline(&last.details)) }
            }
        }
    }
}

fn copy_state(ask: &Ask<'_>, last: Option<&LastDone>) -> Markup {
    html! {
        @match last {
            None => {
                p { span.chip.warn { "never" } }
                p.meta { "This makes one while everything runs:" }
                pre.code { "team-table backup FILE" }
            }
            Some(last) => {
                p {
                    @if ask.now - last.at > OLD * DAY { span.chip.warn { "old" } " " }
                    (words::when(last.at, ask.now))
                }
                p.meta { (words::inline(&last.details)) }
            }
        }
    }
}

/// The size at the end of each day as a line, and what a day adds on average.
fn growth(sizes: &[(i64, i64)], now: i64) -> Markup {
    let [(first_day, first), .., (last_day, _)] = sizes else {
        return html! { p.meta { "Its growth shows after two days." } };
    };
    let days = (last_day - first_day).max(1);
    let most = sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(1).max(1);
    let points: Vec<String> = sizes
        .iter()
        .map(|(day, bytes)| {
            format!("{},{}", (day - first_day) * 100 / days, 30 - bytes.saturating_mul(28) / most)
        })
        .collect();
    let a_day = (now - first) / days;
    html! {
        svg.spark viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label={ "Size over " (days) " days" } {
            polyline points=(points.join(" "));
        }
        p.meta { @if a_day < 0 { "shrinks by " } @else { "grows by " } (words::bytes(a_day.abs())) " a day" }
    }
}

fn process_table(ask: &Ask<'_>, processes: &[ProcessRow]) -> Markup {
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for process in processes {
        *versions.entry(&process.version).or_default() += 1;
    }
    html! {
        @if versions.len() > 1 {
            p.notice.warn { "Different versions run at one table: start those of the older one anew." }
        }
        table.table.dense {
            caption.sr { "Processes" }
            thead { tr { th scope="col" { "Process" } th scope="col" { "What" } th scope="col" { "Version" } th scope="col" { "Since" } } }
            tbody { @for process in processes { tr {
                th scope="row" { (process.pid) }
                td data-label="What" { (process.kind) }
                td data-label="Version" { (process.version) }
                td data-label="Since" { (words::ago(process.created_at, ask.now)) }
            } } }
        }
    }
}

/// `POST /health/verify`: walks the audit chain.
pub(super) async fn verify(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
) -> Response {
    if let Err(refusal) = visitor.actor().check_role(Role::Operator) {
        return super::frame::PageError::from(refusal).into_response();
    }
    let verified = match console.read(|tx, _| tx.verify_audit()).await {
        Ok(report) => {
            console.write(move |tx, now| tx.note_done(Upkeep::Audit, &report.to_string(), now)).await
        }
        Err(error) => Err(error),
    };
    match verified {
        Ok(()) => see(&console, "/health"),
        Err(error) => error.into_response(),
    }
}
