//! What a set leaves behind for the next start: the modules and settings that were last in force, those before them, and
//! the digests that were taken out of force because they failed. Must not depend on WebAssembly.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::os::{self, Private};
use crate::policy::PolicyError;
use crate::policy::component::{private_dir, read_private, write_private};
use crate::policy::eval::MAX_MODULE_MIB;
use crate::policy::file::PolicyEntry;

const GOOD_FILE: &str = "in-force.json";
/// The file with the digests that may not decide; watched, so that every process follows.
pub(super) const QUARANTINE_FILE: &str = "quarantine.json";
const LOCK_FILE: &str = "lock";
const MODULES: &str = "modules";
/// The largest of the JSON files that is read, in bytes.
const MAX_JSON: u64 = 16 * 1024 * 1024;
/// Modules that are kept for explaining old decisions; beyond, the oldest that are not in force go.
const MAX_MODULES: usize = 64;

/// An owner-only folder.
#[derive(Debug, Clone)]
pub struct State {
    dir: PathBuf,
}

/// What was in force last, by policy name, and before. A record names its module by digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Good {
    #[serde(default)]
    now: BTreeMap<String, PolicyEntry>,
    #[serde(default)]
    before: BTreeMap<String, PolicyEntry>,
    /// The digest that a person rolled back last, by policy name: no way back leads to it until it is installed again.
    #[serde(default)]
    withdrawn: BTreeMap<String, String>,
}

/// A module that may not decide under this name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The policy's name.
    pub policy: String,
    /// The module's digest.
    pub digest: String,
    /// Since when, in milliseconds since 1970-01-01T00:00:00Z.
    pub since: i64,
    /// Why.
    pub reason: String,
}

impl State {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// When it cannot be made, or others could write to it.
    pub fn open(dir: &Path) -> Result<Self, PolicyError> {
        private_dir(dir)?;
        private_dir(&dir.join(MODULES))?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The modules that may not decide.
    ///
    /// # Errors
    /// When the file cannot be read or trusted.
    pub fn quarantined(&self) -> Result<Vec<Quarantine>, PolicyError> {
        self.read(QUARANTINE_FILE)
    }

    /// Takes a module out of force. Every process that watches follows.
    ///
    /// # Errors
    /// When there is nothing that could decide in its place, or the folder cannot be written to.
    pub fn quarantine(&self, record: Quarantine) -> Result<(), PolicyError> {
        let _lock = self.lock()?;
        if self.good()?.fallback(&record.policy, &record.digest).is_none() {
            return Err(PolicyError::NothingToRollBack(record.policy));
        }
        let mut all = self.quarantined()?;
        all.retain(|other| (&other.policy, &other.digest) != (&record.policy, &record.digest));
        all.push(record);
        self.write(QUARANTINE_FILE, &all)
    }

    /// Takes `decides` for what was in force last, and withdraws a module that a person rolled back: going back once more
    /// must not bring it into force again. Its digest is kept, since another process may still be loading the old set file
    /// and then call [`remember`](Self::remember) with it.
    pub(super) fn withdraw(&self, decides: &PolicyEntry, digest: &str) -> Result<(), PolicyError> {
        let _lock = self.lock()?;
        let mut good = self.good()?;
        let name = &decides.name;
        good.before.remove(name);
        good.withdrawn.insert(name.clone(), digest.to_owned());
        if good.now.get(name).is_some_and(|now| now.module == digest) {
            good.now.insert(name.clone(), decides.clone());
        }
        self.write(GOOD_FILE, &good)
    }

    /// Lets whatever the set file names decide again under this name.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn release(&self, policy: &str) -> Result<(), PolicyError> {
        {
            let _lock = self.lock()?;
            let mut good = self.good()?;
            if good.withdrawn.remove(policy).is_some() {
                self.write(GOOD_FILE, &good)?;
            }
        }
        self.release_where(|record| record.policy == policy)
    }

    /// Forgets the records of a name whose module is no longer the one the set file names.
    pub(super) fn release_others(&self, policy: &str, digest: &str) -> Result<(), PolicyError> {
        self.release_where(|record| record.policy == policy && record.digest != digest)
    }

