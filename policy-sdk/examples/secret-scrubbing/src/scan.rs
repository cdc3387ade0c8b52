//! Finds what looks like a key or a password in a text, in one pass. Knows nothing of calls and of how it is configured.
//!
//! It is made for what slips through when output is pasted. Who encodes a secret first gets it past any scanner.

use std::borrow::Cow;

use team_table_policy_sdk::glob;

/// What a key is, how many characters of `[A-Za-z0-9_-]` it has behind its prefix at least, and the prefixes.
const KEYS: [(&str, usize, &[&str]); 9] = [
    ("an AWS key", 16, &["AKIA", "ASIA"]),
    ("a GitHub token", 36, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"]),
    ("a GitLab token", 20, &["glpat-"]),
    ("a Slack token", 16, &["xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"]),
    ("a Stripe key", 16, &["sk_live_", "rk_live_"]),
    ("a Google key", 35, &["AIza"]),
    ("an npm token", 36, &["npm_"]),
    ("an agent's token", 43, &["tt_"]),
    ("an API key", 32, &["sk-"]),
];
/// The shortest key there is, prefix included.
const SHORTEST: usize = 19;
/// What follows a prefix of the operator's own, at least.
const OWN: usize = 16;

/// A name that contains one of these, marks left out, has a secret for its value.
const NAMES: [&str; 9] =
    ["password", "passwd", "pwd", "secret", "token", "apikey", "accesskey", "authorization", "credential"];

/// What is looked for.
pub(crate) struct Scanner {
    pub(crate) extra_prefixes: Vec<String>,
    pub(crate) allow: Vec<String>,
}

/// Whether a key may have this character behind its prefix.
pub(crate) fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The text without the characters that nobody sees, and with wide letters as plain ones.
fn plain(text: &str) -> Cow<'_, str> {
    let unseen =
        |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    let narrow = |c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    };
    if text.is_ascii() { text.into() } else { text.chars().filter(|c| !unseen(c)).map(narrow).collect() }
}

impl Scanner {
    /// What the first secret in the text looks like.
    pub(crate) fn find(&self, text: &str) -> Option<&'static str> {
        let text = plain(text);
        let mut words = text.split(|c| !is_key(c) && c != '.').filter(|word| word.len() >= SHORTEST);
        words.find_map(|word| self.token(word)).or_else(|| self.value(&text)).or_else(|| private_key(&text))
    }

    fn is_allowed(&self, found: &str) -> bool {
        self.allow.iter().any(|pattern| glob::matches(pattern, found))
    }

    /// A web token of parts between dots, or a key that begins where a part or a piece of it does.
    fn token(&self, word: &str) -> Option<&'static str> {
        if word.starts_with("eyJ") && word.contains(".eyJ") && !self.is_allowed(word) {
            return Some("a web token");
        }
        word.split('.').find_map(|part| {
            let starts =
                part.match_indices(|c: char| c.is_ascii_alphanumeric()).map(|(at, _)| part.split_at(at));
            starts
                .filter(|(before, rest)| {
                    rest.len() >= SHORTEST && (before.is_empty() || before.ends_with(['-', '_']))
                })
                .find_map(|(_, rest)| self.key(rest))
        })
    }

    /// A key at the beginning of this.
    fn key(&self, text: &str) -> Option<&'static str> {
        let behind = |prefix: &str| text.strip_prefix(prefix).filter(|_| !self.is_allowed(text));
        let of_ours = |prefix: &String| behind(prefix).is_some_and(|tail| tail.len() >= OWN);
        let known = KEYS.iter().find(|(kind, length, prefixes)| {
            let tail = prefixes.iter().find_map(|prefix| behind(prefix)).filter(|tail| tail.len() >= *length);
            tail.is_some_and(|tail| match *kind {
                "an AWS key" => {
                    let end = tail.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit());
                    end.unwrap_or(tail.len()) == *length
                        && !tail.chars().nth(*length).is_some_and(|c| c.is_ascii_lowercase())
                }
                // Slack's are lower case at times; a name of many words has neither capital nor digit.
                kind => {
                    tail.contains(|c: char| c.is_ascii_digit())
                        && (kind == "a Slack token" || tail.contains(|c: char| c.is_ascii_uppercase()))
                }
            })
        });
        known.map(|(kind, ..)| *kind).or_else(|| self.extra_prefixes.iter().any(of_ours).then_some("a key"))
    }

    /// A value that was drawn by lot, behind a name that says so or as the password of an address.
    fn value(&self, text: &str) -> Option<&'static str> {
        const AROUND: [char; 6] = [' ', '\t', '"', '\'', '`', '\\'];
        text.match_indices([':', '=']).find_map(|(at, mark)| {
            let (before, after) = (text.split_at(at).0, text.split_at(at + mark.len()).1);
            let owner = before.trim_end_matches(AROUND);
            let name = owner.rsplit(|c| !is_key(c)).next().unwrap_or_default();
            let secret = |value: &str| is_random(value) && !self.is_allowed(value);
            if owner.strip_suffix(name).is_some_and(|it| it.ends_with("://")) {
                let end = after.find(['@', '/', ' ', '\n', '"'])?;
                let (password, rest) = after.split_at(end);
                return (rest.starts_with('@') && secret(password)).then_some("the password of an address");
            }
            let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
            let name = name.to_ascii_lowercase();
            let kind = NAMES.iter().find(|known| name.contains(*known))?;
            let value = after.strip_prefix(['=', '>']).unwrap_or(after).trim_start_matches(AROUND);
            let value =
                ["Bearer ", "Basic ", "Token "].iter().find_map(|it| value.strip_prefix(it)).unwrap_or(value);
            let ends = |c: char| c.is_whitespace() || AROUND.contains(&c) || ",;()[]{}<>|&".contains(c);
            let (value, rest) = value.split_at(value.find(ends).unwrap_or(value.len()));
            // What is called or looked up is code.
            (!rest.starts_with(['(', '[']) && secret(value)).then_some(match *kind {
                "password" | "passwd" | "pwd" => "a password",
                _ => "a secret value",
            })
        })
    }
}

/// A block of key material, not merely its first line.
fn private_key(text: &str) -> Option<&'static str> {
    let mut blocks = text.split("-----BEGIN ").skip(1).map(|block| block.split("-----"));
    let is_key = |parts: &mut std::str::Split<'_, &str>| {
        parts.next().is_some_and(|name| name.contains("PRIVATE KEY"))
            && parts.next().is_some_and(|body| body.split_whitespace().any(|word| word.len() >= 32))
    };
    blocks.any(|mut block| is_key(&mut block)).then_some("a private key")
}

/// Ten characters or more, a digit among them, and one in four is of another kind than the one before: small
/// letter, capital or digit. Words and paths are not, and neither are numbers and dates.
fn is_random(value: &str) -> bool {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let (mut last, mut changes, mut digits) = (0, 0, 0);
    for now in value.bytes().map(kind) {
        changes += usize::from(last != 0 && now != 0 && now != last);
        digits += usize::from(now == 3);
        last = now;
    }
    value.len() >= 10 && digits > 0 && changes * 4 >= value.len()
}
