//! How each client is rung. What rings carries no word of a message: the client's own hook announces what is new.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::os::{self, Private};

/// The bell file's name; Claude Code's `FileChanged` hook matches on it, and the plugin of opencode watches it.
const BELL: &str = "team-table.bell";
/// How the name of an input file of Qwen Code ends.
const INPUT: &str = ".jsonl";
/// What a session is told that takes what rings for its user's words.
pub const LINE: &str = "[team-table] New messages. (Typed by the team-table program, not by your user; see the note \
                          beside it, or call get_messages.)";

/// The bell file of a session, in an owner-only folder beside the database; it is made if it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn bell_file(db: &Path, key: &str) -> io::Result<PathBuf> {
    make(&bells(db).join(name_of(key)), BELL)
}

/// How a session is woken by its bell file.
#[must_use]
pub fn way(bell: &Path) -> String {
    format!("bell:{}", bell.display())
}

/// An empty file from which a session of Qwen Code is to read its turns, beside the bells. It is told by the process that becomes
/// the client.
///
/// # Errors
/// When it cannot be made.
pub fn input_file(db: &Path, pid: u32) -> io::Result<PathBuf> {
    let file = make(&bells(db), &format!("{pid}{INPUT}"))?;
    fs::write(&file, b"")?;
    Ok(file)
}

/// Whether nothing but a file of [`input_file`] is written to by a way that names an input file.
#[must_use]
pub fn is_ours(db: &Path, way: &str) -> bool {
    let Some(file) = way.strip_prefix("input:") else { return true };
    let folder = std::path::absolute(bells(db));
    folder.is_ok_and(|folder| Path::new(file).parent() == Some(folder.as_path())) && file.ends_with(INPUT)
}

/// A file beside the bells about a session: what `what` says of it.
///
/// # Errors
/// When the folder cannot be made.
pub fn file_of(db: &Path, key: &str, what: &str) -> io::Result<PathBuf> {
    place(&bells(db), &format!("{}.{what}", name_of(key)))
}

/// Taken by one process for each session that waits for its rings from another machine; `None`: it has one.
///
/// # Errors
/// When the file cannot be made.
pub fn one_at_a_time(db: &Path, key: &str) -> io::Result<Option<fs::File>> {
    let file = os::open_private(&file_of(db, key, "lock")?, Private::Keep)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn bells(db: &Path) -> PathBuf {
    let mut bells = db.as_os_str().to_owned();
    bells.push(".bells");
    PathBuf::from(bells)
}

/// What the files of a session are called by.
fn name_of(key: &str) -> String {
    blake3::hash(key.as_bytes()).to_hex().get(..16).unwrap_or_default().to_owned()
}

/// The path of a file in an owner-only folder, which is made if it is not there.
fn place(folder: &Path, name: &str) -> io::Result<PathBuf> {
    os::create_private_folder(folder)?;
    std::path::absolute(folder.join(name))
}

fn make(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let file = place(folder, name)?;
    os::open_private(&file, Private::Append)?;
    Ok(file)
}

/// Rings a session.
///
/// # Errors
/// When the client cannot be reached. The message is unread all the same.
pub fn ring(key: &str, wake: Option<&str>) -> io::Result<()> {
    let Some((way, place)) = wake.and_then(|wake| wake.split_once(':')) else {
        return Ok(());
    };
    match way {
        // Its machine, or the program in it, waits for the event that the ring left.
        "remote" | "wait" => Ok(()),
        // The content does not matter: any write is a change.
        "bell" => fs::write(place, b"ring\n"),
        "codex" => {
            let thread = key.strip_prefix("codex:").unwrap_or_default();
            let mut child = os::spawn("codex", |command| {
                command.args(["queue", "--thread", thread, "--message", LINE]);
                if !place.is_empty() {
                    command.env("CODEX_HOME", place);
                }
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            })?;
            // Nobody waits for it; a thread takes its exit status, so that no zombie stays.
            std::thread::spawn(move || match child.wait() {
                Ok(status) if !status.success() => tracing::warn!(%status, "codex queue failed"),
                _ => {}
            });
            Ok(())
        }
        "input" => {
            let line = serde_json::json!({ "type": "submit", "text": LINE }).to_string();
            let mut file = fs::OpenOptions::new().append(true).open(place)?;
            writeln!(file, "{line}")
        }
        other => Err(io::Error::other(format!("no way to ring is called {other}"))),
    }
}

/// Whether ringing twice is as good as once: what is queued for Codex and Qwen would start two turns.
#[must_use]
pub fn is_idempotent(wake: Option<&str>) -> bool {
    wake.is_some_and(|wake| wake.starts_with("bell:"))
}

/// Removes a session's bell file and its folder, or its input file.
pub fn remove(wake: Option<&str>) {
    if let Some(file) = wake.and_then(|wake| wake.strip_prefix("input:")).map(Path::new)
        && file.parent().and_then(Path::extension).is_some_and(|extension| extension == "bells")
    {
        let _ = fs::remove_file(file);
    }
    if let Some(file) = wake.and_then(|wake| wake.strip_prefix("bell:")).map(Path::new)
        && file.file_name().is_some_and(|name| name == BELL)
    {
        // What is gone already is as good.
        let _ = fs::remove_file(file);
        let _ = file.parent().map(fs::remove_dir);
    }
}
