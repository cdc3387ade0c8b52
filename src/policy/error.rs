//! Why a policy, or a whole set, was not taken. One enum for the folder; messages are lower case, say what was wrong and
//! what is allowed, and are shown to people (`policy list`, `policy check`), never to agents.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::domain::decision::PolicyErrorKind;
use crate::domain::facts::FactError;

/// Everything that can keep a module or a set from being activated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file is larger than its limit.
    #[error("the module is {size} bytes; at most {limit} are allowed")]
    TooBig {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Not WebAssembly at all.
    #[error("not WebAssembly: the file does not start with its magic number")]
    NotWasm,
    /// A core module.
    #[error(
        "a core module, not a component; wrap it with `wasm-tools component new` or build it with `team-table policy build`"
    )]
    CoreModule,
    /// Damaged, or a feature the engine does not have.
    #[error("not a valid component: {0}")]
    Invalid(String),
    /// Imports are what a policy must not have.
    #[error("imports {0}; a policy may import nothing, not even WASI")]
    Imports(String),
    /// The set file lets it judge only tools that it does not judge.
    #[error("`tools` in the set file names {named}; the module judges calls of {judged} only")]
    NoTool {
        /// What the set file names.
        named: String,
        /// What the module judges.
        judged: String,
    },
    /// No known hook among its exports.
    #[error(
        "exports no hook; a policy exports team-table:policy/metadata and authorizer or escalator, version {supported}"
    )]
    NoHook {
        /// What this host speaks.
        supported: &'static str,
    },
    /// A hook, but no `configure`.
    #[error("does not export team-table:policy/metadata@{supported}")]
    NoMetadata {
        /// What this host speaks.
        supported: &'static str,
    },
    /// An interface version this host does not know.
    #[error("exports {export}; this host supports version {supported}")]
    Version {
        /// The export's full name.
        export: String,
        /// What this host speaks.
        supported: &'static str,
    },
    /// The right name, another type.
    #[error("export {export} has the wrong type: {detail}")]
    WrongType {
        /// The export's full name.
        export: String,
        /// What differs.
        detail: String,
    },
    /// Built with an SDK this host does not know.
    #[error("built with policy SDK {found}; this host supports major version {supported}")]
    Sdk {
        /// The version embedded in the module.
        found: String,
        /// The major version this host supports.
        supported: &'static str,
    },
    /// `configure` refused the settings.
    #[error("settings refused: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// `configure` did not come to an end.
    #[error("configure failed ({}): {detail}", kind_name(*.kind))]
    Configure {
        /// What happened.
        kind: PolicyErrorKind,
        /// More of it.
        detail: String,
    },
    /// `configure` said something the interface does not allow.
    #[error("configure answered something that is not allowed: {0}")]
    Description(String),
    /// `configure` asked for a fact that cannot be had.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// The configured instance could not be turned into a component again.
    #[error("cannot be snapshotted: {0}")]
    Snapshot(String),
    /// The embedded cases cannot be read.
    #[error("its embedded cases cannot be read: {0}")]
    CasesUnreadable(String),
    /// The embedded description of the settings cannot be read.
    #[error("its embedded description of the settings cannot be read: {0}")]
    SettingsUnreadable(String),
    /// The embedded cases do not hold.
    #[error("{failed} of its {total} embedded cases failed: {first}")]
    CasesFailed {
        /// How many failed.
        failed: usize,
        /// Of how many.
        total: usize,
        /// The first failure.
        first: String,
    },
    /// The set file is wrong.
    #[error("policy-set.toml{}: {message}", at(*.position))]
    SetFile {
        /// Line and column, from 1.
        position: Option<(usize, usize)>,
        /// What is wrong.
        message: String,
    },
    /// One policy of the set is wrong.
    #[error("policy `{policy}`: {source}")]
    Policy {
        /// Its name in the set.
        policy: String,
        /// Why.
        #[source]
        source: Box<PolicyError>,
    },
    /// The module file is not there or not a plain file.
    #[error("module {module}: {problem}")]
    ModuleFile {
        /// As the set file names it.
        module: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The pin does not match.
    #[error("its digest is {found}, but the set file pins {pinned}")]
    Pin {
        /// Of the bytes that are there.
        found: String,
        /// Of the bytes that should be there.
        pinned: String,
    },
    /// The policy directory was there and is not any more.
    #[error("the policy directory {} is gone; put it back, or make an empty one for the built-in set", .0.display())]
    DirectoryGone(std::path::PathBuf),
    /// A setting that cannot be taken.
    #[error("setting `{path}`: {problem}")]
    Setting {
        /// Its path, as in `roles.reviewer.deny[0]`.
        path: String,
        /// What is wrong with it, and what is taken.
        problem: String,
    },
    /// A built-in policy that the set file does not name.
    #[error(
        "`{0}` is built in and decides with its defaults: to switch it off, team-table policy disable {0}"
    )]
    NotInFile(String),
    /// No policy of that name in the set file.
    #[error("no policy `{0}` in the set")]
    NoSuchPolicy(String),
    /// There is nothing to go back to.
    #[error("policy `{0}` has no earlier module to go back to")]
    NothingToRollBack(String),
    /// A folder or file others could write to.
    #[error("{path}: {problem}")]
    Untrusted {
        /// Which.
        path: PathBuf,
        /// Why it is not trusted.
        problem: String,
    },
    /// The operating system.
    #[error("{action} {path}: {source}")]
    Io {
        /// For instance `read`.
        action: &'static str,
        /// What was being worked on.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The engine itself.
    #[error("the policy engine failed: {0}")]
    Engine(String),
}

impl PolicyError {
    /// For `map_err` after a file operation.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Names the policy an error belongs to.
    pub(super) fn of(self, policy: &str) -> Self {
        Self::Policy { policy: policy.to_owned(), source: Box::new(self) }
    }

    /// The policy an error belongs to, and the error without it.
    #[must_use]
    pub fn split(&self) -> (Option<&str>, &Self) {
        match self {
            Self::Policy { policy, source } => (Some(policy), source),
            other => (None, other),
        }
    }
}

/// How a failure is named in messages and metrics.
#[must_use]
pub(super) const fn kind_name(kind: PolicyErrorKind) -> &'static str {
    match kind {
        PolicyErrorKind::Trap => "trap",
        PolicyErrorKind::OutOfFuel => "out of fuel",
        PolicyErrorKind::Deadline => "deadline",
        PolicyErrorKind::OutOfMemory => "out of memory",
        PolicyErrorKind::Malformed => "malformed answer",
        PolicyErrorKind::Host => "host",
    }
}

fn at(position: Option<(usize, usize)>) -> String {
    position.map_or_else(String::new, |(line, column)| format!(" line {line}, column {column}"))
}
