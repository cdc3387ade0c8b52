//! `hook`: what coding agents run at the events of their sessions. Fails open: whatever goes wrong, the client gets exit
//! status 0 and no output, and a line is left in `hooks.log` beside the database. It loads no policies and starts no runtime:
//! it runs at every step of an agent.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode};
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, ValueEnum};
use serde_json::{Value, json};

use super::setup::{hooks_log, shell_line};
use super::{output, remote};
use crate::app;
use crate::config::{Config, Flags, SessionEnvironment};
use crate::domain::agent;
use crate::domain::clock::{self, Clock};
use crate::domain::hook::{Event, Said};
use crate::domain::seat::Client;
use crate::os::{self, Private};
use crate::storage::{Db, OpenOptions};
use crate::wake::{Process, Session, hook};

/// The most that is read of a hook's input, in bytes. A tool's result may be in it.
const MAX_INPUT: u64 = 1024 * 1024;
/// After so long the client is not kept waiting any more.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
/// How long a hook waits for a lock that another process holds.
const LOCK_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The size at which the log begins anew, in bytes.
const MAX_LOG: u64 = 1024 * 1024;

/// What a client runs at an event of its session
#[derive(Debug, Args)]
pub(super) struct HookArguments {
    /// The client
    #[arg(value_parser = PossibleValuesParser::new(Client::ALL.map(Client::as_str)))]
    client: String,
    /// The event
    event: EventArgument,
    /// The name that a new session takes by itself; -2, -3 and so on if another session has it
    #[arg(long)]
    name: Option<String>,
    /// The role that goes with it
    #[arg(long, default_value = agent::DEFAULT_ROLE)]
    role: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EventArgument {
    Start,
    Prompt,
    Tool,
    Stop,
    Bell,
    End,
}

#[derive(Debug, Parser)]
#[command(name = "team-table hook")]
struct Line {
    #[command(flatten)]
    hook: HookArguments,
    #[command(flatten)]
    flags: Flags,
}

/// Runs `team-table hook …`, given the arguments after `hook`. Exit status 2 has a meaning for clients, so no mistake may
/// end in it.
pub(super) fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let line = match Line::try_parse_from(std::iter::once("hook".into()).chain(arguments)) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            log(Config::from_process(&Flags::default()).ok().as_ref(), &error.to_string());
            return ExitCode::SUCCESS;
        }
    };
    let config = match Config::from_process(&line.flags) {
        Ok(config) => config,
        Err(error) => {
            log(None, &error.to_string());
            return ExitCode::SUCCESS;
        }
    };
    let (sender, done) = channel();
    let of_thread = config.clone();
    let worker = std::thread::Builder::new().spawn(move || sender.send(run(&of_thread, &line.hook)));
    let answer = match worker {
        Ok(_) => done.recv_timeout(DEADLINE).unwrap_or_else(|_| Err("it took too long".into())),
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok(Answer { output: text, wakes: false }) => {
            if !text.is_empty() {
                let _ = output::line(&text);
            }
            ExitCode::SUCCESS
        }
        Ok(Answer { output: text, wakes: true }) => {
            output::to_client(&text);
            ExitCode::from(2)
        }
        Err(problem) => {
            log(Some(&config), &problem);
            ExitCode::SUCCESS
        }
    }
}

/// What the client is answered.
#[derive(Default)]
struct Answer {
    output: String,
    /// The session must start a turn.
    wakes: bool,
}

