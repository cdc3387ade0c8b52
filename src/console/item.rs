//! One item that waits for a person: the question or the held call, its thread, the policy's reason and facts, and the form.

use maud::{Markup, html};
use serde_json::Value;

use super::frame::{Ask, not_done};
use super::live::Region;
use super::words;
use crate::domain::decision::{Fact, Hook};
use crate::domain::facts::CATALOGUE;
use crate::domain::message::{Message, Origin, Receipt};
use crate::domain::refusal::Refusal;
use crate::storage::{self, EscalationRow, ReadTx, Vote};

/// Messages of the thread that are shown around a question.
const THREAD: i64 = 20;
/// Characters of an argument that the list shows.
const SHORT: usize = 60;
/// Characters of a question in the list.
const LINE: usize = 110;

/// What a person may be asked to do about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Question,
    Held,
    Wake,
}

impl Kind {
    pub(super) fn of(row: &EscalationRow) -> Self {
        match row.hook.as_str() {
            hook if hook == Hook::Review.as_str() => Self::Question,
            hook if hook == Hook::Wake.as_str() => Self::Wake,
            _ => Self::Held,
        }
    }

    pub(super) fn badge(self) -> Markup {
        match self {
            Self::Question => html! { span.badge.accent { "question" } },
            Self::Held => html! { span.badge.warn { "held call" } },
            Self::Wake => html! { span.badge.warn { "wake-up" } },
        }
    }
}

/// What a form wanted that had no effect: its words are kept on the page.
pub(super) struct Kept {
    pub(super) refusal: Refusal,
    pub(super) text: String,
}

/// What is asked, in one line.
pub(super) fn summary(row: &EscalationRow) -> Markup {
    let arguments: Value = serde_json::from_str(&row.arguments).unwrap_or_default();
    match Kind::of(row) {
        Kind::Question => {
            let content = arguments.get("content").and_then(Value::as_str).unwrap_or(&row.message);
            words::first_line(content, LINE)
        }
        Kind::Wake => html! { "messages wait to wake " (words::name(&row.agent)) },
        Kind::Held => {
            // What is short says best what the call is about; the rest is with the item.
            let is_short = |value: &Value| value.to_string().chars().count() <= SHORT;
            let shown: Vec<String> = arguments
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| value.as_str() != Some(row.asker.as_str()) && is_short(value))
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            html! { b { (row.action) } " " (words::first_line(&shown.join(" "), LINE)) }
        }
    }
}

/// An item with what belongs to it.
pub(super) struct Item {
    pub(super) row: EscalationRow,
    thread: Vec<Message>,
    waiting: Vec<Message>,
    approvals: Vec<Vote>,
}

impl Item {
    pub(super) fn read(tx: &ReadTx<'_>, row: EscalationRow) -> storage::Result<Self> {
        let mut thread =
            row.thread_id.map(|thread| tx.thread(thread, THREAD)).transpose()?.unwrap_or_default();
        // However many came since: what is asked is there.
        if let Some(asked) = row.message_id.filter(|asked| !thread.iter().any(|message| message.id == *asked))
            && let Some(message) = tx.message(asked)?
        {
            thread.insert(0, message);
        }
        let waiting = tx.waiting_with(&row)?;
        let approvals = tx.votes(row.id)?;
        Ok(Self { row, thread, waiting, approvals })
    }

    fn is_open(&self) -> bool {
        self.row.status == "open"
    }

