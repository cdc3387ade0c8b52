//! Cuts a line into sentences and words, the way the phrases are written.

use crate::languages::SCRIPTS;

/// Where in its sentence a word stands. What one says before coming to the point ("hi bob, ok so …") does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the start of the sentence.
    Sentence,
    /// At the start of a clause.
    Clause,
    /// Anywhere else.
    Inside,
}

/// The words of a sentence in lower case.
#[derive(Debug, Default)]
pub(crate) struct Sentence<'a> {
    pub(crate) words: Vec<&'a str>,
    pub(crate) places: Vec<Place>,
    /// Ends with a question mark.
    pub(crate) marked: bool,
    /// Ends with a colon, as a heading does.
    pub(crate) heading: bool,
}

const FILLERS: [&str; 11] = ["ok", "okay", "so", "and", "but", "also", "then", "please", "well", "now", "or"];

/// May be followed by a name.
const GREETINGS: [&str; 4] = ["hi", "hey", "hello", "dear"];

impl<'a> Sentence<'a> {
    fn push(&mut self, word: &'a str, after_comma: bool) {
        let place = match (self.places.as_slice(), self.words.as_slice()) {
            ([], _) => Place::Sentence,
            ([.., place], [.., last])
                if *place != Place::Inside && (FILLERS.contains(last) || GREETINGS.contains(last)) =>
            {
                *place
            }
            ([.., place, _], [.., greeting, _])
                if *place != Place::Inside && GREETINGS.contains(greeting) =>
            {
                *place
            }
            _ if after_comma => Place::Clause,
            _ => Place::Inside,
        };
        self.words.push(word);
        self.places.push(place);
    }
}

/// The sentences of a line. Hyphens, apostrophes and dots inside a word belong to it, so that `cherry-pick` and
/// `pick.rs` are not the word `pick`.
pub(crate) fn sentences(line: &str) -> impl Iterator<Item = Sentence<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut sentence = Sentence::default();
        let mut after_comma = false;
        while let Some(c) = rest.chars().next() {
            // Scripts without spaces have no words to find; `languages` looks at them as they are.
            let word = if c < SCRIPTS { word(rest) } else { "" };
            if !word.is_empty() {
                sentence.push(word, std::mem::take(&mut after_comma));
                rest = rest.get(word.len()..).unwrap_or("");
                continue;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            match c {
                '.' | '!' | '?' | ':' | ';' | '。' | '！' => {
                    sentence.marked = c == '?';
                    sentence.heading = c == ':';
                    break;
                }
                // Whoever is addressed is not part of the clause.
                '@' => {
                    rest = rest.get(self::word(rest).len()..).unwrap_or("");
                    after_comma = true;
                }
                ',' | '(' | '–' | '—' | '、' | '，' => after_comma = true,
                _ => {}
            }
        }
        Some(sentence)
    })
}

/// The word that the text starts with; empty when it starts with something else.
fn word(text: &str) -> &str {
    let bytes = text.as_bytes();
    let ascii = bytes.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(bytes.len());
    if ascii > 0 && bytes.get(ascii).is_none_or(|end| matches!(end, b' ' | b',' | b'\n')) {
        return text.get(..ascii).unwrap_or("");
    }
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let inside = c.is_alphanumeric()
            || c == '_'
            || is_mark(c)
            || (end > 0
                && matches!(c, '-' | '\'' | '.')
                && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric()))
            // An option of a command line is a word of its own: `--confirm`.
            || (at < 2 && text.starts_with("--"));
        if !inside || c >= SCRIPTS {
            break;
        }
        end = at + c.len_utf8();
    }
    text.get(..end).unwrap_or("")
}

/// Vowel signs of Indic scripts, which are part of words but no letters.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{d7f}')
}
