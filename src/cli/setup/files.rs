//! The files that a client takes as a plugin or extension: which server to start, and what to run at the events of a session.

use std::path::Path;

use serde_json::{Value, json};

use crate::domain::seat::Client;

const NAME: &str = "team-table";
const DESCRIPTION: &str = "The table several coding agents sit at: messages, tasks and shared context";

/// How the program is started: by hooks and as a server.
pub(super) struct Program<'a> {
    /// Its absolute path.
    pub(super) path: &'a str,
    /// The database, absolute.
    pub(super) db: &'a str,
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
    }
    .into_iter()
    .map(|(path, value)| (path, text(&value)))
    .chain((client == Client::Claude).then(|| ("claude/README.md", README.to_owned())))
    .collect()
}

const README: &str = "# Team Table\n\nSeats this session at a team table: an MCP server through which coding agents register, find \
each other, exchange messages, post and claim tasks and share context. Its hooks tell the session who wrote and wake it when a \
message comes in; they never pass on a whole message, which the agent reads with `get_messages`. Written by `team-table setup`; \
`team-table setup --undo` removes it.\n";

fn text(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}

impl Program<'_> {
    fn arguments(&self, client: Client, event: &str) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["hook", client.as_str(), event, "--db", self.db].map(Into::into).into();
        if let Some((name, role)) = self.seat
            && matches!(event, "start" | "prompt")
        {
            arguments.extend(["--name", name, "--role", role].map(Into::into));
        }
        arguments
    }

    /// One line for a shell.
    fn line(&self, client: Client, event: &str) -> String {
        let quoted = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word.to_owned()
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        };
        let words = std::iter::once(self.path.to_owned()).chain(self.arguments(client, event));
        words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
    }

    fn server(&self) -> Value {
        json!({ "command": self.path, "args": ["--db", self.db] })
    }

    /// Hooks that run a line of a shell; `unit` is what the client counts a timeout in, for a second.
    fn hooks(&self, client: Client, events: &[(&str, &str)], unit: u32, named: bool) -> Value {
        let mut hooks = serde_json::Map::new();
        for (theirs, ours) in events {
            let mut hook = json!({
                "type": "command", "command": self.line(client, ours), "timeout": 5 * unit,
            });
            if named && let Some(fields) = hook.as_object_mut() {
                fields.insert("name".into(), format!("{NAME}-{ours}").into());
            }
            hooks.insert((*theirs).to_owned(), json!([{ "hooks": [hook] }]));
        }
        Value::Object(hooks)
    }
}

fn claude(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let mut hooks = serde_json::Map::new();
    let events = [
        ("SessionStart", "start"),
        ("UserPromptSubmit", "prompt"),
        ("PostToolBatch", "tool"),
        ("Stop", "stop"),
        ("SessionEnd", "end"),
    ];
    for (theirs, ours) in events {
        let hook = json!({
            "type": "command", "command": program.path, "args": program.arguments(Client::Claude, ours), "timeout": 5,
        });
        hooks.insert(theirs.into(), json!([{ "hooks": [hook] }]));
    }
    let bell = json!({
        "type": "command", "command": program.path, "args": program.arguments(Client::Claude, "bell"), "timeout": 10,
        "asyncRewake": true, "rewakeMessage": "Team Table:", "rewakeSummary": "Team Table: a message came in",
    });
    hooks.insert("FileChanged".into(), json!([{ "matcher": "team-table.bell", "hooks": [bell] }]));
    let plugin = json!({ "name": NAME, "source": "./claude", "description": DESCRIPTION });
    vec![
        (
            ".claude-plugin/marketplace.json",
            json!({ "name": NAME, "owner": { "name": "Team Table" }, "plugins": [plugin] }),
        ),
        (
            "claude/.claude-plugin/plugin.json",
            json!({
                "name": NAME, "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION,
                "author": { "name": "Team Table" }, "license": "GPL-3.0-or-later",
                "mcpServers": { NAME: program.server() },
            }),
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
    let events = [
        ("SessionStart", "start"),
        ("UserPromptSubmit", "prompt"),
        ("PostToolUse", "tool"),
        ("Stop", "stop"),
        ("SessionEnd", "end"),
    ];
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
            json!({
                "name": NAME, "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION,
                "mcpServers": "./.mcp.json", "hooks": "./hooks/hooks.json",
                "interface": { "displayName": "Team Table", "shortDescription": DESCRIPTION, "category": "Productivity" },
            }),
        ),
        ("codex/.mcp.json", json!({ "mcpServers": { NAME: server } })),
        ("codex/hooks/hooks.json", json!({ "hooks": program.hooks(Client::Codex, &events, 1, false) })),
    ]
}

fn gemini(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let events = [
        ("SessionStart", "start"),
        ("BeforeAgent", "prompt"),
        ("AfterTool", "tool"),
        ("AfterAgent", "stop"),
        ("SessionEnd", "end"),
    ];
    vec![
        (
            "gemini/gemini-extension.json",
            json!({
                "name": NAME, "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION,
                "mcpServers": { NAME: program.server() },
            }),
        ),
        // Gemini counts in milliseconds.
        ("gemini/hooks/hooks.json", json!({ "hooks": program.hooks(Client::Gemini, &events, 1_000, true) })),
    ]
}

fn qwen(program: &Program<'_>) -> Vec<(&'static str, Value)> {
    let events = [
        ("SessionStart", "start"),
        ("UserPromptSubmit", "prompt"),
        ("PostToolUse", "tool"),
        ("Stop", "stop"),
        ("SessionEnd", "end"),
    ];
    vec![(
        "qwen/qwen-extension.json",
        json!({
            "name": NAME, "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION,
            "mcpServers": { NAME: program.server() },
            "hooks": program.hooks(Client::Qwen, &events, 1, true),
        }),
    )]
}

/// Whether a folder holds exactly these files of a client.
pub(super) fn are_there(folder: &Path, files: &[(&'static str, String)]) -> bool {
    files
        .iter()
        .all(|(path, text)| std::fs::read_to_string(folder.join(path)).is_ok_and(|found| found == *text))
}
