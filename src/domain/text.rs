//! Checks on the length of text, in characters, that every kind of object shares.

use super::refusal::Refusal;

/// Whether a character is not what a reader sees of it: control characters (those from U+0080 on too), characters without a
/// width, and the marks that break a line or turn its direction. All are below U+10000.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
}

/// Accepts text of at most `max` characters.
/// # Errors
/// `invalid_argument`, with both lengths.
pub fn at_most(what: &str, text: &str, max: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length > max {
        return Err(Refusal::invalid(
            format!("{what} is {length} characters long, the limit is {max}"),
            format!("shorten it to {max} characters or split it"),
        ));
    }
    Ok(())
}

/// Accepts text of 1 to `max` characters that is not only white space.
pub(super) fn filled(what: &str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid(format!("{what} is empty"), format!("give 1 to {max} characters")));
    }
    at_most(what, text, max)
}