    /// What became of it; changes while the page is open.
    pub(super) fn state(&self, ask: &Ask<'_>) -> Markup {
        let row = &self.row;
        html! {
            @if !self.is_open() {
                div.notice.warn.stack.stack-s role="status" data-closed {
                    p {
                        b { (row.status) @if let Some(who) = &row.resolved_by { " by " (words::name(who)) } }
                        @if let Some(at) = row.resolved_at { " " (words::when(at, ask.now)) }
                    }
                    @if let Some(reply) = &row.reply { (words::paragraph(reply)) }
                    @if let Some(note) = &row.note { p { "Note: " (words::text(note)) } }
                    @if row.used_at.is_some() { p.meta { "The call was made." } }
                    p.row { a.btn.btn-small href=(ask.at("/")) { "Next open item" } }
                }
            } @else if row.approvals > 1 {
                p.row {
                    span.badge.warn { (self.approvals.len()) " of " (row.approvals) " approvals" }
                    @for approval in &self.approvals {
                        span.meta {
                            (words::name(&approval.person)) " " (words::when(approval.at, ask.now))
                            @if let Some(note) = &approval.note { ": “" (words::inline(note)) "”" }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn pane(&self, ask: &Ask<'_>, state: &Region, kept: Option<&Kept>) -> Markup {
        let row = &self.row;
        let kind = Kind::of(row);
        html! {
            div.stack.stack-l {
                div.stack.stack-s {
                    div.row {
                        a.back.btn.btn-small href=(ask.at("/")) { "Back to the list" }
                        (kind.badge()) " " (words::name(&row.asker)) " "
                        span.meta {
                            @match kind {
                                Kind::Question => { "asks " (words::name(&row.agent)) ", " }
                                Kind::Held => { "called " }
                                Kind::Wake => { "wrote to " (words::name(&row.agent)) ", " }
                            }
                            (words::when(row.created_at, ask.now))
                            @if row.reminders > 0 { ", reminded " (row.reminders) " times" }
                        }
                    }
                    @if ask.path.is_empty() { h2.title #h-item { (summary(row)) } } @else { h1.title #h-item { (summary(row)) } }
                }
                @if let Some(kept) = kept {
                    div.notice.bad.stack.stack-s role="alert" {
                        (not_done(&kept.refusal, "Nothing was changed"))
                        @if !self.is_open() && !kept.text.is_empty() {
                            p { "What you wrote, to be copied:" }
                            (words::paragraph(&kept.text))
                        }
                    }
                }
                (state.element())
                @if kind == Kind::Question { (self.talk(ask)) }
                @if kind == Kind::Held { (self.arguments()) }
                @if self.is_open() && !ask.person.decides_for(&row.agent) {
                    p.notice { "You may look at this; an operator, or an approver of " (words::name(&row.agent)) ", decides it." }
                }
                (self.why(ask))
                (keys())
            }
            @if self.is_open() && ask.person.decides_for(&row.agent) {
                (self.form(ask, kind, kept.map_or("", |kept| kept.text.as_str())))
            }
        }
    }

    fn talk(&self, ask: &Ask<'_>) -> Markup {
        let asked = self.row.message_id;
        html! {
            section.stack aria-labelledby="h-thread" {
                div.row {
                    h2 #h-thread { "Thread" }
                    @if let Some(thread) = self.row.thread_id {
                        a.end.meta href=(ask.at(&format!("/threads/{thread}"))) { "Open thread " (thread) }
                    }
                }
                ol.talk {
                    @for message in &self.thread { (said(ask, message, None, Some(message.id) == asked)) }
                }
                @let elsewhere: Vec<_> =
                    self.waiting.iter().filter(|message| Some(message.thread_id) != self.row.thread_id).collect();
                @if !elsewhere.is_empty() {
                    details.fold {
                        summary { (words::count(elsewhere.len(), "message waits", "messages wait")) " until this is decided" }
                        ol.talk { @for message in elsewhere { (said(ask, message, None, false)) } }
                    }
                }
            }
        }
    }

    fn arguments(&self) -> Markup {
        let arguments: Value = serde_json::from_str(&self.row.arguments).unwrap_or_default();
        html! {
            section.stack.stack-s aria-labelledby="h-arguments" {
                h2 #h-arguments { "Exact arguments" }
                (words::code(&format!("{arguments:#}"), "The arguments as JSON"))
            }
        }
    }

    fn why(&self, ask: &Ask<'_>) -> Markup {
        let row = &self.row;
        let facts: Vec<Fact> = serde_json::from_str(&row.facts).unwrap_or_default();
        html! {
            section.stack.stack-s aria-labelledby="h-why" {
                h2 #h-why { "Why this waits for a person" }
                p {
                    "Policy " a.mono href=(ask.at(&format!("/policies/{}", row.policy))) { (row.policy) } ": "
                    q { (words::text(&row.message)) } " " span.meta.mono { (row.code) }
                }
                table.facts { tbody {
                    @for fact in &facts { (fact_row(fact)) }
                    @if let Some(decision) = row.decision_id {
                        tr { th scope="row" { "Decision" } td { a href=(ask.at(&format!("/decisions/{decision}"))) { (decision) } } }
                    }
                    tr { th scope="row" { "Module" } td.mono { (words::short(&row.module)) } }
                } }
            }
        }
    }

    fn form(&self, ask: &Ask<'_>, kind: Kind, typed: &str) -> Markup {
        let row = &self.row;
        let action = ask.at(&format!("/needs/{}", row.id));
        match kind {
            Kind::Question => html! {
                form.decide.stack.stack-s method="post" action=(action) aria-label="Your answer" {
                    div.field {
                        label for="reply" { "Your reply to " (words::name(&row.asker)) }
                        textarea #reply name="text" rows="4" aria-describedby="reply-hint" { (typed) }
                        p.hint #reply-hint {
                            "Sent in the name of " (words::name(&row.agent)) ", marked as written by " (words::name(&ask.person.name)) "."
                        }
                    }
                    div.row {
                        button.btn.btn-primary name="do" value="reply" { "Send reply" }
                        button.btn name="do" value="dismiss" { "Dismiss without reply" }
                    }
                }
            },
            Kind::Held | Kind::Wake => html! {
                form.decide.stack.stack-s method="post" action=(action) aria-label="Your decision" {
                    div.field {
                        label for="note" { "Note to " (words::name(&row.agent)) " (may stay empty)" }
                        input #note name="text" autocomplete="off" value=(typed);
                    }
                    div.row {
                        button.btn.btn-primary name="do" value="approve" {
                            @if kind == Kind::Wake { "Let messages wake it" } @else { "Approve, once" }
                        }
                        button.btn.btn-danger name="do" value="deny" { "Deny" }
                    }
                }
            },
        }
    }
}

/// One message of a conversation.
pub(super) fn said(ask: &Ask<'_>, message: &Message, receipt: Option<&Receipt>, is_asked: bool) -> Markup {
    let class = if is_asked {
        "msg msg-asked"
    } else if message.origin == Origin::Person {
        "msg msg-person"
    } else {
        "msg"
    };
    html! {
        li class=(class) #{ "m" (message.id) } {
            div.row {
                span.strong { (words::name(&message.sender)) }
                @if message.recipient == "*" { span.meta { "to everyone" } } @else { span.meta { "to " (words::name(&message.recipient)) } }
                @match message.origin {
                    Origin::Automatic => { span.badge { "automatic" } }
                    Origin::Person => { span.badge.accent { "written by " @if let Some(person) = &message.person { (words::name(person)) } @else { "its person" } } }
                    Origin::Task => { span.badge { "task board" } }
                    Origin::Agent => {}
                }
                @if is_asked { span.badge.warn { "waits for an answer" } }
                span.meta {
                    (words::when(message.created_at, ask.now))
                    @if let Some(receipt) = receipt {
                        @if receipt.read_at.is_some() { ", read" }
                        @else if receipt.announced_at.is_some() { ", announced, not read yet" }
                        @else { ", not read yet" }
                    }
                }
            }
            (words::paragraph(&message.content))
        }
    }
}

/// A fact in words.
pub(super) fn fact_row(fact: &Fact) -> Markup {
    let known = CATALOGUE.iter().find(|spec| spec.name == fact.request.name);
    let parameters: Vec<String> = fact
        .request
        .params
        .iter()
        .map(|(name, value)| format!("{}: {value}", name.replace('_', " ")))
        .collect();
    let count = fact.value.get("count").and_then(Value::as_i64);
    let oldest = fact.value.get("oldest").and_then(Value::as_i64);
    html! {
        tr {
            th scope="row" { @match known { Some(spec) => { (spec.summary) } None => { span.mono { (fact.request.name) } } } }
            td {
                @match (&fact.value, count) {
                    (_, Some(count)) => { (count) @if let Some(oldest) = oldest { ", the first of them at " (words::exact(oldest)) } }
                    (Value::Null, _) => { "not known" }
                    (Value::String(text), _) => { (words::text(text)) }
                    (other, _) => { (words::text(&other.to_string())) }
                }
                @if !parameters.is_empty() { div.meta { (words::inline(&parameters.join("; "))) } }
            }
        }
    }
}

fn keys() -> Markup {
    html! {
        p.keys aria-label="Keys" hidden {
            span { kbd { "j" } " " kbd { "k" } " next, previous" }
            span { kbd { "r" } " reply" }
            span { kbd { "a" } " approve, then " kbd { "Enter" } }
            span { kbd { "d" } " deny or dismiss, then " kbd { "Enter" } }
            span { kbd { "/" } " search" }
        }
    }
}
