//! Compiled code on disk, so that a process need not compile at every start. Machine code that somebody else wrote would
//! run with our rights: the folder and its files must belong to this user alone. Every entry carries a digest over its
//! name and content; what is damaged is compiled again and overwritten. Must not depend on policies.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::os::{self, Access, Readers};
use crate::policy::PolicyError;

/// Length of a digest in bytes.
const DIGEST: usize = blake3::OUT_LEN;
/// Entries that are kept; beyond, the least recently written go.
const MAX_ENTRIES: usize = 256;
/// The largest entry that is read, in bytes.
const MAX_ENTRY: u64 = 512 * 1024 * 1024;

/// An owner-only folder of entries.
pub(super) struct Cache {
    dir: PathBuf,
    compatibility: String,
}

/// An entry whose digest was right.
pub(crate) struct Entry {
    bytes: Vec<u8>,
    kept: std::ops::Range<usize>,
}

impl Cache {
    /// Opens or makes a cache for one engine.
    ///
    /// # Errors
    /// When the folder cannot be made, or others could write to it.
    pub(crate) fn open(dir: &Path, compatibility: &str) -> Result<Self, PolicyError> {
        private_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), compatibility: compatibility.to_owned() })
    }

    /// The entry under a key, if there is one and it is ours.
    pub(super) fn get(&self, key: &[String]) -> Option<Entry> {
        let name = self.name(key);
        let path = self.dir.join(&name);
        let bytes = match read_private(&path, MAX_ENTRY) {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::warn!(%error, "a cache entry is not trusted and is compiled again");
                return None;
            }
        };
        let entry = Entry::verify(bytes, |rest| digest(&name, rest));
        if entry.is_none() {
            tracing::warn!(path = %path.display(), "a cache entry does not verify and is compiled again");
        }
        entry
    }

    /// Writes an entry. A cache that cannot be written to costs time, not correctness: failures are logged.
    pub(super) fn put(&self, key: &[String], kept: &[u8], code: &[u8]) {
        let name = self.name(key);
        let length = u32::try_from(kept.len()).unwrap_or(u32::MAX).to_le_bytes();
        let rest = [&length[..], kept, code].concat();
        let digest = digest(&name, &rest);
        let written = write_private(&self.dir.join(&name), &[digest.as_bytes(), &rest]);
        if let Err(error) = written.and_then(|()| self.prune()) {
            tracing::warn!(%error, "a compiled policy could not be cached");
        }
    }

    fn name(&self, key: &[String]) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in key.iter().chain([&self.compatibility]) {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    fn prune(&self) -> Result<(), PolicyError> {
        let listed = fs::read_dir(&self.dir).map_err(PolicyError::io("list", &self.dir))?;
        let mut entries: Vec<(SystemTime, PathBuf)> = listed
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        entries.sort();
        for (_, path) in entries.iter().take(entries.len().saturating_sub(MAX_ENTRIES)) {
            fs::remove_file(path).map_err(PolicyError::io("remove", path))?;
        }
        Ok(())
    }
}

impl Entry {
    fn verify(bytes: Vec<u8>, digest: impl Fn(&[u8]) -> blake3::Hash) -> Option<Self> {
        let (stored, rest) = bytes.split_first_chunk::<DIGEST>()?;
        if digest(rest) != blake3::Hash::from_bytes(*stored) {
            return None;
        }
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        (length <= rest.len()).then_some(())?;
        let start = DIGEST + 4;
        Some(Self { bytes, kept: start..start + length })
    }

    /// What was kept beside the code, and the code. `None` when the engine does not take it.
    pub(super) fn component(&self, engine: &Engine) -> Option<(Vec<u8>, Component)> {
        let kept = self.bytes.get(self.kept.clone())?.to_vec();
        let code = self.bytes.get(self.kept.end..)?;
        #[expect(unsafe_code, reason = "compiled code can only be loaded so; see SAFETY")]
        // SAFETY: `deserialize` runs what it is given, so the bytes must come from `Component::serialize`. They do: only
        // `put` writes here, the folder and the file belong to this user and no other can write to them, and the
        // digest, over the name that contains the engine's compatibility hash too, shows that they are whole. A process
        // that can write as this user can run code as this user anyway.
        let component = unsafe { Component::deserialize(engine, code) };
        Some((kept, component.inspect_err(|error| tracing::warn!(%error, "cached code is not taken")).ok()?))
    }
}

