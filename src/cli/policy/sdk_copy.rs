//! The sources of the policy SDK, which this program carries: a policy can be written where nothing can be fetched.

use toml_edit::{DocumentMut, Item};

/// Files below `policy-sdk/`, with their contents.
macro_rules! carried {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_bytes!(concat!("../../../policy-sdk/", $file)).as_slice())),*]
    };
}

/// The files of the SDK, without its manifest.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    carried![
        "README.md",
        "src/cases.rs",
        "src/facts.rs",
        "src/fault.rs",
        "src/glob.rs",
        "src/guest/authorization.bin",
        "src/guest/bindings.rs",
        "src/guest/both.bin",
        "src/guest/escalation.bin",
        "src/guest/mod.rs",
        "src/lib.rs",
        "src/limits.rs",
        "src/secrets.rs",
        "src/settings.rs",
        "src/strategies/answers.rs",
        "src/strategies/arguments.rs",
        "src/strategies/mod.rs",
        "src/types.rs",
        "wit/v1/policy.wit",
    ]
    .into_iter()
}

/// The SDK's manifest without what only its workspace knows.
pub(super) fn manifest() -> String {
    let workspace: DocumentMut = parse(include_str!("../../../Cargo.toml"));
    let mut manifest: DocumentMut = parse(include_str!("../../../policy-sdk/Cargo.toml"));
    let inherited =
        |path: &[&str]| path.iter().try_fold(workspace.as_item(), |item, key| item.get(key)).cloned();
    for (table, source) in
        [("package", ["workspace", "package"]), ("dependencies", ["workspace", "dependencies"])]
    {
        let Some(entries) = manifest.get_mut(table).and_then(Item::as_table_mut) else { continue };
        for (key, item) in entries.iter_mut() {
            let is_inherited = item.as_table_like().is_some_and(|item| item.contains_key("workspace"));
            if is_inherited && let Some(value) = inherited(&[source[0], source[1], key.get()]) {
                *item = value;
            }
        }
    }
    // The house's lints are not its users' affair.
    manifest.remove("lints");
    manifest.to_string()
}

fn parse(text: &str) -> DocumentMut {
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_source_file_of_the_sdk_is_carried() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy-sdk");
        let mut there = BTreeSet::from([sdk.join("README.md")]);
        below(&sdk.join("src"), &mut there);
        below(&sdk.join("wit"), &mut there);
        let carried: BTreeSet<PathBuf> = files().map(|(file, _)| sdk.join(file)).collect();
        assert_eq!(carried, there);
    }

    #[test]
    fn the_manifest_stands_alone() {
        let text = manifest();
        assert!(!text.contains("workspace = true") && !text.contains("path = "), "{text}");
        let parsed: DocumentMut = text.parse().unwrap();
        assert_eq!(parsed["package"]["edition"].as_str(), Some("2024"));
        assert_eq!(parsed["package"]["version"].as_str(), Some(team_table_policy_sdk::SDK_VERSION));
        assert!(parsed["dependencies"]["serde"]["features"].is_array());
    }
}