fn run(config: &Config, arguments: &HookArguments) -> Result<Answer, String> {
    let mut input = Vec::new();
    let read = std::io::stdin().take(MAX_INPUT + 1).read_to_end(&mut input);
    read.map_err(|error| format!("cannot read the input: {error}"))?;
    if u64::try_from(input.len()).unwrap_or(u64::MAX) > MAX_INPUT {
        return Err("the input is larger than 1 MiB".into());
    }
    let input: Value =
        serde_json::from_slice(&input).map_err(|error| format!("the input is no JSON: {error}"))?;
    let environment = SessionEnvironment::from_process();
    let client = Client::parse(&arguments.client).ok_or("there is no such client")?;
    // A sub-agent's messages are announced to the session that it works for; Cursor runs Claude's hooks beside its own.
    let foreign = client != Client::Cursor && (environment.cursor || input.get("cursor_version").is_some());
    if foreign || input.get("agent_id").is_some() {
        return Ok(Answer::default());
    }
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
    let event = match arguments.event() {
        Event::Stop if client == Client::Cursor && text("status") != "completed" => Event::Broken,
        event => event,
    };
    // The same session goes on.
    if event == Event::End && matches!(text("reason"), "clear" | "resume") {
        return Ok(Answer::default());
    }
    let session = session(client, arguments, &environment, &input)?;
    if let Some(table) = remote::table(config).map_err(|error| error.to_string())? {
        let said = remote::hook(config, &table, event, &session).map_err(|error| error.to_string())?;
        return Ok(answer(session.client, text("hook_event_name"), said));
    }
    let exists = config.db.exists();
    if !exists && event != Event::Start {
        return Ok(Answer::default());
    }
    // Only a new database is made; bringing an older one up to date takes longer than a hook may.
    let options = OpenOptions { durability: config.durability, busy_timeout: LOCK_TIMEOUT, migrate: !exists };
    let db = Db::open(&config.db, options).map_err(|error| error.to_string())?;
    let said = hook(&db, &config.db, &Clock::System, event, &session).map_err(|error| error.to_string())?;
    if matches!(said, Said::Started { register: true, .. }) {
        register(config, &session.key)?;
    }
    // The process ends now; nothing is queued.
    std::mem::forget(db);
    let said = if client == Client::Gemini { with_waiting(config, said) } else { said };
    Ok(answer(session.client, text("hook_event_name"), said))
}

/// Tells a Gemini that takes the end of a program for a turn how it is woken: its model starts what waits.
fn with_waiting(config: &Config, said: Said) -> Said {
    let settings = crate::config::gemini_settings().and_then(|file| fs::read(file).ok());
    let settings: Value = settings.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let waits = settings.pointer("/experimental/modelSteering") == Some(&true.into())
        && settings.pointer("/tools/shell/backgroundCompletionBehavior") == Some(&"inject".into());
    let program = std::env::current_exe().ok().filter(|_| waits);
    match (said, program) {
        (Said::Started { context: Some(context), watch, register }, Some(program)) => {
            let (program, db) = (program.to_string_lossy(), config.db.to_string_lossy());
            let command = shell_line([&*program, "wait", "--timeout", "24h", "--db", &*db]);
            let context = format!(
                "{context}\nWhat wakes you is a command that you keep running in the background (is_background): {command}. Start it \
                 before your turn ends. It ends when a message comes; start it again then, and not when it has failed."
            );
            Said::Started { context: Some(context), watch, register }
        }
        (said, _) => said,
    }
}

/// Has the name of a session registered by a process of its own: that takes the policies, and a hook must be quick.
fn register(config: &Config, key: &str) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg("sit").arg(key).arg("--db").arg(&config.db).arg("--policies").arg(&config.policies);
    os::leave_running(&mut command).map_err(|error| format!("the name could not be registered: {error}"))
}

