//! The command line: `serve` (the default) and the operator's commands. An operator has the database file
//! itself, so these ask no policy. May print; knows no SQL and no WebAssembly.

mod agent;
mod audit;
mod backup;
mod board;
mod console;
mod context;
mod demo;
mod doctor;
mod escalation;
mod hook;
mod listing;
mod message;
mod output;
mod owner;
mod person;
mod policy;
mod poll;
mod processes;
mod remote;
mod search;
mod serve;
mod setup;
mod task;
mod upgrade;
mod view_source;
mod wait;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Config, ConfigError, Flags};
use crate::os;
use view_source::ViewSource;

const EXAMPLES: &str = "\
Examples:
  team-table demo                               see it all in a few seconds
  team-table                                    serve one agent's client on standard input and output
  team-table --transport sse --host 127.0.0.1   serve many over HTTP: /mcp, /sse and /events/{agent}
  team-table --transport sse --tls-cert cert.pem --tls-key key.pem   the same over https, for the whole network
  team-table console                            the page on which you see the table and decide
  team-table agent grant alice lead             make alice a lead
  team-table board                              what is worked on, and what holds it up
  team-table audit list --agent alice --since 2h
  team-table policy install my-rule.wasm        every running process follows within a second
  team-table doctor                             say what is wrong, and how to mend it

Clients:
  team-table setup                              seat the coding agents of this machine: server, hooks, waking
  claude mcp add team-table -- team-table       only the server, for one client; codex and gemini alike";

/// The one table several AI coding agents sit at: messages, tasks and shared context over MCP, every call
/// judged by hot-swappable WebAssembly policies.
#[derive(Debug, Parser)]
#[command(name = "team-table", version = upgrade::VERSION, after_help = EXAMPLES, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    style: output::Style,
    #[command(flatten)]
    flags: Flags,
    /// The person: with --url, whose session is used where several have signed in from here; with console, who signs in (left out:
    /// the user of this process)
    #[arg(long = "as", global = true, help_heading = "Global options", value_name = "PERSON")]
    person: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP clients (the default)
    Serve,
    /// Members: list them, grant roles, revoke or rotate tokens
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Who did what: list the audit log, verify its chain
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Policies: what decides, installing, rolling back, the decision log
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Answer an agent's inbox while its person is away
    Poll(poll::PollArguments),
    /// Seat the coding agents of this machine: their server, and the hooks that wake them
    Setup(setup::SetupArguments),
    /// Start one session of Claude Code or Qwen Code at the table
    Run(setup::RunArguments),
    /// Wait until an agent has a message, and say who wrote
    Wait(wait::WaitArguments),
    /// The person's inbox: what waits for a decision
    #[command(subcommand)]
    Escalation(escalation::EscalationCommand),
    /// Serve the console on this machine and open it: what waits for you, the table, the policies, live
    Console(console::ConsoleArguments),
    /// Persons: who decides in the console, with which role and for which agents
    #[command(subcommand)]
    Person(person::PersonCommand),
    /// The board: tasks by state, with what holds them up
    Board(board::BoardArguments),
    /// Tasks: list them, show one with all that belongs to it
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Messages: list the threads, read one
    #[command(subcommand)]
    Message(message::MessageCommand),
    /// Shared context: list the entries, show one and who wrote it
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Find words in messages, tasks and shared context
    Search(search::SearchArguments),
    /// Play the whole story in a temporary folder: two agents, a server, a daemon, a policy swapped in the middle
    Demo,
    /// Copy the database into a file, consistent while everything runs; `cp` of a live file is no backup
    Backup(backup::BackupArguments),
    /// Put such a copy back while nothing runs; what was there is kept
    Restore(backup::RestoreArguments),
    /// Compare this program with a release that you name; it asks nobody by itself
    Upgrade(upgrade::UpgradeArguments),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// The folder
        dir: std::path::PathBuf,
    },
    /// What a coding agent runs at the events of its session; `setup` installs it
    #[command(hide = true)]
    Hook(hook::HookArguments),
    /// Register the session of a client under the name that its hook reserved
    #[command(hide = true)]
    Sit {
        /// The seat's key
        key: String,
    },
    /// Wait for the rings of a session at a table on another machine
    #[command(hide = true)]
    Ring(remote::RingArguments),
    /// Check database, permissions, policies, port, certificate and the hooks of the clients
    Doctor(doctor::DoctorArguments),
}

impl Command {
    /// Whether it works for a table on another machine too.
    const fn is_for_any_table(&self) -> bool {
        matches!(
            self,
            Self::Serve
                | Self::Setup(_)
                | Self::Run(_)
                | Self::Wait(_)
                | Self::Ring(_)
                | Self::Upgrade(_)
                | Self::Doctor(_)
        ) || self.is_for_persons_elsewhere()
    }

    /// Whether it works for a table on another machine by a person's session.
    const fn is_for_persons_elsewhere(&self) -> bool {
        match self {
            Self::Person(command) => command.is_remote(),
            command => matches!(
                command,
                Self::Board(_)
                    | Self::Task(_)
                    | Self::Message(_)
                    | Self::Context(_)
                    | Self::Search(_)
                    | Self::Escalation(_)
            ),
        }
    }

    /// Whether it prints an answer that a program may read.
    const fn answers(&self) -> bool {
        !matches!(
            self,
            Self::Serve
                | Self::Demo
                | Self::Console(_)
                | Self::Run(_)
                | Self::Hook(_)
                | Self::Sit { .. }
                | Self::Ring(_)
                | Self::Completions { .. }
                | Self::Man { .. }
        )
    }
}

