//! Finds what looks like a key or a password in a text, in one pass: keys of known services by their prefixes, blocks of
//! private keys, web tokens, and random values behind names such as `password`. A policy that keeps credentials out
//! of messages needs no regular expressions.
//!
//! It is made for what slips through when output is pasted. Who encodes a secret first gets it past any scanner.
//! 10,000 characters take at most 9 million fuel; a policy that reads longer texts needs a higher limit.

use std::borrow::Cow;

use crate::glob;

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

/// Where a value that was drawn by lot is looked for: not in numbers and short words.
const SHORTEST_VALUE: usize = 10;
/// No key is longer: what follows is not looked at.
const LONGEST: usize = 100;

/// What is looked for. Made once, in `configure`.
#[derive(Debug, Clone)]
pub struct Scanner {
    extra_prefixes: Vec<String>,
    allow: Vec<String>,
    /// With which bytes keys begin.
    first: [bool; 256],
}

/// Whether a key may have this byte behind its prefix: `[A-Za-z0-9_-]`.
#[must_use]
pub const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// White space within a line and quotation marks.
const fn is_around(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\')
}

/// What a value does not contain.
const fn ends_value(byte: u8) -> bool {
    is_around(byte)
        || matches!(byte, b'\n' | b'\r' | b',' | b';' | b':' | b'=' | b'(' | b')' | b'[' | b']')
        || matches!(byte, b'{' | b'}' | b'<' | b'>' | b'|' | b'&')
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
    /// A scanner for the keys that are widely known and for those that begin with one of `extra_prefixes`, behind which at
    /// least 16 characters must follow. What matches a pattern of `allow` ([`glob`]) is no secret.
    #[must_use]
    pub fn new(extra_prefixes: Vec<String>, allow: Vec<String>) -> Self {
        let mut first = [false; 256];
        let own = extra_prefixes.iter().map(String::as_str);
        for prefix in KEYS.iter().flat_map(|(.., prefixes)| prefixes.iter().copied()).chain(own) {
            if let Some(slot) = prefix.bytes().next().and_then(|byte| first.get_mut(usize::from(byte))) {
                *slot = true;
            }
        }
        Self { extra_prefixes, allow, first }
    }

    /// What the first secret in the text looks like, in words such as `a GitHub token`; never the secret itself.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&'static str> {
        let text = &*plain(text);
        let (mut start, mut value) = (0, None);
        // A last mark ends the last word.
        for (at, byte) in text.bytes().chain([b' ']).enumerate() {
            if is_key(byte) || byte == b'.' {
                continue;
            }
            let word = if at - start < SHORTEST { None } else { text.get(start..at) };
            start = at + 1;
            let key = word.and_then(|word| self.token(word));
            if key.is_some() {
                return key;
            }
            if value.is_none() && matches!(byte, b':' | b'=') {
                value = self.value(text, at);
            }
        }
        // Whose key it is says more than that its name is a key's.
        value.or_else(|| private_key(text))
    }

    fn is_allowed(&self, found: &str) -> bool {
        self.allow.iter().any(|pattern| glob::matches(pattern, found))
    }

    /// A web token, which has parts between dots, or a key that begins where a word or a part of one does.
    fn token(&self, word: &str) -> Option<&'static str> {
        if word.starts_with("eyJ") && word.contains(".eyJ") && !self.is_allowed(word) {
            return Some("a web token");
        }
        let mut begins = true;
        for (at, byte) in word.bytes().enumerate() {
            let fits =
                begins && word.len() - at >= SHORTEST && self.first.get(usize::from(byte)) == Some(&true);
            begins = !byte.is_ascii_alphanumeric();
            if fits && let Some(kind) = word.get(at..).and_then(|rest| self.key(rest)) {
                return Some(kind);
            }
        }
        None
    }

    /// A key at the beginning of this.
    fn key(&self, text: &str) -> Option<&'static str> {
        let text = text.get(..LONGEST).unwrap_or(text);
        let behind = |prefix: &str| text.strip_prefix(prefix)?.split('.').next();
        let known = KEYS.iter().find(|(kind, length, prefixes)| {
            let tail = prefixes.iter().find_map(|prefix| behind(prefix));
            tail.is_some_and(|tail| tail.len() >= *length && looks_like(kind, *length, tail))
        });
        let of_ours = |prefix: &String| behind(prefix).is_some_and(|tail| tail.len() >= OWN);
        let own = || self.extra_prefixes.iter().any(of_ours).then_some("a key");
        let kind = known.map(|(kind, ..)| *kind).or_else(own)?;
        (!self.is_allowed(text.split('.').next().unwrap_or_default())).then_some(kind)
    }

    /// A value that was drawn by lot, behind the mark at `at`: of a name that says so, or the password of an address.
    fn value(&self, text: &str, at: usize) -> Option<&'static str> {
        let after = text.get(at + 1..)?;
        let after = after.strip_prefix(['=', '>']).unwrap_or(after);
        let blank = after.bytes().take_while(|byte| is_around(*byte)).count();
        let after = after.get(blank..)?;
        let scheme = ["Bearer ", "Basic ", "Token "].iter().find(|it| after.starts_with(**it));
        let after = after.get(scheme.map_or(0, |it| it.len())..)?;
        let (value, rest) = after.split_at(after.bytes().take_while(|byte| !ends_value(*byte)).count());
        // Most values end here. What is called or looked up is code.
        if value.len() < SHORTEST_VALUE
            || !value.bytes().any(|byte| byte.is_ascii_digit())
            || rest.starts_with(['(', '['])
        {
            return None;
        }
        let secret = |value: &str| is_random(value) && !self.is_allowed(value);
        let before = text.get(..at)?;
        let owner =
            before.get(..before.len() - before.bytes().rev().take_while(|byte| is_around(*byte)).count())?;
        let name = owner.get(owner.len() - owner.bytes().rev().take_while(|byte| is_key(*byte)).count()..)?;
        if let Some((password, _)) = value.split_once('@')
            && owner.strip_suffix(name).is_some_and(|it| it.ends_with("://"))
        {
            return secret(password).then_some("the password of an address");
        }
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        let kind = NAMES.iter().find(|known| name.contains(*known))?;
        let is_password = ["password", "passwd", "pwd"].contains(kind);
        secret(value).then_some(if is_password { "a password" } else { "a secret value" })
    }
}

/// What is behind the prefix is no mere name: Slack's keys are lower case at times, those of the others are not, and
/// a name of many words has neither capital nor digit. AWS's are of capitals and digits, so many and no more.
fn looks_like(kind: &str, length: usize, tail: &str) -> bool {
    let digit = tail.contains(|c: char| c.is_ascii_digit());
    match kind {
        "an AWS key" => {
            let is_one = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
            let (of_it, next) = tail.as_bytes().split_at_checked(length).unwrap_or_default();
            of_it.iter().all(is_one) && !next.first().is_some_and(u8::is_ascii_alphanumeric)
        }
        "a Slack token" => digit,
        _ => digit && tail.contains(|c: char| c.is_ascii_uppercase()),
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
    value.len() >= SHORTEST_VALUE && digits > 0 && changes * 4 >= value.len()
}
