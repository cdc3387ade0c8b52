//! Takes out of a message what its sender did not say: code, quotations and addresses. What is left is judged.

use crate::languages::SCRIPTS;

/// What stands where something was taken out, so that a sentence keeps its shape.
const TAKEN: &str = "_";

/// Opening and closing quotation marks, and whether they are code.
const QUOTES: [(char, char); 9] = [
    ('`', '`'),
    ('"', '"'),
    ('“', '”'),
    ('„', '“'),
    ('«', '»'),
    ('「', '」'),
    ('『', '』'),
    ('‘', '’'),
    ('\'', '\''),
];

/// How web addresses and paths start.
const ADDRESSES: [&str; 7] = ["http://", "https://", "www.", "/", "./", "../", "~/"];

/// The message without code, quotations and addresses. A message that is nothing but a quotation is taken at its word.
pub(crate) fn own_words(message: &str) -> String {
    let own = without_quotes(message);
    if own.chars().any(char::is_alphanumeric) || !message.contains(['>', '"', '“', '„', '«', '「', '『', '‘'])
    {
        return own;
    }
    message.replace(|c| c == '>' || QUOTES.iter().any(|&(open, close)| c == open || c == close), " ")
}

fn without_quotes(message: &str) -> String {
    let mut own = String::with_capacity(message.len());
    let mut fenced = false;
    for line in message.lines() {
        let start = line.trim_start();
        if start.starts_with("```") || start.starts_with("~~~") {
            // A fence that closes on its own line fences nothing else.
            let rest = start.trim_start_matches(['`', '~']);
            fenced ^= !(rest.contains("```") || rest.contains("~~~"));
        } else if !fenced && !start.starts_with('>') {
            without_spans(line, &mut own);
            own.push('\n');
        }
    }
    own
}

/// Copies a line without its quoted spans and addresses.
fn without_spans(line: &str, own: &mut String) {
    let mut rest = line;
    let mut before = ' ';
    // Marks that nothing closes up to the end of the line: looked for once, not at every such mark.
    let mut open_ended = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = address(rest, before) {
            own.push_str(TAKEN);
            (rest, before) = (after, '_');
            continue;
        }
        // Most of a message is plain words, which start nothing.
        let word = rest.find(|c: char| !is_plain(c)).unwrap_or(rest.len());
        if let Some((word, after)) = rest.split_at_checked(word)
            && let Some(last) = word.chars().next_back()
        {
            own.push_str(word);
            (rest, before) = (after, last);
            continue;
        }
        let quoted = if c == ' ' || open_ended.contains(c) { Span::None } else { span(rest, c, before) };
        if let Span::Open = quoted {
            open_ended.push(c);
        }
        if let Span::Closed(after) = quoted {
            own.push_str(TAKEN);
            (rest, before) = (after, '_');
        } else {
            own.push(c);
            (rest, before) = (rest.get(c.len_utf8()..).unwrap_or(""), c);
        }
    }
}

/// Letters and digits that start neither a quotation nor an address; the marks of unspaced scripts lie before U+3040.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ('\u{3040}'..'\u{d7b0}').contains(&c)
}

/// A quotation at some place of a line.
enum Span<'a> {
    /// None starts here.
    None,
    /// One starts here, and the line does not close it.
    Open,
    /// One starts here, and this follows it.
    Closed(&'a str),
}

fn span(rest: &str, c: char, before: char) -> Span<'_> {
    let Some((open, close)) = QUOTES.iter().copied().find(|(open, _)| *open == c) else { return Span::None };
    // An apostrophe opens nothing in the middle of a word, and the end of one closes nothing.
    if open == close && open != '`' && before.is_alphanumeric() && before < SCRIPTS {
        return Span::None;
    }
    let inside = rest.get(open.len_utf8()..).unwrap_or("");
    inside
        .match_indices(close)
        .filter_map(|(at, _)| inside.get(at + close.len_utf8()..))
        .find(|after| !matches!(close, '\'' | '’') || !after.starts_with(char::is_alphanumeric))
        .map_or(Span::Open, Span::Closed)
}

/// What follows the web address or the path that starts here. Punctuation at its end belongs to the sentence.
fn address(rest: &str, before: char) -> Option<&str> {
    if !before.is_whitespace() && before != '(' || !rest.starts_with(['h', 'w', '/', '.', '~']) {
        return None;
    }
    if !ADDRESSES.iter().any(|start| rest.starts_with(start)) {
        return None;
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let length = rest.get(..end)?.trim_end_matches(['?', '!', '.', ',', ';', ':', ')', ']', '"']).len();
    rest.get(length..)
}

#[cfg(test)]
mod tests {
    use super::own_words;

    #[test]
    fn quotes_code_and_addresses_go() {
        for (message, own) in [
            ("he said \"why?\" and left", "he said _ and left\n"),
            ("don't touch bob's", "don't touch bob's\n"),
            ("'can you?' it said", "_ it said\n"),
            ("run `a?b` now", "run _ now\n"),
            ("```\nwhy?\n```\nthat", "that\n"),
            ("> why?\nbecause", "because\n"),
            ("see https://a.b/c?d=e, ok", "see _, ok\n"),
            ("seen https://a.b/c?", "seen _?\n"),
            ("call /a/confirm?", "call _?\n"),
            ("decide / approve", "decide _ approve\n"),
            ("a/b, c", "a/b, c\n"),
            ("他问“可以吗？”。好的", "他问_。好的\n"),
            ("an open \" quote?", "an open \" quote?\n"),
            ("\"why?\"", " why? "),
        ] {
            assert_eq!(own_words(message), own, "{message}");
        }
    }
}
