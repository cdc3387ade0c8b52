//! Full-text search for persons: over messages, tasks and shared context. The index, which `search_index` keeps, holds no text:
//! what is shown is what the table holds now, and only where that still matches.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::browse::{Page, WALK};
use crate::domain::clock::Millis;
use crate::domain::message::Message;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Status, Task};
use crate::storage::Error;
use crate::storage::error::Result;
use crate::storage::sqlite::Matcher;
use crate::storage::tx::ReadTx;
use crate::storage::value::params;

/// Most documents that one page of hits looks at.
const LOOKED_AT: usize = 500;
/// Words of a query that are searched for; the others are left out.
const MAX_WORDS: usize = 16;
/// Characters of a word that are searched for; a longer one is found by its beginning.
const MAX_WORD: usize = 64;
/// Characters of an excerpt, and of those how many stand before its first match.
const EXCERPT: usize = 200;
const EXCERPT_BEFORE: usize = 60;
/// Characters of a message's first line.
const TITLE: usize = 100;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SearchKind {
    /// Texts of messages.
    Message,
    /// Titles, descriptions and results of tasks.
    Task,
    /// Keys and values of shared context.
    Context,
}

impl SearchKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Message, Self::Task, Self::Context];

    /// The word in the database, and for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Task => "task",
            Self::Context => "context",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// `invalid_argument`, with the words allowed.
    pub fn parse(word: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
            Refusal::invalid(
                format!("{:?} is not a kind of what is searched", word.chars().take(32).collect::<String>()),
                "use one of message, task, context",
            )
        })
    }
}

/// What to search for.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Words, which must all be there, in any order; the last one may be a beginning. Nothing in it has another meaning.
    pub text: String,
    /// Only these kinds; all of them when empty.
    pub kinds: Vec<SearchKind>,
    /// Only messages from or to this agent, tasks that it posted, does or reviews, and context that it wrote.
    pub agent: Option<String>,
    /// The `next` of the page before.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    /// In a message.
    Message {
        /// Its number.
        id: i64,
        /// Its thread.
        thread_id: i64,
        /// Who wrote it.
        sender: String,
        /// Whom to, or `*`.
        recipient: String,
    },
    /// In a task.
    Task {
        /// Its number.
        id: i64,
        /// Its state.
        status: Status,
    },
    /// In a context entry.
    Context {
        /// Its key.
        key: String,
    },
}

/// The part of a text in which something was found, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// At most 200 characters, and `…` where something is left out.
    pub text: String,
    /// The bytes of it that match, in order.
    pub matches: Vec<Range<usize>>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where.
    pub place: Place,
    /// When it was sent or last changed.
    pub at: Millis,
    /// The first line of a message (at most 100 characters), the title of a task, the key of an entry.
    pub title: String,
    /// What matches.
    pub excerpt: Excerpt,
}

/// The words of a query in the language of the index: each in quotes, so that none has a meaning there.
fn expression(text: &str) -> Result<String, Refusal> {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(MAX_WORDS).collect();
    if words.is_empty() {
        let shown: String = text.trim().chars().take(32).collect();
        let what = if shown.is_empty() {
            "there is nothing to search for".to_owned()
        } else {
            format!("there is no word in {shown:?} to search for")
        };
        return Err(Refusal::invalid(what, "give one or more words of letters and digits"));
    }
    let mut expression = String::new();
    for (at, word) in words.iter().enumerate() {
        let beginning: String = word.chars().take(MAX_WORD).collect();
        let is_prefix = at + 1 == words.len() || beginning.len() < word.len();
        expression.extend(["\"", &beginning, if is_prefix { "\"* " } else { "\" " }]);
    }
    Ok(expression)
}

