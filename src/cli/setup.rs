//! `setup`: seats the agents of this machine, or of one project. Writes one folder and runs the clients' own commands on it, so that their
//! files are edited by them; undoes it in the same way. Only Cursor's files are edited here: it has no command for it.

mod check;
mod elsewhere;
mod files;
mod merge;
mod publish;
mod run;
mod targets;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::{CliError, output, remote};
use crate::config::Config;
use crate::domain::agent;
use crate::domain::clock::Clock;
use crate::domain::refusal::Refusal;
use crate::domain::seat::Client;
use crate::os::{self, Private};
use elsewhere::{check_named_by_token, enter};
use files::{NAME, Program};
use targets::{TARGETS, Target, Way};

pub(super) use check::{findings, hooks_log};
pub(super) use files::shell_line;
pub(super) use merge::replace as replace_file;
pub(super) use run::{RunArguments, run as run_once};

/// The word for all clients.
const ALL: &str = "all";
/// How an installed plugin is found in what a client lists.
const INSTALLED: &str = "team-table";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct SetupArguments {
    /// The clients; without one, all that are installed
    #[arg(value_parser = PossibleValuesParser::new(Client::ALL.map(Client::as_str).into_iter().chain([ALL])))]
    clients: Vec<String>,
    /// The name that new sessions take by themselves: NAME, NAME-2 and so on; without it each agent calls register
    #[arg(long)]
    name: Option<String>,
    /// The role that goes with it
    #[arg(long)]
    role: Option<String>,
    /// Let the agents call the table's tools without asking, where the client can be told so here
    #[arg(long)]
    allow_tools: bool,
    /// In the project of this folder only, instead of all that you start; claude, opencode and cursor can
    #[arg(long)]
    project: bool,
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "status")]
    dry_run: bool,
    /// Say how each client stands, and do nothing
    #[arg(long, conflicts_with = "undo")]
    status: bool,
    /// With --url: read the agent's token from standard input, and keep it in an owner-only file
    #[arg(long, conflicts_with_all = ["status", "undo"])]
    token_stdin: bool,
    /// With --url: who vouches for the server's certificate, where the system does not know them, PEM
    #[arg(long, value_name = "FILE", requires = "token_stdin")]
    ca: Option<PathBuf>,
    /// Remove it again
    #[arg(long)]
    undo: bool,
    /// Do it without a terminal to ask at
    #[arg(long)]
    yes: bool,
    /// Write the files with which a repository is a plugin of each client, below DIR, for a release of this program
    #[arg(long, value_name = "DIR", hide = true, exclusive = true)]
    publish: Option<PathBuf>,
}

impl SetupArguments {
    fn role(&self) -> &str {
        self.role.as_deref().unwrap_or(agent::DEFAULT_ROLE)
    }
}

pub(super) fn run(config: &Config, arguments: &SetupArguments) -> Result<(), CliError> {
    if let Some(root) = &arguments.publish {
        return Ok(publish::write(root)?);
    }
    if let Some(name) = &arguments.name {
        check_seat(name, arguments.role())?;
    }
    let named = |target: &&Target| {
        let wanted = |word: &String| word == ALL || word == target.program();
        arguments.clients.is_empty() || arguments.clients.iter().any(wanted)
    };
    let targets: Vec<&Target> = TARGETS.iter().filter(named).collect();
    let may = arguments.yes || std::io::stdin().is_terminal();
    if !may && !arguments.dry_run && !arguments.status && !output::is_json() {
        output::warning("no terminal to ask at: nothing is done, this is what would be (--yes does it)")?;
    }
    let dry = arguments.dry_run || !may;
    let mut url = None;
    if let Some((address, _)) = &config.url {
        url = enter(config, address, arguments, dry)?;
    } else if arguments.token_stdin {
        return Err(CliError::Usage("a token is for a table on another machine: name it with --url".into()));
    }
    let setup = Setup { url, ..Setup::new(config, arguments, dry)? };
    let mut failed = false;
    for target in targets {
        let by_itself = arguments.undo && !matches!(target.way, Way::Commands { .. });
        if !by_itself && !target.is_here() {
            let text = format!("{}: not installed", target.program());
            output::done(&json!({ "client": target.program(), "state": "not_installed" }), &text)?;
            continue;
        }
        if arguments.project && target.project.is_none() {
            let text = format!(
                "{}: left as it is: it takes plugins for all projects of its user only. Leave --project away to set it up",
                target.program()
            );
            if arguments.clients.iter().any(|word| word == target.program()) {
                output::complain(&text);
                failed = true;
            } else {
                output::done(&json!({ "client": target.program(), "state": "not_of_a_project" }), &text)?;
            }
            continue;
        }
        let done = if arguments.status {
            setup.status(target)
        } else if arguments.undo {
            setup.undo(target)
        } else {
            setup.set_up(target)
        };
        if let Err(problem) = done {
            output::complain(&format!("{}: {problem}", target.program()));
            failed = true;
        }
    }
    if arguments.undo && !dry {
        // The tokens for tables that no client goes to any more.
        remote::forget(config, |url| TARGETS.iter().any(|target| setup.goes_to(target, url)))?;
    }
    if failed { Err(CliError::Found) } else { Ok(()) }
}

