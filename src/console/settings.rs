//! The settings of a policy as a form, by the policy's own description of them.

use maud::{Markup, html};
use serde_json::Value;

use super::form::Form;
use super::words;
use crate::operator::{Described, Field, FieldError, FieldKind};

/// Lines of a list and of a value in JSON, at least and at most.
const LINES: (usize, usize) = (3, 16);

/// The fields, filled with what was typed last, else with what holds; with what was wrong beside each.
pub(super) fn fields(described: &Described, typed: Option<&Form>, errors: &[FieldError]) -> Markup {
    html! {
        @if described.fields.is_empty() { p.meta { "This policy has no settings." } }
        @for (index, field) in described.fields.iter().enumerate() {
            @let wrong = errors.iter().find(|error| error.name == field.name);
            (input(field, &format!("s-{index}"), typed, wrong.map(|error| error.problem.as_str())))
        }
    }
}

fn input(field: &Field, id: &str, typed: Option<&Form>, wrong: Option<&str>) -> Markup {
    let name = field.input();
    let is_typed = typed.map(|form| form.raw(&name).is_some());
    let shown = typed.and_then(|form| form.raw(&name)).map_or_else(|| field.shown(), str::to_owned);
    let label = if field.name.is_empty() { "All settings" } else { field.name.as_str() };
    let invalid = wrong.map(|_| "true");
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    let described_by = if wrong.is_some() { format!("{hint_id} {error_id}") } else { hint_id.clone() };
    let (least, most) = LINES;
    let rows = shown.lines().count().clamp(least, most);
    let more = html! {
        p.hint id=(hint_id) { (words::inline(&field.description)) " " (default(field)) }
        @if let Some(problem) = wrong { p.error id=(error_id) { (words::inline(problem)) } }
    };
    if field.kind == FieldKind::Boolean {
        let is_on = is_typed.unwrap_or_else(|| field.is_on());
        return html! {
            div.field {
                label.check {
                    input id=(id) type="checkbox" name=(name) checked[is_on] aria-describedby=(described_by) aria-invalid=[invalid];
                    " " (label)
                }
                (more)
            }
        };
    }
    html! {
        div.field {
            label for=(id) { (label) }
            @match &field.kind {
                FieldKind::Integer { min, max } => {
                    input id=(id) type="number" step="1" name=(name) value=(shown) min=[*min] max=[*max]
                        aria-describedby=(described_by) aria-invalid=[invalid];
                }
                FieldKind::Choice { of } => {
                    select id=(id) name=(name) aria-describedby=(described_by) aria-invalid=[invalid] {
                        @if field.default.is_none() { option value="" { "not set" } }
                        @for choice in of { option value=(choice) selected[*choice == shown] { (choice) } }
                    }
                }
                FieldKind::List | FieldKind::Json => {
                    textarea.mono id=(id) name=(name) rows=(rows) spellcheck="false"
                        aria-describedby=(described_by) aria-invalid=[invalid] { (shown) }
                }
                FieldKind::Text | FieldKind::Boolean => {
                    input id=(id) name=(name) value=(shown) aria-describedby=(described_by) aria-invalid=[invalid];
                }
            }
            (more)
        }
    }
}

/// What holds where nothing is typed, and how much may be typed.
fn default(field: &Field) -> Markup {
    let text = match (&field.kind, &field.default) {
        (FieldKind::Boolean, Some(value)) => {
            format!("Default: {}.", if *value == Value::Bool(true) { "yes" } else { "no" })
        }
        (FieldKind::List, Some(Value::Array(items))) if items.is_empty() => {
            "One a line. Default: none.".into()
        }
        (FieldKind::List, Some(Value::Array(items))) => {
            let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            format!("One a line. Default: {}.", items.join(", "))
        }
        (FieldKind::List, _) => "One a line.".into(),
        (FieldKind::Integer { .. }, Some(value)) => {
            format!("It takes {}. Default: {value}.", field.expected)
        }
        (FieldKind::Integer { .. }, None) => format!("It takes {}, or nothing.", field.expected),
        (FieldKind::Json, Some(value)) => format!("A value in JSON. Default: {value}."),
        (FieldKind::Text | FieldKind::Choice { .. }, Some(value)) => {
            format!("Default: {}.", value.as_str().unwrap_or_default())
        }
        (FieldKind::Json | FieldKind::Text | FieldKind::Choice { .. } | FieldKind::Boolean, _) => {
            String::new()
        }
    };
    html! { (words::inline(&text)) }
}
