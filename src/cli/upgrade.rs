//! `upgrade --check`: compares this program with the `release.json` that the user names, and says how to upgrade. It downloads no
//! program and changes nothing.

mod installed;

use std::cmp::Ordering;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{CliError, output};
use crate::config::Config;
use crate::mcp;

pub(super) use installed::WHEEL;

/// The version for people: with the commit and the target.
pub(super) const VERSION: &str = env!("TEAM_TABLE_VERSION");
const TARGET: &str = env!("TEAM_TABLE_TARGET");
const BUILT_FROM: &str = env!("TEAM_TABLE_BUILT_FROM");
/// The largest `release.json` that is read, in bytes. Ours are below 16 KiB.
const MAX_RELEASE: usize = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct UpgradeArguments {
    /// Compare with this release.json, a file or a URL. Status 0: nothing newer there; 1: a newer version; 2: it could not be read
    #[arg(long, value_name = "FILE_OR_URL")]
    check: String,
}

/// What `release.json` says; other fields are passed over.
#[derive(Debug, Deserialize)]
struct Release {
    name: String,
    version: String,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    date: String,
    #[serde(default)]
    files: Vec<Package>,
}

/// A file of a release.
#[derive(Debug, Deserialize, Serialize)]
struct Package {
    file: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    sha256: String,
}

pub(super) fn run(config: &Config, arguments: &UpgradeArguments) -> Result<(), CliError> {
    let place = arguments.check.as_str();
    let wrong = |reason: String| CliError::Usage(format!("{}: {reason}", output::visible(place)));
    let text = read(place).map_err(wrong)?;
    let release: Release =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("it is no release.json: {error}")))?;
    if release.name != env!("CARGO_PKG_NAME") {
        return Err(wrong(format!("it is the release.json of {}", output::visible(&release.name))));
    }
    let order = compare(&release.version, env!("CARGO_PKG_VERSION"))
        .ok_or_else(|| wrong(format!("{} is no version", output::visible(&release.version))))?;
    let newer = order == Ordering::Greater;
    let ours: Vec<_> = release.files.iter().filter(|package| package.target == TARGET).collect();
    let how = if newer { installed::how_to_upgrade(config) } else { Vec::new() };
    if output::is_json() {
        output::json(&json!({
            "newer": newer,
            "this": { "version": env!("CARGO_PKG_VERSION"), "commit": BUILT_FROM, "target": TARGET },
            "there": { "version": release.version, "commit": release.commit, "date": release.date },
            "files": ours, "how": how,
        }))?;
    } else {
        say(&release, order, &ours, &how)?;
    }
    if newer { Err(CliError::Found) } else { Ok(()) }
}

fn say(release: &Release, order: Ordering, ours: &[&Package], how: &[String]) -> std::io::Result<()> {
    output::line(&format!("this:  {VERSION}"))?;
    let there = [&release.version, &release.commit, &release.date].map(|text| output::visible(text));
    output::line(&format!("there: {}", there.join(" ").trim_end()))?;
    match order {
        Ordering::Less => return output::line("This program is newer."),
        Ordering::Equal => return output::line("This program is up to date."),
        Ordering::Greater => {}
    }
    output::line("There is a newer version. To upgrade:")?;
    for way in how {
        output::line(&format!("  {}", output::visible(way)))?;
    }
    if !ours.is_empty() {
        output::line(&format!("Its files for {TARGET}:"))?;
    }
    for package in ours {
        let [file, kind, sha256] =
            [&package.file, &package.kind, &package.sha256].map(|text| output::visible(text));
        output::line(&format!("  {file} ({kind}, {} bytes) sha256 {sha256}", package.size))?;
    }
    Ok(())
}

fn read(place: &str) -> Result<Vec<u8>, String> {
    if place.starts_with("https://") || place.starts_with("http://") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let fetched = runtime.block_on(mcp::fetch_document(place, MAX_RELEASE));
        return fetched.map(|body| body.to_vec()).map_err(|error| error.to_string());
    }
    read_file(Path::new(place)).map_err(|error| error.to_string())
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::try_from(MAX_RELEASE).unwrap_or(u64::MAX);
    File::open(path)?.take(most + 1).read_to_end(&mut text)?;
    if text.len() > MAX_RELEASE {
        return Err(std::io::Error::other(format!("it is longer than {MAX_RELEASE} bytes")));
    }
    Ok(text)
}

/// The order of two versions as semver.org defines it; `None` when one of them is no version.
fn compare(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (Version::parse(left)?, Version::parse(right)?);
    Some(left.numbers.cmp(&right.numbers).then_with(|| match (left.before, right.before) {
        (None, None) => Ordering::Equal,
        // What comes before a release: 1.0.0-rc.1 is older than 1.0.0.
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => {
            left.split('.').map(Identifier::of).cmp(right.split('.').map(Identifier::of))
        }
    }))
}

struct Version<'a> {
    numbers: [u64; 3],
    before: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (text, _build) = text.split_once('+').unwrap_or((text, ""));
        let (numbers, before) = match text.split_once('-') {
            Some((numbers, before)) => (numbers, Some(before)),
            None => (text, None),
        };
        let mut parts = numbers.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| digits)
        });
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        let valid = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let before_is_valid = before.is_none_or(|before| before.split('.').all(valid));
        (parts.next().is_none() && before_is_valid).then_some(Self { numbers, before })
    }
}

/// Numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    fn of(text: &'a str) -> Self {
        text.parse().map_or(Self::Word(text), Self::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_semver_says() {
        let ascending = [
            "0.1.0-alpha",
            "0.1.0-alpha.1",
            "0.1.0-alpha.beta",
            "0.1.0-beta.2",
            "0.1.0-beta.11",
            "0.1.0-rc.1",
            "0.1.0",
            "0.1.1",
            "0.2.0",
            "0.10.0",
            "1.0.0",
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(compare(left, right), Some(at.cmp(&other)), "{left} {right}");
            }
        }
        assert_eq!(compare("1.0.0+a", "1.0.0+b"), Some(Ordering::Equal));
        for wrong in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "1.0.x",
            "v1.0.0",
            "+1.0.0",
            "1.0.0-",
            "1.0.0-a..b",
            "1.0.0-\u{1b}[2J",
            "1..0",
        ] {
            assert_eq!(compare(wrong, "1.0.0"), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.json");
        std::fs::write(&path, vec![b' '; MAX_RELEASE]).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), MAX_RELEASE);
        std::fs::write(&path, vec![b' '; MAX_RELEASE + 1]).unwrap();
        assert!(read_file(&path).unwrap_err().to_string().contains("longer"));
    }
}