/// Where the files are that the clients are given.
fn folder(db: &Path) -> PathBuf {
    db.with_file_name("integrations")
}

struct Setup<'a> {
    arguments: &'a SetupArguments,
    /// Our folder.
    folder: PathBuf,
    /// The folder of the project that it is for; without one, for the user.
    project: Option<PathBuf>,
    path: String,
    db: String,
    url: Option<String>,
    dry: bool,
}

/// Where a client has our plugin.
#[derive(Clone, Copy)]
struct Installed {
    /// Where this run is to have it: for the user, or in the project.
    here: bool,
    /// Somewhere else.
    elsewhere: bool,
}

impl<'a> Setup<'a> {
    fn new(config: &Config, arguments: &'a SetupArguments, dry: bool) -> Result<Self, CliError> {
        let path = std::env::current_exe()?.to_string_lossy().into_owned();
        let db = std::path::absolute(&config.db)?;
        let folder = folder(&db);
        let db = db.to_string_lossy().into_owned();
        let project = arguments.project.then(std::env::current_dir).transpose()?;
        Ok(Self { arguments, folder, project, path, db, url: None, dry })
    }

    fn files(&self, target: &Target) -> Vec<(&'static str, String)> {
        let seat = self.arguments.name.as_deref().map(|name| (name, self.arguments.role()));
        let (url, allow_tools) = (self.url.as_deref(), self.arguments.allow_tools);
        // Files in a project are others', too: neither this program's path nor this user's table is theirs.
        let shared = self.project.is_some() && !matches!(target.way, Way::Commands { .. });
        let (path, db) = if shared { (NAME, None) } else { (self.path.as_str(), Some(self.db.as_str())) };
        files::files(target.client, &Program { path, db, url, seat, allow_tools })
    }

    fn set_up(&self, target: &Target) -> Result<(), String> {
        let folder = self.base(target)?;
        let changed = match target.way {
            Way::Merged(_) => self.merge(target, &folder)?,
            Way::Commands { .. } | Way::Folder(_) => self.install(target, &folder)?,
        };
        let state = match (changed, self.dry) {
            (false, _) => "is set up already",
            (true, true) => "would be set up",
            (true, false) => "is set up",
        };
        let confirm = match self.project {
            Some(_) => format!("{}; {}", target.confirm, target.confirm_in_project()),
            None => target.confirm.to_owned(),
        };
        Self::report(target, state, &confirm)
    }

    /// Whether there was something to do.
    fn install(&self, target: &Target, folder: &Path) -> Result<bool, String> {
        let files = self.files(target);
        let installed = self.installed(target)?;
        // A project that says no name does not take away the one that the user's sessions have from the same files.
        let keeps = self.project.is_some()
            && matches!(target.way, Way::Commands { .. })
            && self.arguments.name.is_none()
            && files::program_of(folder, target.client).is_some();
        if installed.here && (keeps || files::are_there(folder, &files)) {
            return Ok(false);
        }
        if let (Way::Commands { remove, forget, .. }, true) = (&target.way, installed.here) {
            // Codex keeps a copy of what it was given.
            self.run_all(target, remove)?;
            if !installed.elsewhere {
                self.run_all(target, forget)?;
            }
        }
        if !keeps {
            self.write(folder, &files)?;
        }
        if let Way::Commands { add, .. } = target.way {
            self.run_all(target, add)?;
        }
        Ok(true)
    }

