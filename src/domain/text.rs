//! Checks on the length of text, in characters, that every kind of object shares.

use super::refusal::Refusal;

/// Accepts text of at most `max` characters.
pub(super) fn at_most(what: &str, text: &str, max: usize) -> Result<(), Refusal> {
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
