//! Finds the phrases of `english` and `languages` in a sentence, and tells a wish from a report.

use crate::{
    Rule, english, languages, openers,
    words::{Place, Sentence},
};

/// Phrases that are also plain verbs of a report, so that what stands around them counts.
const VERBS: [&str; 5] = ["decide", "choose", "pick", "approve", "confirm"];

/// Those of whose doings one reports.
const REPORTERS: [&str; 6] = ["i", "they", "he", "she", "users", "customers"];

/// How many buckets the phrases are spread over by their first word.
const BUCKETS: usize = 1024;

/// The phrases of all languages, by their first word.
#[derive(Debug)]
pub(crate) struct Phrases {
    buckets: Vec<Vec<Phrase>>,
}

#[derive(Debug)]
struct Phrase {
    rule: Rule,
    text: &'static str,
    words: Vec<&'static str>,
}

impl Phrases {
    pub(crate) fn new() -> Self {
        let mut buckets: Vec<Vec<Phrase>> = Vec::new();
        buckets.resize_with(BUCKETS, Vec::new);
        for (rule, table) in english::TABLES.into_iter().chain(languages::TABLES) {
            for text in table.split('|') {
                let words: Vec<_> = text.split(' ').collect();
                let first = words.first().copied().unwrap_or("");
                if let Some(bucket) = buckets.get_mut(bucket(first)) {
                    bucket.push(Phrase { rule, text, words });
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
            let bucket = self.buckets.get(bucket(here.first()?))?;
            let hit = bucket.iter().find(|phrase| {
                enabled(phrase.rule)
                    && (phrase.rule != Rule::Opener || place != Place::Inside)
                    && fits(&phrase.words, here)
                    && !reports(phrase.text, before, here)
            })?;
            Some((hit.rule, hit.text))
        })
    }
}

/// The bucket of a word: FNV-1a, because it runs for every word of every message and the standard hasher costs more
/// than all the rest.
fn bucket(word: &str) -> usize {
    let hash =
        word.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
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
    if phrase == "let me know" {
        // What one says to be polite: "let me know if you need anything".
        return matches!(
            here.get(3..),
            Some(["if", "anything" | "something", ..] | ["if", "you", "need", ..])
        );
    }
    if phrase.starts_with("your ") {
        return before
            .iter()
            .rev()
            .take(2)
            .any(|word| matches!(*word, "thanks" | "appreciate" | "got" | "received" | "per"))
            || before.ends_with(&["thank", "you", "for"])
            || here.get(2).is_some_and(|word| matches!(*word, "was" | "were"));
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
            // "To confirm an order, press F5"
            ["to"] => true,
            // "I can confirm", "users choose"
            [.., who, "can" | "could" | "would"] | [who] if REPORTERS.contains(who) => true,
            // "pick up", "pick it up"
            _ => matches!(here, ["pick", "up", ..] | ["pick", _, "up", ..]),
        }
}
