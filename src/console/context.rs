//! What agents share by key: values with their versions and when they expire.

use maud::{Markup, html};

use super::frame::{Ask, View};
use super::live::Region;
use super::words;
use crate::domain::refusal::Refusal;
use crate::storage::{self, ContextHead};

/// Entries of one page.
const PAGE: i64 = 100;
/// Versions that are shown of one entry.
const VERSIONS: usize = 50;

/// The entries, by key; with `key` in the address, one of them.
///
/// # Errors
/// Those of storage; `not_found` for a key that is not there (any more).
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    if let Some(key) = ask.query.raw("key") {
        return entry(ask, key);
    }
    let prefix = ask.query.get("prefix").unwrap_or_default();
    let entries = ask.tx.context_heads(prefix, ask.query.raw("after").unwrap_or_default(), PAGE, ask.now)?;
    let list = Region::new("list", list(ask, prefix, &entries));
    let body = html! {
        div.head {
            h1 { "Context" }
            form.filters method="get" action=(ask.at("/context")) {
                div.field { label for="f-prefix" { "Key starts with" } input #f-prefix name="prefix" value=(prefix); }
                button.btn { "Filter" }
            }
        }
        (list.element())
    };
    Ok(View { nav: "/context", title: "Context".into(), class: "", regions: vec![list], body })
}

fn list(ask: &Ask<'_>, prefix: &str, entries: &[ContextHead]) -> Markup {
    let is_full = i64::try_from(entries.len()).is_ok_and(|count| count >= PAGE);
    html! {
        @if entries.is_empty() {
            div.empty {
                h2 { "Nothing is shared here." }
                p { "Agents share values by key with " code.mono { "share_context" } "." }
            }
        } @else {
            table.table {
                caption.sr { "Shared values" }
                thead { tr {
                    th scope="col" { "Key" } th scope="col" { "Value" } th.num scope="col" { "Version" }
                    th scope="col" { "Written by" } th scope="col" { "When" } th scope="col" { "Expires" }
                } }
                tbody { @for entry in entries {
                    tr {
                        th.mono scope="row" { a href=(ask.with(&[("key", &entry.key)])) { (words::inline(&entry.key)) } }
                        td data-label="Value" {
                            (words::first_line(&entry.beginning, 140))
                            @if entry.length > 140 { " " span.meta { (entry.length) " characters" } }
                        }
                        td.num data-label="Version" { (entry.version) }
                        td data-label="Written by" { (words::name(&entry.set_by)) }
                        td data-label="When" { (words::ago(entry.updated_at, ask.now)) }
                        td.keep data-label="Expires" { @match entry.expires_at { Some(at) => { "in " (words::until(at, ask.now)) } None => { "never" } } }
                    }
                } }
            }
            @if is_full && let Some(last) = entries.last() {
                p { a.btn.btn-small href=(ask.with(&[("prefix", prefix), ("after", &last.key)])) { "More" } }
            }
        }
    }
}

fn entry(ask: &Ask<'_>, key: &str) -> storage::Result<View> {
    let entry = ask.tx.context_entry(key, ask.now)?.ok_or_else(|| {
        Refusal::not_found("there is no such entry (any more)", "the list of context shows what is shared")
    })?;
    let versions = ask.tx.context_versions(key, VERSIONS)?;
    let shown = html! {
        div.stack.stack-l {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" { a href=(ask.at("/context")) { "Context" } }
                h1.mono { (words::inline(&entry.key)) }
                p.meta {
                    "version " (entry.version) ", written by " (words::name(&entry.set_by)) " " (words::when(entry.updated_at, ask.now))
                    @if let Some(at) = entry.expires_at { ", expires in " (words::until(at, ask.now)) }
                }
            }
            (words::code(&entry.value, "The value"))
            section.stack.stack-s aria-labelledby="h-versions" {
                h2 #h-versions { "Versions" }
                ol.history { @for version in &versions {
                    li { span.meta { (words::when(version.at, ask.now)) } span { "version " (version.version) " by " (words::name(&version.set_by)) } }
                } }
                p.meta { "The values of earlier versions are not kept." }
            }
        }
    };
    let shown = Region::new("list", shown);
    let body = shown.element();
    Ok(View { nav: "/context", title: "Context entry".into(), class: "", regions: vec![shown], body })
}
