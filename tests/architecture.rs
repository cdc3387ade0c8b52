//! The house rules that no compiler checks: which module may import which, and what belongs in one place only.
//! They are held against the text of `src/`, tests inside it left out.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of ours. `app`, `lib` and `main` may use everything.
///
/// The operator's commands go beyond `tools`, `auth`, `events` and `domain`: an operator has the database file
/// itself, so `cli` opens it through `app` and works on `storage`'s operations, reads the `config`, shows what
/// `policy` says of its sets, and sets up logging with `mcp`'s filter. SQL and WebAssembly stay out of it all
/// the same. `config` knows `storage` for one word of its vocabulary, the durability.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("os", &[]),
    ("domain", &[]),
    ("storage", &["domain", "os"]),
    ("policy", &["domain", "os"]),
    ("auth", &["domain", "storage"]),
    ("events", &["auth", "domain", "storage"]),
    ("judgement", &["domain", "policy", "storage"]),
    ("wake", &["domain", "judgement", "os", "policy", "storage"]),
    ("tools", &["auth", "domain", "events", "judgement", "os", "policy", "storage", "wake"]),
    ("daemon", &["auth", "domain", "events", "judgement", "operator", "os", "policy", "storage"]),
    ("mcp", &["auth", "domain", "events", "os", "tools"]),
    ("operator", &["auth", "domain", "os", "policy", "storage"]),
    ("console", &["auth", "domain", "events", "operator", "policy", "storage", "tools", "wake"]),
    ("config", &["os", "storage"]),
    (
        "cli",
        &[
            "app", "auth", "config", "console", "daemon", "domain", "events", "mcp", "operator", "os",
            "policy", "storage", "tools", "wake",
        ],
    ),
];

const WIRING: [&str; 3] = ["app", "lib", "main"];

struct Source {
    /// Below `src/`.
    path: String,
    /// The first part of it: the module.
    module: String,
    /// Without comments, string literals' contents kept, tests cut off.
    code: String,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    // The engine's own tests print what they measure.
    found.retain(|file| !file.starts_with(src.join("policy/tests")));
    found.sort();
    found
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            let module = path.split(['/', '.']).next().unwrap().to_owned();
            Source { code: code(&fs::read_to_string(&file).unwrap()), module, path }
        })
        // Files of tests alone: `tests.rs`, and the statement test of storage.
        .filter(|source| !source.path.ends_with("tests.rs") && source.path != "storage/sqlite/plans.rs")
        .collect()
}

/// The text up to the tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    // Tests that speak of Unix paths.
    let text = text.trim_end().trim_end_matches("#[cfg(unix)]");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Our modules that a text names: `crate::x`, and `use crate::{x, y::z}`.
fn used(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let word =
            |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut top) = (0, String::new());
            for c in group.chars() {
                depth += i32::from(c == '{') - i32::from(c == '}');
                match depth {
                    ..0 => break,
                    0 => top.push(c),
                    1.. => {}
                }
            }
            modules.extend(top.split(',').map(|part| word(part.trim())).filter(|word| !word.is_empty()));
        } else {
            modules.insert(word(rest));
        }
    }
    modules
}