    fn release_where(&self, released: impl Fn(&Quarantine) -> bool) -> Result<(), PolicyError> {
        let _lock = self.lock()?;
        let mut all = self.quarantined()?;
        let before = all.len();
        all.retain(|record| !released(record));
        if all.len() == before { Ok(()) } else { self.write(QUARANTINE_FILE, &all) }
    }

    /// The policies that were last in force together, each with the bytes of its module.
    pub(super) fn last_good(&self) -> Result<Vec<(PolicyEntry, Vec<u8>)>, PolicyError> {
        self.good()?.now.values().map(|record| self.resolve(record)).collect()
    }

    /// What was in force under a name before, or beside, this digest, with the bytes of its module.
    pub(super) fn fallback(
        &self,
        policy: &str,
        digest: &str,
    ) -> Result<Option<(PolicyEntry, Vec<u8>)>, PolicyError> {
        let good = self.good()?;
        good.fallback(policy, digest).map(|record| self.resolve(record)).transpose()
    }

    /// The digest of the module that [`roll_back`](super::roll_back) would put in the place of this one.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub fn before(&self, policy: &str, digest: &str) -> Result<Option<String>, PolicyError> {
        Ok(self.good()?.fallback(policy, digest).map(|record| record.module.clone()))
    }

    /// Remembers what is in force now: the record and the bytes of each module.
    pub(super) fn remember(&self, set: &[(PolicyEntry, &[u8])]) -> Result<(), PolicyError> {
        let _lock = self.lock()?;
        for (record, bytes) in set {
            let path = self.module_path(&record.module);
            if !path.exists() {
                write_private(&path, &[bytes])?;
            }
        }
        let quarantined = self.quarantined()?;
        let old = self.good()?;
        let mut new = Good { now: BTreeMap::new(), ..old.clone() };
        for (record, _) in set {
            if let Some(was) = old.now.get(&record.name)
                && was.module != record.module
                && !quarantined.iter().any(|bad| bad.policy == record.name && bad.digest == was.module)
            {
                new.before.insert(record.name.clone(), was.clone());
            }
            new.now.insert(record.name.clone(), record.clone());
        }
        if new != old {
            self.write(GOOD_FILE, &new)?;
            self.prune(&new)?;
        }
        Ok(())
    }

    /// The bytes of a module that was in force once, for explaining old decisions.
    ///
    /// # Errors
    /// When the file cannot be read or trusted.
    pub fn module(&self, digest: &str) -> Result<Option<Vec<u8>>, PolicyError> {
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let bytes = read_private(&self.module_path(digest), u64::from(MAX_MODULE_MIB) * 1024 * 1024 + 1)?;
        Ok(bytes.filter(|bytes| blake3::hash(bytes).to_hex().as_str() == digest))
    }

    fn module_path(&self, digest: &str) -> PathBuf {
        self.dir.join(MODULES).join(format!("{digest}.wasm"))
    }

    fn resolve(&self, record: &PolicyEntry) -> Result<(PolicyEntry, Vec<u8>), PolicyError> {
        let gone = || PolicyError::ModuleFile {
            module: record.module.clone(),
            problem: "the copy that was kept of it is gone or damaged".to_owned(),
        };
        Ok((record.clone(), self.module(&record.module)?.ok_or_else(gone)?))
    }

    fn good(&self) -> Result<Good, PolicyError> {
        self.read(GOOD_FILE)
    }

    fn read<T: DeserializeOwned + Default>(&self, file: &str) -> Result<T, PolicyError> {
        let path = self.dir.join(file);
        let Some(bytes) = read_private(&path, MAX_JSON)? else { return Ok(T::default()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| PolicyError::Untrusted { path, problem: format!("is damaged: {error}") })
    }

    fn write(&self, file: &str, value: &impl Serialize) -> Result<(), PolicyError> {
        let text =
            serde_json::to_vec_pretty(value).map_err(|error| PolicyError::Engine(error.to_string()))?;
        write_private(&self.dir.join(file), &[&text])
    }

    fn lock(&self) -> Result<File, PolicyError> {
        let path = self.dir.join(LOCK_FILE);
        let lock = os::open_private(&path, Private::Keep).map_err(PolicyError::io("open", &path))?;
        lock.lock().map_err(PolicyError::io("lock", &path))?;
        Ok(lock)
    }

    fn prune(&self, good: &Good) -> Result<(), PolicyError> {
        let dir = self.dir.join(MODULES);
        let in_use: Vec<_> = good
            .now
            .values()
            .chain(good.before.values())
            .map(|record| self.module_path(&record.module))
            .collect();
        let listed = fs::read_dir(&dir).map_err(PolicyError::io("list", &dir))?;
        let mut idle: Vec<(SystemTime, PathBuf)> = listed
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .filter(|(_, path)| !in_use.contains(path))
            .collect();
        idle.sort();
        for (_, path) in idle.iter().take((idle.len() + in_use.len()).saturating_sub(MAX_MODULES)) {
            fs::remove_file(path).map_err(PolicyError::io("remove", path))?;
        }
        Ok(())
    }
}

