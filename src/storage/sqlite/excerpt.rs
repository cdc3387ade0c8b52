//! Where the words of a query stand in a text. The search index keeps no texts, so this asks the same tokenizer again: what is
//! marked is what the index finds, and what does not match any more is noticed.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension};

use crate::storage::error::Result;

/// As the index `search` in `migrations/0006_persons.sql`.
const TOKENIZER: &str = "unicode61 remove_diacritics 2";

/// Characters that nobody writes, to mark the beginning and the end of a match; in a text they become [`STAND_IN`], which is as
/// long.
const MARKS: [char; 2] = ['\u{f0ff}', '\u{f0fe}'];
const STAND_IN: &str = "\u{fffd}";

/// Finds the words of one query in texts.
pub(in crate::storage) struct Matcher {
    connection: Connection,
}

impl Matcher {
    /// Makes its tables, in memory.
    pub(in crate::storage) fn new() -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(&format!(
            "CREATE VIRTUAL TABLE one USING fts5 (text, tokenize = '{TOKENIZER}')"
        ))?;
        Ok(Self { connection })
    }

    /// The bytes of `text` that match, in order; `None` when the text as a whole does not match.
    pub(in crate::storage) fn ranges(&self, text: &str, query: &str) -> Result<Option<Vec<Range<usize>>>> {
        let put = "INSERT OR REPLACE INTO one (rowid, text) VALUES (1, ?1)";
        self.connection.prepare_cached(put)?.execute([text.replace(MARKS, STAND_IN)])?;
        let marked: Option<String> = self
            .connection
            .prepare_cached("SELECT highlight(one, 0, ?2, ?3) FROM one WHERE one MATCH ?1")?
            .query_row((query, MARKS[0].to_string(), MARKS[1].to_string()), |row| row.get(0))
            .optional()?;
        let Some(marked) = marked else { return Ok(None) };
        let (mut ranges, mut start, mut at) = (Vec::new(), 0, 0);
        for c in marked.chars() {
            match c {
                c if c == MARKS[0] => start = at,
                c if c == MARKS[1] => ranges.push(start..at),
                c => at += c.len_utf8(),
            }
        }
        Ok(Some(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_what_the_index_finds() {
        let migration = include_str!("migrations/0006_persons.sql");
        assert!(migration.contains(&format!("tokenize = '{TOKENIZER}'")), "another tokenizer than the index");
        let matcher = Matcher::new().unwrap();
        let found = |text: &str, query: &str| {
            let ranges = matcher.ranges(text, query).unwrap()?;
            Some(ranges.into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(found("A Wörld of worlds", "\"world\"*").unwrap(), ["Wörld", "worlds"]);
        assert_eq!(found("to be or not", "\"not\" \"be\"").unwrap(), ["be", "not"]);
        assert_eq!(found("to be or not", "\"not\" \"been\""), None);
        assert_eq!(found("", "\"a\"*"), None);
        assert_eq!(found("a\u{f0ff}b\u{f0fe} c\0d", "\"c\"").unwrap(), ["c"], "marks in the text itself");
    }
}
