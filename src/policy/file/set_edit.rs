//! Changes to `policy-set.toml`: one editor at a time, no comment lost, the whole new file or the old one. Must not depend on what the
//! modules are worth.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

use crate::domain::decision::Mode;
use crate::os::{self, Private, Readers};

use super::builtin::{BUILTIN_PREFIX, builtin};
use super::set_file::{PolicyEntry, SET_FILE, built_in, parse_set, text};
use crate::policy::PolicyError;
use crate::policy::component::{Staged, write_whole};
use crate::policy::eval::Limits;

/// The lock that editors of the set file take.
const LOCK_FILE: &str = ".policy-set.lock";

/// The set file, locked for changes: no other command edits it until this is dropped.
pub struct SetEditor {
    path: PathBuf,
    document: DocumentMut,
    _lock: File,
}

impl SetEditor {
    /// Waits until no other process edits the set file, then reads it.
    ///
    /// # Errors
    /// When the directory cannot be written to, or the file cannot be read as it is.
    pub fn open(dir: &Path) -> Result<Self, PolicyError> {
        os::create_private_folder(dir).map_err(PolicyError::io("create", dir))?;
        let lock_path = dir.join(LOCK_FILE);
        let lock =
            os::open_private(&lock_path, Private::Keep).map_err(PolicyError::io("open", &lock_path))?;
        lock.lock().map_err(PolicyError::io("lock", &lock_path))?;
        let path = dir.join(SET_FILE);
        let mut editor = Self { path, document: DocumentMut::new(), _lock: lock };
        if let Some(text) = text(dir)? {
            parse_set(&text)?;
            let invalid = |error: toml_edit::TomlError| PolicyError::SetFile {
                position: None,
                message: error.to_string(),
            };
            editor.document = text.parse().map_err(invalid)?;
        }
        Ok(editor)
    }

    /// The entries as they stand.
    ///
    /// # Errors
    /// When a change made the file wrong.
    pub fn entries(&self) -> Result<Vec<PolicyEntry>, PolicyError> {
        if self.document.is_empty() { Ok(built_in()) } else { parse_set(&self.document.to_string()) }
    }

    /// Adds an entry, or gives the one of this name its new values. Comments and other entries stay as they are.
    ///
    /// # Errors
    /// When TOML cannot hold a setting: `null`, or an integer beyond 64 bits.
    pub fn put(&mut self, entry: &PolicyEntry) -> Result<(), PolicyError> {
        for (key, value) in &entry.settings {
            if let Some((path, what)) = unwritable(key, value) {
                return Err(PolicyError::Setting {
                    path,
                    problem: format!("{what}, which a set file cannot hold: leave it out"),
                });
            }
        }
        let settings = toml_edit::ser::to_document(&entry.settings)
            .map_err(|error| PolicyError::SetFile { position: None, message: error.to_string() })?;
        let tables = self.tables();
        let place = tables.iter().position(|table| named(table, &entry.name));
        if place.is_none() {
            tables.push(Table::new());
        }
        let last = tables.len() - 1;
        let Some(table) = tables.get_mut(place.unwrap_or(last)) else { return Ok(()) };
        set(table, "name", Some(entry.name.as_str().into()));
        set(table, "module", Some(entry.module.as_str().into()));
        set(table, "mode", Some(entry.mode.as_str().into()));
        set(table, "approvals", (entry.approvals != 1).then(|| entry.approvals.into()));
        set(
            table,
            "tools",
            entry.tools.as_ref().map(|tools| tools.iter().collect::<toml_edit::Array>().into()),
        );
        set(table, "digest", entry.digest.as_deref().map(Into::into));
        set_table(table, "settings", settings.as_table().clone());
        let mut limits = Table::new();
        let standard = Limits::default();
        for (key, value, default) in [
            ("fuel", entry.limits.fuel, standard.fuel),
            ("millis", entry.limits.millis.into(), standard.millis.into()),
            ("memory_mib", entry.limits.memory_mib.into(), standard.memory_mib.into()),
            ("module_mib", entry.limits.module_mib.into(), standard.module_mib.into()),
        ] {
            if value != default {
                set(&mut limits, key, Some(i64::try_from(value).unwrap_or(i64::MAX).into()));
            }
        }
        set_table(table, "limits", limits);
        let written = self.entries()?.into_iter().find(|written| written.name == entry.name);
        let same = |written: PolicyEntry| {
            (&written.settings, written.limits, written.approvals, &written.tools)
                == (&entry.settings, entry.limits, entry.approvals, &entry.tools)
        };
        if written.is_some_and(same) {
            return Ok(());
        }
        Err(PolicyError::SetFile {
            position: None,
            message: format!("`{}` would not read back as it was given; nothing was written", entry.name),
        })
    }

