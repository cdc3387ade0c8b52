//! Finds the phrases of `english` and `languages` in a sentence, and tells a wish from a report.

use crate::{
    Rule, english, languages, openers,
    words::{Place, Sentence},
};

/// Phrases that are also plain verbs of a report, so that what stands around them counts.
const VERBS: [&str; 7] = ["decide", "choose", "pick", "approve", "confirm", "authorise", "authorize"];

/// Those of whose doings one reports.
const REPORTERS: [&str; 12] = [
    "i",
    "they",
    "he",
    "she",
    "users",
    "customers",
    "admins",
    "members",
    "you",
    "people",
    "agents",
    "guests",
];

/// Verbs that stand behind the clause of a German or Dutch "was fehlte, …" and make it a statement.
const AFTER_CLAUSE: [&str; 15] = [
    "steht", "ist", "sind", "wird", "werden", "liegt", "hängt", "war", "zeigt", "kommt", "staat", "is",
    "wordt", "ligt", "hangt",
];

/// How many buckets the phrases are spread over by their first words.
const BUCKETS: usize = 4096;

/// The phrases of all languages, by their first words.
#[derive(Debug)]
pub(crate) struct Phrases {
    buckets: Vec<Vec<Phrase>>,
}

#[derive(Debug)]
struct Phrase {
    rule: Rule,
    text: &'static str,
    /// Counts only at the start of a sentence.
    starts: bool,
    words: Vec<&'static str>,
}

impl Phrases {
    pub(crate) fn new() -> Self {
        let mut buckets: Vec<Vec<Phrase>> = Vec::new();
        buckets.resize_with(BUCKETS, Vec::new);
        for (rule, table) in english::TABLES.into_iter().chain(languages::TABLES) {
            for text in table.split('|') {
                let starts = text.starts_with('^');
                let text = text.trim_start_matches('^');
                let words: Vec<_> = text.split(' ').collect();
                if let Some(bucket) = buckets.get_mut(bucket(beginning(&words))) {
                    bucket.push(Phrase { rule, text, starts, words });
                }
            }
        }
        Self { buckets }
    }

    /// The first phrase of an enabled rule in a sentence.
    pub(crate) fn find(
        &self,
        sentence: &Sentence,
        enabled: impl Fn(Rule) -> bool,
    ) -> Option<(Rule, &'static str)> {
        let words = sentence.words.as_slice();
        // What ends with a mark has been judged by its mark, if that rule is on.
        let word_order = enabled(Rule::Opener) && !(sentence.marked && enabled(Rule::QuestionMark));
        sentence.places.iter().enumerate().find_map(|(at, &place)| {
            let (before, here) = words.split_at_checked(at)?;
            if word_order && openers::asks(here, place) {
                return Some((Rule::Opener, "word order"));
            }
            let of_one = self.buckets.get(bucket(here.get(..1)?))?.iter();
            let of_two = here.get(..2).and_then(|two| self.buckets.get(bucket(two))).into_iter().flatten();
            let hit = of_two.chain(of_one).find(|phrase| {
                enabled(phrase.rule)
                    && (phrase.rule != Rule::Opener || place != Place::Inside)
                    && (!phrase.starts || place == Place::Sentence && !goes_on(sentence, at))
                    && fits(&phrase.words, here)
                    && !reports(phrase.text, before, here)
            })?;
            Some((hit.rule, hit.text))
        })
    }
}

/// Whether a sentence that begins with a question word states something behind its comma: "was fehlte, steht in der Doku".
fn goes_on(sentence: &Sentence, at: usize) -> bool {
    let words = sentence.words.iter().zip(&sentence.places).skip(at + 1);
    words.into_iter().any(|(word, place)| *place == Place::Clause && AFTER_CLAUSE.contains(word))
}

/// The words that a phrase is found by: its first two, or the first where the second may be any.
fn beginning<'a>(words: &'a [&'static str]) -> &'a [&'static str] {
    match words {
        [_, second, ..] if *second != ".." => words.get(..2),
        _ => words.get(..1),
    }
    .unwrap_or_default()
}

/// The bucket of one or two words: FNV-1a, because it runs for every word of every message and the standard hasher costs
/// more than all the rest.
fn bucket(words: &[&str]) -> usize {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([b' ']));
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 16)) as usize % BUCKETS
}

/// Whether the words start with the phrase.
fn fits(phrase: &[&str], words: &[&str]) -> bool {
    match (phrase, words) {
        ([], _) => true,
        (["..", after @ ..], _) => {
            (0..=3).any(|gap| words.get(gap..).is_some_and(|words| fits(after, words)))
        }
        ([first, phrase @ ..], [word, words @ ..]) => first == word && fits(phrase, words),
        (_, []) => false,
    }
}

/// Whether the phrase is part of a report and asks for nothing.
fn reports(phrase: &str, before: &[&str], here: &[&str]) -> bool {
    let length = phrase.split(' ').count();
    let meant = here.get(..length + 2).unwrap_or(here);
    if phrase.contains("..") && meant.iter().any(|word| matches!(*word, "our" | "no" | "nobody" | "automatically"))
        || languages::REPORTS.iter().any(|report| here.starts_with(report))
        // "Missing permissions are logged", "it was unclear which", "appreciate the input"
        || phrase.starts_with("missing") && here.get(length).is_some_and(|word| matches!(*word, "are" | "is"))
        || phrase.starts_with("unclear") && before.ends_with(&["was"])
        || phrase.starts_with("appreciate") && before.is_empty()
    {
        return true;
    }
    let denied = match before {
        [.., "to"] => {
            before.iter().rev().skip(1).take(4).any(|word| matches!(*word, "no" | "nothing" | "needn't"))
        }
        [.., last] => *last == "no",
        [] => false,
    };
    if denied {
        return true;
    }
    if phrase.starts_with("let me know") {
        // What one says to be polite: "let me know if you need anything".
        let after = here.get(3..).unwrap_or_default();
        return matches!(after, ["if", "anything" | "something", ..] | ["if", "you", "need", ..]);
    }
    if phrase.starts_with("your ") {
        return before
            .iter()
            .rev()
            .take(2)
            .any(|word| matches!(*word, "thanks" | "appreciate" | "got" | "received" | "per"))
            || before.ends_with(&["thank", "you", "for"])
            || here.iter().skip(2).take(3).any(|word| {
                matches!(
                    *word,
                    "was" | "were" | "arrived" | "came" | "helped" | "worked" | "noted" | "received"
                )
            });
    }
    if let [.., who, "will"] = before {
        // "QA will confirm", but not "who will decide".
        return VERBS.contains(&phrase) && !matches!(*who, "who" | "you" | "which" | "someone" | "somebody");
    }
    VERBS.contains(&phrase)
        && match before {
            // "I'll pick": the sender's own doing. "The confirm dialog": no verb at all.
            [.., last] if matches!(*last, "i'll" | "i'd" | "we'll" | "they'll" | "he'll" | "she'll") => true,
            [.., last] if matches!(*last, "the" | "a" | "an" | "this") => true,
            // "the wizard lets you pick", "can confirm"
            // "To confirm an order, press F5"
            [.., "lets" | "let", _] | ["can" | "to"] => true,
            // "I can confirm", "users choose"
            [.., who, "can" | "could" | "would"] if REPORTERS.contains(who) => true,
            [who] if REPORTERS.contains(who) && *who != "you" => true,
            // "pick up", "pick it up"
            _ => matches!(here, ["pick", "up", ..] | ["pick", _, "up", ..]),
        }
}
