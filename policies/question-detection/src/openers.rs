//! The English question by its word order, for those who leave the mark out: an auxiliary before its subject ("is the
//! demo on Tuesday"), or a question word before an auxiliary ("where should generated files go").

use crate::words::Place;

/// Auxiliaries before a subject make a question.
const AUXILIARIES: [&str; 35] = [
    "am",
    "are",
    "can",
    "could",
    "did",
    "do",
    "does",
    "had",
    "has",
    "have",
    "is",
    "may",
    "might",
    "shall",
    "should",
    "was",
    "were",
    "will",
    "would",
    "aren't",
    "isn't",
    "won't",
    "didn't",
    "doesn't",
    "don't",
    "wasn't",
    "weren't",
    "hasn't",
    "haven't",
    "hadn't",
    "can't",
    "couldn't",
    "shouldn't",
    "wouldn't",
    "must",
];

/// Auxiliaries that are commands or reports as well ("do the import", "had a look"): only a pronoun makes them a question.
const COMMANDS: [&str; 5] = ["do", "have", "did", "had", "don't"];

const PRONOUNS: [&str; 10] = ["i", "you", "we", "they", "he", "she", "it", "anyone", "anybody", "nobody"];

/// What makes a statement of words that begin with "any", or of two alternatives.
const FINITE: [&str; 24] = [
    "is", "are", "was", "were", "can", "may", "will", "must", "should", "would", "could", "has", "had",
    "gets", "get", "works", "fails", "goes", "need", "needs", "means", "stops", "counts", "with",
];

/// Words that go on with a sentence whose subject was a question ("what was missing is in the log").
const GOES_ON: [&str; 10] =
    ["is", "are", "was", "were", "depends", "goes", "stands", "explains", "shows", "follows"];
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
        Place::Clause => inverted(words) || asks_which(words) || tag(words),
        Place::Sentence => {
            inverted(words) || asks_which(words) || question_word(words) || any(words) || alternatives(words)
        }
    }
}

/// "…, right", "…, isn't it": nothing else stands behind the comma.
fn tag(words: &[&str]) -> bool {
    match words {
        ["right" | "correct"] => true,
        [auxiliary, pronoun] => auxiliary.ends_with("n't") && PRONOUNS.contains(pronoun),
        _ => false,
    }
}

/// "Any reason not to", "anybody working on it": nothing is said of the any.
fn any(words: &[&str]) -> bool {
    matches!(words, ["any" | "anyone" | "anybody" | "anything", _, ..])
        && !words.iter().any(|word| FINITE.contains(word))
}

/// "Keep or delete the flag", "per user or per team": nothing is said of the two.
fn alternatives(words: &[&str]) -> bool {
    words.len() <= 14
        && words.iter().skip(1).take(3).any(|word| *word == "or")
        && !words.iter().any(|word| FINITE.contains(word))
}

fn inverted(words: &[&str]) -> bool {
    let [auxiliary, subject, ..] = words else {
        return false;
    };
    // "Were it not for the proxy".
    let wish = matches!(words, ["were" | "had", _, "not", ..]);
    AUXILIARIES.contains(auxiliary)
        && !wish
        && (PRONOUNS.contains(subject) || SUBJECTS.contains(subject) && !COMMANDS.contains(auxiliary))
}

fn question_word(words: &[&str]) -> bool {
    match words {
        // Only these, because in "which should fix it" and "which is why" a report goes on.
        ["which", "one" | "of", ..]
        | ["which", "is", "right" | "correct" | "better" | "preferred", ..]
        | ["what", "next" | "about" | "if", ..]
        | ["how", "about", ..]
        | ["what's" | "who's" | "where's" | "how's", ..] => true,
        // "How long it takes depends".
        ["how", "many" | "much" | "long" | "often", next, rest @ ..] => {
            !(PRONOUNS.contains(next) || *next == "the" && goes_on(rest))
        }
        // "What was missing is in the log", "who did what is in the log".
        ["what" | "who" | "where" | "why" | "how" | "when", next, rest @ ..]
            if AUXILIARIES.contains(next) =>
        {
            let is_subject =
                rest.first().is_some_and(|word| PRONOUNS.contains(word) || SUBJECTS.contains(word));
            is_subject || !goes_on(rest.get(1..).unwrap_or_default())
        }
        _ => false,
    }
}

fn goes_on(words: &[&str]) -> bool {
    words.iter().any(|word| GOES_ON.contains(word))
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