    /// Takes an entry out. A built-in policy then decides with its defaults again, unless the file says
    /// `builtins = "named"`.
    ///
    /// # Errors
    /// When there is none of that name in the file.
    pub fn remove(&mut self, name: &str) -> Result<(), PolicyError> {
        let tables = self.tables();
        let Some(place) = tables.iter().position(|table| named(table, name)) else {
            return Err(match builtin(name) {
                Some(_) => PolicyError::NotInFile(name.to_owned()),
                None => PolicyError::NoSuchPolicy(name.to_owned()),
            });
        };
        tables.remove(place);
        Ok(())
    }

    /// Changes the mode of an entry and nothing else. A built-in policy that the file does not name gets an entry.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn set_mode(&mut self, name: &str, mode: Mode) -> Result<(), PolicyError> {
        let is_named = self.tables().iter().any(|table| named(table, name));
        if !is_named && let Some(builtin) = builtin(name) {
            let entry = PolicyEntry::new(builtin.name, &format!("{BUILTIN_PREFIX}{name}"));
            return self.put(&PolicyEntry { mode, ..entry });
        }
        let table = self.tables().iter_mut().find(|table| named(table, name));
        set(
            table.ok_or_else(|| PolicyError::NoSuchPolicy(name.to_owned()))?,
            "mode",
            Some(mode.as_str().into()),
        );
        Ok(())
    }

    /// Copies a module into the policy directory under the name of a policy and returns the file's name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_module(&self, policy: &str, bytes: &[u8]) -> Result<String, PolicyError> {
        // A name of its own for every content: the file that is in force is never overwritten.
        let digest = blake3::hash(bytes).to_hex();
        let file = format!("{policy}-{}.wasm", digest.get(..12).unwrap_or_default());
        write_whole(&self.path.with_file_name(&file), &[bytes], Readers::All)?;
        Ok(file)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When the result would not be read again, or cannot be written.
    pub fn save(self) -> Result<(), PolicyError> {
        self.save_recorded(|_| Ok(()))
    }

    /// Writes the file once `record` has recorded the change, from the entries as they will stand. `record` is called when all
    /// that could run out of space is written: when it fails, nothing is changed.
    ///
    /// # Errors
    /// When the result would not be read again, or cannot be written; those of `record`.
    pub fn save_recorded<E: From<PolicyError>>(
        self,
        record: impl FnOnce(&[PolicyEntry]) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = self.document.to_string();
        let names_no_policy = self
            .document
            .get("policy")
            .and_then(Item::as_array_of_tables)
            .is_some_and(ArrayOfTables::is_empty);
        if names_no_policy && self.document.len() == 1 {
            record(&built_in())?;
            // Nothing differs from the built-in set any more: without a file that is what decides.
            return Ok(std::fs::remove_file(&self.path)
                .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
                .map_err(PolicyError::io("remove", &self.path))?);
        }
        let entries = self.entries()?;
        let staged = Staged::write(&self.path, &[text.as_bytes()], Readers::All)?;
        record(&entries)?;
        Ok(staged.put_in_place()?)
    }

    fn tables(&mut self) -> &mut ArrayOfTables {
        let item = self.document.entry("policy").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if !item.is_array_of_tables() {
            // `parse` has accepted the file, so this is `policy = [{…}]`: the same in another notation.
            let tables = std::mem::take(item).into_array_of_tables().unwrap_or_default();
            *item = Item::ArrayOfTables(tables);
        }
        #[expect(clippy::expect_used, reason = "made one of tables above")]
        item.as_array_of_tables_mut().expect("an array of tables")
    }
}

