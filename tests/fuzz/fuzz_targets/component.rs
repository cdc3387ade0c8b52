//! Modules as strangers may build them: the gate looks at any bytes, and what passes it goes the whole way of `policy check`.
//!
//! An input is raw bytes, or, when its first byte is the number of one of the components at hand, a list of changes to that
//! one, five bytes each. The large ones only go through the gate, because compiling one takes a second.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use team_table::policy::{BUILTINS, Limits, Loader, inspect};
use team_table_fuzz::{every_panic_counts, framed, project};

/// Larger ones are not compiled.
const SMALL: usize = 32 * 1024;

struct Bench {
    loader: Loader,
    components: Vec<Vec<u8>>,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    every_panic_counts();
    let guests = std::fs::read_dir(project("tests/data/guests")).expect("the guests are there");
    let mut paths: Vec<_> = guests.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let texts = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let mut components: Vec<_> =
        texts.filter(|text| text.contains("(;frame;)")).map(|text| framed(&text)).collect();
    components.extend(BUILTINS.iter().map(|builtin| builtin.bytes.to_vec()));
    Bench { loader: Loader::new(None).expect("the engine cannot be made"), components }
});

fuzz_target!(|data: &[u8]| {
    let Bench { loader, components } = &*BENCH;
    let chosen =
        data.split_first().and_then(|(first, rest)| Some((components.get(usize::from(*first))?, rest)));
    let bytes = match chosen {
        Some((component, changes)) if !data.starts_with(b"\0asm") => changed(component, changes),
        _ => data.to_vec(),
    };
    let limits = Limits { fuel: 1_000_000, millis: 1_000, ..Limits::default() };
    let gated = inspect(&bytes, limits);
    if gated.is_ok() && bytes.len() <= SMALL {
        let _ = loader.check(&bytes, &json!({}), limits);
    }
});

/// Makes the changes: what, where (two bytes, a part of the whole), and two bytes more.
fn changed(component: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for change in changes.as_chunks::<5>().0.iter().take(16) {
        let [what, high, low, a, b] = *change;
        let part = usize::from(u16::from_be_bytes([high, low]));
        let place = bytes.len() * part / (1 << 16);
        let end = (place + usize::from(a)).min(bytes.len());
        match what % 6 {
            0 => bytes[place..].iter_mut().take(1).for_each(|byte| *byte = a),
            1 => bytes[place..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << (b % 8)),
            2 => drop(bytes.drain(place..end)),
            3 => drop(bytes.splice(place..place, [a, b])),
            // Whole sections, so that the result is often well-formed: one goes, or comes twice.
            op => {
                let sections = sections(&bytes);
                let Some(section) = sections.get(part % sections.len().max(1)).cloned() else { continue };
                let copy = bytes[section.clone()].to_vec();
                if op == 4 {
                    bytes.drain(section);
                } else {
                    let at = sections.get(usize::from(a) % sections.len()).map_or(8, |section| section.start);
                    bytes.splice(at..at, copy);
                }
            }
        }
    }
    bytes
}

/// Where the top sections lie, as far as they can be read.
fn sections(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = 8;
    while start < bytes.len() {
        let (mut at, mut size, mut shift) = (start + 1, 0_usize, 0);
        loop {
            let Some(byte) = bytes.get(at) else { return found };
            at += 1;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 28 {
                break;
            }
        }
        let Some(end) = at.checked_add(size).filter(|end| *end <= bytes.len()) else { return found };
        found.push(start..end);
        start = end;
    }
    found
}
