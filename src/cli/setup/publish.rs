//! The same files as `setup` writes, laid out so that this repository is itself a marketplace or an extension for each client. They start
//! whatever `team-table` is on the PATH, with the default database.

use std::path::Path;

use serde_json::{Value, json};

use super::files::{self, DESCRIPTION, NAME, PLUGIN, Program};
use crate::cli::upgrade::WHEEL;
use crate::domain::seat::Client;

/// Where what belongs to a plugin lies. Gemini CLI and Qwen Code look for theirs at the root.
const PLUGINS: &str = "packaging";
/// The version of the MCP registry's schema that `server.json` follows.
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";

/// Writes them below `root`.
///
/// # Errors
/// When one cannot be written.
pub(super) fn write(root: &Path) -> std::io::Result<()> {
    files().iter().try_for_each(|(path, text)| {
        let file = root.join(path);
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(file, text)
    })
}

fn files() -> Vec<(String, String)> {
    let program = Program { path: NAME, db: None, url: None, seat: None, allow_tools: false };
    let of = |client| files::files(client, &program).into_iter().map(|(path, text)| place(path, text));
    // Cursor has no plugin of ours: its files hold what others put there, too.
    Client::ALL
        .into_iter()
        .filter(|client| *client != Client::Cursor)
        .flat_map(of)
        .chain([("server.json".to_owned(), files::text(&registry()))])
        .collect()
}

/// What the MCP registry is told. A release adds the bundles, whose checksums are known when they are built.
fn registry() -> Value {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let owner = repository.rsplit('/').nth(1).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let package = |kind: &str, identifier: &str, runner: Option<&str>| {
        let mut package = json!({
            "registryType": kind, "identifier": identifier, "version": version, "transport": { "type": "stdio" },
            "environmentVariables": [{
                "name": "TEAM_TABLE_DB", "description": "The database; ~/.team-table/team_table.db if it is not set",
                "format": "filepath",
            }],
        });
        if let (Some(fields), Some(runner)) = (package.as_object_mut(), runner) {
            fields.insert("runtimeHint".into(), runner.into());
        }
        package
    };
    json!({
        "$schema": SCHEMA, "name": format!("io.github.{owner}/{NAME}"), "title": "Team Table", "description": DESCRIPTION,
        "version": version, "repository": { "url": repository, "source": "github" },
        "packages": [package("pypi", WHEEL, Some("uvx")), package("npm", NAME, Some("npx")), package("cargo", NAME, None)],
    })
}

fn place(path: &str, text: String) -> (String, String) {
    let at_root = path.strip_prefix("gemini/").or_else(|| path.strip_prefix("qwen/"));
    match (at_root, path.starts_with('.')) {
        (Some(path), _) => (path.to_owned(), text),
        // A marketplace says where its plugin lies.
        (None, true) => (path.to_owned(), text.replace("\"./", &format!("\"./{PLUGINS}/"))),
        (None, false) if path == PLUGIN => (format!("{PLUGINS}/opencode/{NAME}.js"), text),
        (None, false) => (format!("{PLUGINS}/{path}"), text),
    }
}
