//! `policy-set.toml` as anybody may write it: it is read or refused, and what was read keeps the documented rules.

#![no_main]

use libfuzzer_sys::fuzz_target;
use team_table::policy::{PolicyEntry, parse_set};

fuzz_target!(|text: &str| {
    let Ok(entries) = parse_set(text) else { return };
    for entry in &entries {
        assert!(is_name(&entry.name), "{entry:?}");
        assert_eq!(entry.limits.validation_error(), None, "{entry:?}");
        let same_name = |other: &&PolicyEntry| other.name == entry.name;
        assert_eq!(entries.iter().filter(same_name).count(), 1, "{entry:?}");
    }
});

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