/// The text of a task that is searched.
pub(super) fn task_text(task: &Task) -> String {
    let parts = [task.title.as_str(), &task.description, &task.result];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

impl ReadTx<'_> {
    /// A page of what matches, newest first, as it is at `now`. Looks at 500 documents of the wanted kinds, and passes over at
    /// most [`WALK`].
    ///
    /// # Errors
    /// `invalid_argument` for a text without any word.
    pub fn search(&self, query: &SearchQuery, now: Millis) -> Result<Page<Hit>> {
        let expression = expression(&query.text)?;
        let limit = usize::try_from(query.limit).unwrap_or(0).max(1);
        let wanted = |kind: SearchKind| query.kinds.is_empty() || query.kinds.contains(&kind);
        let (mut found, mut seen, mut last, mut next) = (Vec::new(), 0, 0, None);
        self.while_wanted(
            "SELECT d.id, d.kind, d.ref FROM search CROSS JOIN search_documents d ON d.id = search.rowid
              WHERE search MATCH ?1 AND search.rowid < ?2 ORDER BY search.rowid DESC",
            params![expression, query.before.unwrap_or(i64::MAX)],
            |row| {
                let kind = SearchKind::parse(row.text(1)?)?;
                Ok((
                    row.get::<i64>(0)?,
                    wanted(kind).then(|| Ok::<_, Error>((kind, row.get(2)?))).transpose()?,
                ))
            },
            |(id, document)| {
                seen += 1;
                if seen > WALK || found.len() == LOOKED_AT {
                    next = Some(last);
                    return false;
                }
                last = id;
                found.extend(document.map(|(kind, reference): (SearchKind, String)| (id, kind, reference)));
                true
            },
        )?;
        let matcher = Matcher::new()?;
        let (mut rows, mut passed) = (Vec::new(), 0);
        for (id, kind, reference) in found {
            if rows.len() == limit {
                next = Some(passed);
                break;
            }
            passed = id;
            let Some((hit, text)) = self.hit(kind, &reference, query.agent.as_deref(), now)? else {
                continue;
            };
            // The index may know an older text.
            if let Some(ranges) = matcher.ranges(&text, &expression)? {
                rows.push(Hit { excerpt: excerpt(&text, &ranges), ..hit });
            }
        }
        Ok(Page { rows, next })
    }

    /// What a document stands for, with its whole text; `None` when it is gone, has expired or is not the agent's.
    fn hit(
        &self,
        kind: SearchKind,
        reference: &str,
        agent: Option<&str>,
        now: Millis,
    ) -> Result<Option<(Hit, String)>> {
        let number = reference.parse().unwrap_or(0);
        let is_of = |names: &[&str]| agent.is_none_or(|agent| names.contains(&agent));
        let (place, at, title, text) = match kind {
            SearchKind::Message => {
                let Some(message) = self.message(number)? else { return Ok(None) };
                let Message { id, sender, recipient, content, created_at, thread_id, .. } = message;
                if !is_of(&[&sender, &recipient]) {
                    return Ok(None);
                }
                let title = first_line(&content);
                (Place::Message { id, thread_id, sender, recipient }, created_at, title, content)
            }
            SearchKind::Task => {
                let Some(task) = self.task(number)? else { return Ok(None) };
                if !is_of(&[&task.creator, &task.assignee, &task.reviewer]) {
                    return Ok(None);
                }
                let text = task_text(&task);
                (Place::Task { id: task.id, status: task.status }, task.updated_at, task.title, text)
            }
            SearchKind::Context => {
                let Some(entry) = self.context_entry(reference, now)? else { return Ok(None) };
                if !is_of(&[&entry.set_by]) {
                    return Ok(None);
                }
                let text = context_text(&entry.key, &entry.value);
                (Place::Context { key: entry.key.clone() }, entry.updated_at, entry.key, text)
            }
        };
        let excerpt = Excerpt { text: String::new(), matches: Vec::new() };
        Ok(Some((Hit { place, at, title, excerpt }, text)))
    }
}

/// The text of a context entry that is searched.
pub(super) fn context_text(key: &str, value: &str) -> String {
    [key, value].join("\n")
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(TITLE).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

/// The part of a text around its first match, on one line.
fn excerpt(text: &str, ranges: &[Range<usize>]) -> Excerpt {
    let first = ranges.first().map_or(0, |range| range.start);
    let before = text.get(..first).unwrap_or_default();
    let start = before.char_indices().rev().take(EXCERPT_BEFORE).last().map_or(first, |(at, _)| at);
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.char_indices().nth(EXCERPT).map_or(rest.len(), |(at, _)| at);
    let end = start + length;
    let mut shown = String::new();
    if start > 0 {
        shown.push('…');
    }
    let shift = shown.len();
    // As long as before: the ranges stay true.
    shown.extend(
        rest.get(..length)
            .unwrap_or_default()
            .chars()
            .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }),
    );
    if end < text.len() {
        shown.push('…');
    }
    let inside = ranges.iter().filter(|range| range.start < end);
    let matches =
        inside.map(|range| range.start - start + shift..range.end.min(end) - start + shift).collect();
    Excerpt { text: shown, matches }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_anything_but_words() {
        let words = |text: &str| expression(text).unwrap();
        assert_eq!(words("one"), "\"one\"* ");
        assert_eq!(words(" one  TWO three "), "\"one\" \"TWO\" \"three\"* ");
        assert_eq!(
            words("\"a\" OR b* NEAR(c, 2) -d {x}: y^"),
            "\"a\" \"OR\" \"b\" \"NEAR\" \"c\" \"2\" \"d\" \"x\" \"y\"* "
        );
        assert_eq!(words("nul\0byte é'; DROP"), "\"nul\" \"byte\" \"é\" \"DROP\"* ");
        assert_eq!(words(&"x ".repeat(100)).matches('x').count(), MAX_WORDS);
        assert_eq!(words(&format!("{} y", "x".repeat(65))), format!("\"{}\"* \"y\"* ", "x".repeat(64)));
        for empty in ["", "  ", "\"*\"", "--", "\0", "🙂 …"] {
            let refusal = expression(empty).unwrap_err();
            assert!(refusal.hint.contains("words of letters and digits"), "{refusal:?}");
        }
    }

    #[test]
    fn an_excerpt_stands_around_its_first_match() {
        let shown = |text: &str, ranges: &[Range<usize>]| {
            let excerpt = excerpt(text, ranges);
            let parts: Vec<_> =
                excerpt.matches.iter().map(|range| excerpt.text[range.clone()].to_owned()).collect();
            (excerpt.text, parts)
        };
        assert_eq!(shown("a\nbc d", std::slice::from_ref(&(2..4))), ("a bc d".into(), vec!["bc".into()]));
        let long = format!("{}née {} née", "é".repeat(100), "x".repeat(300));
        let (text, parts) = shown(&long, &[200..204, 506..510]);
        assert_eq!(text.chars().count(), EXCERPT + 2);
        assert!(text.starts_with("…é") && text.ends_with("x…"), "{text}");
        assert_eq!(parts, ["née"]);
        assert_eq!(shown("", &[]), (String::new(), vec![]));
    }
}
