//! Finds the phrases of `english` and `languages` and the patterns of `patterns` in a sentence.

use crate::{
    Rule, english, languages, openers,
    patterns::{self, Language},
    reports::{FIRST_PERSON, Found, reports},
    words::{Place, Sentence},
};

/// Verbs that stand behind the clause of a German or Dutch "was fehlte, …" and make it a statement.
const AFTER_CLAUSE: [&str; 15] = [
    "steht", "ist", "sind", "wird", "werden", "liegt", "hängt", "war", "zeigt", "kommt", "staat", "is",
    "wordt", "ligt", "hangt",
];

/// How many buckets the phrases and the words of classes are spread over.
const BUCKETS: usize = 4096;

/// The phrases of all languages, by their first words.
#[derive(Debug)]
pub(crate) struct Phrases {
    buckets: Vec<Vec<Phrase>>,
    classes: Vec<Vec<(&'static str, Classes)>>,
}

#[derive(Debug, Clone)]
struct Phrase {
    rule: Rule,
    /// Counts only at the start of a sentence.
    starts: bool,
    /// Counts only in a sentence of one clause.
    alone: bool,
    gap: bool,
    parts: Vec<Part>,
}

/// A set of classes of words, one bit each.
type Classes = u128;

#[derive(Debug, Clone, Copy)]
enum Part {
    Word(&'static str),
    /// A word of these classes.
    Class(Classes),
    /// Up to four words.
    Gap,
}

impl Phrases {
    pub(crate) fn new() -> Self {
        let mut phrases = Self { buckets: vec![Vec::new(); BUCKETS], classes: vec![Vec::new(); BUCKETS] };
        for (rule, table) in english::TABLES.into_iter().chain(languages::TABLES) {
            phrases.add(rule, table, &[], 0);
        }
        let mut classes = 0;
        for Language { classes: names, patterns } in patterns::LANGUAGES {
            for (bit, (_, words)) in (classes..).zip(names) {
                words.split_whitespace().for_each(|word| phrases.classify(word, bit));
            }
            for (rule, table) in patterns {
                phrases.add(*rule, table, names, classes);
            }
            classes += u32::try_from(names.len()).unwrap_or(u32::MAX);
        }
        phrases
    }

    /// Adds the phrases of a table, whose first class has the bit `first`.
    fn add(&mut self, rule: Rule, table: &'static str, classes: &[(&str, &'static str)], first: u32) {
        for text in table.split('|') {
            let (starts, alone) = (text.starts_with(['^', '~']), text.starts_with('~'));
            let text = text.trim_start_matches(['^', '~']);
            let class = |word: &str| {
                let name = word.strip_prefix('<')?.strip_suffix('>')?;
                (first..).zip(classes).find(|(_, (class, _))| *class == name)
            };
            let parts = text.split(' ').map(|word| match (word, class(word)) {
                ("..", _) => Part::Gap,
                (_, Some((bit, _))) => Part::Class(1 << bit),
                (word, None) => Part::Word(word),
            });
            let phrase = Phrase { rule, starts, alone, gap: text.contains(".."), parts: parts.collect() };
            let mut words = text.split(' ');
            let (head, second) = (words.next().unwrap_or(text), words.next());
            if let Some((_, (_, members))) = class(head) {
                members.split_whitespace().for_each(|word| self.file(&[word], phrase.clone()));
            } else if let Some(second) = second.filter(|second| *second != ".." && !second.starts_with('<')) {
                self.file(&[head, second], phrase);
            } else {
                self.file(&[head], phrase);
            }
        }
    }

    fn file(&mut self, beginning: &[&str], phrase: Phrase) {
        if let Some(bucket) = self.buckets.get_mut(bucket(beginning)) {
            bucket.push(phrase);
        }
    }

    fn classify(&mut self, word: &'static str, bit: u32) {
        let Some(words) = self.classes.get_mut(bucket(&[word])) else { return };
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, classes)) => *classes |= 1 << bit,
            None => words.push((word, 1 << bit)),
        }
    }

    fn classes_of(&self, word: &str) -> Classes {
        let words = self.classes.get(bucket(&[word])).into_iter().flatten();
        words.into_iter().find(|(known, _)| *known == word).map_or(0, |(_, classes)| *classes)
    }

    /// The first phrase of an enabled rule in a sentence: the rule, and the words that it found.
    pub(crate) fn find(&self, sentence: &Sentence, enabled: impl Fn(Rule) -> bool) -> Option<(Rule, String)> {
        let words = sentence.words.as_slice();
        let classes: Vec<_> = words.iter().map(|word| self.classes_of(word)).collect();
        // What ends with a mark has been judged by its mark, if that rule is on.
        let word_order = enabled(Rule::Opener) && !(sentence.marked && enabled(Rule::QuestionMark));
        let one_clause = !sentence.places.contains(&Place::Clause);
        let goes_on_at = goes_on_at(sentence);
        let first_person = words.iter().any(|word| FIRST_PERSON.contains(word));
        sentence.places.iter().enumerate().find_map(|(at, &place)| {
            let (before, here) = words.split_at_checked(at)?;
            if word_order && openers::asks(here, place, sentence) {
                return Some((Rule::Opener, "word order".to_owned()));
            }
            let classes = classes.get(at..)?;
            let of_one = self.buckets.get(bucket(here.get(..1)?))?.iter();
            let of_two = here.get(..2).and_then(|two| self.buckets.get(bucket(two))).into_iter().flatten();
            of_two.chain(of_one).find_map(|phrase| {
                let counts = enabled(phrase.rule)
                    && (phrase.rule != Rule::Opener || place != Place::Inside)
                    && (!phrase.starts || place == Place::Sentence)
                    && (one_clause || !phrase.alone)
                    && !(phrase.rule == Rule::Opener && place == Place::Sentence && goes_on_at > Some(at));
                let length = counts.then(|| fits(&phrase.parts, here, classes)).flatten()?;
                let found = Found { words: here.get(..length)?, before, here, first_person, gap: phrase.gap };
                (!reports(found)).then(|| (phrase.rule, found.words.join(" ")))
            })
        })
    }
}

/// Where a sentence that begins with a question word states something behind its comma: "was fehlte, steht in der Doku".
fn goes_on_at(sentence: &Sentence) -> Option<usize> {
    sentence
        .words
        .iter()
        .zip(&sentence.places)
        .rposition(|(word, place)| *place == Place::Clause && AFTER_CLAUSE.contains(word))
}

/// The bucket of one or two words: FNV-1a, because it runs for every word of every message and the standard hasher costs
/// more than all the rest.
fn bucket(words: &[&str]) -> usize {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([b' ']));
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 16)) as usize % BUCKETS
}

/// How many words the phrase takes, if the words start with it.
fn fits(phrase: &[Part], words: &[&str], classes: &[Classes]) -> Option<usize> {
    let [first, rest @ ..] = phrase else { return Some(0) };
    let after = |words: &[&str], classes: &[Classes], taken: usize| {
        Some(taken + fits(rest, words.get(taken..)?, classes.get(taken..)?)?)
    };
    let hit = match first {
        Part::Gap => return (0..=4).find_map(|gap| after(words, classes, gap)),
        Part::Word(word) => words.first() == Some(word),
        Part::Class(wanted) => classes.first().is_some_and(|classes| classes & wanted != 0),
    };
    hit.then(|| after(words, classes, 1)).flatten()
}