#[test]
fn modules_import_downwards_only() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| !WIRING.contains(&source.module.as_str())) {
        let allowed = MAY_USE.iter().find(|(module, _)| *module == source.module);
        let (module, allowed) = allowed.unwrap_or_else(|| panic!("{} is in no layer", source.path));
        seen.insert(*module);
        for other in used(&source.code).iter().filter(|other| *other != module) {
            if !allowed.contains(&other.as_str()) {
                wrong.push(format!("{} uses {other}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 9, "the sources were not found: {seen:?}");
}

/// Words that belong in some places only.
fn only_in(places: &[&str], words: &[&str]) {
    let (mut wrong, mut right) = (Vec::new(), 0);
    for source in sources() {
        for word in words {
            let found = source.code.match_indices(word).filter(|(at, _)| {
                let before = source.code[..*at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            let count = found.count();
            if places.iter().any(|place| source.path.starts_with(place)) {
                right += count;
            } else if count > 0 {
                wrong.push(format!("{} has {word:?}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        places.is_empty() || right > 0,
        "none of {words:?} is anywhere: the test looks for the wrong words"
    );
}

#[test]
fn sql_is_in_storage_only() {
    let verbs = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"PRAGMA ", "\"BEGIN"];
    only_in(&["storage/"], &verbs);
}

#[test]
fn the_engine_is_in_its_folder_only() {
    only_in(&["storage/sqlite/"], &["rusqlite::", "use rusqlite", "\"PRAGMA ", "sqlite_sequence"]);
}

#[test]
fn webassembly_is_in_policy_only() {
    only_in(&["policy/"], &["wasmtime::", "wasmtime_wizer", "wasmparser::"]);
}

#[test]
fn the_protocol_and_connections_are_in_mcp_only() {
    only_in(
        &["mcp/", "cli/demo/client.rs"],
        &["rmcp::", "hyper::", "hyper_util::", "http_body_util::", "tower_service::", "tokio_rustls::"],
    );
}

#[test]
fn routes_are_in_mcp_and_the_console_only() {
    only_in(&["mcp/", "console/", "cli/demo/client.rs", "app.rs"], &["axum::", "http::"]);
}

#[test]
fn pages_are_in_the_console_only() {
    only_in(&["console/"], &["maud::", "webauthn_rs::"]);
}

#[test]
fn the_system_clock_is_read_in_one_place() {
    // The type alone is also that of a file's age, which is the file system's time and not ours.
    only_in(&["domain/clock.rs"], &["SystemTime::now", "UNIX_EPOCH"]);
}

#[test]
fn environment_variables_are_read_in_config_only() {
    only_in(&["config.rs"], &["env::var", "env::vars", "var_os("]);
}

#[test]
fn systems_differ_in_one_module_only() {
    only_in(
        &["os/"],
        &[
            "std::os::",
            "rustix::",
            "libc::",
            "windows_sys::",
            "cfg(unix",
            "cfg(windows",
            "cfg(not(unix",
            "cfg(not(windows",
            "cfg(target_",
            "cfg!(",
            "tokio::signal::",
        ],
    );
}

/// Standard output is the protocol's under stdio: only the operator's commands write to it, in one place.
#[test]
fn nothing_is_printed_past_the_command_line() {
    only_in(&[], &["println!", "print!", "eprintln!", "eprint!", "dbg!"]);
    only_in(&["cli/output.rs", "mcp/stdio/lines.rs", "mcp/stdio/serve.rs"], &["stdout()"]);
}

/// The server asks nobody anything, so nobody can have it ask. The demonstration is its own client, and the client of a table on
/// another machine goes where its user said.
#[test]
fn nothing_connects_outwards() {
    only_in(
        &["cli/demo/client.rs", "mcp/client.rs"],
        &[
            "TcpStream::connect",
            "UdpSocket",
            "TcpSocket",
            "UnixStream",
            "lookup_host",
            "ToSocketAddrs",
            "HttpConnector::new",
        ],
    );
}

/// A client of another table is made of what the user's configuration says.
#[test]
fn a_table_elsewhere_is_named_by_the_user_only() {
    only_in(&["cli/remote/", "mcp/client.rs", "mcp/stdio/", "mcp/mod.rs"], &["Remote::new", "serve_remote"]);
}

/// A document is fetched where the user has given its address on the command line.
#[test]
fn a_document_is_fetched_for_upgrade_and_doctor_only() {
    only_in(&["cli/upgrade.rs", "cli/doctor.rs", "mcp/fetch.rs", "mcp/mod.rs"], &["fetch_document"]);
}

/// `SECURITY.md` names no file that is not there, and no test that is not there and run.
#[test]
fn the_security_table_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let table = text.split("## Threats").nth(1).unwrap().lines().filter(|line| line.starts_with("| "));
    let mut tests = BTreeSet::new();
    for row in table.skip(1) {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let [threat, stops, shows] = cells[..] else { panic!("not three cells: {row}") };
        // Every second piece is between two of them.
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        for file in quoted(stops).iter().filter(|word| word.contains('/')) {
            assert!(root.join(file).is_file(), "{threat}: there is no {file}");
        }
        assert!(!quoted(shows).is_empty(), "{threat}: no test");
        for test in quoted(shows) {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{threat}: {test} is no test"));
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("there is no {file}"));
            let at = text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{file} has no {name}"));
            let attributes = text[..at].rsplit("\n\n").next().unwrap();
            let runs = attributes.contains("#[test]") || attributes.contains("#[tokio::test");
            assert!(runs && !attributes.contains("#[ignore"), "{test} is not run");
            tests.insert(test);
        }
    }
    assert!(tests.len() > 60, "the table was not found: {tests:?}");
}

#[test]
fn files_say_what_they_are_for_and_stay_readable() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    for file in found.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", file.display());
        let lines = code(&text).lines().count();
        assert!(lines <= 500, "{} has {lines} lines", file.display());
    }
}

#[test]
fn import_scanner_detects_imports() {
    let names = |text: &str| used(text).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names("use crate::storage::Db;"), "storage");
    assert_eq!(names("use crate::{app, storage::{Db, Error}, tools};"), "app storage tools");
    assert_eq!(names("fn f() -> crate::policy::X { mycrate::domain() }"), "policy");
    assert_eq!(code("a\n// crate::x\nb // crate::y\n#[cfg(test)]\nmod tests { crate::z }"), "a\nb");
}
