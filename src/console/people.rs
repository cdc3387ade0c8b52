//! Persons and their sessions: one's own, and for an operator everybody's.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::frame::{Ask, View};
use super::live::Region;
use super::passkeys;
use super::server::Console;
use super::visitor::{Visitor, see};
use super::words;
use crate::domain::person::{Person, Role};
use crate::storage::{self, Session};

/// Persons and sessions.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let is_operator = ask.person.role == Role::Operator;
    let whose = (!is_operator).then_some(ask.person.name.as_str());
    let (sessions, persons) = (ask.tx.sessions(whose, ask.now)?, ask.tx.persons()?);
    let list = Region::new(
        "list",
        html! { div.stack.stack-l { (sessions_table(ask, &sessions)) (persons_table(ask, &persons)) } },
    );
    let body = html! { div.stack.stack-l { div.head { h1 { "People" } } (list.element()) (passkeys::section(ask)?) } };
    Ok(View { nav: "/people", title: "People".into(), class: "", regions: vec![list], body })
}

fn sessions_table(ask: &Ask<'_>, sessions: &[Session]) -> Markup {
    html! {
        section.stack.stack-s aria-labelledby="h-sessions" {
            h2 #h-sessions { "Sessions" }
            table.table {
                caption.sr { "Sessions" }
                thead { tr {
                    th scope="col" { "Person" } th scope="col" { "Browser" } th scope="col" { "Signed in" }
                    th scope="col" { "Last used" } th scope="col" { "Action" }
                } }
                tbody { @for session in sessions {
                    tr {
                        th scope="row" { (words::name(&session.person)) }
                        td data-label="Browser" { (words::first_line(&session.device, 90)) }
                        td data-label="Signed in" { (words::ago(session.created_at, ask.now)) }
                        td data-label="Last used" { (words::ago(session.seen_at, ask.now)) }
                        td data-label="Action" {
                            form method="post" action=(ask.at(&format!("/people/sessions/{}/revoke", session.id))) {
                                button.btn.btn-small.btn-danger { "End" span.sr { " session " (session.id) " of " (session.person) } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn persons_table(ask: &Ask<'_>, persons: &[Person]) -> Markup {
    html! {
        section.stack.stack-s aria-labelledby="h-persons" {
            h2 #h-persons { "Persons" }
            table.table {
                caption.sr { "Persons" }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Decides for" }
                    th scope="col" { "Invited" } th scope="col" { "State" }
                } }
                tbody { @for person in persons {
                    tr {
                        th scope="row" { (words::name(&person.name)) }
                        td data-label="Role" { (person.role.as_str()) }
                        td data-label="Decides for" {
                            @match person.role {
                                Role::Operator => { "every agent" }
                                Role::Viewer => { span.meta { "nobody" } }
                                Role::Approver => { (words::inline(&person.agents.join(", "))) }
                            }
                        }
                        td data-label="Invited" { (words::ago(person.created_at, ask.now)) }
                        td data-label="State" {
                            @if person.removed_at.is_some() { span.chip { "removed" } } @else { span.chip.ok { "active" } }
                        }
                    }
                } }
            }
            p.meta { "Invite somebody: " code.mono { "team-table person invite NAME --role approver --agents AGENT" } }
        }
    }
}

/// `POST /people/sessions/{id}/revoke`.
pub(super) async fn revoke(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    Path(id): Path<i64>,
) -> Response {
    match console.act(&visitor, move |tx, actor, now| tx.revoke_session(actor, id, now)).await {
        Ok(_) => see(&console, "/people"),
        Err(error) => error.into_response(),
    }
}
