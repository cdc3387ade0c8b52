//! Printing: tables for people, JSON for programs. Whatever an agent, a module or a file name put into the text, nothing
//! that leaves here moves the cursor, changes a colour or turns the reading direction.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::domain::clock::Millis;
use crate::domain::text::is_hidden;

/// How answers are printed. Every command takes these flags.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Style {
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show every column of a table, however long its lines get
    #[arg(long, global = true)]
    pub(super) wide: bool,
    /// Print no colour codes (`NO_COLOR`).
    #[arg(skip)]
    pub(super) plain: bool,
}

/// The style of this process; set once, before anything is printed.
static STYLE: OnceLock<Style> = OnceLock::new();

/// Sets the style of this process.
pub(super) fn set_style(style: Style) {
    // Set before only where a test runs two commands in one process.
    let _ = STYLE.set(style);
}

fn style() -> Style {
    STYLE.get().copied().unwrap_or_default()
}

/// Whether the answer goes to a program.
pub(super) fn is_json() -> bool {
    style().json
}

/// Prints what a command has done: an object for programs, a line for people.
pub(super) fn done(object: &impl Serialize, text: &str) -> std::io::Result<()> {
    if is_json() { json(object) } else { line(text) }
}

/// Prints a line of ours, or several. What is in them from others has its line breaks taken by [`visible`] before: here they
/// are kept.
pub(super) fn line(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{}", harmless(text))
}

/// Prints text from others on lines of its own: each is indented, so that none passes for a line of ours.
pub(super) fn quote(text: &str) -> std::io::Result<()> {
    text.lines().try_for_each(|part| line(&format!("    {}", visible(part))))
}

/// The first line of text from others, or as much of it as fits into so many characters.
pub(super) fn first_line(text: &str, most: usize) -> String {
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(most).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Says how to see what a list has left out.
pub(super) fn more(next: Option<i64>) -> std::io::Result<()> {
    next.map_or(Ok(()), |next| line(&format!("there is more: add --before {next}")))
}

/// Prints a script of ours byte for byte.
pub(super) fn script(bytes: &[u8]) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(bytes)
}

/// The same, in colour where a person is looking.
pub(super) fn warning(text: &str) -> std::io::Result<()> {
    if style().plain || !is_terminal() {
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
    if is_terminal() { write_json_escaped(&serde_json::to_string_pretty(value)?) } else { json_line(value) }
}

/// Prints a value as JSON on one line, one of many.
pub(super) fn json_line(value: &impl Serialize) -> std::io::Result<()> {
    write_json_escaped(&serde_json::to_string(value)?)
}

/// Prints a value as JSON for a person, below a line of ours.
pub(super) fn indented(value: &impl Serialize) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    text.lines().try_for_each(|part| line(&format!("        {part}")))
}

fn write_json_escaped(json: &str) -> std::io::Result<()> {
    // Outside its strings JSON has none of these, and inside it may write_json_escaped any character so.
    let spelled = rewrite(json, |c| is_hidden(c) && c != '\n', |c| format!("\\u{:04x}", u32::from(c)));
    writeln!(std::io::stdout().lock(), "{spelled}")
}

/// Prints a table, or `empty` when it has no rows. On a terminal that is too narrow for it, the columns named in `rare` are
/// left out in that order until it fits, and then the longest cells are wrapped.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rare: &[&str],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> std::io::Result<()> {
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|cell| visible(&cell))).collect();
    if rows.is_empty() {
        return line(empty);
    }
    let size = terminal_size::terminal_size_of(std::io::stdout()).filter(|_| !style().wide);
    line(&fit(header, rare, &rows, size.map(|(width, _)| width.0)))
}

/// A table of at most `width` columns of the terminal, of any width without one.
fn fit<const N: usize>(header: [&str; N], rare: &[&str], rows: &[[String; N]], width: Option<u16>) -> String {
    let mut left_out = Vec::new();
    loop {
        let kept = header.map(|name| !left_out.contains(&name));
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(columns(&header, &kept));
        table.add_rows(rows.iter().map(|row| columns(row, &kept)));
        let Some(width) = width else { return table.trim_fmt() };
        // A space on each side of a cell; those at the ends of a line are trimmed on the right only.
        let needed: u16 = table.column_max_content_widths().iter().map(|width| width + 2).sum();
        if needed > width
            && let Some(next) = rare.get(left_out.len())
        {
            left_out.push(*next);
            continue;
        }
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let hint = match &left_out[..] {
            [] => String::new(),
            names => format!("\n--wide also shows {}", names.join(", ")),
        };
        return table.trim_fmt() + &hint;
    }
}

/// Those cells of a line whose columns are kept.
fn columns<'a, T>(line: &'a [T], kept: &'a [bool]) -> impl Iterator<Item = &'a T> {
    line.iter().zip(kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell)
}

/// A time as a person reads it: ISO 8601 in the local time zone, to the second.
pub(super) fn local_time(at: Millis) -> String {
    let utc = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    utc.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A time for programs as a person reads it. What is no time is shown as it is.
pub(super) fn local(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(|_| visible(time), |at| local_time(at.as_millisecond()))
}

/// Text from others, as one piece of a line: control characters become visible.
pub(super) fn visible(text: &str) -> String {
    rewrite(text, is_hidden, |c| c.escape_default().to_string())
}

/// The same for whole lines.
fn harmless(text: &str) -> String {
    rewrite(text, |c| is_hidden(c) && c != '\n', |c| c.escape_default().to_string())
}

fn rewrite(text: &str, which: impl Fn(char) -> bool, how: impl Fn(char) -> String) -> String {
    text.chars().map(|c| if which(c) { how(c) } else { c.to_string() }).collect()
}

/// Says on standard error what went wrong.
pub(super) fn complain(text: &str) {
    // Nothing is left to do when standard error is gone too.
    let _ = writeln!(std::io::stderr().lock(), "team-table: {}", harmless(text));
}

/// Text for a client on standard error, as it is.
pub(super) fn to_client(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
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
    fn a_table_fits_the_terminal() {
        let header = ["N", "TIME", "WHAT", "DETAILS"];
        let row = |what: &str| ["1", "2026-11-22T09:30:00+01:00", what, &"x".repeat(70)].map(str::to_owned);
        let rows = [row("asks"), row("answers")];
        let all = fit(header, &["DETAILS", "TIME"], &rows, None);
        assert!(all.contains("xxx") && !all.contains("--wide"), "{all}");
        assert_eq!(fit(header, &["DETAILS", "TIME"], &rows, Some(200)), all);
        let narrow = fit(header, &["DETAILS", "TIME"], &rows, Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.contains("2026-11-22T09:30:00+01:00") && !narrow.contains("xxx"), "{narrow}");
        assert!(narrow.ends_with("\n--wide also shows DETAILS"), "{narrow}");
        let long = [row(&"word ".repeat(40))];
        let wrapped = fit(header, &["DETAILS"], &long, Some(60));
        assert!(
            wrapped.lines().count() > 4 && wrapped.lines().all(|line| line.chars().count() <= 60),
            "{wrapped}"
        );
    }

    #[test]
    fn terminal_control_characters_are_escaped() {
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
