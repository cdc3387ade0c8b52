//! `policy-set.toml`: which policies make up the set, read into plain values. Must not depend on WebAssembly: what the
//! modules are worth is found out elsewhere.

use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml_edit::{Document, Item};

use crate::domain::decision::Mode;
use crate::domain::escalation::MAX_APPROVALS;

use super::builtin::{BUILTIN_PREFIX, BUILTINS, builtin};
use crate::policy::PolicyError;
use crate::policy::component::open_guarded;
use crate::policy::eval::Limits;

/// The set file's name in the policy directory.
pub(crate) const SET_FILE: &str = "policy-set.toml";
/// The largest set file that is read, in bytes.
const MAX_SET_FILE: u64 = 1024 * 1024;

/// One policy of a set: as the set file says it, and as it is recorded beside decisions and as what was in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Its name in the set: `[a-z][a-z0-9-]{0,63}`.
    pub name: String,
    /// `builtin:NAME`, or a file in the policy directory; in a record, the module's digest (hex blake3).
    pub module: String,
    /// Whether its answers count.
    #[serde(default)]
    pub mode: Mode,
    /// How many persons must approve a tool call that it holds: 1 to [`MAX_APPROVALS`].
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub approvals: i64,
    /// The tools whose calls it judges; none: all that the module judges. In a record what is true of it with the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeSet<String>>,
    /// The digest the module must have; none in a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its settings.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
}

impl PolicyEntry {
    /// An entry with everything at its default.
    #[must_use]
    pub fn new(name: &str, module: &str) -> Self {
        Self {
            name: name.to_owned(),
            module: module.to_owned(),
            mode: Mode::default(),
            approvals: 1,
            tools: None,
            digest: None,
            settings: Map::new(),
            limits: Limits::default(),
        }
    }

    /// Whether it judges calls of a tool, as far as the entry says.
    #[must_use]
    pub fn judges(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.contains(tool))
    }
}

/// The names of tools, for people.
#[must_use]
pub fn listed(tools: &BTreeSet<String>) -> String {
    tools.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

const fn one() -> i64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_one(approvals: &i64) -> bool {
    *approvals == 1
}

/// What becomes of the built-in policies that a set file does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Builtins {
    /// They decide with their defaults.
    #[default]
    All,
    /// They are not asked: the file is the whole set. What every set file meant before it could say so.
    Named,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFile {
    #[serde(default)]
    builtins: Builtins,
    #[serde(default)]
    policy: Vec<PolicyEntry>,
}

/// The entries of a policy directory: those of its set file and the built-in policies that it does not name, or the
/// built-in set when it has none.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn read_set(dir: &Path) -> Result<Vec<PolicyEntry>, PolicyError> {
    match text(dir)? {
        Some(text) => parse_set(&text),
        None => Ok(built_in()),
    }
}

/// The set that is used without a set file: every built-in policy with its default settings.
#[must_use]
pub(super) fn built_in() -> Vec<PolicyEntry> {
    BUILTINS
        .iter()
        .map(|builtin| PolicyEntry::new(builtin.name, &format!("{BUILTIN_PREFIX}{}", builtin.name)))
        .collect()
}

/// The set file's text; `None` when there is none.
pub(super) fn text(dir: &Path) -> Result<Option<String>, PolicyError> {
    let path = dir.join(SET_FILE);
    let Some(file) = open_guarded(&path)? else { return Ok(None) };
    let mut text = String::new();
    file.take(MAX_SET_FILE + 1).read_to_string(&mut text).map_err(PolicyError::io("read", &path))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_SET_FILE {
        // Cut short, it might still be read, as another set.
        let message = format!("it has more than {} KiB, the most that is read", MAX_SET_FILE / 1024);
        return Err(PolicyError::SetFile { position: None, message });
    }
    Ok(Some(text))
}

/// Whether an entry is a built-in policy, or takes its place.
fn stands_for(entry: &PolicyEntry, builtin: &str) -> bool {
    entry.name == builtin || entry.module.strip_prefix(BUILTIN_PREFIX) == Some(builtin)
}

