//! The English phrases, and how phrases of any language are found.
//!
//! `..` in a phrase stands for up to three words. A phrase of [`OPENERS`] counts only where a clause starts.

use crate::{Rule, languages, words::Sentence};

/// The start of a question that may have lost its mark.
const OPENERS: &str = "\
    should we|should you|should i|could we|could you|could i|would we|would you|would i|can we|can you|can i|\
    should anyone|can anyone|could anyone|can someone|could someone|would someone|can anybody|could somebody|\
    shall we|shall i|may i|may we|might i|will you|won't you|\
    do you|do we|do i|did you|did we|does anyone|does anybody|does it|does this|does that|does the|did the|did anyone|\
    are you|are we|are there any|is it ok|is it okay|is it fine|is it possible|is it safe|is there a|is there any|\
    is this|is that ok|is that okay|is anyone|has anyone|have you|have we|am i|\
    thoughts on|any idea|any ideas|any objection|any objections|any news|any update|any updates|any chance|anyone know|anyone knows|anyone using|anyone else|\
    how about|what about|what if|how do i|how do we|how do you|how should|how can|how would|how many|how much|how long|\
    what should|what would|what is the|what's the|what is your|what's your|what's blocking|what are the|what are your|what do|what does|\
    which of|which one|which should|which do|which .. will|which .. should|which .. do you|\
    who is|who's|who should|who can|who owns|where is|where's|where are|where do|where should|when is|when will|when do|\
    when should|when can|why is|why are|why do|why does|why did|why not|whose";

const OPINION: &str = "\
    what do you think|what you think|what do you all think|what you'd do|what would you|what do you prefer|\
    what do you suggest|what do you recommend|\
    your thoughts|your thought|your opinion|your opinions|your preference|your preferences|your view on|your views on|\
    your take on|your input on|your input before|your input first|your input by|like your input|love your input|\
    want your input|like your advice|like your recommendation|\
    any thoughts|any feedback|any opinions|any preference|any preferences|any suggestions|looking for .. feedback|\
    wdyt|weigh in|how you would|how you'd|you'd rather|you would rather|you'd prefer|you would prefer|do you prefer|\
    want yours|love to hear|like to hear|curious to hear|curious what|curious how|feedback .. welcome";

const DECISION: &str = "\
    decide|choose|pick|approve|confirm|someone decides|somebody decides|until .. decides|until .. decision|\
    need .. decision|needs .. decision|needed .. decision|waiting .. decision|blocked .. decision|pending .. decision|\
    awaiting .. decision|require .. decision|requires .. decision|want .. decision|make .. decision|\
    your decision on|your call|your choice|up to you|make the call|make a call|\
    need .. approval|needs .. approval|awaiting .. approval|waiting .. approval|requires .. approval|your approval|\
    need .. sign-off|needs .. sign-off|awaits .. sign-off|awaiting .. sign-off|waiting .. sign-off|your sign-off|\
    need .. permission|like permission|request permission|ask .. permission to|your permission|requesting permission|your go-ahead|need .. go-ahead|\
    waiting .. go-ahead|your blessing|your ok|your okay|your confirmation|need .. confirmation|awaiting .. confirmation|\
    waiting .. confirmation|green light from|need .. green light|give .. green light|waiting .. green light|\
    please advise|please settle|please vote|please clarify|please explain|please tell me|please let me know|\
    please answer|please respond|please reply|need clarification|need .. clarification|clarification on|\
    let me know which|let me know whether|let me know if|let me know how|let me know what|let me know when|\
    let me know who|let me know where|tell me which|tell me whether|tell me if|tell me what|tell me how|tell me when|\
    tell me who|tell me where|tell me your|which one|yes or no|not sure whether|not sure which|not sure if|\
    not sure what|not sure how|not sure who|unsure whether|unsure which|unsure if|unsure what|unsure how|\
    don't know whether|don't know which|don't know if|don't know what|don't know how|don't know who|\
    not clear to me|unclear to me|unclear whether|was wondering|am wondering|i'm wondering|wondering if|wondering whether|\
    i need to know|i'd need to know|we need to know|like to know|i want to know|can't continue until|can't proceed until|cannot continue until|\
    cannot proceed until";

const ESCALATION: &str = "\
    escalate|escalates|escalated|escalating|needs escalation|escalation needed|escalation required|\
    ask the user|ask the human|ask a human|ask the customer|ask the owner|check with|\
    need your|needs your|need human|needs human|need a human|needs a human|need a person|needs a person|\
    human input|human decision|human judgement|human judgment|human approval|human review needed|\
    a person should|a human should|a person must|a human must|someone should|someone has to|someone needs to|\
    someone with .. rights has|without your|not .. without .. okay|not .. without .. approval|\
    not .. without .. permission|\
    need help|need some help|please help|i'm stuck|i am stuck|am stuck|second pair of eyes";

