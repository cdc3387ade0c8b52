//! The files that a client takes as a plugin or extension: which server to start, and what to run at the events of a session.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::merge;
use crate::domain::seat::Client;

pub(super) const NAME: &str = "team-table";
pub(super) const DESCRIPTION: &str =
    "The table several coding agents sit at: messages, tasks and shared context";

/// How the program is started: by hooks and as a server.
pub(super) struct Program<'a> {
    /// Its absolute path, or its name where it is looked for on the PATH.
    pub(super) path: &'a str,
    /// The database, absolute; `None`: the default.
    pub(super) db: Option<&'a str>,
    /// A table on another machine, which it is for; the database's folder has the token then.
    pub(super) url: Option<&'a str>,
    /// The name that sessions take, and the role.
    pub(super) seat: Option<(&'a str, &'a str)>,
    /// Whether its tools need no permission, where the plugin can say so.
    pub(super) allow_tools: bool,
}

/// The files of a client below the folder that it is given, by path.
pub(super) fn files(client: Client, program: &Program<'_>) -> Vec<(&'static str, String)> {
    match client {
        Client::Claude => claude(program),
        Client::Codex => codex(program),
        Client::Gemini => gemini(program),
        Client::Qwen => qwen(program),
        Client::Opencode => return vec![(PLUGIN, opencode(program))],
        Client::Cursor => cursor(program),
    }
    .into_iter()
    .map(|(path, value)| (path, text(&value)))
    .chain((client == Client::Claude).then(|| ("claude/README.md", README.to_owned())))
    .collect()
}

/// What Claude Code calls our plugin.
pub(super) const PLUGIN_OF_CLAUDE: &str = "team-table@team-table";
/// opencode's plugin, below its own folder. Older versions refuse to start where there is a `plugins`; newer ones read both.
pub(super) const PLUGIN: &str = "plugin/team-table.js";
/// How its first line begins; the rest is JSON.
const TABLE: &str = "const TABLE = ";

const README: &str = "# Team Table\n\nSeats this session at a team table: an MCP server through which coding agents register, find \
each other, exchange messages, post and claim tasks and share context. Its hooks tell the session who wrote and wake it when a \
message comes in; they never pass on a whole message, which the agent reads with `get_messages`. It starts the program \
`team-table`, which must be installed; `team-table setup` installs this plugin, and `team-table setup --undo` removes it.\n";

pub(super) fn text(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Words as one line for a shell.
pub(crate) fn shell_line(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}

impl Program<'_> {
    fn flags(&self) -> Vec<String> {
        let flags = [("--db", self.db), ("--url", self.url)];
        let given = flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?.to_owned()]));
        given.flatten().collect()
    }

    fn arguments(&self, client: Client, event: &str) -> Vec<String> {
        let mut arguments: Vec<String> = ["hook", client.as_str(), event].map(Into::into).into();
        arguments.extend(self.flags());
        if let Some((name, role)) = self.seat
            // Cursor has no hook of ours for a prompt: a tool may be the first that is seen of a session.
            && (matches!(event, "start" | "prompt") || client == Client::Cursor && event == "tool")
        {
            arguments.extend(["--name", name, "--role", role].map(Into::into));
        }
        arguments
    }

    /// One line for a shell.
    fn line(&self, client: Client, event: &str) -> String {
        let words = std::iter::once(self.path.to_owned()).chain(self.arguments(client, event));
        shell_line(words)
    }

    fn server(&self) -> Value {
        json!({ "command": self.path, "args": self.flags() })
    }

    /// What every manifest says, and what this one says besides.
    fn manifest(more: Value) -> Value {
        let mut manifest =
            json!({ "name": NAME, "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION });
        if let (Some(fields), Value::Object(more)) = (manifest.as_object_mut(), more) {
            fields.extend(more);
        }
        manifest
    }

    /// Hooks that run a line of a shell; `second` is what the client counts a second as. Gemini and Qwen show their names.
    fn hooks(&self, client: Client, names: [&str; 5], second: u32) -> Value {
        hooks(names, |event| {
            // Codex gives the end of a session no more.
            let timeout = if event == "end" { 3 } else { 5 } * second;
            let mut hook =
                json!({ "type": "command", "command": self.line(client, event), "timeout": timeout });
            if client != Client::Codex
                && let Some(fields) = hook.as_object_mut()
            {
                fields.insert("name".into(), format!("{NAME}-{event}").into());
            }
            hook
        })
    }
}

/// Our events, in the order in which a client's names of them are given.
pub(super) const EVENTS: [&str; 5] = ["start", "prompt", "tool", "stop", "end"];
const OF_CLAUDE: [&str; 5] = ["SessionStart", "UserPromptSubmit", "PostToolBatch", "Stop", "SessionEnd"];
const OF_CODEX_AND_QWEN: [&str; 5] =
    ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "SessionEnd"];
const OF_GEMINI: [&str; 5] = ["SessionStart", "BeforeAgent", "AfterTool", "AfterAgent", "SessionEnd"];

/// One hook for each event, under the client's name of it.
fn hooks(names: [&str; 5], hook: impl Fn(&str) -> Value) -> Value {
    let of = |(name, event): (&str, &str)| (name.to_owned(), json!([{ "hooks": [hook(event)] }]));
    Value::Object(names.into_iter().zip(EVENTS).map(of).collect())
}

