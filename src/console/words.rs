//! Texts, times and numbers as pages show them. Agents' words are text: escaped by `maud`, with what a reader would not see made
//! visible, and folded where they are long.

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped, html};

use crate::domain::clock::{self, DAY, HOUR, MINUTE, Millis};
use crate::domain::text::is_hidden;

/// Characters of a text that are shown before the rest is folded away.
const SHOWN: usize = 1_200;
/// What a mark says of itself.
const NOT_VISIBLE: &str = "a character that is not visible";
/// Lines of a text that are shown before the rest is folded away.
const SHOWN_LINES: usize = 24;

/// A text on one line or several, as it is, with marks for what a reader would not see. Line breaks and tabs stay.
pub(super) fn text(text: &str) -> Markup {
    marked(text, |c| is_hidden(c) && c != '\n' && c != '\t')
}

/// A text as a piece of one line: line breaks are marks, too.
pub(super) fn inline(text: &str) -> Markup {
    marked(text, is_hidden)
}

fn marked(text: &str, is_mark: impl Fn(char) -> bool) -> Markup {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(mark) = rest.chars().find(|c| is_mark(*c)) {
        let (plain, mut after) = rest.split_once(mark).unwrap_or((rest, ""));
        // One mark for a run of the same: ten thousand of them are a page of a megabyte otherwise.
        let mut run = 1;
        while let Some(more) = after.strip_prefix(mark) {
            after = more;
            run += 1;
        }
        // Writing into a string does not fail.
        let _ = Escaper::new(&mut html).write_str(plain);
        let times = if run > 1 { format!(" ×{run}") } else { String::new() };
        let _ = write!(
            html,
            "<span class=\"ctl\" title=\"{NOT_VISIBLE}\">U+{:04X}{times}</span>",
            u32::from(mark)
        );
        rest = after;
    }
    let _ = Escaper::new(&mut html).write_str(rest);
    PreEscaped(html)
}

/// A text somebody wrote, in a paragraph of its own; a long one folded.
pub(super) fn paragraph(content: &str) -> Markup {
    match fold(content) {
        None => html! { p.text { (text(content)) } },
        Some(shown) => html! {
            p.text { (text(shown)) "…" }
            details.fold {
                summary { "Show all " (content.chars().count()) " characters" }
                p.text { (text(content)) }
            }
        },
    }
}

/// As [`paragraph`], for code and JSON.
pub(super) fn code(content: &str, label: &str) -> Markup {
    match fold(content) {
        None => html! { pre.code tabindex="0" aria-label=(label) { (text(content)) } },
        Some(shown) => html! {
            pre.code tabindex="0" aria-label=(label) { (text(shown)) "…" }
            details.fold {
                summary { "Show all " (content.chars().count()) " characters" }
                pre.code tabindex="0" aria-label={ (label) ", complete" } { (text(content)) }
            }
        },
    }
}

/// The beginning of a text that is too long to be shown at once.
fn fold(text: &str) -> Option<&str> {
    let by_characters = text.char_indices().nth(SHOWN).map(|(at, _)| at);
    let by_lines = text.match_indices('\n').nth(SHOWN_LINES).map(|(at, _)| at);
    let end = by_characters.into_iter().chain(by_lines).min()?;
    text.get(..end)
}

/// The first line of a text, or as much of it as fits into a list.
pub(super) fn first_line(text: &str, max: usize) -> Markup {
    let trimmed = text.trim();
    let line = trimmed.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(max).collect();
    let more = if shown.len() < trimmed.len() { "…" } else { "" };
    html! { (inline(&shown)) (more) }
}

/// An agent's name, whatever it is called.
pub(super) fn name(name: &str) -> Markup {
    html! { bdi { @if name.is_empty() { "a newcomer" } @else { (inline(name)) } } }
}

/// A text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// How long ago something was, with the exact time at hand; the script keeps it true.
pub(super) fn ago(at: Millis, now: Millis) -> Markup {
    html! { time datetime=(clock::format(at)) title=(exact(at)) { (span(now - at)) } }
}

/// As [`ago`], in the middle of a sentence: "2 min ago".
pub(super) fn when(at: Millis, now: Millis) -> Markup {
    let length = span(now - at);
    html! {
        time datetime=(clock::format(at)) title=(exact(at)) data-when {
            @if length == "now" { "just now" } @else { (length) " ago" }
        }
    }
}

/// How long until something is.
pub(super) fn until(at: Millis, now: Millis) -> Markup {
    html! { time datetime=(clock::format(at)) title=(exact(at)) data-until { (span(at - now)) } }
}

/// A time as a person reads it: UTC, to the second.
pub(super) fn exact(at: Millis) -> String {
    let iso = clock::format(at);
    let seconds = iso.split('.').next().unwrap_or(&iso).trim_end_matches('Z');
    format!("{} UTC", seconds.replace('T', " "))
}

/// A length of time in one unit. `console.js` has the same rule.
pub(super) fn span(length: Millis) -> String {
    match length.max(0) {
        ..MINUTE => "now".into(),
        it @ ..HOUR => format!("{} min", it / MINUTE),
        it @ ..DAY => format!("{} h", it / HOUR),
        it => format!("{} d", it / DAY),
    }
}

/// Microseconds as a person reads them.
pub(super) fn micros(micros: i64) -> String {
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

/// Bytes as a person reads them.
pub(super) fn bytes(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} bytes");
    }
    let mut tenths = bytes.saturating_mul(10) / 1_024;
    let mut units = UNITS.iter().peekable();
    let mut unit = "KiB";
    while let Some(next) = units.next() {
        unit = next;
        if tenths < 10_240 || units.peek().is_none() {
            break;
        }
        tenths /= 1_024;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// The beginning of a digest, by which persons tell it.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A count with its noun.
pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_words_are_text_and_hidden_characters_show() {
        let shown = text("<script>x</script>\u{202e}a\u{0}b\nc").into_string();
        assert_eq!(
            shown,
            "&lt;script&gt;x&lt;/script&gt;<span class=\"ctl\" title=\"a character that is not visible\">U+202E</span>a\
             <span class=\"ctl\" title=\"a character that is not visible\">U+0000</span>b\nc"
        );
        assert!(inline("a\nb").into_string().contains("U+000A"));
        assert!(text(&"\u{200b}".repeat(10_000)).into_string().contains(">U+200B ×10000</span>"));
    }

    #[test]
    fn long_texts_are_folded_and_whole() {
        let long = "x".repeat(10_000);
        let shown = paragraph(&long).into_string();
        assert!(shown.contains("Show all 10000 characters") && shown.contains(&long));
        assert!(!paragraph("short").into_string().contains("details"));
        assert!(paragraph(&"a\n".repeat(100)).into_string().contains("details"));
    }

    #[test]
    fn spans_and_sizes_are_in_one_unit() {
        assert_eq!(
            [span(5_000), span(90_000), span(2 * HOUR), span(50 * HOUR)],
            ["now", "1 min", "2 h", "2 d"]
        );
        assert_eq!([bytes(10), bytes(1_536), bytes(5 * 1_024 * 1_024)], ["10 bytes", "1.5 KiB", "5.0 MiB"]);
        assert_eq!([micros(12), micros(1_550), micros(2_000_000)], ["12 µs", "1.5 ms", "2.0 s"]);
    }
}
