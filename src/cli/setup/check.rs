//! What `doctor` says of the clients that `setup` has seated: whether their hooks can run, and whether they do.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::{Value, json};

use super::files::EVENTS;
use super::targets::{TARGETS, Target, Way};
use super::{files, folder, is_on_path, run_client};
use crate::cli::doctor::Finding;
use crate::config::Config;
use crate::domain::seat::Client;

const AGAIN: &str = "team-table setup";
/// How long Codex may take to say which hooks it trusts.
const PATIENCE: Duration = Duration::from_secs(10);

/// One finding for each client that is set up, and one for what their hooks complained of.
pub(crate) fn findings(config: &Config) -> Vec<Finding> {
    let Ok(db) = std::path::absolute(&config.db) else { return Vec::new() };
    let folder = folder(&db);
    TARGETS.iter().filter_map(|target| client(target, &folder)).chain(complaints(&db)).collect()
}

fn client(target: &Target, folder: &Path) -> Option<Finding> {
    let what = target.program();
    let program = files::program_of(&target.base(folder, None)?, target.client)?;
    if !program.is_file() {
        let found = format!("its hooks start {}, which is gone", program.display());
        return Some(Finding::bad(what, found, AGAIN));
    }
    if matches!(target.way, Way::Merged(_)) {
        // No version of it is known to be too old, and asking an editor for its version may open it.
        return Some(Finding::good(what, format!("set up with {}", program.display())));
    }
    if !is_on_path(what) {
        return Some(Finding::bad(what, "it is set up, and not on the PATH any more", "install it again"));
    }
    let said = match run_client(what, &["--version".to_owned()]) {
        Ok(said) => said,
        Err(problem) => return Some(Finding::bad(what, problem, format!("start {what} by hand"))),
    };
    let Some(version) = version(&said) else {
        return Some(Finding::bad(what, "it does not say its version", format!("{what} --version")));
    };
    let shown = |version: [u32; 3]| version.map(|part| part.to_string()).join(".");
    if version < target.oldest {
        let found = format!(
            "version {} is older than {}: its hooks do not wake",
            shown(version),
            shown(target.oldest)
        );
        return Some(Finding::bad(what, found, format!("update {what}")));
    }
    if target.client == Client::Codex
        && let Some(running) = running_hooks(what).filter(|running| *running < EVENTS.len())
    {
        let found =
            format!("{running} of its {} hooks are enabled and trusted: the others do not run", EVENTS.len());
        return Some(Finding::bad(what, found, "start codex, and choose Trust all where it asks"));
    }
    Some(Finding::good(what, format!("version {}, set up with {}", shown(version), program.display())))
}

/// How many of our hooks Codex would run; `None` if it does not say.
fn running_hooks(program: &str) -> Option<usize> {
    let ask =
        json!({ "id": 2, "method": "hooks/list", "params": { "cwds": [std::env::current_dir().ok()?] } });
    let client = json!({ "clientInfo": { "name": "team-table", "version": env!("CARGO_PKG_VERSION") } });
    let lines = [
        json!({ "id": 1, "method": "initialize", "params": client }),
        json!({ "method": "initialized" }),
        ask,
    ];
    let mut command = Command::new(program);
    command.arg("app-server").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let (sender, answers) = channel();
    let output = child.stdout.take()?;
    // Ends with the process.
    std::thread::spawn(move || {
        let answer = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            serde_json::from_str::<Value>(&line).ok().filter(|answer| answer.get("id") == Some(&2.into()))
        });
        sender.send(answer)
    });
    // Kept open: it ends when its input does.
    let mut input = child.stdin.take()?;
    let asked = lines.iter().try_for_each(|line| writeln!(input, "{line}"));
    let answer = asked.ok().and_then(|()| answers.recv_timeout(PATIENCE).ok().flatten());
    let _ = child.kill();
    let _ = child.wait();
    let answer = answer?;
    let ours = |hook: &&Value| {
        hook.get("pluginId").and_then(Value::as_str).is_some_and(|plugin| plugin.starts_with("team-table@"))
    };
    let data = answer.pointer("/result/data")?.as_array()?;
    let hooks = data.iter().filter_map(|of_folder| of_folder.get("hooks")?.as_array()).flatten();
    let runs = |hook: &&Value| {
        hook.get("trustStatus") == Some(&"trusted".into()) && hook.get("enabled") != Some(&false.into())
    };
    Some(hooks.filter(ours).filter(runs).count())
}

/// The first `1.2.3` of what a program says.
fn version(said: &str) -> Option<[u32; 3]> {
    said.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut parts = word.split('.').map(|part| part.parse().ok());
        Some([parts.next()??, parts.next()??, parts.next()??])
    })
}

/// The newest line that a hook left.
fn complaints(db: &Path) -> Option<Finding> {
    let path = hooks_log(db);
    let text = std::fs::read_to_string(&path).ok()?;
    let newest = text.lines().next_back()?;
    let found = format!("{} failures; the newest: {newest}", text.lines().count());
    let mend = format!("mend what it names, then remove {}", path.display());
    // Some are of the past: a database that was locked for a moment.
    Some(Finding::note("hooks", found, mend))
}

/// Where hooks leave what went wrong: a client hides it.
pub(crate) fn hooks_log(db: &Path) -> std::path::PathBuf {
    db.with_file_name("hooks.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_a_client_says() {
        for (said, found) in [
            ("2.1.331 (Claude Code)\n", Some([2, 1, 331])),
            ("codex-cli 0.169.0", Some([0, 169, 0])),
            ("v0.61.0-nightly.3", Some([0, 61, 0])),
            ("no version", None),
            ("1.2", None),
        ] {
            assert_eq!(version(said), found, "{said}");
        }
    }
}
