//! Measures the rules on two parts of a corpus. `cases/corpus.tsv` was in view while the rules were corrected.
//! `cases/blind.tsv` was written after the rules were finished and has changed nothing in them: its figures say what to
//! expect of messages that nobody has seen.

use regex::RegexSet;
use team_table_policy_sdk::Policy;

use crate::QuestionDetection;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Tune,
    Blind,
}

#[derive(Debug)]
struct Labelled {
    question: bool,
    part: Part,
    category: &'static str,
    language: &'static str,
    text: String,
}

fn corpus() -> Vec<Labelled> {
    let parts = [
        (Part::Tune, include_str!("../cases/corpus.tsv")),
        (Part::Blind, include_str!("../cases/blind.tsv")),
    ];
    parts.into_iter().flat_map(|(part, file)| read(part, file)).collect()
}

fn read(part: Part, file: &'static str) -> impl Iterator<Item = Labelled> {
    file.lines().filter(|line| !line.starts_with('#')).map(move |line| {
        let [label, category, language, text] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns: {line}")
        };
        assert!(matches!(label, "question" | "none"), "{line}");
        Labelled { question: label == "question", part, category, language, text: text.replace("\\n", "\n") }
    })
}

fn policy() -> QuestionDetection {
    QuestionDetection::configure(crate::Settings::default()).unwrap()
}

/// The rules as a list of regular expressions, which is what this policy must never fall behind.
fn plain_rules() -> RegexSet {
    RegexSet::new([
        r"(?im)\?\s*$",
        r"(?im)^\s*(should|could|would|can)\s+(we|you|i)\b",
        r"(?i)\bwhat do you think\b|\byour (thoughts|opinion|preference)\b",
        r"(?i)\b(decide|choose|pick|approve|confirm)\b",
        r"(?i)\bescalate\w*|\bask the user\b|\bcheck with\b|\bneed (your|human)\b",
    ])
    .unwrap()
}

#[derive(Default)]
struct Score {
    hits: u32,
    misses: u32,
    false_alarms: u32,
    quiet: u32,
}

impl Score {
    fn precision(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.hits + self.false_alarms)
    }

    fn recall(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.hits + self.misses)
    }
}

fn measure(part: Part, marked: bool, is_question: impl Fn(&str) -> bool, tell: bool) -> Score {
    let mut score = Score::default();
    let counts = |message: &&Labelled| message.part == part && (marked || message.category != "mark");
    for message in corpus().iter().filter(counts) {
        let found = is_question(&message.text);
        *match (message.question, found) {
            (true, true) => &mut score.hits,
            (true, false) => &mut score.misses,
            (false, true) => &mut score.false_alarms,
            (false, false) => &mut score.quiet,
        } += 1;
        // Only this half is listed: what is seen is soon tuned for.
        if tell && part == Part::Tune && message.question != found {
            eprintln!(
                "{:12} {} {}: {:?}",
                message.category,
                message.language,
                if found { "false alarm" } else { "missed" },
                message.text
            );
        }
    }
    score
}

#[test]
fn precision_and_recall_on_the_corpus() {
    assert!(corpus().len() >= 1_000);
    let (policy, plain) = (policy(), plain_rules());
    for (part, marked, name) in [
        (Part::Tune, true, "tune"),
        (Part::Blind, true, "blind"),
        (Part::Blind, false, "blind, without a question mark"),
    ] {
        let by_regexes = measure(part, marked, |text| plain.is_match(text), false);
        let by_policy = measure(part, marked, |text| policy.find(text).is_some(), true);
        for (rules, score) in [("plain rules", &by_regexes), ("this policy", &by_policy)] {
            eprintln!(
                "{name:30}  {rules}  precision {:.3}  recall {:.3}  ({} hits, {} missed, {} false alarms, {} quiet)",
                score.precision(),
                score.recall(),
                score.hits,
                score.misses,
                score.false_alarms,
                score.quiet
            );
        }
        assert!(by_policy.precision() >= 0.95 && by_policy.recall() >= 0.95, "{name}");
    }
}

#[test]
fn whatever_the_plain_rules_catch_on_the_floor_list_is_caught() {
    let (policy, plain) = (policy(), plain_rules());
    let floor: Vec<_> =
        include_str!("../cases/floor.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert!(floor.len() >= 60);
    for message in floor {
        let message = message.replace("\\n", "\n");
        assert!(plain.is_match(&message), "not on the floor: {message}");
        assert!(policy.find(&message).is_some(), "below the floor: {message}");
    }
}

#[test]
fn no_question_of_the_corpus_that_the_plain_rules_catch_is_missed() {
    let (policy, plain) = (policy(), plain_rules());
    for message in corpus().iter().filter(|message| message.question && plain.is_match(&message.text)) {
        assert!(policy.find(&message.text).is_some(), "{}", message.text);
    }
}
