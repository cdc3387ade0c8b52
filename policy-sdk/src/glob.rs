//! Patterns for settings: `*` stands for any run of characters, everything else for itself. Written out rather than
//! taken from a library, because a regex engine would be larger than any policy.

/// Whether the whole text fits the pattern. Case counts. Takes at most `pattern.len() * text.len()` steps.
///
/// ```
/// use team_table_policy_sdk::glob;
///
/// assert!(glob::matches("alice/*", "alice/plan"));
/// assert!(!glob::matches("alice/*", "bob/alice/plan"));
/// ```
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to resume when a byte does not fit: the last star may swallow more.
    let mut resume: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*'], _) | ([], []) => return true,
            ([b'*', after @ ..], _) => {
                (pattern, text) = (after, skip_to(after, text));
                resume = Some((pattern, text));
            }
            ([p, pattern_rest @ ..], [t, text_rest @ ..]) if p == t => {
                (pattern, text) = (pattern_rest, text_rest);
            }
            _ => {
                let Some((after, [_, rest @ ..])) = resume else { return false };
                (pattern, text) = (after, skip_to(after, rest));
                resume = Some((pattern, text));
            }
        }
    }
}

/// The text from the next place on where the pattern after a star can fit: most of a long text is passed over here.
fn skip_to<'a>(after: &[u8], text: &'a [u8]) -> &'a [u8] {
    match after.first() {
        Some(first) if *first != b'*' => {
            let at = text.iter().position(|byte| byte == first).unwrap_or(text.len());
            text.get(at..).unwrap_or(&[])
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_run_and_all_else_is_itself() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "x"),
            ("a*", "a"),
            ("*b", "aab"),
            ("a*b*c", "axxbyyc"),
            ("**", "ab"),
            ("é*?", "été?"),
        ] {
            assert!(matches(pattern, text), "{pattern} should fit {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("a*b", "abc"), ("?", "a"), ("A", "a"), ("*ab", "aba")]
        {
            assert!(!matches(pattern, text), "{pattern} should not fit {text}");
        }
    }
}