/// Reads a set file's text. A built-in policy that it does not name follows with its defaults, unless the file says
/// `builtins = "named"`.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse_set(text: &str) -> Result<Vec<PolicyEntry>, PolicyError> {
    let wrong = |span: Option<std::ops::Range<usize>>, message: String| PolicyError::SetFile {
        position: span.map(|span| position(text, span.start)),
        message,
    };
    let of_toml = |error: &dyn Fn() -> (Option<std::ops::Range<usize>>, String)| {
        let (span, message) = error();
        wrong(span, message.replace('\n', "; "))
    };
    let document: Document<&str> =
        Document::parse(text).map_err(|error| of_toml(&|| (error.span(), error.message().to_owned())))?;
    let SetFile { builtins, policy: mut entries } = toml_edit::de::from_str(text)
        .map_err(|error| of_toml(&|| (error.span(), error.message().to_owned())))?;
    if entries.is_empty() {
        // An editor that is about to write leaves a file empty for a moment; an empty set would allow everything.
        let message = "names no policy: switch one off by naming it with mode = \"off\", or remove the file for the built-in set";
        return Err(wrong(None, message.to_owned()));
    }
    let mut names = HashSet::new();
    for (i, entry) in entries.iter().enumerate() {
        let table =
            document.get("policy").and_then(Item::as_array_of_tables).and_then(|tables| tables.get(i));
        let span = |key: &str| table.and_then(|table| table.get(key)?.span().or_else(|| table.span()));
        if !is_policy_name(&entry.name) {
            let message =
                format!("policy name `{}` must match [a-z][a-z0-9-]* with at most 64 characters", entry.name);
            return Err(wrong(span("name"), message));
        }
        if !names.insert(&entry.name) {
            return Err(wrong(span("name"), format!("there are two policies named `{}`", entry.name)));
        }
        if let Some(message) = module_error(&entry.module) {
            return Err(wrong(span("module"), message));
        }
        if !(1..=MAX_APPROVALS).contains(&entry.approvals) {
            let message = format!(
                "approvals is {}, allowed are 1 to {MAX_APPROVALS}: so many persons must approve a call that the policy holds",
                entry.approvals
            );
            return Err(wrong(span("approvals"), message));
        }
        if entry.tools.as_ref().is_some_and(BTreeSet::is_empty) {
            let message =
                "tools names no tool: leave it out for all, or switch the policy off with mode = \"off\"";
            return Err(wrong(span("tools"), message.to_owned()));
        }
        if let Some(message) = entry.limits.validation_error() {
            return Err(wrong(span("limits"), message));
        }
        let pin = entry.digest.as_deref().unwrap_or_default();
        if entry.digest.is_some()
            && (pin.len() != 64 || !pin.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        {
            return Err(wrong(
                span("digest"),
                "digest must be 64 lower-case hexadecimal digits (blake3)".to_owned(),
            ));
        }
    }
    if builtins == Builtins::All {
        let implied: Vec<_> = built_in()
            .into_iter()
            .filter(|builtin| !entries.iter().any(|entry| stands_for(entry, &builtin.name)))
            .collect();
        entries.extend(implied);
    }
    Ok(entries)
}

/// Line and column, from 1, of a byte of a text.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

/// Whether this may be a policy's name in a set.
#[must_use]
pub fn is_policy_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn module_error(module: &str) -> Option<String> {
    if let Some(name) = module.strip_prefix(BUILTIN_PREFIX) {
        let known = || BUILTINS.iter().map(|builtin| builtin.name).collect::<Vec<_>>().join(", ");
        return builtin(name)
            .is_none()
            .then(|| format!("no built-in policy `{name}`; there are {}", known()));
    }
    (!is_plain_name(module))
        .then(|| format!("module `{module}` must be a file name in the policy directory, or builtin:NAME"))
}

/// Whether this names a file in a folder, on every system: no path, no drive or stream (`C:x`, `x:y`), no name that Windows reads
/// without its end, and none of its devices.
fn is_plain_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let is_device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$")
        || stem
            .strip_prefix("com")
            .or(stem.strip_prefix("lpt"))
            .is_some_and(|number| number.chars().count() == 1);
    !name.is_empty()
        && !name.starts_with('.')
        && !name.ends_with(['.', ' '])
        && !name.contains(['/', '\\', ':', '\0'])
        && !is_device
}

/// Reads the module that an entry names, once. Returns the record of the entry, with the digest of what was read in the place
/// of the module and the limits that come with a built-in policy, and the module's bytes.
///
/// # Errors
/// When it cannot be read, or is not the one that the entry pins.
pub fn resolve(dir: &Path, entry: &PolicyEntry) -> Result<(PolicyEntry, Vec<u8>), PolicyError> {
    let mut limits = entry.limits;
    let bytes = match entry.module.strip_prefix(BUILTIN_PREFIX).and_then(builtin) {
        Some(builtin) => {
            if limits == Limits::default() {
                limits = builtin.limits;
            }
            builtin.bytes.to_vec()
        }
        None => read_module(dir, entry)?,
    };
    let module = blake3::hash(&bytes).to_hex().to_string();
    match &entry.digest {
        Some(pinned) if *pinned != module => Err(PolicyError::Pin { found: module, pinned: pinned.clone() }),
        _ => Ok((PolicyEntry { module, limits, digest: None, ..entry.clone() }, bytes)),
    }
}

