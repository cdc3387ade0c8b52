//! The English question by its word order, for those who leave the mark out: an auxiliary before its subject ("is the
//! demo on Tuesday"), or a question word before an auxiliary ("where should generated files go").

use crate::words::Place;

/// Auxiliaries before a subject make a question.
const AUXILIARIES: [&str; 22] = [
    "am", "are", "can", "could", "did", "do", "does", "had", "has", "have", "is", "may", "might", "shall",
    "should", "was", "were", "will", "would", "aren't", "isn't", "won't",
];

/// Auxiliaries that are commands as well ("do the import", "have the report ready"): only a pronoun makes them a question.
const COMMANDS: [&str; 2] = ["do", "have"];

const PRONOUNS: [&str; 8] = ["i", "you", "we", "they", "he", "she", "it", "anyone"];

/// Other words that a subject starts with.
const SUBJECTS: [&str; 20] = [
    "the", "this", "that", "these", "those", "there", "your", "my", "our", "a", "an", "one", "any",
    "anybody", "someone", "somebody", "everyone", "anything", "both", "it's",
];

/// Auxiliaries that need a subject after them even behind a question word: "what you see is the log" is a statement.
const TO_BE: [&str; 4] = ["is", "are", "was", "were"];

/// Whether a question starts with these words. After a comma, "which" and the like go on about something ("carol, who
/// owns it"), so for them only the start of the sentence counts.
pub(crate) fn asks(words: &[&str], place: Place) -> bool {
    match place {
        Place::Inside => false,
        Place::Clause => inverted(words) || asks_which(words),
        Place::Sentence => inverted(words) || asks_which(words) || question_word(words),
    }
}

fn inverted(words: &[&str]) -> bool {
    let [auxiliary, subject, ..] = words else {
        return false;
    };
    AUXILIARIES.contains(auxiliary)
        && (PRONOUNS.contains(subject) || SUBJECTS.contains(subject) && !COMMANDS.contains(auxiliary))
}

fn question_word(words: &[&str]) -> bool {
    match words {
        // Only these, because in "which should fix it" and "which is why" a report goes on.
        ["which", "one" | "of", ..]
        | ["which", "is", "right" | "correct" | "better" | "preferred", ..]
        | ["what", "next" | "about" | "if", ..]
        | ["how", "about" | "many" | "much" | "long" | "often", ..]
        | ["what's" | "who's" | "where's" | "how's", ..] => true,
        ["what" | "who" | "where" | "why" | "how" | "when", next, ..] if AUXILIARIES.contains(next) => true,
        _ => false,
    }
}

/// "Which version will it be in", "what port do we use".
fn asks_which(words: &[&str]) -> bool {
    let ["which" | "what" | "whose" | "how", rest @ ..] = words else { return false };
    (1..=3).any(|gap| {
        rest.get(gap..).is_some_and(|rest| {
            inverted(rest) && rest.first().is_some_and(|auxiliary| !TO_BE.contains(auxiliary))
        })
    })
}
