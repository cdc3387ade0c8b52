//! What the policies decided: counted over time, listed and filtered, and one decision with its facts and verdicts.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::board::names;
use super::frame::{Ask, View};
use super::item::fact_row;
use super::live::Region;
use super::words;
use crate::domain::clock::{self, DAY, HOUR, MINUTE, Millis};
use crate::domain::decision::{Answer, Verdict};
use crate::domain::refusal::Refusal;
use crate::storage::{self, DecisionCounts, DecisionFilter, DecisionRow, Page, WALK};

/// Decisions of one page.
const PAGE: i64 = 50;
/// Stretches of time that the chart shows, at most.
const BARS: i64 = 48;

/// The outcomes as words with a colour, in the order in which they are drawn.
const OUTCOMES: [(&str, &str); 7] = [
    ("allow", "ok"),
    ("pass", "ok"),
    ("reply", "ok"),
    ("ignore", "ok"),
    ("escalate", "warn"),
    ("deny", "bad"),
    ("error", "info"),
];

/// Times that can be chosen: the word in the address, its name, how long it is, the length of a stretch.
const TIMES: [(&str, &str, Millis, Millis); 4] = [
    ("1h", "the last hour", HOUR, 2 * MINUTE),
    ("1d", "the last day", DAY, 30 * MINUTE),
    ("7d", "the last 7 days", 7 * DAY, 4 * HOUR),
    ("30d", "the last 30 days", 30 * DAY, DAY),
];

/// An outcome as a word with a colour.
pub(super) fn chip(outcome: &str) -> Markup {
    let colour = OUTCOMES.iter().find(|(name, _)| *name == outcome).map_or("", |(_, colour)| colour);
    html! { span class={ "chip " (colour) } { (outcome) } }
}

/// The chart and the list.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let query = &ask.query;
    let chosen = query.get("since").unwrap_or("1d");
    let (_, _, length, stretch) =
        TIMES.into_iter().find(|(word, ..)| *word == chosen).unwrap_or(("", "", DAY, 30 * MINUTE));
    let text = |name| query.get(name).map(str::to_owned);
    let filter = DecisionFilter {
        agent: text("agent"),
        outcome: text("outcome"),
        action: text("action"),
        policy: text("policy"),
        since: Some(ask.now - length),
        before_id: query.number("before"),
        limit: PAGE,
    };
    let page = ask.tx.decisions(&filter)?;
    let counts = ask.tx.decision_counts(ask.now - length, stretch)?;
    let is_paused = query.get("pause").is_some();
    let policies: Vec<String> = {
        let mut names: Vec<String> = counts.counts.iter().filter_map(|count| count.policy.clone()).collect();
        names.sort();
        names.dedup();
        names
    };
    let chart = Region::new("chart", html! { (chart(ask, &counts, length, stretch)) (by_policy(&counts)) });
    let list = Region::new("list", list(ask, &page));
    let members = names(ask.tx)?;
    let body = html! {
        div.stack {
            div.head {
                h1 { "Decisions" }
                @if is_paused { a.btn.btn-small.end href=(with(ask, &[("pause", "")])) { "Go on" } }
                @else { a.btn.btn-small.end href=(with(ask, &[("pause", "1")])) { "Pause" } }
            }
            (filters(ask, &members, &policies, chosen))
            (chart.element())
            (list.element())
        }
    };
    // A page that is paused shows one moment.
    let regions = if is_paused { Vec::new() } else { vec![chart, list] };
    Ok(View { nav: "/decisions", title: "Decisions".into(), class: "", regions, body })
}

/// This page's address with other fields.
fn with(ask: &Ask<'_>, other: &[(&str, &str)]) -> String {
    let kept = ["agent", "outcome", "action", "policy", "since", "pause"];
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for name in kept {
        let value = other
            .iter()
            .find(|(key, _)| *key == name)
            .map_or_else(|| ask.query.get(name).unwrap_or_default(), |(_, value)| value);
        fields.push((name, value));
    }
    fields.extend(other.iter().filter(|(name, _)| !kept.contains(name)));
    ask.with(&fields)
}