/// Why a command failed: one line for the person, and the exit status.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// A flag or variable is wrong; status 2, as for clap's own errors.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not start or stopped with a fault.
    #[error(transparent)]
    App(#[from] crate::app::AppError),
    /// A policy, set file or engine problem.
    #[error(transparent)]
    Policy(#[from] crate::policy::PolicyError),
    /// A table on another machine did not answer.
    #[error(transparent)]
    Remote(#[from] crate::mcp::RemoteError),
    /// The database was not opened.
    #[error(transparent)]
    Open(#[from] crate::storage::OpenError),
    /// The database said no.
    #[error("{0}")]
    Storage(crate::storage::Error),
    /// The rules said no.
    #[error("{}; {}", .0.message, .0.hint)]
    Refused(#[from] crate::domain::refusal::Refusal),
    /// Standard output is gone, or another fault of the operating system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A wrong argument that clap cannot see; status 2.
    #[error("{0}")]
    Usage(String),
    /// A daemon met an escalation and was told to end then; status 3.
    #[error("")]
    Escalated,
    /// `wait`: nothing came in time; status 2, without a word.
    #[error("")]
    NothingNew,
    /// What keeps the command from being done.
    #[error("{0}")]
    Broken(String),
    /// The command worked and found something wrong, and has said so; status 1.
    #[error("")]
    Found,
}

impl From<crate::storage::Error> for CliError {
    fn from(error: crate::storage::Error) -> Self {
        match error {
            crate::storage::Error::Refused(refusal) => Self::Refused(refusal),
            other => Self::Storage(other),
        }
    }
}

impl CliError {
    fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) | Self::Usage(_) | Self::NothingNew => 2,
            Self::Escalated => poll::ESCALATED,
            _ => 1,
        })
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let mut given = std::env::args_os().skip(1);
    // Before anything that could fail: for a client, exit status 2 of a hook is an order.
    if given.next().is_some_and(|first| first == "hook") {
        return hook::main(given);
    }
    os::prepare_terminal();
    let matches = Arguments::command().get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Io(error)) if os::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                output::complain(&text);
            }
            error.status()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), CliError> {
    if arguments.style.json && !arguments.command.as_ref().is_some_and(Command::answers) {
        return Err(CliError::Usage("--json is for commands that answer, and this one does not".into()));
    }
    // These two need no settings, not even a home directory.
    match &arguments.command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "team-table", &mut script);
            return Ok(output::script(&script)?);
        }
        Some(Command::Man { dir }) => return Ok(manual(dir)?),
        _ => {}
    }
    let config = Config::from_process(&arguments.flags)?;
    owner::become_owner(&config)?;
    let style = output::Style { plain: config.no_color, ..arguments.style };
    output::set_style(style);
    let command = arguments.command.unwrap_or(Command::Serve);
    if matches!(command, Command::Serve) && config.transport == crate::config::Transport::Stdio {
        arguments.flags.check_for_clients()?;
        serve::greet();
    }
    if !command.is_for_any_table() {
        remote::check_local(&config)?;
    }
    let person = arguments.person.as_deref();
    let names_person = match &command {
        Command::Console(_) => true,
        Command::Person(command) => matches!(command, person::PersonCommand::SignOut),
        command => command.is_for_persons_elsewhere() && config.url.is_some(),
    };
    if person.is_some() && !names_person {
        return Err(CliError::Usage(
            "--as names whose session to use at a table on another machine: add --url, to a command that takes it".into(),
        ));
    }
    serve::set_up_logging(&config, matches!(command, Command::Serve));
    let has_port = arguments.flags.port.is_some();
    match command {
        Command::Serve => serve::run(config),
        Command::Agent(command) => agent::run(&config, command),
        Command::Audit(command) => audit::run(&config, command),
        Command::Policy(command) => policy::run(&config, command),
        Command::Poll(arguments) => poll::run(&config, arguments),
        Command::Setup(arguments) => setup::run(&config, &arguments),
        Command::Run(arguments) => setup::run_once(&config, &arguments),
        Command::Wait(arguments) => wait::run(&config, &arguments),
        Command::Escalation(command) => escalation::run(&ViewSource::open(&config, person)?, command),
        Command::Console(arguments) => console::run(config, &arguments, person, has_port),
        Command::Person(command) => person::run(&config, command, person),
        Command::Board(arguments) => board::run(&ViewSource::open(&config, person)?, &arguments),
        Command::Task(command) => task::run(&ViewSource::open(&config, person)?, command),
        Command::Message(command) => message::run(&ViewSource::open(&config, person)?, command),
        Command::Context(command) => context::run(&ViewSource::open(&config, person)?, command),
        Command::Search(arguments) => search::run(&ViewSource::open(&config, person)?, arguments),
        Command::Backup(arguments) => backup::backup(&config, &arguments),
        Command::Restore(arguments) => backup::restore(&config, &arguments),
        Command::Upgrade(arguments) => upgrade::run(&config, &arguments),
        // Answered above.
        Command::Completions { .. } | Command::Man { .. } | Command::Hook(_) => Ok(()),
        Command::Demo => demo::run(&config),
        Command::Sit { key } => hook::sit(&config, key),
        Command::Ring(arguments) => remote::ring(&config, &arguments),
        Command::Doctor(arguments) => doctor::run(&config, &arguments),
    }
}

/// Writes the manual pages into a folder, which is made if it is not there.
fn manual(dir: &std::path::Path) -> std::io::Result<()> {
    // The same pages for every target.
    let command = Arguments::command().version(env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir)).map_err(|error| {
        std::io::Error::other(format!("cannot write manual pages into {}: {error}", dir.display()))
    })
}
