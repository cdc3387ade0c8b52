//! The policies of a process, as the rest of the house sees them: the set that decides now, how it stands, and what was
//! counted. Must not depend on tools, messages and databases; how a set comes to be is the business of `worker`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::current::Current;
use super::load::PolicyStatus;
use super::monitor::{Clock, Monitor, PolicyCounts};
use super::worker::{self, Command};
use crate::policy::PolicyError;
use crate::policy::component::Loader;
use crate::policy::eval::PolicySet;

/// Where things are.
pub struct HostConfig {
    /// The policy directory (`TEAM_TABLE_POLICIES`). It need not exist.
    pub dir: PathBuf,
    /// Where compiled code is kept; owner-only. `None` keeps none.
    pub cache_dir: Option<PathBuf>,
    /// Where the last good set is kept; owner-only. `None` keeps none.
    pub state_dir: Option<PathBuf>,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub clock: Clock,
}

/// Where the set that decides came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The policy directory, or the built-in set if it has no set file.
    Directory,
    /// The last set that was good: the directory could not be loaded at the start.
    LastGood,
    /// Nowhere: no set could be loaded, and every question is answered with a failure.
    Nothing,
}

/// The set that decides, and what became of the last attempt to change it.
#[derive(Debug, Clone, Serialize)]
pub struct SetStatus {
    /// Sequence number of the set in this process, from 1; 0 when none could be loaded.
    pub generation: u64,
    /// Its digest.
    pub digest: String,
    /// Since when it decides, in milliseconds since 1970-01-01T00:00:00Z.
    pub since: i64,
    /// Where it came from.
    pub source: Source,
    /// Why the last attempt to load was refused; `None` when it was not.
    pub error: Option<String>,
    /// How many times the directory was looked at.
    pub attempts: u64,
    /// How long the last swap took, from the first look at the directory, in milliseconds.
    pub swap_millis: u64,
    /// The policies of the last attempt: when it was refused, with what was wrong with each.
    pub policies: Vec<PolicyStatus>,
    /// The policies of the set that decides.
    pub deciding: Vec<PolicyStatus>,
    /// The built-in policies that do not decide.
    pub not_deciding: Vec<&'static str>,
}

/// What `/metrics` shows.
#[derive(Debug, Clone)]
pub struct PolicyMetrics {
    /// The generation of the set that decides.
    pub generation: u64,
    /// Since when it decides, in milliseconds since 1970-01-01T00:00:00Z.
    pub since: i64,
    /// How long the last swap took, in milliseconds.
    pub swap_millis: u64,
    /// Whether the last attempt to load was refused.
    pub refused: bool,
    /// Counters by policy.
    pub policies: Vec<PolicyCounts>,
}

/// The policies of a process.
pub struct PolicyHost {
    shared: Arc<Shared>,
    loader: Loader,
    monitor: Arc<Monitor>,
    commands: Sender<Command>,
}

/// The set that decides and how it stands: what the loader's thread writes and everybody reads. Nothing before the first
/// attempt to load is over.
pub(super) type Shared = Current<(Arc<PolicySet>, SetStatus)>;

impl PolicyHost {
    /// Starts to load in the background and returns at once.
    ///
    /// # Errors
    /// When the engine cannot be made. That the set cannot be loaded is no error: see [`PolicyHost::status`].
    pub fn start(config: HostConfig) -> Result<Self, PolicyError> {
        let loader = Loader::new(config.cache_dir.as_deref())?;
        Self::start_with(config, loader)
    }

    /// As [`PolicyHost::start`], with an engine and a cache that are there already; `cache_dir` is not used.
    ///
    /// # Errors
    /// When the loader's thread cannot be started.
    pub fn start_with(config: HostConfig, loader: Loader) -> Result<Self, PolicyError> {
        let (commands, received) = mpsc::channel();
        let worker = commands.clone();
        // The receiver is gone only when the host is.
        let on_broken = move |broken| drop(worker.send(Command::Broken(broken)));
        let monitor = Arc::new(Monitor::new(Arc::clone(&config.clock), on_broken));
        let shared = Arc::new(Shared::new());
        worker::start(config, &loader, &monitor, &shared, commands.clone(), received)?;
        Ok(Self { shared, loader, monitor, commands })
    }

    /// The set that decides. Waits for the first one: not for async threads.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySet> {
        Arc::clone(&self.shared.get().0)
    }

    /// The set that decides, if the first one is there already.
    #[must_use]
    pub fn try_current(&self) -> Option<Arc<PolicySet>> {
        self.shared.try_get().map(|now| Arc::clone(&now.0))
    }

    /// How the set stands; `None` until the first attempt to load is over.
    #[must_use]
    pub fn status(&self) -> Option<SetStatus> {
        self.shared.try_get().map(|now| now.1.clone())
    }

    /// Waits until the status is as wanted, at most so long. `None` when it did not become so.
    #[must_use]
    pub fn wait_for(&self, timeout: Duration, wanted: impl Fn(&SetStatus) -> bool) -> Option<SetStatus> {
        let now = self.shared.wait_for(Instant::now() + timeout, |(_, status)| wanted(status));
        now.map(|now| now.1.clone())
    }

    /// Looks at the directory again (`SIGHUP`).
    pub fn reload(&self) {
        drop(self.commands.send(Command::Reload));
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> PolicyMetrics {
        let status = self.status();
        let status = status.as_ref();
        PolicyMetrics {
            generation: status.map_or(0, |status| status.generation),
            since: status.map_or(0, |status| status.since),
            swap_millis: status.map_or(0, |status| status.swap_millis),
            refused: status.is_some_and(|status| status.error.is_some()),
            policies: self.monitor.counts(),
        }
    }

    /// The engine and cache of this process, for checking and replaying modules beside the set.
    #[must_use]
    pub const fn loader(&self) -> &Loader {
        &self.loader
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        drop(self.commands.send(Command::Stop));
    }
}
