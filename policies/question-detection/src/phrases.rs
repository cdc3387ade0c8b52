//! Finds the phrases of `english` and `languages` in a sentence, and tells a wish from a report.

use crate::{Rule, english, languages, openers, words::Sentence};

/// Phrases that are also plain verbs of a report, so that what stands around them counts.
const VERBS: [&str; 5] = ["decide", "choose", "pick", "approve", "confirm"];

/// Those of whose doings one reports.
const REPORTERS: [&str; 6] = ["i", "they", "he", "she", "users", "customers"];

/// The phrases of all languages, sorted by their first word.
#[derive(Debug)]
pub(crate) struct Phrases(Vec<Phrase>);

#[derive(Debug)]
struct Phrase {
    rule: Rule,
    text: &'static str,
    words: Vec<&'static str>,
}

impl Phrases {
    pub(crate) fn new() -> Self {
        let mut all: Vec<Phrase> = english::TABLES
            .into_iter()
            .chain(languages::TABLES)
            .flat_map(|(rule, table)| table.split('|').map(move |text| (rule, text)))
            .map(|(rule, text)| Phrase { rule, text, words: text.split(' ').collect() })
            .collect();
        all.sort_by_key(|phrase| phrase.words.first().copied());
        Self(all)
    }

    /// The first phrase of an enabled rule in a sentence.
    pub(crate) fn find(
        &self,
        sentence: &Sentence,
        enabled: impl Fn(Rule) -> bool,
    ) -> Option<(Rule, &'static str)> {
        let words = sentence.words.as_slice();
        (0..words.len()).find_map(|at| {
            let here = words.get(at..)?;
            // What ends with a mark has been judged by its mark, if that rule is on.
            let judged = sentence.marked && enabled(Rule::QuestionMark);
            if enabled(Rule::Opener) && !judged && openers::asks(sentence, at) {
                return Some((Rule::Opener, "word order"));
            }
            let hit = self.starting_with(here.first()?).find(|phrase| {
                enabled(phrase.rule)
                    && (phrase.rule != Rule::Opener || openers::starts(sentence, at))
                    && fits(&phrase.words, here)
                    && !reports(phrase.text, words.get(..at).unwrap_or(&[]), here)
            })?;
            Some((hit.rule, hit.text))
        })
    }

    fn starting_with(&self, word: &str) -> impl Iterator<Item = &Phrase> {
        let from = self.0.partition_point(|phrase| phrase.words.first().is_some_and(|first| *first < word));
        self.0
            .iter()
            .skip(from)
            .take_while(move |phrase| phrase.words.first().is_some_and(|first| *first == word))
    }
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
