//! Cuts a line into sentences and words, the way the phrases are written.

/// A sentence: its words, and at which of them clauses start.
#[derive(Debug, Default)]
pub(crate) struct Sentence<'a> {
    pub(crate) words: Vec<&'a str>,
    pub(crate) clauses: Vec<usize>,
    /// Ends with a question mark.
    pub(crate) marked: bool,
}

/// The sentences of a line in lower case. Hyphens, apostrophes and dots inside a word belong to it, so that `cherry-pick`
/// and `pick.rs` are not the word `pick`.
pub(crate) fn sentences(line: &str) -> impl Iterator<Item = Sentence<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut sentence = Sentence { words: Vec::new(), clauses: vec![0], marked: false };
        while let Some(c) = rest.chars().next() {
            let word = word(rest);
            if !word.is_empty() {
                sentence.words.push(word);
                rest = rest.get(word.len()..).unwrap_or("");
                continue;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            sentence.marked = c == '?';
            match c {
                '.' | '!' | '?' | ':' | ';' | '。' | '！' => break,
                // Whoever is addressed is not part of the clause.
                '@' => {
                    rest = rest.get(self::word(rest).len()..).unwrap_or("");
                    sentence.clauses.push(sentence.words.len());
                }
                ',' | '(' | '–' | '—' | '、' | '，' => sentence.clauses.push(sentence.words.len()),
                _ => {}
            }
        }
        Some(sentence)
    })
}

/// The word that the text starts with; empty when it starts with something else.
fn word(text: &str) -> &str {
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_letter = chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        let inside = c.is_alphanumeric()
            || c == '_'
            || is_mark(c)
            || (end > 0 && next_is_letter && matches!(c, '-' | '\'' | '.'))
            // An option of a command line is a word of its own: `--confirm`.
            || (at < 2 && text.starts_with("--"));
        if !inside {
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
