//! The English question by its word order, for those who leave the mark out: an auxiliary before its subject ("is the
//! demo on Tuesday"), or a question word before an auxiliary ("where should generated files go").

use crate::words::{Place, Sentence};

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

/// What stands behind an auxiliary whose subject is left out: "can now build".
const ADVERBS: [&str; 12] =
    ["now", "not", "only", "also", "no", "then", "to", "just", "again", "never", "ever", "always"];

/// Verbs after a "which" that goes on about the sentence before: "which explains the double rows".
const RELATIVE: [&str; 14] = [
    "explains", "means", "makes", "shows", "causes", "fixes", "leads", "gives", "breaks", "happens", "helps",
    "saves", "works", "brings",
];

/// A question as a sentence of one word, after what it asks about.
const ONE_WORD: [&str; 14] = [
    "thoughts",
    "objections",
    "opinions",
    "ideas",
    "preferences",
    "suggestions",
    "acceptable",
    "concerns",
    "comments",
    "feedback",
    "advice",
    "help",
    "votes",
    "unclear",
];

/// "Tabs oder Leerzeichen"
const OR: [&str; 7] = ["or", "oder", "ou", "o", "of", "или", "eller"];

/// Verbs behind a "what" that is the subject of a statement.
const ENDS_CLAUSE: [&str; 12] = [
    "remains", "matters", "happened", "follows", "counts", "changed", "worked", "broke", "helped", "failed",
    "happens", "works",
];

/// What stands behind the subject of a question and never behind a participle: "has bob already", "is postgres still".
const LATER: [&str; 12] =
    ["already", "still", "also", "really", "be", "have", "know", "even", "ever", "go", "come", "any"];

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
pub(crate) fn asks(words: &[&str], place: Place, sentence: &Sentence) -> bool {
    match place {
        Place::Inside => false,
        _ if words.first().is_some_and(|word| french(word)) => true,
        Place::Clause => {
            inverted(words)
                || asks_which(words)
                || asks_what(words)
                || tag(words)
                || sentence.words.len() > 4 && matches!(words, ["ok" | "okay" | "agreed" | "deal"])
        }
        Place::Sentence => {
            inverted(words)
                || asks_which(words)
                || question_word(words)
                || any(words)
                || alternatives(words)
                || !sentence.heading && incomplete(words)
        }
    }
}

/// The French inversion: "peut-on", "a-t-il".
fn french(word: &str) -> bool {
    const SUBJECTS: [&str; 9] = ["je", "tu", "il", "elle", "on", "nous", "vous", "ils", "elles"];
    word != "rendez-vous" && word.rsplit_once('-').is_some_and(|(_, subject)| SUBJECTS.contains(&subject))
}

/// "…, what do I answer", "…, how should we go on".
fn asks_what(words: &[&str]) -> bool {
    matches!(words, ["what" | "where" | "how" | "when" | "why" | "who", auxiliary, subject, ..]
        if matches!(*auxiliary, "do" | "does" | "did")
            || AUXILIARIES.contains(auxiliary) && (PRONOUNS.contains(subject) || SUBJECTS.contains(subject)))
}

/// "Who signs the release", "which colour for the banner", "does carol know": nothing is said of what the words ask for.
fn incomplete(words: &[&str]) -> bool {
    let noun = |word: &&str| {
        !AUXILIARIES.contains(word)
            && !ADVERBS.contains(word)
            && !PRONOUNS.contains(word)
            && !SUBJECTS.contains(word)
    };
    match words {
        // "Did the vendor reply", but not "did the import".
        ["did", "the", _, _] => true,
        // "Do the numbers in the report include taxes"
        ["do", "the", many, _, _, _, ..] if many.ends_with('s') => true,
        [one] => ONE_WORD.contains(one),
        // "Tabs oder Leerzeichen", "publicamos hoje ou amanhã"
        [.., or, _] if words.len() <= 4 && OR.contains(or) => true,
        // "Which branch is the base", but not "what remains is the docs".
        ["what" | "which", next, "is" | "are" | "was" | "were", rest @ ..]
            if noun(next) && !ENDS_CLAUSE.contains(next) =>
        {
            !goes_on(rest)
        }
        // "Does carol know", but not "does nothing when the list is empty".
        ["does", next, _, ..] => !matches!(*next, "not" | "nothing" | "so"),
        // "Has bob already signed", but not "has landed on main".
        ["did" | "has" | "will" | "is" | "are" | "can" | "should" | "would" | "could", name, verb, ..] => {
            noun(name) && (LATER.contains(verb) || FINITE.contains(verb) && *verb != "with")
        }
        // Not "who did what is in the log".
        [
            "what" | "where" | "how" | "when" | "why" | "who",
            "should" | "do" | "does" | "did" | "would" | "could",
            next,
            ..,
        ] => *next != "what",
        ["why", next, _, ..] if noun(next) => !goes_on(words),
        ["which", next, ..] if RELATIVE.contains(next) => false,
        // "Who signs the release", but not "who owns which module is in CODEOWNERS".
        ["who" | "whose" | "what" | "which" | "where", next, rest @ ..] => {
            noun(next)
                && !rest.is_empty()
                && !goes_on(rest)
                && !rest.iter().any(|word| FINITE.contains(word) && *word != "with")
        }
        _ => false,
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
    // "Were it not for the proxy", "was a typo".
    let wish = matches!(words, ["were" | "had", _, "not", ..] | ["was", "a" | "an", ..]);
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
            !((PRONOUNS.contains(next) || SUBJECTS.contains(next)) && goes_on(rest))
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
            inverted(rest)
                && (rest.first().is_some_and(|auxiliary| !TO_BE.contains(auxiliary))
                    || rest.get(1).is_some_and(|subject| PRONOUNS.contains(subject)))
        })
    })
}
