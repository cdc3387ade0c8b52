//! The life of the policy set in a process: loaded in the background, swapped as one value, kept when a new one is no good,
//! rolled back when a module keeps failing. The thread here is the only one that changes the set; everybody else holds the
//! set they started with. Knows nothing of tools, messages and databases.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::error::PolicyError;
use super::load::{self, Loaded, PolicyStatus};
use super::module::Loader;
use super::monitor::{Clock, Failing, MAX_FAILURES, Monitor, PolicyCounts};
use super::set::{Policy, PolicySet};
use super::set_file::{Resolved, SET_FILE};
use super::state::{Quarantine, State};
use super::watch::Watch;

/// How long the directory must be quiet after a change before it is read: an editor or a copy is not one event.
const QUIET: Duration = Duration::from_millis(25);
/// How long changes may keep coming before it is read all the same.
const RESTLESS: Duration = Duration::from_millis(150);

/// How long a set file that is suddenly gone is given to come back: many editors replace a file by deleting it, and without
/// one the built-in set would decide.
const VANISHED: Duration = Duration::from_millis(300);

/// Where things are.
pub struct HostConfig {
    /// The policy directory (`TEAM_TABLE_POLICIES`). It need not exist.
    pub dir: PathBuf,
    /// Where compiled code is kept; owner-only.
    pub cache_dir: PathBuf,
    /// Where the last good set is kept; owner-only.
    pub state_dir: PathBuf,
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
    /// The how-manieth set of this process it is; 0 when none could be loaded.
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

#[derive(Default)]
struct Shared {
    current: Mutex<Option<(Arc<PolicySet>, SetStatus)>>,
    changed: Condvar,
}

enum Command {
    /// Somebody asked for it.
    Reload,
    /// Something in the directory may have changed.
    Changed,
    /// A module failed too often.
    Failing(Failing),
    Stop,
}

impl PolicyHost {
    /// Starts to load in the background and returns at once.
    ///
    /// # Errors
    /// When the engine cannot be made. That the set cannot be loaded is no error: see [`PolicyHost::status`].
    pub fn start(config: HostConfig) -> Result<Self, PolicyError> {
        let loader = Loader::new(Some(&config.cache_dir))?;
        Self::start_with(config, loader)
    }

    pub(super) fn start_with(config: HostConfig, loader: Loader) -> Result<Self, PolicyError> {
        let (commands, received) = mpsc::channel();
        let report = commands.clone();
        // Nobody receives any more only when the host is gone.
        let report = move |failing| drop(report.send(Command::Failing(failing)));
        let monitor = Arc::new(Monitor::new(Arc::clone(&config.clock), report));
        let shared = Arc::new(Shared::default());
        let state = State::open(&config.state_dir)
            .inspect_err(|error| tracing::warn!(%error, "the last good policies are not kept"))
            .ok();
        let worker = Worker {
            loader: loader.clone(),
            monitor: Arc::clone(&monitor),
            shared: Arc::clone(&shared),
            state,
            attempts: 0,
            had_file: false,
            config,
        };
        let changes = commands.clone();
        std::thread::Builder::new()
            .name("policy-loader".into())
            .spawn(move || worker.run(&received, changes))
            .map_err(|error| PolicyError::Engine(format!("no loader thread: {error}")))?;
        Ok(Self { shared, loader, monitor, commands })
    }

    /// The set that decides. Waits for the first one: not for async threads.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySet> {
        let mut current = self.shared.current.lock();
        loop {
            match &*current {
                Some((set, _)) => return Arc::clone(set),
                None => self.shared.changed.wait(&mut current),
            }
        }
    }

    /// The set that decides, if the first one is there already.
    #[must_use]
    pub fn try_current(&self) -> Option<Arc<PolicySet>> {
        self.shared.current.lock().as_ref().map(|(set, _)| Arc::clone(set))
    }

