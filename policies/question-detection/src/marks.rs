//! Question marks of all scripts, and the few places where one is no question.

/// Marks that end a question wherever they stand.
const ALWAYS: [char; 14] = ['？', '؟', '¿', '՞', '፧', '⁇', '⁈', '⁉', '❓', '❔', '‽', '⸮', '\u{37e}', '꘏'];

/// What may stand between the mark and the end of the sentence.
const CLOSERS: [char; 14] = ['?', '!', '.', '…', ')', ']', '}', '"', '\'', '”', '’', '»', '*', '_'];

/// Words that answer a question which was asked for effect only.
const ANSWERS: [&str; 6] = ["because ", "turns out", "simple", "easy", "never ", "nothing"];

/// Words that start a question, for marks in the middle of a line.
const OPENERS: [&str; 30] = [
    "what", "which", "who", "whom", "whose", "where", "when", "why", "how", "is", "are", "am", "was", "were",
    "do", "does", "did", "can", "could", "should", "would", "will", "shall", "may", "might", "has", "have",
    "had", "any", "ok",
];

/// Characters looked at after a mark, so that a message full of marks does not cost the square of its length.
const LOOK_AHEAD: usize = 40;

/// Whether a line asks something by its punctuation.
pub(crate) fn asks(line: &str) -> bool {
    if line.is_ascii() && !line.contains('?') {
        return false;
    }
    line.char_indices().any(|(at, c)| match c {
        '?' => is_question(line.get(..at).unwrap_or(""), line.get(at + 1..).unwrap_or("")),
        // The Greek question mark is typed as a semicolon.
        ';' => line.get(..at).and_then(|before| before.chars().next_back()).is_some_and(is_greek),
        _ => ALWAYS.contains(&c),
    })
}

fn is_question(before: &str, after: &str) -> bool {
    let after = after.trim_start_matches(CLOSERS);
    if !after.starts_with(char::is_whitespace) && !after.is_empty() {
        // An emoji may follow at once; a letter or a sign makes it `a?b`, `?x=1` or `cond?.then`.
        return !after.starts_with(|c: char| c.is_alphanumeric() || c.is_ascii_punctuation());
    }
    let after = after.trim_start();
    let Some(next) = after.chars().take(LOOK_AHEAD).find(|c| c.is_alphanumeric()) else {
        return true;
    };
    let sentence = before.rsplit(['.', '!', '?', ':']).next().unwrap_or(before).trim_start();
    let first = sentence.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_lowercase();
    if next.is_lowercase() && after.starts_with(next) {
        // The line goes on as if nothing had been asked: `a ? b : c`, "the old Port? syntax".
        return OPENERS.contains(&first.as_str());
    }
    let asked_for_effect = matches!(first.as_str(), "why" | "what" | "how") && {
        let follow: String = after.chars().take(LOOK_AHEAD).flat_map(char::to_lowercase).collect();
        ANSWERS.iter().any(|answer| follow.starts_with(answer))
    };
    !asked_for_effect
}

fn is_greek(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}')
}
