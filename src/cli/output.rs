//! Printing: tables for people, JSON for programs. Whatever an agent, a module or a file name put into the text, nothing
//! that leaves here moves the cursor, changes a colour or turns the reading direction.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::domain::clock::Millis;

/// Whether nothing is coloured.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// Colours nothing from here on.
pub(super) fn without_colour() {
    PLAIN.store(true, Ordering::Relaxed);
}

/// Prints a line of ours, or several. What is in them from others has its line breaks taken by [`visible`] before: here they
/// are kept.
pub(super) fn line(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{}", harmless(text))
}

/// Prints a script of ours byte for byte.
pub(super) fn script(bytes: &[u8]) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(bytes)
}

/// The same, in colour where a person is looking.
pub(super) fn warning(text: &str) -> std::io::Result<()> {
    if PLAIN.load(Ordering::Relaxed) || !is_terminal() {
        return line(text);
    }
    writeln!(std::io::stdout().lock(), "\u{1b}[1;33m{}\u{1b}[0m", harmless(text))
}

/// Whether a person is looking.
fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Prints a value as JSON, on one line unless a person is looking.
pub(super) fn json(value: &impl Serialize) -> std::io::Result<()> {
    if is_terminal() { spell(&serde_json::to_string_pretty(value)?) } else { json_line(value) }
}

/// Prints a value as JSON on one line, one of many.
pub(super) fn json_line(value: &impl Serialize) -> std::io::Result<()> {
    spell(&serde_json::to_string(value)?)
}

fn spell(json: &str) -> std::io::Result<()> {
    // Outside its strings JSON has none of these, and inside it may spell any character so.
    let spelled = rewrite(json, |c| is_tricky(c) && c != '\n', |c| format!("\\u{:04x}", u32::from(c)));
    writeln!(std::io::stdout().lock(), "{spelled}")
}

/// Prints a table, or `empty` when it has no rows.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> std::io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| visible(&cell))));
    if table.is_empty() { line(empty) } else { line(&table.trim_fmt()) }
}

/// A time as a person reads it: ISO 8601 in the local time zone, to the second.
pub(super) fn local_time(at: Millis) -> String {
    let utc = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    utc.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Text from others, as one piece of a line: control characters become visible.
pub(super) fn visible(text: &str) -> String {
    rewrite(text, is_tricky, |c| c.escape_default().to_string())
}

/// The same for whole lines.
fn harmless(text: &str) -> String {
    rewrite(text, |c| is_tricky(c) && c != '\n', |c| c.escape_default().to_string())
}

fn rewrite(text: &str, which: impl Fn(char) -> bool, how: impl Fn(char) -> String) -> String {
    text.chars().map(|c| if which(c) { how(c) } else { c.to_string() }).collect()
}

/// What a terminal obeys instead of showing: control characters (those from U+0080 on too), and the marks that break a line
/// or turn its direction, so that it reads as what it is not. All are below U+10000.
fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Says on standard error what went wrong.
pub(super) fn complain(text: &str) {
    // Nothing is left to do when standard error is gone too.
    let _ = writeln!(std::io::stderr().lock(), "team-table: {}", harmless(text));
}

/// Standard error for the log, which hands over one event at a time: each is one line of plain text, so that nothing said in it
/// can pass for another event. (`tracing_subscriber` sees to that in an event's message, not in its fields.)
pub(super) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(event.strip_suffix(b"\n").unwrap_or(event));
        writeln!(std::io::stderr().lock(), "{}", visible(&text)).map(|()| event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (from, to) in [
            ("plain äé漢 🙂", "plain äé漢 🙂"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{9b}2Jb", "a\\u{9b}2Jb"),
            ("a\rb\tc\u{7f}", "a\\rb\\tc\\u{7f}"),
            ("a\u{202e}b\u{2066}\u{200f}", "a\\u{202e}b\\u{2066}\\u{200f}"),
        ] {
            assert_eq!((visible(from).as_str(), harmless(from).as_str()), (to, to));
        }
        assert_eq!((visible("a\nb").as_str(), harmless("a\nb").as_str()), ("a\\nb", "a\nb"));
        assert_eq!(visible("a\u{2028}b"), "a\\u{2028}b");
    }
}