fn filters(ask: &Ask<'_>, members: &[String], policies: &[String], chosen: &str) -> Markup {
    let field = |name: &'static str, label: &str, options: &[String]| {
        let value = ask.query.get(name);
        let is_other = value.is_some_and(|value| !options.iter().any(|option| option == value));
        html! {
            div.field {
                label for={ "f-" (name) } { (label) }
                select #{ "f-" (name) } name=(name) {
                    option value="" { "any" }
                    @for option in options { option value=(option) selected[value == Some(option)] { (option) } }
                    @if is_other { option value=[value] selected { (value.unwrap_or_default()) } }
                }
            }
        }
    };
    let outcomes: Vec<String> = OUTCOMES.iter().map(|(name, _)| (*name).to_owned()).collect();
    html! {
        form.filters method="get" action=(ask.at("/decisions")) {
            (field("agent", "Agent", members))
            (field("outcome", "Outcome", &outcomes))
            (field("policy", "Policy", policies))
            div.field { label for="f-action" { "Action" } input #f-action name="action" value=[ask.query.get("action")]; }
            div.field {
                label for="f-since" { "Since" }
                select #f-since name="since" { @for (word, name, ..) in TIMES { option value=(word) selected[word == chosen] { (name) } } }
            }
            button.btn { "Filter" }
        }
    }
}

/// Decisions by outcome over time, as bars of one height for each stretch.
fn chart(ask: &Ask<'_>, counts: &DecisionCounts, length: Millis, stretch: Millis) -> Markup {
    let mut bars: BTreeMap<Millis, BTreeMap<&str, u64>> = BTreeMap::new();
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for count in &counts.counts {
        *bars.entry(count.bucket).or_default().entry(&count.outcome).or_default() += count.count;
        *totals.entry(&count.outcome).or_default() += count.count;
    }
    let first = (ask.now - length) / stretch * stretch;
    let most = bars.values().map(|bar| bar.values().sum::<u64>()).max().unwrap_or(0).max(1);
    let shown: Vec<(&str, &str, u64)> = OUTCOMES
        .iter()
        .filter_map(|(name, colour)| totals.get(name).map(|total| (*name, *colour, *total)))
        .collect();
    let words = shown.iter().map(|(name, _, total)| format!("{total} {name}")).collect::<Vec<_>>().join(", ");
    let words = if words.is_empty() { "none".to_owned() } else { words };
    html! {
        figure.chart {
            svg viewBox={ "0 0 " (BARS * 10) " 100" } preserveAspectRatio="none" role="img" aria-label={ "Decisions over time: " (words) } {
                @for (at, bar) in &bars { (bar_of(((at - first) / stretch).min(BARS - 1), bar, most)) }
            }
            div.axis aria-hidden="true" { span { (words::exact(first)) } span { "now" } }
            figcaption.legend {
                @if shown.is_empty() { "No decisions in this time." }
                @for (name, colour, total) in &shown {
                    span { svg viewBox="0 0 12 12" aria-hidden="true" { rect class={ "f-" (colour) } width="12" height="12"; } (name) " " (total) }
                }
            }
        }
    }
}

fn bar_of(column: i64, bar: &BTreeMap<&str, u64>, most: u64) -> Markup {
    let mut top = 100_u64;
    let mut parts = Vec::new();
    for (name, colour) in OUTCOMES {
        if let Some(count) = bar.get(name) {
            // One that is there shows, however small its share.
            let height = (count * 100 / most).max(1);
            top = top.saturating_sub(height);
            parts.push((colour, top, height));
        }
    }
    html! {
        @for (colour, y, height) in parts {
            rect class={ "f-" (colour) } x=(column * 10 + 1) y=(y) width="8" height=(height);
        }
    }
}

/// Which policies determined outcomes other than letting through.
fn by_policy(counts: &DecisionCounts) -> Markup {
    let mut policies: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for count in &counts.counts {
        if let Some(policy) = &count.policy {
            *policies.entry((policy, &count.outcome)).or_default() += count.count;
        }
    }
    html! {
        @if !policies.is_empty() {
            p.row.meta {
                "Determined by: "
                @for ((policy, outcome), count) in &policies { span { span.mono { (policy) } " " (outcome) " " (count) } }
            }
        }
    }
}

fn list(ask: &Ask<'_>, page: &Page<DecisionRow>) -> Markup {
    let rows = &page.rows;
    html! {
        @if rows.is_empty() && page.next.is_some() {
            div.empty { h2 { "None of the newest " (WALK) " decisions match." } p { "Look among the older ones." } }
        } @else if rows.is_empty() {
            div.empty { h2 { "No decisions match." } p { "Every call of an agent is one; choose a longer time or fewer filters." } }
        } @else {
            table.table.dense {
                caption.sr { "Decisions, newest first" }
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Agent" } th scope="col" { "Action" } th scope="col" { "Outcome" }
                    th scope="col" { "Policy" } th scope="col" { "Reason" } th.num scope="col" { "Took" }
                } }
                tbody { @for row in rows {
                    tr {
                        td.slim { a href=(ask.at(&format!("/decisions/{}", row.id))) { (words::ago(row.at, ask.now)) span.sr { " decision " (row.id) } } }
                        td { (words::name(&row.agent)) }
                        td.mono { (row.action) }
                        td.slim { (chip(&row.outcome)) @if !row.done && row.outcome == "allow" { " " span.meta { "not done" } } }
                        td.keep { @if let Some(policy) = &row.policy { (policy) } }
                        td { @if let Some(message) = &row.message { (words::first_line(message, 120)) } }
                        td.num data-label="Took" { (words::micros(row.micros)) }
                    }
                } }
            }
        }
        @if let Some(next) = page.next {
            p { a.btn.btn-small href=(with(ask, &[("before", &next.to_string())])) { "Older" } }
        }
    }
}

