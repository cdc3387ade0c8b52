//! Who is at the table, what they are at, and what they have not read.

use maud::{Markup, html};

use super::board;
use super::frame::{Ask, View};
use super::live::Region;
use super::words;
use crate::domain::agent::Member;
use crate::domain::seat::Seat;
use crate::{storage, wake};

/// The members.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let all = ask.query.get("all").is_some();
    let members = ask.tx.members(all)?;
    let seats = wake::live_seats(ask.tx)?;
    let (work, unread) = (ask.tx.working_on()?, ask.tx.unread_counts()?);
    let rows: Vec<Row<'_>> = members
        .iter()
        .map(|member| Row {
            member,
            seat: seats.get(&member.id),
            work: work.get(&member.id).map(Vec::as_slice).unwrap_or_default(),
            unread: unread.get(&member.id).copied().unwrap_or(0),
        })
        .collect();
    let list = Region::new("list", list(ask, &rows, all));
    let body = list.element();
    Ok(View { nav: "/members", title: "Members".into(), class: "", regions: vec![list], body })
}

/// A member with what belongs to it.
struct Row<'a> {
    member: &'a Member,
    seat: Option<&'a Seat>,
    work: &'a [(i64, String)],
    unread: i64,
}

fn list(ask: &Ask<'_>, members: &[Row<'_>], all: bool) -> Markup {
    html! {
        div.head {
            h1 { "Members" }
            " " span.meta { (words::count(members.len(), "agent", "agents")) }
            a.end.meta href=(if all { ask.at("/members") } else { ask.at("/members?all=1") }) {
                @if all { "Only those at the table" } @else { "Also those who have left" }
            }
        }
        @if members.is_empty() {
            div.empty {
                h2 { "Nobody is at the table." }
                p { "This command seats the coding agents of this machine:" }
                pre.code { "team-table setup" }
            }
        } @else {
            table.table {
                caption.sr { "Members" }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Presence" } th scope="col" { "Role" }
                    th scope="col" { "Works on" } th scope="col" { "Last seen" } th.num scope="col" { "Unread" }
                    th scope="col" { "Capabilities" }
                } }
                tbody { @for member in members { (row(ask, member)) } }
            }
        }
    }
}

fn row(ask: &Ask<'_>, row: &Row<'_>) -> Markup {
    let Row { member, seat, work, unread } = *row;
    let view = member.view(seat, ask.now);
    let presence = if member.active { view.presence } else { "gone" };
    let dot = match presence {
        "busy" | "online" => "d-working",
        "idle" | "unattended" => "d-idle",
        "away" => "d-away",
        _ => "d-gone",
    };
    html! {
        tr {
            th scope="row" { a href=(ask.at(&format!("/threads?agent={}", words::encoded(&member.name)))) { (words::name(&member.name)) } }
            td data-label="Presence" { span class={ "dot " (dot) } {} " " (presence) }
            td data-label="Role" { (member.role) @if member.granted { " " span.badge { "granted" } } }
            td data-label="Works on" { (board::links(ask, work)) }
            td data-label="Last seen" { (words::ago(member.last_heartbeat, ask.now)) }
            td.num data-label="Unread" { (unread) }
            td data-label="Capabilities" { (words::inline(&member.capabilities.join(", "))) }
        }
    }
}
