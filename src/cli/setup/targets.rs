//! The clients that `setup` knows, and how each is given our files.

use std::path::{Path, PathBuf};

use super::is_on_path;
use crate::domain::seat::Client;

/// One client, and how it is given our files.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) way: Way,
    /// The folder of a project that it reads; `None` where what it is given is its user's, always.
    pub(super) project: Option<&'static str>,
    /// What the person must still do.
    pub(super) confirm: &'static str,
    /// The oldest version whose hooks do what ours need.
    pub(super) oldest: [u32; 3],
}

pub(super) enum Way {
    /// By its own commands, in which `DIR` stands for our folder, and `SCOPE` for nothing or for the words that name a project.
    Commands {
        /// Lists what is installed.
        list: &'static [&'static str],
        add: &'static [&'static [&'static str]],
        remove: &'static [&'static [&'static str]],
        /// Run after those, if nothing else of ours is installed: they would take that away.
        forget: &'static [&'static [&'static str]],
    },
    /// It loads what lies in a folder of its own.
    Folder(fn() -> Option<PathBuf>),
    /// We add to files in a folder of its own, which hold what others put there, too.
    Merged(fn() -> Option<PathBuf>),
}

pub(super) const TARGETS: [Target; 6] = [
    Target {
        client: Client::Claude,
        way: Way::Commands {
            list: &["plugin", "list", "--json"],
            add: &[
                &["plugin", "marketplace", "add", "DIR"],
                &["plugin", "install", "team-table@team-table", "SCOPE"],
            ],
            remove: &[&["plugin", "uninstall", "team-table@team-table", "SCOPE"]],
            forget: &[&["plugin", "marketplace", "remove", "team-table"]],
        },
        project: Some(".claude"),
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
            remove: &[&["plugin", "remove", "team-table@team-table"]],
            forget: &[&["plugin", "marketplace", "remove", "team-table"]],
        },
        project: None,
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
            forget: &[],
        },
        project: None,
        confirm: "Gemini sees messages at its next step; to have it woken, set experimental.modelSteering to true and \
                  tools.shell.backgroundCompletionBehavior to \"inject\" in ~/.gemini/settings.json",
        oldest: [0, 0, 0],
    },
    Target {
        client: Client::Qwen,
        way: Way::Commands {
            list: &["extensions", "list"],
            add: &[&["extensions", "link", "DIR/qwen"]],
            remove: &[&["extensions", "uninstall", "team-table"]],
            forget: &[],
        },
        project: None,
        confirm: "Qwen sees messages at its next step; start it with team-table run qwen to have it woken",
        oldest: [0, 0, 0],
    },
    Target {
        client: Client::Opencode,
        way: Way::Folder(crate::config::opencode_folder),
        project: Some(".opencode"),
        confirm: "start opencode anew; its session sits at the table from its first prompt on",
        // `client.session.promptAsync` in plugins.
        oldest: [1, 0, 0],
    },
    Target {
        client: Client::Cursor,
        way: Way::Merged(crate::config::cursor_folder),
        project: Some(".cursor"),
        confirm: "start Cursor anew, and switch the server on where it asks; it sees messages at its next step and at the end of a \
                  turn, and nothing starts a turn of an idle one",
        oldest: [0, 0, 0],
    },
];

impl Target {
    /// The folder that its files are written into, for its user or in a project; `ours` where it takes them from there.
    pub(super) fn base(&self, ours: &Path, project: Option<&Path>) -> Option<PathBuf> {
        match self.way {
            Way::Commands { .. } => Some(ours.to_owned()),
            Way::Folder(find) | Way::Merged(find) => match project {
                Some(project) => Some(project.join(self.project?)),
                None => find(),
            },
        }
    }

    pub(super) const fn program(&self) -> &'static str {
        self.client.as_str()
    }

    /// Whether it is on this machine. Cursor is an editor that many start without a program on the path: its folder is enough.
    pub(super) fn is_here(&self) -> bool {
        match self.way {
            Way::Merged(find) => {
                ["cursor", "cursor-agent"].into_iter().any(is_on_path)
                    || find().is_some_and(|folder| folder.is_dir())
            }
            Way::Commands { .. } | Way::Folder(_) => is_on_path(self.program()),
        }
    }

    /// What the person must know or do besides, in a project.
    pub(super) const fn confirm_in_project(&self) -> &'static str {
        match self.way {
            Way::Commands { .. } => {
                "the project's .claude/settings.json names the plugin: whoever shares the project runs team-table setup claude once. \
                 Name, role and table are the same in all of your projects"
            }
            Way::Folder(_) | Way::Merged(_) => {
                "its files start team-table from the PATH, with the default table: whoever shares the project needs it there"
            }
        }
    }
}
