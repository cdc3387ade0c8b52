//! Finds the phrases of `english` and `languages` and the patterns of `patterns` in a sentence.

use std::{cell::OnceCell, ops::Range};

use crate::{
    Rule, english,
    index::{Index, followed, hash},
    languages, openers,
    patterns::{self, Language},
    reports::{FIRST_PERSON, Found, reports},
    words::{Place, Sentence},
};

/// Verbs that stand behind the clause of a German or Dutch "was fehlte, …" and make it a statement.
const AFTER_CLAUSE: [&str; 15] = [
    "steht", "ist", "sind", "wird", "werden", "liegt", "hängt", "war", "zeigt", "kommt", "staat", "is",
    "wordt", "ligt", "hangt",
];

/// The phrases of all languages.
#[derive(Debug)]
pub(crate) struct Phrases {
    all: Vec<Phrase>,
    parts: Vec<Part>,
    /// Phrases by their first word, or by their first two where both are fixed.
    beginnings: Index,
    /// The classes of a word.
    classes: Index,
}

#[derive(Debug)]
struct Phrase {
    rule: Rule,
    /// Counts only at the start of a sentence.
    starts: bool,
    /// Counts only in a sentence of one clause.
    alone: bool,
    gap: bool,
    /// Where in `parts` it stands.
    parts: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Word(&'static str),
    /// A word of this class.
    Class(u16),
    /// Up to four words.
    Gap,
}

/// The phrases while they are collected.
#[derive(Default)]
struct Builder {
    phrases: Vec<Phrase>,
    parts: Vec<Part>,
    beginnings: Vec<(u32, u16)>,
    classes: Vec<(u32, u16)>,
}

impl Builder {
    /// Adds the phrases of a table, whose first class has the number `first`.
    fn add(&mut self, rule: Rule, table: &'static str, classes: &[(&str, &'static str)], first: u16) {
        for text in table.split('|') {
            let number = u16::try_from(self.phrases.len()).unwrap_or(u16::MAX);
            let (starts, alone) = (text.starts_with(['^', '~']), text.starts_with('~'));
            let text = text.trim_start_matches(['^', '~']);
            let class = |word: &str| {
                let name = word.strip_prefix('<')?.strip_suffix('>')?;
                (first..).zip(classes).find(|(_, (class, _))| *class == name)
            };
            let from = self.parts.len();
            self.parts.extend(text.split(' ').map(|word| match (word, class(word)) {
                ("..", _) => Part::Gap,
                (_, Some((class, _))) => Part::Class(class),
                (word, None) => Part::Word(word),
            }));
            let parts = from..self.parts.len();
            self.phrases.push(Phrase { rule, starts, alone, gap: text.contains(".."), parts });
            let mut words = text.split(' ');
            let (head, second) = (words.next().unwrap_or(text), words.next());
            if let Some((_, (_, members))) = class(head) {
                self.beginnings.extend(members.split_whitespace().map(|word| (hash(word), number)));
            } else if let Some(second) = second.filter(|second| *second != ".." && !second.starts_with('<')) {
                self.beginnings.push((followed(hash(head), second), number));
            } else {
                self.beginnings.push((hash(head), number));
            }
        }
    }
}

impl Phrases {
    pub(crate) fn new() -> Self {
        let mut builder = Builder::default();
        for (rule, table) in english::TABLES.into_iter().chain(languages::TABLES) {
            builder.add(rule, table, &[], 0);
        }
        let mut next = 0;
        for Language { classes, patterns } in patterns::LANGUAGES {
            for (rule, table) in patterns {
                builder.add(*rule, table, classes, next);
            }
            for (_, words) in classes {
                builder.classes.extend(words.split_whitespace().map(|word| (hash(word), next)));
                next += 1;
            }
        }
        let Builder { phrases, parts, beginnings, classes } = builder;
        Self { all: phrases, parts, beginnings: Index::new(beginnings), classes: Index::new(classes) }
    }

    /// The first phrase of an enabled rule in a sentence: the rule, and the words that it found.
    pub(crate) fn find(&self, sentence: &Sentence, enabled: impl Fn(Rule) -> bool) -> Option<(Rule, String)> {
        let words = sentence.words.as_slice();
        let hashes: Vec<_> = words.iter().map(|word| hash(word)).collect();
        // What ends with a mark has been judged by its mark, if that rule is on.
        let word_order = enabled(Rule::Opener) && !(sentence.marked && enabled(Rule::QuestionMark));
        let one_clause = !sentence.places.contains(&Place::Clause);
        let goes_on_at = goes_on_at(sentence);
        let first_person = OnceCell::new();
        sentence.places.iter().enumerate().find_map(|(at, &place)| {
            let (before, here) = words.split_at_checked(at)?;
            if word_order && openers::asks(here, place, sentence) {
                return Some((Rule::Opener, "word order".to_owned()));
            }
            let hashes = hashes.get(at..)?;
            let of_one = *hashes.first()?;
            let of_two = here.get(1).map(|second| self.beginnings.get(followed(of_one, second)));
            of_two.into_iter().flatten().chain(self.beginnings.get(of_one)).find_map(|number| {
                let phrase = self.all.get(usize::from(number))?;
                let counts = enabled(phrase.rule)
                    && (phrase.rule != Rule::Opener || place != Place::Inside)
                    && (!phrase.starts || place == Place::Sentence)
                    && (one_clause || !phrase.alone)
                    && !(phrase.rule == Rule::Opener && place == Place::Sentence && goes_on_at > Some(at));
                let parts = self.parts.get(phrase.parts.clone())?;
                let length = counts.then(|| self.fits(parts, here, hashes)).flatten()?;
                let first_person =
                    *first_person.get_or_init(|| words.iter().any(|word| FIRST_PERSON.contains(word)));
                let found = Found { words: here.get(..length)?, before, here, first_person, gap: phrase.gap };
                (!reports(found)).then(|| (phrase.rule, found.words.join(" ")))
            })
        })
    }

    /// How many words the phrase takes, if the words start with it.
    fn fits(&self, phrase: &[Part], words: &[&str], hashes: &[u32]) -> Option<usize> {
        let [first, rest @ ..] = phrase else { return Some(0) };
        let after = |taken: usize| Some(taken + self.fits(rest, words.get(taken..)?, hashes.get(taken..)?)?);
        let hit = match first {
            Part::Gap => return (0..=4).find_map(after),
            Part::Word(word) => words.first() == Some(word),
            Part::Class(wanted) => {
                hashes.first().is_some_and(|hash| self.classes.get(*hash).any(|class| class == *wanted))
            }
        };
        hit.then(|| after(1)).flatten()
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
