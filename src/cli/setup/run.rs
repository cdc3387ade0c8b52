//! `run`: one session of a client at the table, without installing anything.

use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::files::{self, Program};
use super::{CliError, check_seat, folder, is_on_path, write_file};
use crate::config::Config;
use crate::domain::agent;
use crate::domain::seat::Client;

/// The only client that takes hooks for one session: the others take them from what is installed.
const CLIENT: Client = Client::Claude;

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArguments {
    /// The client; Codex, Gemini CLI and Qwen Code take hooks only from what is installed: use setup
    #[arg(value_parser = PossibleValuesParser::new([CLIENT.as_str()]))]
    client: String,
    /// The name that the session takes: NAME, or NAME-2 and so on if another session has it
    #[arg(long, default_value = "agent")]
    name: String,
    /// The role that goes with it
    #[arg(long, default_value = agent::DEFAULT_ROLE)]
    role: String,
    /// What the client is started with besides
    #[arg(last = true)]
    more: Vec<String>,
}

/// Becomes the client; returns only if it cannot.
pub(in crate::cli) fn run(config: &Config, arguments: &RunArguments) -> Result<(), CliError> {
    let RunArguments { client, name, role, more } = arguments;
    check_seat(name, role)?;
    if !is_on_path(client) {
        return Err(CliError::Usage(format!("{client} is not on the PATH: install it first")));
    }
    let path = std::env::current_exe()?.to_string_lossy().into_owned();
    let db = std::path::absolute(&config.db)?;
    let integrations = folder(&db);
    if files::program_of(&integrations, CLIENT).is_some() {
        return Err(CliError::Usage(format!(
            "{client} is set up already, so every session sits at the table: start {client}, or remove it with \
             team-table setup {client} --undo"
        )));
    }
    // Sessions of other names and roles go on reading theirs.
    let folder = integrations.join("run").join(format!("{name}-{role}"));
    let db = db.to_string_lossy().into_owned();
    let program = Program { path: &path, db: &db, seat: Some((name, role)), allow_tools: false };
    for (file, text) in files::files(CLIENT, &program) {
        write_file(&folder.join(file), &text)?;
    }
    let error = Command::new(client).arg("--plugin-dir").arg(folder.join("claude")).args(more).exec();
    Err(CliError::Io(error))
}