fn digest(name: &str, rest: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(name.as_bytes()).update(rest).finalize()
}

/// Makes a folder for this user alone, or checks that it is one.
pub(crate) fn private_dir(dir: &Path) -> Result<(), PolicyError> {
    os::create_private_folder(dir).map_err(PolicyError::io("create", dir))?;
    let metadata = fs::symlink_metadata(dir).map_err(PolicyError::io("look at", dir))?;
    if !metadata.is_dir() {
        return Err(untrusted(dir, "is not a folder"));
    }
    trusted(dir, &Access::at(dir).map_err(PolicyError::io("look at", dir))?)
}

/// Reads a file that only this user may write. `None` when it is not there.
pub(crate) fn read_private(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PolicyError> {
    let Some(file) = open_plain(path)? else { return Ok(None) };
    trusted(path, &Access::of(&file).map_err(PolicyError::io("look at", path))?)?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(PolicyError::io("read", path))?;
    Ok(Some(bytes))
}

/// Opens a plain file, and never through a symlink. `None` when it is not there.
pub(super) fn open_plain(path: &Path) -> Result<Option<File>, PolicyError> {
    match os::open_plain(path) {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => Err(untrusted(path, "is not a plain file (symlinks are not followed)")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PolicyError::io("open", path)(error)),
    }
}

/// Opens a plain file that not everybody on this machine can write or exchange. Its owner and its group are the operator's
/// choice. `None` when it is not there.
pub(crate) fn open_guarded(path: &Path) -> Result<Option<File>, PolicyError> {
    let Some(file) = open_plain(path)? else { return Ok(None) };
    let folder = folder_of(path);
    for (what, access) in [(path, Access::of(&file)), (folder, Access::at(folder))] {
        if access.map_err(PolicyError::io("look at", what))?.everybody_writes {
            return Err(untrusted(
                what,
                "can be written to by everybody on this machine; take that permission away",
            ));
        }
    }
    Ok(Some(file))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file of this user alone, whole or not at all.
pub(crate) fn write_private(path: &Path, parts: &[&[u8]]) -> Result<(), PolicyError> {
    write_whole(path, parts, Readers::Owner)
}

/// Writes a file, whole or not at all.
pub(crate) fn write_whole(path: &Path, parts: &[&[u8]], readers: Readers) -> Result<(), PolicyError> {
    Staged::write(path, parts, readers)?.put_in_place()
}

/// A file that is written and synced beside its place: what is left to do needs no space on the disk.
pub(crate) struct Staged {
    beside: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Writes it beside its place.
    pub(crate) fn write(path: &Path, parts: &[&[u8]], readers: Readers) -> Result<Self, PolicyError> {
        let written = (|| {
            let mut beside = os::new_beside(folder_of(path), readers)?;
            for part in parts {
                beside.write_all(part)?;
            }
            beside.as_file().sync_all()?;
            Ok(beside)
        })();
        Ok(Self { beside: written.map_err(PolicyError::io("write", path))?, path: path.to_owned() })
    }

    /// Renames it over what is at its place.
    pub(crate) fn put_in_place(self) -> Result<(), PolicyError> {
        os::replace_file(self.beside, &self.path).map_err(PolicyError::io("write", &self.path))
    }
}

fn trusted(path: &Path, access: &Access) -> Result<(), PolicyError> {
    if !access.is_ours {
        return Err(untrusted(path, "belongs to another user"));
    }
    if access.others_write {
        return Err(untrusted(path, "can be written to by others"));
    }
    Ok(())
}

fn untrusted(path: &Path, problem: &str) -> PolicyError {
    PolicyError::Untrusted { path: path.to_owned(), problem: problem.to_owned() }
}