fn claude(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let run = |event: &str, timeout: u32| {
        json!({
            "type": "command", "command": program.path, "args": program.arguments(Client::Claude, event),
            "timeout": timeout,
        })
    };
    let mut hooks = hooks(OF_CLAUDE, |event| run(event, 5));
    let mut bell = run("bell", 10);
    if let (Some(hooks), Some(bell_fields)) = (hooks.as_object_mut(), bell.as_object_mut()) {
        bell_fields.insert("asyncRewake".into(), true.into());
        bell_fields.insert("rewakeMessage".into(), "Team Table:".into());
        bell_fields.insert("rewakeSummary".into(), "Team Table: a message came in".into());
        hooks.insert("FileChanged".into(), json!([{ "matcher": "team-table.bell", "hooks": [bell] }]));
    }
    let plugin = json!({ "name": NAME, "source": "./claude", "description": DESCRIPTION });
    vec![
        (
            ".claude-plugin/marketplace.json",
            json!({ "name": NAME, "description": DESCRIPTION, "owner": { "name": "Team Table" }, "plugins": [plugin] }),
        ),
        (
            "claude/.claude-plugin/plugin.json",
            Program::manifest(json!({
                "author": { "name": "Team Table" }, "license": "GPL-3.0-or-later",
                "mcpServers": { NAME: program.server() },
            })),
        ),
        ("claude/hooks/hooks.json", json!({ "hooks": hooks })),
    ]
}

fn codex(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let mut server = program.server();
    if program.allow_tools
        && let Some(fields) = server.as_object_mut()
    {
        fields.insert("default_tools_approval_mode".into(), "approve".into());
    }
    let plugin = json!({
        "name": NAME, "source": { "source": "local", "path": "./codex" },
        "policy": { "installation": "AVAILABLE", "authentication": "ON_INSTALL" }, "category": "Productivity",
    });
    vec![
        (
            ".agents/plugins/marketplace.json",
            json!({ "name": NAME, "interface": { "displayName": "Team Table" }, "plugins": [plugin] }),
        ),
        (
            "codex/.codex-plugin/plugin.json",
            Program::manifest(json!({
                "mcpServers": "./.mcp.json", "hooks": "./hooks/hooks.json",
                "interface": { "displayName": "Team Table", "shortDescription": DESCRIPTION, "category": "Productivity" },
            })),
        ),
        ("codex/.mcp.json", json!({ "mcpServers": { NAME: server } })),
        ("codex/hooks/hooks.json", json!({ "hooks": program.hooks(Client::Codex, OF_CODEX_AND_QWEN, 1) })),
    ]
}

fn gemini(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    vec![
        (
            "gemini/gemini-extension.json",
            Program::manifest(json!({ "mcpServers": { NAME: program.server() } })),
        ),
        // Gemini counts in milliseconds.
        ("gemini/hooks/hooks.json", json!({ "hooks": program.hooks(Client::Gemini, OF_GEMINI, 1_000) })),
    ]
}

fn qwen(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let hooks = program.hooks(Client::Qwen, OF_CODEX_AND_QWEN, 1);
    let more = json!({ "mcpServers": { NAME: program.server() }, "hooks": hooks });
    vec![("qwen/qwen-extension.json", Program::manifest(more))]
}

/// Cursor's names of our events. Before a prompt its hooks can tell the model nothing.
const OF_CURSOR: [(&str, &str); 4] =
    [("sessionStart", "start"), ("postToolUse", "tool"), ("stop", "stop"), ("sessionEnd", "end")];
/// Cursor's MCP servers, in its folder.
const SERVERS: &str = "mcp.json";

/// What is merged into Cursor's own files.
fn cursor(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let hook = |(name, event): (&str, &str)| {
        (name.to_owned(), json!([{ "command": program.line(Client::Cursor, event), "timeout": 5 }]))
    };
    let hooks = Value::Object(OF_CURSOR.into_iter().map(hook).collect());
    vec![
        (SERVERS, json!({ "mcpServers": { NAME: program.server() } })),
        ("hooks.json", json!({ "version": 1, "hooks": hooks })),
    ]
}

/// The plugin as this repository offers it. Its first line is replaced.
const OF_OPENCODE: &str = include_str!("../../../packaging/opencode/team-table.js");

/// A plugin for opencode is a program.
fn opencode(program: &Program<'_>) -> String {
    let seat = program.seat.map_or_else(Vec::new, |(name, role)| vec!["--name", name, "--role", role]);
    let table = json!({ "command": program.path, "arguments": program.flags(), "seat": seat });
    let rest = OF_OPENCODE.split_once('\n').map_or("", |(_, rest)| rest);
    format!("{TABLE}{table};\n{rest}")
}

/// The program that a client starts, if the folder has the files for it.
pub(super) fn program_of(folder: &Path, client: Client) -> Option<PathBuf> {
    let manifest = match client {
        Client::Claude => "claude/.claude-plugin/plugin.json",
        Client::Codex => "codex/.mcp.json",
        Client::Gemini => "gemini/gemini-extension.json",
        Client::Qwen => "qwen/qwen-extension.json",
        Client::Opencode => {
            let plugin = std::fs::read_to_string(folder.join(PLUGIN)).ok()?;
            let table = plugin.lines().next()?.strip_prefix(TABLE)?.strip_suffix(';')?;
            return Some(serde_json::from_str::<Value>(table).ok()?.get("command")?.as_str()?.into());
        }
        Client::Cursor => return merge::program(&folder.join(SERVERS)),
    };
    let text = std::fs::read_to_string(folder.join(manifest)).ok()?;
    let manifest: Value = serde_json::from_str(&text).ok()?;
    Some(manifest.pointer(&format!("/mcpServers/{NAME}/command"))?.as_str()?.into())
}

/// Whether a folder holds exactly these files of a client.
pub(super) fn are_there(folder: &Path, files: &[(&'static str, String)]) -> bool {
    files
        .iter()
        .all(|(path, text)| std::fs::read_to_string(folder.join(path)).is_ok_and(|found| found == *text))
}