/// Words of [`DECISION`] that are also plain verbs of a report, so that what stands around them counts.
const VERBS: [&str; 5] = ["decide", "choose", "pick", "approve", "confirm"];

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
        let tables = [
            (Rule::Opener, OPENERS),
            (Rule::Opinion, OPINION),
            (Rule::Decision, DECISION),
            (Rule::Escalation, ESCALATION),
        ];
        let mut all: Vec<Phrase> = tables
            .into_iter()
            .chain(languages::TABLES)
            .flat_map(|(rule, table)| table.split('|').map(move |text| (rule, text)))
            .map(|(rule, text)| Phrase { rule, text, words: text.split(' ').collect() })
            .collect();
        all.sort_by_key(|phrase| phrase.words.first().copied());
        Self(all)
    }

    /// The first phrase of an enabled rule in a sentence.
    pub(crate) fn find(&self, sentence: &Sentence, enabled: impl Fn(Rule) -> bool) -> Option<(Rule, &'static str)> {
        let words = sentence.words.as_slice();
        (0..words.len()).find_map(|at| {
            let here = words.get(at..)?;
            let hit = self.starting_with(here.first()?).find(|phrase| {
                enabled(phrase.rule)
                    && (phrase.rule != Rule::Opener || opens(sentence, at))
                    && fits(&phrase.words, here)
                    && !reports(phrase.text, words.get(..at).unwrap_or(&[]), here)
            })?;
            Some((hit.rule, hit.text))
        })
    }

    fn starting_with(&self, word: &str) -> impl Iterator<Item = &Phrase> {
        let from = self.0.partition_point(|phrase| phrase.words.first().is_some_and(|first| *first < word));
        self.0.iter().skip(from).take_while(move |phrase| phrase.words.first().is_some_and(|first| *first == word))
    }
}

/// Whether a clause starts at this word, but for what one says before coming to the point. After a comma, `which` and the like
/// go on about something ("carol, who owns it"), so for them only the start of the sentence counts.
fn opens(sentence: &Sentence, at: usize) -> bool {
    let relative = matches!(sentence.words.get(at), Some(&("which" | "who" | "whose" | "where" | "when")));
    let clause = sentence.clauses.iter().rev().find(|&&start| start <= at && !relative);
    let start = clause.copied().unwrap_or(0);
    let before = sentence.words.get(start..at).unwrap_or(&[]);
    match before {
        // A greeting may be followed by a name.
        ["hi" | "hey" | "hello" | "dear", rest @ ..] if rest.len() < 2 => true,
        _ => before.iter().all(|word| {
            matches!(*word, "ok" | "okay" | "so" | "and" | "but" | "also" | "then" | "please" | "well" | "now" | "or")
        }),
    }
}

/// Whether the words start with the phrase.
fn fits(phrase: &[&str], words: &[&str]) -> bool {
    match (phrase, words) {
        ([], _) => true,
        (["..", after @ ..], _) => (0..=3).any(|gap| words.get(gap..).is_some_and(|words| fits(after, words))),
        ([first, phrase @ ..], [word, words @ ..]) => first == word && fits(phrase, words),
        (_, []) => false,
    }
}

/// Whether the phrase is part of a report and asks for nothing.
fn reports(phrase: &str, before: &[&str], here: &[&str]) -> bool {
    let denied = match before {
        [.., "to"] => before.iter().rev().skip(1).take(4).any(|word| matches!(*word, "no" | "nothing" | "needn't")),
        [.., last] => *last == "no",
        [] => false,
    };
    if denied {
        return true;
    }
    if phrase.starts_with("your ") {
        return before.iter().rev().take(2).any(|word| matches!(*word, "thanks" | "appreciate" | "got" | "received" | "per"))
            || before.ends_with(&["thank", "you", "for"])
            || here.get(2).is_some_and(|word| matches!(*word, "was" | "were"));
    }
    VERBS.contains(&phrase) && matches!(
        (before, here),
        // "I'll pick", "we will decide", "I can confirm", "users can choose": the sender's own doing, or a fact.
        ([.., "i'll" | "i'd" | "we'll" | "they'll" | "he'll" | "she'll"], _)
            | ([.., "i" | "we" | "they" | "he" | "she" | "it" | "users", "will"], _)
            | ([.., "i" | "they" | "he" | "she" | "users" | "customers", "can" | "could" | "would"], _)
            | ([.., "i" | "they" | "he" | "she" | "users"], _)
            // "the confirm dialog"
            | ([.., "the" | "a" | "an" | "this"], _)
            // "pick up", "pick it up"
            | (_, ["pick", "up", ..] | ["pick", _, "up", ..])
    )
}