    /// How the set stands; `None` until the first attempt to load is over.
    #[must_use]
    pub fn status(&self) -> Option<SetStatus> {
        self.shared.current.lock().as_ref().map(|(_, status)| status.clone())
    }

    /// Waits until the status is as wanted, at most so long. `None` when it did not become so.
    #[must_use]
    pub fn wait_for(&self, patience: Duration, wanted: impl Fn(&SetStatus) -> bool) -> Option<SetStatus> {
        let deadline = Instant::now() + patience;
        let mut current = self.shared.current.lock();
        loop {
            if let Some((_, status)) = current.as_ref().filter(|(_, status)| wanted(status)) {
                return Some(status.clone());
            }
            if self.shared.changed.wait_until(&mut current, deadline).timed_out() {
                return None;
            }
        }
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

/// The thread that loads.
struct Worker {
    config: HostConfig,
    loader: Loader,
    monitor: Arc<Monitor>,
    shared: Arc<Shared>,
    state: Option<State>,
    attempts: u64,
    /// Whether there was a set file when the directory was last looked at.
    had_file: bool,
}

impl Worker {
    fn run(mut self, commands: &Receiver<Command>, changes: Sender<Command>) {
        // Before the first look, so that no change falls between the two.
        let mut watch = Watch::start(&self.config.dir, self.state.as_ref().map(State::dir), move || {
            drop(changes.send(Command::Changed));
        });
        self.load();
        loop {
            let command = match watch.poll_after() {
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(poll) => commands.recv_timeout(poll),
            };
            match command {
                Ok(Command::Reload) => {}
                Ok(Command::Changed) => match settle(commands) {
                    Settled::Quiet => {}
                    // The change is looked at in any case.
                    Settled::Failing(failing) => _ = self.rolled_back(&failing),
                    Settled::Stop => return,
                },
                Ok(Command::Failing(failing)) if self.rolled_back(&failing) => {}
                Ok(Command::Failing(_)) => continue,
                Err(RecvTimeoutError::Timeout) if watch.differs() => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            watch.follow();
            self.load();
        }
    }

    /// Looks at the directory and swaps the set if there is a new one.
    fn load(&mut self) {
        let start = Instant::now();
        self.attempts += 1;
        let has_file = self.config.dir.join(SET_FILE).exists();
        if self.had_file && !has_file {
            std::thread::sleep(VANISHED);
        }
        self.had_file = has_file;
        let active =
            self.shared.current.lock().as_ref().map(|(set, status)| (Arc::clone(set), status.clone()));
        let active = active.filter(|(_, status)| status.source != Source::Nothing);
        let known = active.as_ref().map(|(set, _)| &**set);
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            load::from_dir(&self.loader, &self.config.dir, self.state.as_ref(), known)
        }));
        let attempt =
            attempt.unwrap_or_else(|_| Loaded::refused(PolicyError::Engine("loading panicked".to_owned())));
        let error = attempt.error();
        if let Some(error) = &error {
            tracing::error!(%error, "the policies in the directory are refused");
        }
        match (attempt, active) {
            (Loaded { resolved: Ok((resolved, policies)), status }, active) => {
                // Before the swap: what decides is always kept.
                self.remember(&resolved);
                self.accept(active, policies, status, start);
            }
            (Loaded { status: policies, .. }, Some((set, mut status))) => {
                status.error = error;
                status.attempts = self.attempts;
                status.policies = policies;
                self.publish(set, status);
            }
            (Loaded { status: policies, .. }, None) => self.start_without(error, policies, start),
        }
    }

