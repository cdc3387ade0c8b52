//! Tells a report from a wish: words that ask for something also stand where somebody tells what was asked, decided or
//! approved, and where a program's behaviour is described.

use crate::languages;

/// A phrase that was found in a sentence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    /// The words that the phrase took.
    pub(crate) words: &'a [&'a str],
    /// The words of the sentence before it.
    pub(crate) before: &'a [&'a str],
    /// The words of the sentence from its first word on.
    pub(crate) here: &'a [&'a str],
    /// The sentence says something of its sender.
    pub(crate) first_person: bool,
    /// The phrase has a gap, so words that nobody wrote down may stand within.
    pub(crate) gap: bool,
}

/// Phrases that are also plain verbs of a report, so that what stands around them counts.
const VERBS: [&str; 7] = ["decide", "choose", "pick", "approve", "confirm", "authorise", "authorize"];

/// Those of whose doings one reports.
const REPORTERS: [&str; 11] =
    ["i", "they", "he", "she", "users", "customers", "admins", "members", "people", "agents", "guests"];

/// Those whose decision is asked for.
const UNNAMED: [&str; 8] = ["who", "you", "which", "someone", "somebody", "anyone", "human", "person"];

/// Programs and those that use them.
const PROGRAMS: [&str; 5] = ["user", "client", "caller", "server", "script"];

/// What programs do to their users.
const ASKS_OTHERS: [&str; 11] = [
    "asks", "prompts", "forces", "allows", "enables", "invites", "lets", "tells", "permits", "helps", "able",
];

/// Verbs of what was given or taken already.
const GAVE: [&str; 34] = [
    "gave",
    "given",
    "got",
    "received",
    "trust",
    "share",
    "followed",
    "read",
    "saw",
    "respect",
    "used",
    "took",
    "implemented",
    "applied",
    "added",
    "dio",
    "dado",
    "deu",
    "dato",
    "donné",
    "gegeben",
    "gaf",
    "дал",
    "дала",
    "recibí",
    "recibido",
    "recebi",
    "ricevuto",
    "reçu",
    "erhalten",
    "bekommen",
    "gekregen",
    "получил",
    "получила",
];

const NEEDS: [&str; 8] = ["need", "needs", "require", "requires", "wait", "waits", "await", "lack"];

pub(crate) const FIRST_PERSON: [&str; 14] =
    ["i", "i'll", "i'd", "i'm", "i've", "me", "my", "we", "we'll", "we'd", "we're", "us", "our", "mine"];

const THANKS: [&str; 12] = [
    "thanks",
    "thank",
    "appreciate",
    "danke",
    "merci",
    "gracias",
    "grazie",
    "obrigado",
    "obrigada",
    "bedankt",
    "dank",
    "спасибо",
];

const FOR: [&str; 10] = ["for", "für", "pour", "por", "pela", "pelo", "per", "voor", "de", "за"];

/// Whether the phrase is part of a report and asks for nothing.
pub(crate) fn reports(found: Found) -> bool {
    fixed(found)
        || clause_about_others(found)
        || given(found)
        || denied(found)
        || thanks(found.before)
        || polite(found)
        || verb(found)
}

/// Words that report wherever they stand.
fn fixed(Found { words, before, here, gap, .. }: Found) -> bool {
    gap && words.iter().any(|word| matches!(*word, "our" | "no" | "nobody" | "automatically"))
        || languages::REPORTS.iter().any(|report| here.starts_with(report))
        // "Missing permissions are logged", "it was unclear which", "appreciate the input", "returns yes or no"
        || matches!(words, ["missing", ..]) && here.get(words.len()).is_some_and(|word| matches!(*word, "are" | "is"))
        || matches!(words, ["unclear", ..]) && before.ends_with(&["was"])
        || matches!(words, ["appreciate", ..]) && before.is_empty()
        || matches!(before, [.., "returns" | "prints" | "accepts" | "takes"])
}

/// "Tasks that need a decision are listed", "the dialog asks the user to confirm", "if you disagree with a lint, add an
/// allow".
fn clause_about_others(Found { words, before, first_person, .. }: Found) -> bool {
    let asks_others = |reach: usize| before.iter().rev().take(reach).any(|word| ASKS_OTHERS.contains(word));
    matches!(before, [.., "that" | "which"]) && words.first().is_some_and(|word| NEEDS.contains(word))
        || asks_others(if before.ends_with(&["to"]) { 5 } else { 3 })
        || matches!(words, ["if" | "when" | "once", "you", ..]) && !first_person
}

/// "The customer gave your approval", "I trust your judgement", "habe dein Okay gesehen", "I had to choose".
fn given(Found { before, .. }: Found) -> bool {
    match before {
        [.., "had", "to"] => true,
        [.., "habe" | "haben" | "hab"] => {
            !before.iter().rev().take(8).any(|word| matches!(*word, "wenn" | "sobald" | "bis" | "falls"))
        }
        [.., last] => GAVE.contains(last),
        [] => false,
    }
}

/// "No need to confirm", "no approval needed".
fn denied(Found { before, .. }: Found) -> bool {
    match before {
        [.., "to"] => {
            before.iter().rev().skip(1).take(4).any(|word| matches!(*word, "no" | "nothing" | "needn't"))
        }
        _ => before.iter().rev().take(2).any(|word| *word == "no"),
    }
}

/// Whether the last words thank for what follows: "thanks for your approval", "danke für die Freigabe".
fn thanks(before: &[&str]) -> bool {
    let last = before.get(before.len().saturating_sub(4)..).unwrap_or_default();
    last.iter().zip(last.iter().skip(1).chain([&""])).any(|(word, next)| {
        THANKS.contains(word) && (FOR.contains(next) || *next == "you" || next.is_empty())
    })
}

/// "Let me know if you need anything", "per your request", "your answer helped".
fn polite(Found { words, before, here, .. }: Found) -> bool {
    match words {
        ["let", "me", "know", ..] => matches!(
            here.get(3..).unwrap_or_default(),
            ["if", "anything" | "something", ..] | ["if", "you", "need", ..]
        ),
        ["your", ..] => {
            matches!(before, [.., "per"] | [.., "per", _])
                || here.iter().skip(2).take(3).any(|word| {
                    matches!(
                        *word,
                        "was" | "were" | "arrived" | "came" | "helped" | "worked" | "noted" | "received"
                    )
                })
        }
        _ => false,
    }
}

/// "QA will confirm", "I'll pick", "the confirm dialog", "users choose", "pick it up", "decide with a flag".
fn verb(Found { words, before, here, .. }: Found) -> bool {
    let [word] = words else { return false };
    if !VERBS.contains(word) {
        return false;
    }
    if matches!(here, [_, "with" | "via" | "through", ..] | ["pick", "up", ..] | ["pick", _, "up", ..]) {
        return true;
    }
    match before {
        // Not "who will decide", "somebody can approve".
        [.., who, "will"] => !UNNAMED.contains(who),
        [.., who, "can" | "may"] => *who == "you" || !UNNAMED.contains(who),
        // "Two reviewers must approve"
        [.., who, "must"] => PROGRAMS.contains(who) || who.ends_with('s'),
        [.., who, "could" | "would"] | [who] if REPORTERS.contains(who) => true,
        // "The wizard lets you pick", "can confirm", "to confirm an order, press F5"
        [.., "the" | "a" | "an" | "this"] | [.., "lets" | "let", _] | ["can" | "to"] => true,
        [.., last] => matches!(*last, "i'll" | "i'd" | "we'll" | "they'll" | "he'll" | "she'll"),
        [] => false,
    }
}
