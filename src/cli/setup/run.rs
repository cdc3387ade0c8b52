//! `run`: one session of a client at the table, without installing anything.

use std::path::Path;
use std::process::Command;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::files::{self, Program};
use super::{CliError, check_seat, folder, on_path, remote, write_file};
use crate::config::Config;
use crate::domain::agent;
use crate::domain::seat::Client;
use crate::os;
use crate::wake;

/// Those that can be started so that a session has what it would not have else: the hooks, or a way to be woken.
const CLIENTS: [Client; 2] = [Client::Claude, Client::Qwen];

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The client: claude needs no setup; qwen needs it, and is woken only if it is started in this way
    #[arg(value_parser = PossibleValuesParser::new(CLIENTS.map(Client::as_str)))]
    client: String,
    /// The name that the session takes: NAME, or NAME-2 and so on if another session has it; agent without it
    #[arg(long)]
    name: Option<String>,
    /// The role that goes with it; qwen takes the one that setup was given
    #[arg(long)]
    role: Option<String>,
    /// What the client is started with besides
    #[arg(last = true)]
    more: Vec<String>,
}

/// Becomes the client; returns only if it cannot.
pub(crate) fn run(config: &Config, arguments: &RunArguments) -> Result<(), CliError> {
    let client = &arguments.client;
    let program = on_path(client)
        .ok_or_else(|| CliError::Usage(format!("{client} is not on the PATH: install it first")))?;
    let db = std::path::absolute(&config.db)?;
    let mut command = Command::new(program);
    if Client::parse(client) == Some(Client::Qwen) {
        with_input(&mut command, &db, arguments)?;
    } else {
        with_plugin(&mut command, config, &db, arguments)?;
    }
    command.args(&arguments.more);
    Err(CliError::Io(os::become_program(command)))
}

/// Claude Code takes a plugin for one session.
fn with_plugin(
    command: &mut Command,
    config: &Config,
    db: &Path,
    arguments: &RunArguments,
) -> Result<(), CliError> {
    let mut named = None;
    if let Some(table) = remote::table(config)? {
        super::check_named_by_token(arguments.name.is_some() || arguments.role.is_some())?;
        named = Some(remote::named_url(&table)?);
    }
    let [name, role] =
        [&arguments.name, &arguments.role].map(|word| word.as_deref().unwrap_or(agent::DEFAULT_ROLE));
    check_seat(name, role)?;
    let integrations = folder(db);
    if files::program_of(&integrations, Client::Claude).is_some() {
        return Err(CliError::Usage(
            "claude is set up already, so every session sits at the table: start claude, or remove it with team-table setup \
             claude --undo"
                .into(),
        ));
    }
    // Sessions of other names and roles go on reading theirs.
    let of_table = config.url.as_ref().map_or_else(String::new, |(url, _)| {
        format!("-{}", blake3::hash(url.as_bytes()).to_hex().get(..16).unwrap_or_default())
    });
    let folder = integrations.join("run").join(format!("{name}-{role}{of_table}"));
    let path = std::env::current_exe()?.to_string_lossy().into_owned();
    let db = db.to_string_lossy().into_owned();
    let url = named.as_deref();
    let seat = url.is_none().then_some((name, role));
    let program = Program { path: &path, db: Some(&db), url, seat, allow_tools: false };
    for (file, text) in files::files(Client::Claude, &program) {
        write_file(&folder.join(file), &text)?;
    }
    command.arg("--plugin-dir").arg(folder.join("claude"));
    Ok(())
}

/// Qwen Code takes turns from a file, which is what wakes it. Its hooks come from the extension.
fn with_input(command: &mut Command, db: &Path, arguments: &RunArguments) -> Result<(), CliError> {
    if files::program_of(&folder(db), Client::Qwen).is_none() {
        return Err(CliError::Usage(
            "qwen takes hooks only from an extension: team-table setup qwen installs it".into(),
        ));
    }
    if arguments.role.is_some() {
        return Err(CliError::Usage(
            "qwen takes the role that setup was given: team-table setup qwen --role ROLE".into(),
        ));
    }
    if let Some(name) = &arguments.name {
        check_seat(name, agent::DEFAULT_ROLE)?;
        command.env("TEAM_TABLE_SEAT", name);
    }
    // Of one session: what is written there starts turns of everyone who reads it.
    let file = wake::input_file(db, std::process::id())?;
    command.arg("--input-file").arg(&file).env("TEAM_TABLE_INPUT_FILE", &file);
    Ok(())
}
