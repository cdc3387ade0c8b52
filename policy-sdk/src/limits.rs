//! How long the answers of a policy may be. The host takes a longer one for no answer at all, and this is where it looks:
//! a policy that is held to these limits by a test is held to the host's. Knows nothing of who asks.

/// Characters of a reason's `code`.
pub const MAX_CODE_CHARS: usize = 64;
/// Characters of a reason's `message` and of each of its notes.
pub const MAX_MESSAGE_CHARS: usize = 1_000;
/// Notes of one reason.
pub const MAX_NOTES: usize = 20;
/// Characters of the text of a reply, which has at least one.
pub const MAX_REPLY_CHARS: usize = 10_000;

/// What is wrong with the parts of a [`Reason`](crate::Reason), in one sentence; `None` when nothing is.
#[must_use]
pub fn reason_error(code: &str, message: &str, notes: &[String]) -> Option<String> {
    let too_long = |text: &str| text.chars().count() > MAX_MESSAGE_CHARS;
    if !is_code(code) {
        Some(format!("a code must match [a-z][a-z0-9_]* with at most {MAX_CODE_CHARS} characters"))
    } else if too_long(message) {
        Some(format!("a message may have at most {MAX_MESSAGE_CHARS} characters"))
    } else if notes.len() > MAX_NOTES || notes.iter().any(|note| too_long(note)) {
        Some(format!("at most {MAX_NOTES} notes of at most {MAX_MESSAGE_CHARS} characters are allowed"))
    } else {
        None
    }
}

/// What is wrong with the text of a reply, in one sentence; `None` when nothing is.
#[must_use]
pub fn reply_error(text: &str) -> Option<String> {
    let fits = (1..=MAX_REPLY_CHARS).contains(&text.chars().count());
    (!fits).then(|| format!("a reply must be 1 to {MAX_REPLY_CHARS} characters"))
}

fn is_code(code: &str) -> bool {
    code.len() <= MAX_CODE_CHARS
        && code.starts_with(|c: char| c.is_ascii_lowercase())
        && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
