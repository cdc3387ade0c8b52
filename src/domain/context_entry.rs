//! Shared context: versioned, optionally expiring key-value entries.

use serde::{Deserialize, Serialize};

use super::clock::{self, DAY, Millis};
use super::refusal::Refusal;
use super::text;

/// Longest key, in characters. Clients are told of it.
pub const MAX_KEY: usize = 128;
/// Longest value, in characters.
pub const MAX_VALUE: usize = 50_000;
/// Longest time to live, in seconds: a year. Longer than that is "no expiry".
pub const MAX_TTL_SECONDS: i64 = 365 * DAY / 1_000;

/// A stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEntry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// Who wrote it last.
    pub set_by: String,
    /// That member's row.
    pub set_by_id: Option<i64>,
    /// When.
    pub updated_at: Millis,
    /// 1, 2, 3, …
    pub version: i64,
    /// When it vanishes, if it does.
    pub expires_at: Option<Millis>,
}

/// An entry as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextView {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// Who wrote it last.
    pub set_by: String,
    /// When.
    pub updated_at: String,
    /// 1, 2, 3, …
    pub version: i64,
    /// When it vanishes, if it does.
    pub expires_at: Option<String>,
}

impl ContextEntry {
    /// The entry as clients see it.
    #[must_use]
    pub fn view(self) -> ContextView {
        ContextView {
            key: self.key,
            value: self.value,
            set_by: self.set_by,
            updated_at: clock::format(self.updated_at),
            version: self.version,
            expires_at: self.expires_at.map(clock::format),
        }
    }
}

/// Accepts 1 to [`MAX_KEY`] characters, not blank.
///
/// # Errors
/// `invalid_argument`.
pub fn check_key(key: &str) -> Result<(), Refusal> {
    text::filled("key", key, MAX_KEY)
}

/// Accepts up to [`MAX_VALUE`] characters.
///
/// # Errors
/// `invalid_argument`.
pub fn check_value(value: &str) -> Result<(), Refusal> {
    text::at_most("value", value, MAX_VALUE)
}

/// The member a key belongs to by its name: `alice` for `alice/notes`. Whether there is such a member is
/// for the storage to say.
#[must_use]
pub fn owner_of(key: &str) -> Option<&str> {
    key.split_once('/').map(|(owner, _)| owner).filter(|owner| !owner.is_empty())
}