    /// Adds our entries to a client's own files, or removes them; whether there was something to do. All files are looked at before the
    /// first is changed.
    fn merge(&self, target: &Target, folder: &Path) -> Result<bool, String> {
        let mut changes = Vec::new();
        for (path, text) in self.files(target) {
            let file = folder.join(path);
            changes.extend(if self.arguments.undo {
                merge::removing(&file)?
            } else {
                merge::adding(&file, &text)?
            });
        }
        for change in &changes {
            let file = change.file().display();
            if self.dry {
                say(&format!("  change {file}"));
                continue;
            }
            let backup = change.make(Clock::System.now());
            if let Some(backup) = backup.map_err(|error| format!("cannot change {file}: {error}"))? {
                say(&format!("  {file} as it was: {}", backup.display()));
            }
        }
        Ok(!changes.is_empty())
    }

    fn undo(&self, target: &Target) -> Result<(), String> {
        let folder = self.base(target)?;
        let (there, elsewhere) = match target.way {
            Way::Merged(_) => (self.merge(target, &folder)?, false),
            Way::Commands { .. } | Way::Folder(_) => self.uninstall(target, &folder)?,
        };
        let state = match (there, self.dry) {
            (false, _) => "was not set up",
            (true, true) => "would be removed",
            (true, false) => "is removed",
        };
        let rest = if elsewhere { "it stays set up elsewhere, for its user or in a project" } else { "" };
        Self::report(target, state, rest)
    }

    /// Whether it was installed here, and whether it is somewhere else. Its files go with the last.
    fn uninstall(&self, target: &Target, folder: &Path) -> Result<(bool, bool), String> {
        let installed = self.installed(target)?;
        if let (Way::Commands { remove, forget, .. }, true) = (&target.way, installed.here) {
            self.run_all(target, remove)?;
            if !installed.elsewhere {
                self.run_all(target, forget)?;
            }
        }
        if !self.dry && !installed.elsewhere {
            for (path, _) in self.files(target) {
                let file = folder.join(path);
                if std::fs::remove_file(&file).is_err() {
                    continue;
                }
                // Folders that are empty now, up to ours.
                let up = file.ancestors().skip(1).take_while(|up| up.starts_with(folder));
                for folder in up {
                    if std::fs::remove_dir(folder).is_err() {
                        break;
                    }
                }
            }
        }
        Ok((installed.here, installed.elsewhere))
    }

    fn status(&self, target: &Target) -> Result<(), String> {
        let folder = self.base(target)?;
        let files = self.files(target);
        let again = "has a plugin team-table of somebody else, or our folder is gone: run setup again";
        let state = if let Way::Merged(_) = target.way {
            let mut ours = Vec::new();
            for (path, _) in &files {
                ours.push(merge::removing(&folder.join(path))?.is_some());
            }
            match (ours.contains(&true), ours.contains(&false)) {
                (true, false) => "set up",
                (true, true) => "set up in part: run setup again",
                (false, _) => "not set up",
            }
        } else {
            let marker = folder.join(files.first().map_or("", |(path, _)| path));
            match (self.installed(target)?.here, marker.exists()) {
                (true, true) => "set up",
                (true, false) => again,
                (false, _) => "not set up",
            }
        };
        Self::report(target, state, "")
    }

    fn report(target: &Target, state: &str, confirm: &str) -> Result<(), String> {
        let mut text = format!("{}: {state}", target.program());
        if !confirm.is_empty() {
            text.push_str("; ");
            text.push_str(confirm);
        }
        let object = json!({ "client": target.program(), "state": state, "confirm": confirm });
        output::done(&object, &text).map_err(|error| error.to_string())
    }

    /// The folder that a client's files are written into.
    fn base(&self, target: &Target) -> Result<PathBuf, String> {
        let found = target.base(&self.folder, self.project.as_deref());
        found.ok_or_else(|| "there is no HOME to find its folder in".to_owned())
    }

    /// Whether a client's files name a table on another machine.
    fn goes_to(&self, target: &Target, url: &str) -> bool {
        let Ok(folder) = self.base(target) else { return false };
        let named = |(path, _): &(&str, String)| {
            std::fs::read_to_string(folder.join(path)).is_ok_and(|text| text.contains(url))
        };
        self.files(target).iter().any(named)
    }

