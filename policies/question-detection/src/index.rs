//! Finds what belongs to a word by the word's hash. Almost no word of a message belongs to anything, so a lookup is laid
//! out to find that out in two small arrays: an instance starts with cold memory, and each page that it touches costs
//! more than the arithmetic.

/// A multimap from hashes to numbers.
#[derive(Debug)]
pub(crate) struct Index {
    /// Where the entries of each bucket begin; one more than there are buckets.
    starts: Vec<u16>,
    hashes: Vec<u32>,
    values: Vec<u16>,
}

const BUCKETS: usize = 1 << 12;

impl Index {
    /// Values of the same hash keep their order.
    pub(crate) fn new(mut entries: Vec<(u32, u16)>) -> Self {
        entries.sort_by_key(|(hash, _)| bucket(*hash));
        let starts = (0..=BUCKETS).map(|wanted| entries.partition_point(|(hash, _)| bucket(*hash) < wanted));
        Self {
            starts: starts.map(|start| u16::try_from(start).unwrap_or(u16::MAX)).collect(),
            hashes: entries.iter().map(|(hash, _)| *hash).collect(),
            values: entries.iter().map(|(_, value)| *value).collect(),
        }
    }

    /// The values of a hash.
    pub(crate) fn get(&self, hash: u32) -> impl Iterator<Item = u16> {
        let at = bucket(hash);
        let range = match self.starts.get(at..at + 2) {
            Some([start, end]) => usize::from(*start)..usize::from(*end),
            _ => 0..0,
        };
        let hashes = self.hashes.get(range.clone()).unwrap_or_default();
        hashes
            .iter()
            .zip(range)
            .filter(move |(known, _)| **known == hash)
            .filter_map(|(_, at)| self.values.get(at).copied())
    }
}

fn bucket(hash: u32) -> usize {
    (hash ^ (hash >> 16)) as usize % BUCKETS
}

/// The hash of a word. FNV-1a, because the standard hasher costs more than all the rest.
pub(crate) fn hash(word: &str) -> u32 {
    followed(0x811c_9dc5, word)
}

/// The hash of words whose hash is known and one more.
pub(crate) fn followed(before: u32, word: &str) -> u32 {
    word.bytes().chain([b' ']).fold(before, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