/// The first value that TOML has no notation for, by its path.
fn unwritable(path: &str, value: &Value) -> Option<(String, String)> {
    match value {
        Value::Null => Some((path.to_owned(), "it is null".to_owned())),
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Some((path.to_owned(), format!("{number} is beyond 64 bits")))
        }
        Value::Object(map) => map.iter().find_map(|(key, value)| unwritable(&format!("{path}.{key}"), value)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, value)| unwritable(&format!("{path}[{at}]"), value))
        }
        _ => None,
    }
}

fn named(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

/// Sets or removes a value, keeping the comments around one that is there.
fn set(table: &mut Table, key: &str, value: Option<toml_edit::Value>) {
    match (value, table.get_mut(key).and_then(Item::as_value_mut)) {
        (Some(mut value), Some(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        (Some(value), None) => {
            table.insert(key, Item::Value(value));
        }
        (None, _) => {
            table.remove(key);
        }
    }
}

/// Makes the table under a key say what `new` says: values that stay keep their comments, an empty table goes.
fn set_table(table: &mut Table, key: &str, new: Table) {
    if new.is_empty() {
        table.remove(key);
        return;
    }
    let Some(old) = table.get_mut(key).and_then(Item::as_table_like_mut) else {
        table.insert(key, Item::Table(new));
        return;
    };
    let gone: Vec<_> =
        old.iter().map(|(key, _)| key.to_owned()).filter(|key| !new.contains_key(key)).collect();
    for key in gone {
        old.remove(&key);
    }
    for (key, item) in new {
        match (item, old.get_mut(&key).and_then(Item::as_value_mut)) {
            (Item::Value(mut value), Some(kept)) => {
                *value.decor_mut() = kept.decor().clone();
                *kept = value;
            }
            (item, _) => {
                old.insert(&key, item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::BUILTINS;
    use super::*;

    const TEXT: &str = r#"# the house rules
[[policy]]
name = "rate-limit" # keep this one
module = "builtin:rate-limit"
mode = "enforce" # or "shadow"

[policy.settings]
# agreed on Monday
max_messages = 30 # per minute

[[policy]] # the second
name = "cap"
module = "builtin:reply-cap"
"#;

    /// The set file after a change.
    fn after(before: &str, change: impl FnOnce(&mut SetEditor)) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SET_FILE), before).unwrap();
        let mut editor = SetEditor::open(dir.path()).unwrap();
        change(&mut editor);
        editor.save().unwrap();
        fs::read_to_string(dir.path().join(SET_FILE)).unwrap()
    }

    #[test]
    fn without_its_last_policy_there_is_no_file_and_the_built_in_set_decides() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(SET_FILE);
        fs::write(&file, "[[policy]]\nname = \"cap\"\nmodule = \"builtin:reply-cap\"\n").unwrap();
        let mut editor = SetEditor::open(dir.path()).unwrap();
        editor.remove("cap").unwrap();
        let mut recorded = Vec::new();
        let save = editor.save_recorded(|after| {
            assert!(file.exists());
            recorded = after.to_vec();
            Ok::<_, PolicyError>(())
        });
        save.unwrap();
        assert_eq!(recorded, built_in());
        assert!(!file.exists());
    }

    #[test]
    fn a_mode_changes_and_nothing_else() {
        let text = after(TEXT, |editor| editor.set_mode("rate-limit", Mode::Off).unwrap());
        assert_eq!(text, TEXT.replace("mode = \"enforce\"", "mode = \"off\""));
    }

    #[test]
    fn new_values_keep_the_comments() {
        let text = after(TEXT, |editor| {
            let mut entry = editor.entries().unwrap().remove(0);
            entry.settings.insert("max_messages".into(), 20.into());
            editor.put(&entry).unwrap();
        });
        assert_eq!(text, TEXT.replace("max_messages = 30", "max_messages = 20"));
    }

    #[test]
    fn approvals_of_one_person_are_not_written_down() {
        let put = |before: &str, approvals| {
            after(before, |editor| {
                let entry = editor.entries().unwrap().remove(0);
                editor.put(&PolicyEntry { approvals, ..entry }).unwrap();
            })
        };
        let two = put(TEXT, 2);
        assert_eq!(parse_set(&two).unwrap()[0].approvals, 2);
        assert_eq!(
            after(&two, |editor| editor.set_mode("rate-limit", Mode::Off).unwrap())
                .matches("approvals = 2")
                .count(),
            1
        );
        assert_eq!(put(&two, 1), TEXT);
    }

    #[test]
    fn edits_round_trip() {
        let settings = serde_json::json!({ "deny": ["a", "b"], "roles": { "ops": { "all": true } } });
        let entry = PolicyEntry {
            mode: Mode::Shadow,
            approvals: 3,
            digest: Some("0".repeat(64)),
            settings: settings.as_object().unwrap().clone(),
            limits: Limits { fuel: 5, ..Limits::default() },
            ..PolicyEntry::new("new", "new.wasm")
        };
        let text = after(TEXT, |editor| {
            editor.put(&entry).unwrap();
            editor.remove("cap").unwrap();
            assert!(matches!(editor.remove("cap"), Err(PolicyError::NoSuchPolicy(_))));
        });
        let entries = parse_set(&text).unwrap();
        assert_eq!(
            entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
            ["rate-limit", "new", "question-detection", "reply-cap", "tool-authorization", "wake-cap"]
        );
        assert_eq!(entries[1], entry);
    }

    #[test]
    fn tables_written_inline_can_be_edited_too() {
        let before = "policy = [{ name = \"cap\", module = \"builtin:reply-cap\" }]\n";
        let text = after(before, |editor| editor.set_mode("cap", Mode::Shadow).unwrap());
        assert_eq!(parse_set(&text).unwrap()[0].mode, Mode::Shadow);
    }

    #[test]
    fn without_a_file_only_what_differs_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let mut editor = SetEditor::open(&dir.path().join("policies")).unwrap();
        editor.set_mode("rate-limit", Mode::Off).unwrap();
        editor.save().unwrap();
        let text = fs::read_to_string(dir.path().join("policies").join(SET_FILE)).unwrap();
        assert_eq!(text.matches("[[policy]]").count(), 1);
        assert_eq!(parse_set(&text).unwrap().len(), BUILTINS.len());
    }

    /// A setting that was checked and is not in the file would be a rule that does not hold.
    #[test]
    fn a_setting_that_toml_cannot_hold_is_refused_and_nothing_is_written() {
        for (settings, why) in [
            (
                serde_json::json!({ "roles": { "*": { "allow": null, "deny": ["broadcast"] } } }),
                "`roles.*.allow`: it is null",
            ),
            (
                serde_json::json!({ "scope": "sender", "max": [1, u64::MAX] }),
                "`max[1]`: 18446744073709551615 is beyond",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(SET_FILE), TEXT).unwrap();
            let mut editor = SetEditor::open(dir.path()).unwrap();
            let mut entry = editor.entries().unwrap().remove(0);
            entry.settings = settings.as_object().unwrap().clone();
            let error = editor.put(&entry).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(fs::read_to_string(dir.path().join(SET_FILE)).unwrap(), TEXT);
        }
    }

    #[test]
    fn a_change_that_would_not_be_read_again_is_not_saved() {
        let dir = tempfile::tempdir().unwrap();
        let mut editor = SetEditor::open(dir.path()).unwrap();
        editor.put(&PolicyEntry::new("Bad Name", "x.wasm")).unwrap_err();
        assert!(editor.save().is_err());
        assert!(!dir.path().join(SET_FILE).exists());
    }
}
