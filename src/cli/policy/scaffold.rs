//! `policy new`: a crate that compiles, with one rule, settings and cases. The rules are real policies, which the SDK's
//! own tests compile and run.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CliError, sdk_copy};
use crate::cli::output;
use crate::policy::is_policy_name;

/// The folder of a new policy in which its copy of the SDK is.
const COPY: &str = "sdk";
/// The SDK's name on crates.io.
const SDK: &str = "team-table-policy-sdk";

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// The policy's name, and its folder's: lower-case letters, digits and '-'
    name: String,
    /// What it judges: tool calls, messages, or both
    #[arg(long, value_enum, default_value = "authorization")]
    hook: Template,
    /// Where its SDK comes from: a version on crates.io, a folder or a git address [default: a copy that this program carries]
    #[arg(long, value_name = "SOURCE")]
    sdk: Option<String>,
    /// Take the SDK from the copy that this program carries: the default
    #[arg(long, conflicts_with = "sdk")]
    offline: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    Authorization,
    Escalation,
    Both,
}

/// What differs between the templates.
struct Files {
    folder: &'static str,
    policy: &'static str,
    cases: &'static str,
    described: &'static str,
    settings: &'static str,
}

const WORDS: &str = "| `words` | `[\"production\"]` | the words, whatever their case |\n";

impl Template {
    const fn files(self) -> Files {
        match self {
            Self::Authorization => Files {
                folder: "templates/authorization/",
                policy: include_str!("../../../policy-sdk/templates/authorization/policy.rs"),
                cases: include_str!("../../../policy-sdk/templates/authorization/cases.toml"),
                described: include_str!("../../../policy-sdk/templates/authorization/settings.toml"),
                settings: "| `max_title` | 80 | the most characters a task's title may have |\n",
            },
            Self::Escalation => Files {
                folder: "templates/escalation/",
                policy: include_str!("../../../policy-sdk/templates/escalation/policy.rs"),
                cases: include_str!("../../../policy-sdk/templates/escalation/cases.toml"),
                described: include_str!("../../../policy-sdk/templates/escalation/settings.toml"),
                settings: WORDS,
            },
            Self::Both => Files {
                folder: "templates/both/",
                policy: include_str!("../../../policy-sdk/templates/both/policy.rs"),
                cases: include_str!("../../../policy-sdk/templates/both/cases.toml"),
                described: include_str!("../../../policy-sdk/templates/both/settings.toml"),
                settings: WORDS,
            },
        }
    }
}

pub(super) fn run(arguments: &NewArguments) -> Result<(), CliError> {
    let NewArguments { name, hook, sdk, .. } = arguments;
    if !is_policy_name(name) || name.ends_with('-') || name.contains("--") {
        return Err(CliError::Usage(format!(
            "{name:?} is not a policy name: use lower-case letters, digits and single '-' between them, as in no-shouting"
        )));
    }
    let folder = Path::new(name);
    if folder.exists() {
        return Err(CliError::Usage(format!("{name} is there already; choose another name or folder")));
    }
    let Files { folder: from, policy, cases, described, settings } = hook.files();
    // Where the SDK's own tests find both files.
    let policy = policy.replace(&format!("{from}settings.toml"), "src/settings.toml").replace(from, "cases/");
    let rename = |text: &str| text.replace("my-rule", name).replace("MyRule", &type_name(name));
    let readme = include_str!("../../../policy-sdk/templates/README.md")
        .replace("SETTINGS\n", &format!("{settings}\n"));
    let workflow = include_str!("../../../policy-sdk/templates/workflow.yml");
    let mut files: Vec<(PathBuf, Vec<u8>)> = [
        ("Cargo.toml", manifest(name, &sdk_source(sdk.as_deref()))),
        ("src/lib.rs", rename(&policy)),
        ("src/settings.toml", described.to_owned()),
        ("cases/cases.toml", rename(cases)),
        ("README.md", rename(&readme)),
        (".gitignore", "/target\n*.wasm\n".to_owned()),
        (".github/workflows/policy.yml", rename(workflow)),
    ]
    .map(|(file, text)| (folder.join(file), text.into_bytes()))
    .into();
    if sdk.is_none() {
        let copy = sdk_copy::files().map(|(file, bytes)| (folder.join(COPY).join(file), bytes.to_vec()));
        files.push((folder.join(COPY).join("Cargo.toml"), sdk_copy::manifest().into_bytes()));
        files.extend(copy);
    }
    for (path, bytes) in files {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    let text = format!(
        "{name} is a policy with one rule, its settings and three cases: cd {name}, edit src/lib.rs, cargo test"
    );
    Ok(output::done(&serde_json::json!({ "policy": name, "folder": folder }), &text)?)
}

/// `no-shouting` as a type: `NoShouting`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').filter_map(capital).collect()
}

/// The value of the dependency on the SDK, without its features. A copy is taken in the place of that version on crates.io.
fn sdk_source(given: Option<&str>) -> String {
    match given {
        Some(source) if Path::new(source).join("Cargo.toml").is_file() => {
            let folder = std::path::absolute(source).unwrap_or_else(|_| source.into());
            format!("path = {:?}", folder.display().to_string())
        }
        Some(source) if source.contains("://") => format!("git = {source:?}"),
        Some(version) => format!("version = {version:?}"),
        None => format!("version = {:?}, path = {COPY:?}", team_table_policy_sdk::SDK_VERSION),
    }
}

fn manifest(name: &str, sdk: &str) -> String {
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib", "rlib"]   # the component, and the library that the tests use

[dependencies]
serde = {{ version = "1", features = ["derive"] }}
{SDK} = {{ {sdk} }}

[dev-dependencies]
{SDK} = {{ {sdk}, features = ["test-kit"] }}

# A workspace of its own, whatever folder it lies in; take this out to make it a member of another.
[workspace]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types() {
        assert_eq!(type_name("no-shouting"), "NoShouting");
        assert_eq!(type_name("a1-2b"), "A12b");
    }

    #[test]
    fn the_sdk_comes_from_where_one_says() {
        assert_eq!(sdk_source(Some("1.2")), "version = \"1.2\"");
        assert_eq!(sdk_source(Some("https://example.org/x")), "git = \"https://example.org/x\"");
        let here = std::path::absolute(Path::new(env!("CARGO_MANIFEST_DIR")).join("policy-sdk")).unwrap();
        let here = here.display().to_string();
        assert_eq!(sdk_source(Some(&here)), format!("path = {here:?}"));
        assert_eq!(sdk_source(None), "version = \"1.0.0\", path = \"sdk\"");
    }
}