impl Good {
    fn fallback(&self, policy: &str, digest: &str) -> Option<&PolicyEntry> {
        let withdrawn = self.withdrawn.get(policy);
        [&self.now, &self.before]
            .into_iter()
            .filter_map(|set| set.get(policy))
            .find(|record| record.module != digest && Some(&record.module) != withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: &'static [u8]) -> (PolicyEntry, &'static [u8]) {
        (PolicyEntry::new("p", &blake3::hash(bytes).to_hex()), bytes)
    }

    fn quarantine(name: &str, digest: &str) -> Quarantine {
        Quarantine { policy: name.into(), digest: digest.into(), since: 0, reason: "trap".into() }
    }

    #[test]
    fn a_bad_module_never_becomes_the_one_to_go_back_to() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state")).unwrap();
        let (good, bad, next) = (record(b"good"), record(b"bad"), record(b"next"));
        assert!(matches!(
            state.quarantine(quarantine("p", &bad.0.module)).unwrap_err(),
            PolicyError::NothingToRollBack(name) if name == "p"
        ));
        state.remember(std::slice::from_ref(&good)).unwrap();
        state.remember(std::slice::from_ref(&bad)).unwrap();
        assert_eq!(state.fallback("p", &bad.0.module).unwrap().unwrap().1, b"good");
        state.quarantine(quarantine("p", &bad.0.module)).unwrap();
        state.remember(std::slice::from_ref(&good)).unwrap();
        state.remember(std::slice::from_ref(&next)).unwrap();
        assert_eq!(state.fallback("p", &next.0.module).unwrap().unwrap().1, b"good");
        state.release_others("p", &next.0.module).unwrap();
        assert!(state.quarantined().unwrap().is_empty());
        assert_eq!(
            state.module(&bad.0.module).unwrap().unwrap(),
            b"bad",
            "kept for explaining old decisions"
        );
    }

    #[test]
    fn a_module_that_was_rolled_back_stays_back_although_a_process_was_loading_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state")).unwrap();
        let (old, new) = (record(b"old"), record(b"new"));
        let remember =
            |policy: &(PolicyEntry, &'static [u8])| state.remember(std::slice::from_ref(policy)).unwrap();
        remember(&old);
        remember(&new);
        state.withdraw(&old.0, &new.0.module).unwrap();
        // It read the set file before the rollback wrote it.
        remember(&new);
        remember(&old);
        assert!(state.fallback("p", &old.0.module).unwrap().is_none());
        state.release("p").unwrap();
        remember(&new);
        assert_eq!(state.fallback("p", &new.0.module).unwrap().unwrap().1, b"old");
        remember(&old);
        assert_eq!(state.fallback("p", &old.0.module).unwrap().unwrap().1, b"new", "installed again since");
    }

    #[test]
    fn a_damaged_copy_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state")).unwrap();
        let good = record(b"good");
        state.remember(std::slice::from_ref(&good)).unwrap();
        fs::write(state.module_path(&good.0.module), b"evil").unwrap();
        assert!(state.last_good().unwrap_err().to_string().contains("gone or damaged"));
    }
}