    /// A set that may decide.
    fn accept(
        &self,
        active: Option<(Arc<PolicySet>, SetStatus)>,
        policies: Vec<Policy>,
        of_policies: Vec<PolicyStatus>,
        start: Instant,
    ) {
        let generation = active.as_ref().map_or(0, |(set, _)| set.generation()) + 1;
        let set = PolicySet::monitored(&self.loader, policies, generation, &self.monitor);
        let mut status = self.status_of(&set, Source::Directory, start);
        status.policies = of_policies;
        match active {
            Some((old, was)) if old.digest() == set.digest() => {
                let SetStatus { generation, since, swap_millis, .. } = was;
                self.publish(old, SetStatus { generation, since, swap_millis, ..status });
            }
            _ => {
                tracing::info!(digest = %set.digest(), generation, millis = status.swap_millis, "policies swapped");
                self.publish(Arc::new(set), status);
            }
        }
    }

    /// The first attempt failed: what was good when a process last ran, or nothing at all.
    fn start_without(&self, error: Option<String>, of_policies: Vec<PolicyStatus>, start: Instant) {
        let last = self.state.as_ref().map(|state| load::last_good(&self.loader, state));
        let (set, source) = match last {
            Some(Ok(policies)) if !policies.is_empty() => {
                (PolicySet::monitored(&self.loader, policies, 1, &self.monitor), Source::LastGood)
            }
            other => {
                if let Some(Err(error)) = other {
                    tracing::error!(%error, "the last good policies cannot be loaded either");
                }
                let why = error.clone().unwrap_or_default();
                (PolicySet::failing(&self.loader, why), Source::Nothing)
            }
        };
        let status = SetStatus { error, policies: of_policies, ..self.status_of(&set, source, start) };
        self.publish(Arc::new(set), status);
    }

    fn status_of(&self, set: &PolicySet, source: Source, start: Instant) -> SetStatus {
        SetStatus {
            generation: set.generation(),
            digest: set.digest().to_owned(),
            since: (self.config.clock)(),
            source,
            error: None,
            attempts: self.attempts,
            swap_millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            policies: Vec::new(),
        }
    }

    fn publish(&self, set: Arc<PolicySet>, status: SetStatus) {
        // The old set is dropped after the lock: its memory may be a lot.
        let old = self.shared.current.lock().replace((set, status));
        self.shared.changed.notify_all();
        drop(old);
    }

    fn remember(&self, resolved: &[Resolved]) {
        if let Some(Err(error)) = self.state.as_ref().map(|state| state.remember(resolved)) {
            tracing::warn!(%error, "the last good policies are not kept");
        }
    }

    /// Takes a failing module out of force, if it still decides and there is one to put in its place. The next load does
    /// the rest.
    fn rolled_back(&self, failing: &Failing) -> bool {
        let Failing { policy, digest, detail } = failing;
        let deciding = self.shared.current.lock().as_ref().is_some_and(|(set, _)| {
            set.policies().any(|active| active.name == *policy && active.module.digest == *digest)
        });
        if !deciding {
            // A report about a set that is gone already.
            return false;
        }
        let record = Quarantine {
            policy: policy.clone(),
            digest: digest.clone(),
            since: (self.config.clock)(),
            reason: format!("failed {MAX_FAILURES} times within a minute, last: {detail}"),
        };
        let nowhere = || Err(PolicyError::NothingToRollBack(policy.clone()));
        match self.state.as_ref().map_or_else(nowhere, |state| state.quarantine(record)) {
            Ok(()) => tracing::error!(%policy, %digest, %detail, "a failing policy is rolled back"),
            Err(error) => {
                tracing::error!(%policy, %digest, %detail, %error, "a failing policy stays and fails closed");
                return false;
            }
        }
        true
    }
}

enum Settled {
    Quiet,
    Failing(Failing),
    Stop,
}

/// Waits until no more changes come, or something more important does.
fn settle(commands: &Receiver<Command>) -> Settled {
    let start = Instant::now();
    while start.elapsed() < RESTLESS {
        match commands.recv_timeout(QUIET) {
            Ok(Command::Changed | Command::Reload) => {}
            Ok(Command::Failing(failing)) => return Settled::Failing(failing),
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return Settled::Stop,
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    Settled::Quiet
}
