//! Tells the program what it was built from: `team-table --version` names the commit and the target.
//!
//! The commit is that of `TEAM_TABLE_COMMIT` if it is set (the release scripts do so), else that of the published crate, else, in a
//! release build, that of the checkout. A development build names none, so that a commit makes nothing compile again.

#![allow(clippy::print_stdout, reason = "cargo reads the answers of a build script from its standard output")]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TEAM_TABLE_COMMIT");
    let target = std::env::var("TARGET").unwrap_or_default();
    let commit = commit();
    println!("cargo::rustc-env=TEAM_TABLE_BUILT_FROM={commit}");
    println!("cargo::rustc-env=TEAM_TABLE_TARGET={target}");
    println!("cargo::rustc-env=TEAM_TABLE_VERSION={} ({commit}, {target})", env!("CARGO_PKG_VERSION"));
}

/// `0cffee8 2026-11-27`, without the date where only the commit is known.
fn commit() -> String {
    let given = std::env::var("TEAM_TABLE_COMMIT").ok().filter(|text| !text.is_empty());
    given.or_else(published).or_else(checked_out).unwrap_or_else(|| "development build".to_owned())
}

/// The commit that `cargo package` has written into the crate.
fn published() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let sha = rest.split('"').nth(1)?;
    Some(sha.chars().take_while(char::is_ascii_hexdigit).take(7).collect())
}

/// The commit of the checkout that this is, in a release build.
fn checked_out() -> Option<String> {
    if std::env::var("PROFILE").ok()? != "release" {
        return None;
    }
    let root = std::env::current_dir().ok()?;
    // Sources without a repository of their own can lie inside another one.
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&head).exists() {
        println!("cargo::rerun-if-changed={head}");
    }
    let line = git(&["log", "-1", "--date=format-local:%F", "--format=%H %cd"])?;
    let (sha, date) = line.split_once(' ')?;
    Some(format!("{} {date}", sha.get(..7)?))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