fn session(
    client: Client,
    arguments: &HookArguments,
    environment: &SessionEnvironment,
    input: &Value,
) -> Result<Session, String> {
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
    let id = text(if client == Client::Cursor { "conversation_id" } else { "session_id" });
    let codex = || -> Result<(String, Option<Process>), String> {
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if id.is_empty() || id.len() > 128 || !plain {
            return Err("the input has no session_id".into());
        }
        Ok((format!("codex:{id}"), None))
    };
    let of_process = |process: Option<Process>| {
        let process = process.ok_or("the client's process is not found, or another user's")?;
        Ok::<_, String>((process.key(), Some(process)))
    };
    let (key, process) = match client {
        Client::Claude => of_process(environment.claude_pid.and_then(Process::find))?,
        Client::Gemini | Client::Qwen | Client::Opencode | Client::Cursor => of_process(Process::starter())?,
        Client::Codex => codex()?,
    };
    let wake = match client {
        Client::Codex => Some(format!("codex:{}", environment.codex_home)),
        Client::Qwen => environment.input_file.as_ref().map(|file| format!("input:{file}")),
        Client::Claude | Client::Gemini | Client::Opencode | Client::Cursor => None,
    };
    let prompt = text("prompt").trim_start();
    let typed = !prompt.is_empty()
        && !prompt.starts_with("<task-notification>")
        && !prompt.starts_with("[team-table]")
        && text("source") != "system";
    // Codex' hooks have the environment of its daemon, whatever terminal started that.
    let of_session = environment.seat.clone().filter(|_| client != Client::Codex);
    let name = of_session.or_else(|| arguments.name.clone());
    let name = match name {
        Some(name) => {
            agent::check_name("name", &name).map_err(|refusal| refusal.message)?;
            agent::check_free_name(&name).map_err(|refusal| refusal.message)?;
            agent::check_role(&arguments.role).map_err(|refusal| refusal.message)?;
            Some((name, arguments.role.clone()))
        }
        None => None,
    };
    let attended = environment.attended;
    let bell = matches!(client, Client::Claude | Client::Opencode) && attended;
    // Cursor names the folders of its window, and no other.
    let of_window = input.pointer("/workspace_roots/0").and_then(Value::as_str);
    let folder = of_window.unwrap_or_else(|| text("cwd")).to_owned();
    let session = id.to_owned();
    Ok(Session {
        client,
        key,
        process,
        session,
        folder,
        attended,
        typed,
        bell,
        wake,
        name,
        again: false,
        member: None,
    })
}

/// The answer in the client's own words. `name` is what the client calls the event.
fn answer(client: Client, name: &str, said: Said) -> Answer {
    let context = |text: String| match client {
        Client::Cursor => json!({ "additional_context": text }),
        _ => json!({ "hookSpecificOutput": { "hookEventName": name, "additionalContext": text } }),
    };
    let output = match said {
        Said::Nothing | Said::Started { context: None, watch: None, .. } => return Answer::default(),
        Said::Wake(text) => return Answer { output: text, wakes: true },
        Said::Context(text) => context(text),
        Said::GoOn(text) => match client {
            Client::Claude => context(text),
            Client::Codex | Client::Qwen | Client::Opencode => json!({ "decision": "block", "reason": text }),
            Client::Gemini => json!({ "decision": "deny", "reason": text }),
            Client::Cursor => json!({ "followup_message": text }),
        },
        Said::Started { context: Some(text), .. } if client == Client::Cursor => context(text),
        Said::Started { context: text, watch, .. } => {
            let mut output = json!({ "hookEventName": name });
            if let Some(fields) = output.as_object_mut() {
                fields.extend(text.map(|text| ("additionalContext".to_owned(), text.into())));
                fields.extend(watch.map(|file| ("watchPaths".to_owned(), json!([file]))));
            }
            json!({ "hookSpecificOutput": output })
        }
    };
    Answer { output: output.to_string(), wakes: false }
}

impl HookArguments {
    const fn event(&self) -> Event {
        match self.event {
            EventArgument::Start => Event::Start,
            EventArgument::Prompt => Event::Prompt,
            EventArgument::Tool => Event::Tool,
            EventArgument::Stop => Event::Stop,
            EventArgument::Bell => Event::Bell,
            EventArgument::End => Event::End,
        }
    }
}

/// One line for the operator; where it cannot be written, it is lost.
pub(super) fn log(config: Option<&Config>, problem: &str) {
    let Some(config) = config else { return };
    let path = hooks_log(&config.db);
    if fs::metadata(&path).is_ok_and(|found| found.len() > MAX_LOG) {
        let _ = fs::remove_file(&path);
    }
    let line = format!("{} {}\n", clock::format(Clock::System.now()), output::visible(problem));
    let _ = os::open_private(&path, Private::Append).and_then(|mut file| file.write_all(line.as_bytes()));
}

/// Registers a session whose hook reserved a name.
pub(super) fn sit(config: &Config, key: String) -> Result<(), super::CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(app::sit_down(config, key));
    if let Err(problem) = &done {
        log(Some(config), &problem.to_string());
    }
    Ok(done?)
}