fn read_module(dir: &Path, entry: &PolicyEntry) -> Result<Vec<u8>, PolicyError> {
    let problem = |problem: String| PolicyError::ModuleFile { module: entry.module.clone(), problem };
    let path = dir.join(&entry.module);
    let file = match open_guarded(&path) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(problem(format!("there is no such file in {}", dir.display()))),
        Err(PolicyError::Untrusted { problem: what, .. }) => return Err(problem(what)),
        Err(other) => return Err(other),
    };
    // One byte more than allowed is enough to see that it is too big.
    let mut bytes = Vec::new();
    let limit = entry.limits.module_bytes() + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(PolicyError::io("read", &path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_everything_the_contract_names() {
        let entries = parse_set(
            r#"
            # every key
            [[policy]]
            name = "rate-limit"
            module = "builtin:rate-limit"
            mode = "shadow"
            approvals = 2
            [policy.settings]
            max_messages = 30
            [policy.limits]
            memory_mib = 32

            [[policy]]
            name = "ours"
            module = "ours.wasm"
            "#,
        )
        .unwrap();
        assert_eq!(entries[0].mode, Mode::Shadow);
        assert_eq!((entries[0].approvals, entries[1].approvals), (2, 1));
        assert_eq!(entries[0].settings["max_messages"], 30);
        assert_eq!(entries[0].limits, Limits { memory_mib: 32, ..Limits::default() });
        assert_eq!(entries[1], PolicyEntry::new("ours", "ours.wasm"));
    }

    #[test]
    fn a_built_in_policy_that_is_not_named_decides_with_its_defaults() {
        let one = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n";
        let entries = parse_set(one).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names,
            ["tool-authorization", "question-detection", "rate-limit", "reply-cap", "wake-cap"]
        );
        assert_eq!(parse_set(&format!("builtins = \"named\"\n{one}")).unwrap().len(), 1);
        // Under another name, as another module, or off, it is named.
        for other in [
            "[[policy]]\nname = \"limits\"\nmodule = \"builtin:rate-limit\"\n",
            "[[policy]]\nname = \"rate-limit\"\nmodule = \"ours.wasm\"\n",
            "[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\nmode = \"off\"\n",
        ] {
            assert_eq!(parse_set(other).unwrap().len(), BUILTINS.len(), "{other}");
        }
        let wrong = parse_set(&format!("builtins = \"none\"\n{one}")).unwrap_err().to_string();
        assert!(wrong.contains("line 1") && wrong.contains("`all` or `named`"), "{wrong}");
    }

    #[test]
    fn approvals_that_no_call_could_have_are_refused_with_their_place() {
        let with = |approvals: &str| {
            parse_set(&format!(
                "[[policy]]\nname = \"a\"\nmodule = \"builtin:tool-authorization\"\napprovals = {approvals}\n"
            ))
        };
        for (wrong, why) in [
            ("0", "line 4, column 13: approvals is 0, allowed are 1 to 5"),
            ("6", "approvals is 6, allowed are 1 to 5"),
            ("-1", "approvals is -1"),
            ("\"two\"", "line 4, column 13: invalid type: string \"two\""),
            ("1.5", "invalid type: floating point"),
        ] {
            let error = with(wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
        assert_eq!(with("5").unwrap()[0].approvals, 5);
    }

    #[test]
    fn the_built_in_set_is_every_built_in_policy() {
        let names: Vec<_> = built_in().into_iter().map(|entry| (entry.name, entry.mode)).collect();
        assert_eq!(names.len(), BUILTINS.len());
        assert!(names.iter().all(|(name, mode)| is_policy_name(name) && *mode == Mode::Enforce));
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_and_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let one = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n";
        let comment = "#".repeat(usize::try_from(MAX_SET_FILE).unwrap());
        std::fs::write(dir.path().join(SET_FILE), format!("{one}{comment}")).unwrap();
        assert!(read_set(dir.path()).unwrap_err().to_string().contains("more than 1024 KiB"));
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("é = 1\nüb = 2", 10), (2, 3));
    }
}
