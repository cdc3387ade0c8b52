//! `setup`: seats the agents of this machine. Writes one folder and runs the clients' own commands on it, so that their
//! files are edited by them; undoes it in the same way.

mod check;
mod files;
mod publish;
mod run;

use std::io::{IsTerminal, Read as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::{CliError, output, remote};
use crate::config::Config;
use crate::domain::agent;
use crate::domain::refusal::Refusal;
use crate::domain::seat::Client;
use files::Program;

pub(super) use check::{findings, hooks_log};
pub(super) use run::{RunArguments, run as run_once};

/// The word for all clients.
const ALL: &str = "all";
/// The longest token that is read, in bytes; ours have 46.
const MAX_TOKEN: u64 = 4_096;
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

/// One client, and how it is given our files.
struct Target {
    /// Its program is looked for on the path.
    client: Client,
    way: Way,
    /// What the person must still do.
    confirm: &'static str,
    /// The oldest version whose hooks do what ours need.
    oldest: [u32; 3],
}

enum Way {
    /// By its own commands, in which `DIR` stands for our folder.
    Commands {
        /// Lists what is installed.
        list: &'static [&'static str],
        add: &'static [&'static [&'static str]],
        remove: &'static [&'static [&'static str]],
    },
    /// It loads what lies in a folder of its own.
    Folder(fn() -> Option<PathBuf>),
}

const TARGETS: [Target; 5] = [
    Target {
        client: Client::Claude,
        way: Way::Commands {
            list: &["plugin", "list", "--json"],
            add: &[&["plugin", "marketplace", "add", "DIR"], &["plugin", "install", "team-table@team-table"]],
            remove: &[
                &["plugin", "uninstall", "team-table@team-table"],
                &["plugin", "marketplace", "remove", "team-table"],
            ],
        },
        confirm: "a running session needs a restart; to let it use the tools unasked, add \
                  \"mcp__plugin_team-table_team-table\" to permissions.allow in ~/.claude/settings.json",
        // Hooks with arguments instead of a line of a shell.
        oldest: [2, 1, 139],
    },
    Target {
        client: Client::Codex,
        way: Way::Commands {
            list: &["plugin", "list", "--json"],
            add: &[&["plugin", "marketplace", "add", "DIR"], &["plugin", "add", "team-table@team-table"]],
            remove: &[
                &["plugin", "remove", "team-table@team-table"],
                &["plugin", "marketplace", "remove", "team-table"],
            ],
        },
        confirm: "Codex shows \"Hooks need review\" once: choose Trust. Without it no hook runs, and Codex says nothing",
        // `codex queue`.
        oldest: [0, 149, 0],
    },
    Target {
        client: Client::Gemini,
        way: Way::Commands {
            list: &["extensions", "list"],
            add: &[&["extensions", "link", "DIR/gemini", "--consent"]],
            remove: &[&["extensions", "uninstall", "team-table"]],
        },
        confirm: "Gemini sees messages at its next step; nothing starts a turn of an idle one",
        oldest: [0, 0, 0],
    },
    Target {
        client: Client::Qwen,
        way: Way::Commands {
            list: &["extensions", "list"],
            add: &[&["extensions", "link", "DIR/qwen"]],
            remove: &[&["extensions", "uninstall", "team-table"]],
        },
        confirm: "Qwen sees messages at its next step; start it with team-table run qwen to have it woken",
        oldest: [0, 0, 0],
    },
    Target {
        client: Client::Opencode,
        way: Way::Folder(crate::config::opencode_folder),
        confirm: "start opencode anew; its session sits at the table from its first prompt on",
        // `client.session.promptAsync` in plugins.
        oldest: [1, 0, 0],
    },
];

impl Target {
    /// The folder that its files are written into; `ours` where it takes them from there.
    fn base(&self, ours: &Path) -> Option<PathBuf> {
        match self.way {
            Way::Commands { .. } => Some(ours.to_owned()),
            Way::Folder(find) => find(),
        }
    }

    const fn program(&self) -> &'static str {
        self.client.as_str()
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
    if let Some(url) = &config.url {
        enter(config, url, arguments, dry)?;
    } else if arguments.token_stdin {
        return Err(CliError::Usage("a token is for a table on another machine: name it with --url".into()));
    }
    let setup = Setup::new(config, arguments, dry)?;
    let mut failed = false;
    for target in targets {
        let by_itself = arguments.undo && matches!(target.way, Way::Folder(_));
        if !by_itself && !is_on_path(target.program()) {
            let text = format!("{}: not installed", target.program());
            output::done(&json!({ "client": target.program(), "state": "not_installed" }), &text)?;
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
    if failed { Err(CliError::Found) } else { Ok(()) }
}

/// Checks that an agent's token opens a table on another machine, and keeps it; forgets it with `--undo`.
fn enter(config: &Config, url: &str, arguments: &SetupArguments, dry: bool) -> Result<(), CliError> {
    if arguments.undo {
        return if dry { Ok(()) } else { remote::forget(config, url) };
    }
    if arguments.status {
        return Ok(());
    }
    check_named_by_token(arguments.name.is_some() || arguments.role.is_some())?;
    if url.starts_with("http://") && !output::is_json() {
        output::warning(
            "the token crosses the network in the clear: https, or a network that nobody else is on",
        )?;
    }
    if arguments.token_stdin {
        let mut token = String::new();
        std::io::stdin().take(MAX_TOKEN).read_to_string(&mut token)?;
        let authority = arguments.ca.as_deref().map(std::path::absolute).transpose()?;
        let mut credential = remote::Credential {
            url: url.to_owned(),
            name: String::new(),
            token: token.trim().to_owned(),
            authority,
        };
        credential.name = remote::holder(&credential.table()?)?;
        say(&format!("{url} knows this token as {}", credential.name));
        return if dry { Ok(()) } else { remote::keep(config, credential) };
    }
    let Some(table) = remote::table(config)? else { return Ok(()) };
    say(&format!("{url} knows the token as {}", remote::holder(&table)?));
    Ok(())
}

/// Refuses a name where a token says who the agent is.
fn check_named_by_token(named: bool) -> Result<(), CliError> {
    if named {
        return Err(CliError::Usage(
            "at a table on another machine the token says who the agent is: leave --name and --role out"
                .into(),
        ));
    }
    Ok(())
}

/// Where the files are that the clients are given.
fn folder(db: &Path) -> PathBuf {
    db.with_file_name("integrations")
}

struct Setup<'a> {
    arguments: &'a SetupArguments,
    /// Our folder.
    folder: PathBuf,
    path: String,
    db: String,
    url: Option<String>,
    dry: bool,
}

impl<'a> Setup<'a> {
    fn new(config: &Config, arguments: &'a SetupArguments, dry: bool) -> Result<Self, CliError> {
        let path = std::env::current_exe()?.to_string_lossy().into_owned();
        let db = std::path::absolute(&config.db)?;
        let folder = folder(&db);
        let db = db.to_string_lossy().into_owned();
        Ok(Self { arguments, folder, path, db, url: config.url.clone(), dry })
    }

    fn files(&self, target: &Target) -> Vec<(&'static str, String)> {
        let seat = self.arguments.name.as_deref().map(|name| (name, self.arguments.role()));
        let (url, allow_tools) = (self.url.as_deref(), self.arguments.allow_tools);
        files::files(target.client, &Program { path: &self.path, db: Some(&self.db), url, seat, allow_tools })
    }

    fn set_up(&self, target: &Target) -> Result<(), String> {
        let files = self.files(target);
        let installed = is_installed(target)?;
        let folder = self.base(target)?;
        let state = if installed && files::are_there(&folder, &files) {
            "is set up already"
        } else {
            if let (Way::Commands { remove, .. }, true) = (&target.way, installed) {
                // Codex keeps a copy of what it was given.
                self.run_all(target, remove)?;
            }
            self.write(&folder, &files)?;
            if let Way::Commands { add, .. } = target.way {
                self.run_all(target, add)?;
            }
            if self.dry { "would be set up" } else { "is set up" }
        };
        Self::report(target, state, target.confirm)
    }

    fn undo(&self, target: &Target) -> Result<(), String> {
        let folder = self.base(target)?;
        let state = if is_installed(target)? {
            if let Way::Commands { remove, .. } = target.way {
                self.run_all(target, remove)?;
            }
            if self.dry { "would be removed" } else { "is removed" }
        } else {
            "was not set up"
        };
        if !self.dry {
            for (path, _) in self.files(target) {
                let file = folder.join(path);
                if std::fs::remove_file(&file).is_err() {
                    continue;
                }
                // Folders that are empty now, up to ours.
                let up = file.ancestors().skip(1).take_while(|up| up.starts_with(&folder));
                for folder in up {
                    if std::fs::remove_dir(folder).is_err() {
                        break;
                    }
                }
            }
        }
        Self::report(target, state, "")
    }

    fn status(&self, target: &Target) -> Result<(), String> {
        let marker = self.base(target)?.join(self.files(target).first().map_or("", |(path, _)| path));
        let state = match (is_installed(target)?, marker.exists()) {
            (true, true) => "set up",
            (true, false) => {
                "has a plugin team-table of somebody else, or our folder is gone: run setup again"
            }
            (false, _) => "not set up",
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
        target.base(&self.folder).ok_or_else(|| "there is no HOME to find its folder in".to_owned())
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
        for command in commands {
            let words: Vec<String> = command.iter().map(|word| word.replace("DIR", &folder)).collect();
            if self.dry {
                say(&format!("  run {} {}", target.program(), words.join(" ")));
                continue;
            }
            run_client(target.program(), &words)?;
        }
        Ok(())
    }
}

/// Whether sessions may take this name and role by themselves.
fn check_seat(name: &str, role: &str) -> Result<(), Refusal> {
    agent::check_name("name", name)?;
    agent::check_free_name(name)?;
    agent::check_role(role)
}

/// Writes an owner-only file, in folders of the same kind.
fn write_file(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut open = std::fs::OpenOptions::new();
    let mut opened = open.create(true).truncate(true).write(true).mode(0o600).open(file)?;
    std::io::Write::write_all(&mut opened, text.as_bytes())
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
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // Qwen asks whether it may; the person said so to us. A client that does not read has closed it.
        let _ = std::io::Write::write_all(&mut input, b"y\n");
    }
    let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    // Gemini lists on standard error.
    let said = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
    if done.status.success() {
        return Ok(said);
    }
    Err(failed(output::visible(said.trim().lines().last().unwrap_or("it said nothing"))))
}

fn is_installed(target: &Target) -> Result<bool, String> {
    let list = match target.way {
        Way::Commands { list, .. } => list,
        Way::Folder(find) => {
            let Some(folder) = find() else { return Ok(false) };
            let plugin = folder.join(files::PLUGIN);
            let ours = files::program_of(&folder, target.client).is_some();
            if plugin.exists() && !ours {
                return Err(format!("{} is not of team-table setup: move it away first", plugin.display()));
            }
            return Ok(ours);
        }
    };
    let words: Vec<String> = list.iter().map(ToString::to_string).collect();
    Ok(run_client(target.program(), &words)?.contains(INSTALLED))
}

fn is_on_path(program: &str) -> bool {
    crate::config::search_path().iter().any(|folder| Path::new(folder).join(program).is_file())
}
