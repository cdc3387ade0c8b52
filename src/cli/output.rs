//! Printing: tables for people, JSON for programs.

use std::io::{IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// Prints one line.
pub(super) fn line(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}

/// Whether a person is looking.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Prints a value as JSON, on one line unless a person is looking.
pub(super) fn json(value: &impl Serialize) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        serde_json::to_writer_pretty(&mut out, value)?;
    } else {
        serde_json::to_writer(&mut out, value)?;
    }
    writeln!(out)
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

/// Text from agents, made harmless for a terminal: control characters become visible.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Says on standard error what went wrong.
pub(super) fn complain(text: &str) {
    // Nothing is left to do when standard error is gone too.
    let _ = writeln!(std::io::stderr().lock(), "team-table: {text}");
}