    fn write(&self, folder: &Path, files: &[(&'static str, String)]) -> Result<(), String> {
        for (path, text) in files {
            let file = folder.join(path);
            if self.dry {
                say(&format!("  write {}", file.display()));
                continue;
            }
            write_file(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        Ok(())
    }

    fn run_all(&self, target: &Target, commands: &[&[&str]]) -> Result<(), String> {
        let folder = self.folder.to_string_lossy();
        let scope: &[&str] = if self.project.is_some() { &["--scope", "project"] } else { &[] };
        for command in commands {
            let expand = |word: &&str| match *word {
                "SCOPE" => scope.iter().map(ToString::to_string).collect(),
                word => vec![word.replace("DIR", &folder)],
            };
            let words: Vec<String> = command.iter().flat_map(expand).collect();
            if self.dry {
                say(&format!("  run {} {}", target.program(), words.join(" ")));
                continue;
            }
            run_client(target.program(), &words)?;
        }
        Ok(())
    }

    fn installed(&self, target: &Target) -> Result<Installed, String> {
        let list = match target.way {
            Way::Commands { list, .. } => list,
            Way::Folder(_) | Way::Merged(_) => {
                let folder = self.base(target)?;
                let plugin = folder.join(files::PLUGIN);
                let here = files::program_of(&folder, target.client).is_some();
                if plugin.exists() && !here {
                    return Err(format!(
                        "{} is not of team-table setup: move it away first",
                        plugin.display()
                    ));
                }
                return Ok(Installed { here, elsewhere: false });
            }
        };
        let words: Vec<String> = list.iter().map(ToString::to_string).collect();
        let said = run_client(target.program(), &words)?;
        if target.project.is_none() {
            return Ok(Installed { here: said.contains(INSTALLED), elsewhere: false });
        }
        // Claude Code lists what is installed in any project.
        let list = serde_json::Deserializer::from_str(&said).into_iter::<Value>().next().and_then(Result::ok);
        let list = list.as_ref().and_then(Value::as_array).ok_or("its list of plugins is not understood")?;
        let text = |plugin: &Value, name: &str| {
            plugin.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let ours = list.iter().filter(|plugin| text(plugin, "id") == files::PLUGIN_OF_CLAUDE);
        let is_here = |plugin: &&Value| match &self.project {
            Some(project) => {
                text(plugin, "scope") == "project" && Path::new(&text(plugin, "projectPath")) == project
            }
            None => matches!(text(plugin, "scope").as_str(), "user" | ""),
        };
        let (here, elsewhere): (Vec<&Value>, Vec<&Value>) = ours.partition(is_here);
        Ok(Installed { here: !here.is_empty(), elsewhere: !elsewhere.is_empty() })
    }
}

/// Whether sessions may take this name and role by themselves.
fn check_seat(name: &str, role: &str) -> Result<(), Refusal> {
    agent::check_name("name", name)?;
    agent::check_free_name(name)?;
    agent::check_role(role)?;
    if agent::is_privileged(role) {
        // `register` refuses it too, when the session starts: where nobody sees it.
        return Err(Refusal::denied(
            format!("the role {role} is granted by the operator, not chosen"),
            format!(
                "leave --role away; once {name} sits at the table, `team-table agent grant \"{name}\" {role}` makes it one for good"
            ),
        ));
    }
    Ok(())
}

/// Writes an owner-only file, in folders of the same kind.
fn write_file(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        os::create_private_folder(folder)?;
    }
    std::io::Write::write_all(&mut os::open_private(file, Private::Replace)?, text.as_bytes())
}

fn say(text: &str) {
    if !output::is_json() {
        // Standard output that is gone is found at the end.
        let _ = output::line(text);
    }
}

/// Runs a client's command; what it printed.
fn run_client(program: &str, words: &[String]) -> Result<String, String> {
    let failed = |problem: String| format!("`{program} {}` failed: {problem}", words.join(" "));
    let started = os::spawn(program, |command| {
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    let mut child = started.map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // Qwen asks whether it may; the person said so to us. A client that does not read has closed it.
        let _ = std::io::Write::write_all(&mut input, b"y\n");
    }
    let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    // Gemini lists on standard error.
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    if done.status.success() {
        return Ok(said);
    }
    Err(failed(output::visible(said.trim().lines().last().unwrap_or("it said nothing"))))
}

fn is_on_path(program: &str) -> bool {
    on_path(program).is_some()
}

/// Where on the `PATH` a program is.
fn on_path(program: &str) -> Option<PathBuf> {
    let folders = crate::config::search_path();
    let mut files =
        folders.iter().flat_map(|folder| os::program_names(program).map(|name| Path::new(folder).join(name)));
    files.find(|file| file.is_file())
}
