//! How much goes into one list result.

/// Most characters of a list result's items together: lists stop before 12,000, and the rest is
/// for the frame and the unread badge.
const LIST_BUDGET: usize = 10_500;

/// Where "how many are left" stops counting, so that no list costs more the longer it is. A larger number
/// is reported as this one.
pub const REMAINING_CAP: i64 = 10_000;

/// Decides how many items go into one list result: at most a number, and no more text than clients show.
/// The first item always goes in.
#[derive(Debug)]
pub(super) struct Listing {
    limit: i64,
    /// Characters of an item besides its texts: field names, numbers, times.
    frame: usize,
    taken: i64,
    characters: usize,
    full: bool,
}

impl Listing {
    pub(super) const fn new(limit: i64, frame: usize) -> Self {
        Self { limit, frame, taken: 0, characters: 0, full: false }
    }

    /// Whether an item with these texts still goes in.
    pub(super) fn take(&mut self, texts: &[&str]) -> bool {
        let escapes = |c: char| match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            c if c.is_control() => 6,
            _ => 1,
        };
        let size = self.frame + texts.iter().flat_map(|text| text.chars()).map(escapes).sum::<usize>();
        self.full = self.taken >= self.limit || (self.taken > 0 && self.characters + size > LIST_BUDGET);
        if !self.full {
            self.taken += 1;
            self.characters += size;
        }
        !self.full
    }

    /// Whether an item was turned away.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    pub(super) const fn taken(&self) -> i64 {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The listing's count of an item is never below what JSON makes of its texts.
        #[test]
        fn a_listing_never_counts_too_little(texts in prop::collection::vec(any::<String>(), 1..4)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let written: usize = texts.iter().map(|text| serde_json::json!(text).to_string().chars().count() - 2).sum();
            let mut listing = Listing::new(10, 0);
            assert!(listing.take(&texts));
            prop_assert!(listing.characters >= written, "{} < {written}", listing.characters);
        }
    }
}
