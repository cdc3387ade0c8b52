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
    // Where to resume when a byte does not fit: the last star may swallow one byte more.
    let mut resume: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', after @ ..], _) => {
                resume = Some((after, text));
                pattern = after;
            }
            ([p, pattern_rest @ ..], [t, text_rest @ ..]) if p == t => {
                (pattern, text) = (pattern_rest, text_rest);
            }
            ([], []) => return true,
            _ => {
                let Some((after, [_, rest @ ..])) = resume else {
                    return false;
                };
                resume = Some((after, rest));
                (pattern, text) = (after, rest);
            }
        }
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