/// One decision: what was asked, on which facts, and what each policy said.
///
/// # Errors
/// Those of storage; `not_found`.
pub(super) fn decision(ask: &Ask<'_>) -> storage::Result<View> {
    let id = ask.number()?;
    let row = ask.tx.decision(id)?.ok_or_else(|| {
        Refusal::not_found(format!("there is no decision {id} (any more)"), "decisions are kept for 30 days")
    })?;
    let input = serde_json::to_value(&row.input)?;
    let body = html! {
        div.stack.stack-l {
            div.stack.stack-s {
                nav.crumb aria-label="Breadcrumb" { a href=(ask.at("/decisions")) { "Decisions" } " / " (row.id) }
                h1 { (row.action) " by " (words::name(&row.agent)) }
                p.row {
                    (chip(&row.outcome))
                    span.meta {
                        (words::when(row.at, ask.now)) ", " (words::exact(row.at)) ", " (words::micros(row.micros))
                        @if let Some(policy) = &row.policy { ", determined by " a href=(ask.at(&format!("/policies/{policy}"))) { (policy) } }
                        @if !row.done { ", nothing was done" }
                    }
                }
                @if let Some(message) = &row.message { p { q { (words::text(message)) } " " span.meta.mono { (row.code.as_deref().unwrap_or_default()) } } }
            }
            section.stack.stack-s aria-labelledby="h-verdicts" {
                h2 #h-verdicts { "What each policy said" }
                @if row.verdicts.is_empty() {
                    p.meta { @if row.input.is_whole() { "No policy was asked." } @else { "Arguments, facts and verdicts were not kept: the agent had too much refused that day." } }
                } @else { (verdicts(ask, &row.verdicts)) }
                p.meta { "To ask the same modules again: " code.mono { "team-table policy explain " (row.id) } }
            }
            @if !row.facts.is_empty() {
                section.stack.stack-s aria-labelledby="h-facts" {
                    h2 #h-facts { "The facts" }
                    table.facts { tbody { @for fact in &row.facts { (fact_row(fact)) } } }
                }
            }
            section.stack.stack-s aria-labelledby="h-input" {
                h2 #h-input { "What was asked" }
                (words::code(&format!("{input:#}"), "The question as JSON"))
                p.meta { "at " (clock::format(row.at)) ", by the set " span.mono { (words::short(&row.set_digest)) } }
            }
        }
    };
    Ok(View { nav: "/decisions", title: format!("Decision {id}"), class: "", regions: Vec::new(), body })
}

fn verdicts(ask: &Ask<'_>, verdicts: &[Verdict]) -> Markup {
    html! {
        table.table {
            caption.sr { "Verdicts" }
            thead { tr {
                th scope="col" { "Policy" } th scope="col" { "Mode" } th scope="col" { "Answer" } th scope="col" { "Module" }
                th.num scope="col" { "Fuel" } th.num scope="col" { "Time" }
            } }
            tbody { @for verdict in verdicts {
                tr {
                    th scope="row" { a href=(ask.at(&format!("/policies/{}", verdict.policy))) { (verdict.policy) } }
                    td data-label="Mode" { (verdict.mode.as_str()) }
                    td data-label="Answer" { (answer(&verdict.answer)) }
                    td.mono data-label="Module" { (words::short(&verdict.module)) }
                    td.num data-label="Fuel" { (verdict.fuel) }
                    td.num data-label="Time" { (words::micros(i64::try_from(verdict.micros).unwrap_or(i64::MAX))) }
                }
            } }
        }
    }
}

/// A policy's answer: its word, and why.
fn answer(answer: &Answer) -> Markup {
    let (word, why) = match answer {
        Answer::Abstain => ("abstain", None),
        Answer::Allow => ("allow", None),
        Answer::Pass => ("pass", None),
        Answer::Deny(reason) => ("deny", Some(reason.message.as_str())),
        Answer::Escalate(reason) => ("escalate", Some(reason.message.as_str())),
        Answer::Ignore(reason) => ("ignore", Some(reason.message.as_str())),
        Answer::Reply { text } => ("reply", Some(text.as_str())),
        Answer::Error { detail, .. } => ("error", Some(detail.as_str())),
    };
    html! { (chip(word)) @if let Some(why) = why { " " (words::first_line(why, 300)) } }
}
