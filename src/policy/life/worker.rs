//! The thread that owns the policy set: it loads a set in the background, swaps it as one value, keeps the old one when the
//! new one fails to load, and rolls a module back that keeps failing. No other code changes the set.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::host::{HostConfig, SetStatus, Shared, Source};
use super::load::{self, LoadedSet, PolicyStatus};
use super::monitor::{BrokenModule, MAX_FAILURES, Monitor};
use super::state::{Quarantine, State};
use super::watch::Watch;
use crate::policy::PolicyError;
use crate::policy::component::Loader;
use crate::policy::eval::{Policy, PolicySet};
use crate::policy::file::SET_FILE;

/// Debounce: how long the directory must be quiet after a change before it is read. An editor or a copy causes several
/// events.
const DEBOUNCE: Duration = Duration::from_millis(25);
/// Longest debounce: after this long the directory is read although changes keep coming.
const MAX_DEBOUNCE: Duration = Duration::from_millis(150);

/// How long a missing set file may stay missing before the built-in set decides. Many editors replace a file by deleting it
/// first.
const MISSING_FILE_GRACE: Duration = Duration::from_millis(300);

/// What the thread is told.
pub(super) enum Command {
    /// Somebody asked for it.
    Reload,
    /// Something in the directory may have changed.
    Changed,
    /// A module failed too often.
    Broken(BrokenModule),
    /// The host is gone.
    Stop,
}

/// Starts the thread. It ends with [`Command::Stop`].
pub(super) fn start(
    config: HostConfig,
    loader: &Loader,
    monitor: &Arc<Monitor>,
    shared: &Arc<Shared>,
    changes: Sender<Command>,
    commands: Receiver<Command>,
) -> Result<(), PolicyError> {
    let dir = std::path::absolute(&config.dir).map_err(PolicyError::io("find", &config.dir))?;
    let state = config.state_dir.as_deref().and_then(|dir| {
        State::open(dir)
            .inspect_err(|error| tracing::warn!(%error, "the last good policies are not kept"))
            .ok()
    });
    let worker = Worker {
        config: HostConfig { dir, ..config },
        loader: loader.clone(),
        monitor: Arc::clone(monitor),
        shared: Arc::clone(shared),
        state,
        attempts: 0,
        had_dir: false,
        had_file: false,
    };
    std::thread::Builder::new()
        .name("policy-loader".into())
        .spawn(move || worker.run(&commands, changes))
        .map_err(|error| PolicyError::Engine(format!("no loader thread: {error}")))?;
    Ok(())
}

struct Worker {
    config: HostConfig,
    loader: Loader,
    monitor: Arc<Monitor>,
    shared: Arc<Shared>,
    state: Option<State>,
    attempts: u64,
    /// Whether there was a directory, and a set file in it, when it was last looked at.
    had_dir: bool,
    had_file: bool,
}

impl Worker {
    fn run(mut self, commands: &Receiver<Command>, changes: Sender<Command>) {
        // Before the first look, so that no change falls between the two.
        let mut watch = Watch::start(&self.config.dir, self.state.as_ref().map(State::dir), move || {
            drop(changes.send(Command::Changed));
        });
        self.reload();
        loop {
            match commands.recv_timeout(watch.poll_after()) {
                Ok(Command::Reload) => {}
                Ok(Command::Changed) => match debounce(commands) {
                    Debounced::Quiet => {}
                    // The change is looked at in any case.
                    Debounced::Broken(broken) => _ = self.quarantine_broken(&broken),
                    Debounced::Stop => return,
                },
                Ok(Command::Broken(broken)) if self.quarantine_broken(&broken) => {}
                Err(RecvTimeoutError::Timeout) if watch.differs() => {}
                Ok(Command::Broken(_)) | Err(RecvTimeoutError::Timeout) => continue,
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            watch.follow();
            self.reload();
        }
    }

    /// Looks at the directory and swaps the set if there is a new one.
    fn reload(&mut self) {
        let start = Instant::now();
        self.attempts += 1;
        let has_file = self.config.dir.join(SET_FILE).exists();
        if self.had_file && !has_file {
            std::thread::sleep(MISSING_FILE_GRACE);
        }
        // A disk that is not mounted must not put the built-in set in the place of the team's own.
        let is_gone = self.had_dir && !self.config.dir.is_dir();
        if !is_gone {
            (self.had_dir, self.had_file) = (self.config.dir.is_dir(), has_file);
        }
        let active = self.shared.try_get().filter(|active| active.1.source != Source::Nothing);
        let known = active.as_ref().map(|active| &*active.0);
        let loaded = if is_gone {
            Err(PolicyError::DirectoryGone(self.config.dir.clone()))
        } else {
            unpanicked(|| load::from_dir(&self.loader, &self.config.dir, self.state.as_ref(), known))
        };
        let LoadedSet { policies, status } = loaded.unwrap_or_else(LoadedSet::refused);
        let error = match policies {
            Ok(policies) => {
                // Before the swap: what decides is always kept.
                self.remember(&policies);
                let policies = policies.into_iter().map(|(policy, _)| policy).collect();
                return self.accept(active.as_deref(), policies, status, start);
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(%error, "the policies in the directory are refused");
        match active {
            Some(active) => {
                let (set, before) = &*active;
                let (error, attempts) = (Some(error), self.attempts);
                let status = SetStatus { error, attempts, policies: status, ..before.clone() };
                self.shared.publish((Arc::clone(set), status));
            }
            None => self.start_without(error, status, start),
        }
    }

    /// A set that may decide.
    fn accept(
        &self,
        active: Option<&(Arc<PolicySet>, SetStatus)>,
        policies: Vec<Policy>,
        of_policies: Vec<PolicyStatus>,
        start: Instant,
    ) {
        let generation = active.map_or(0, |(set, _)| set.generation()) + 1;
        let set = PolicySet::monitored(&self.loader, policies, generation, &self.monitor);
        let mut status = self.status_of(&set, Source::Directory, start);
        status.policies.clone_from(&of_policies);
        status.deciding = of_policies;
        match active {
            Some((old, was)) if old.digest() == set.digest() => {
                let SetStatus { generation, since, swap_millis, .. } = *was;
                self.shared
                    .publish((Arc::clone(old), SetStatus { generation, since, swap_millis, ..status }));
            }
            _ => {
                tracing::info!(digest = %set.digest(), generation, millis = status.swap_millis, "policies swapped");
                if !status.not_deciding.is_empty() {
                    tracing::warn!(policies = %status.not_deciding.join(", "), "built-in policies that do not decide");
                }
                self.shared.publish((Arc::new(set), status));
            }
        }
    }

    /// The first attempt failed: what was good when a process last ran, or nothing at all.
    fn start_without(&self, error: String, of_policies: Vec<PolicyStatus>, start: Instant) {
        let last = self.state.as_ref().map(|state| unpanicked(|| load::last_good(&self.loader, state)));
        let (set, source) = match last {
            Some(Ok(policies)) if !policies.is_empty() => {
                (PolicySet::monitored(&self.loader, policies, 1, &self.monitor), Source::LastGood)
            }
            other => {
                if let Some(Err(error)) = other {
                    tracing::error!(%error, "the last good policies cannot be loaded either");
                }
                (PolicySet::unavailable(&self.loader, error.clone()), Source::Nothing)
            }
        };
        let status =
            SetStatus { error: Some(error), policies: of_policies, ..self.status_of(&set, source, start) };
        self.shared.publish((Arc::new(set), status));
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
            deciding: set.policies().map(PolicyStatus::of_policy).collect(),
            not_deciding: if set.generation() == 0 { Vec::new() } else { set.not_deciding() },
        }
    }

    fn remember(&self, policies: &[(Policy, Vec<u8>)]) {
        let set: Vec<_> =
            policies.iter().map(|(policy, bytes)| (policy.record(), bytes.as_slice())).collect();
        if let Some(Err(error)) = self.state.as_ref().map(|state| state.remember(&set)) {
            tracing::warn!(%error, "the last good policies are not kept");
        }
    }

    /// Quarantines a broken module if it still decides and there is one to put in its place; says whether it did. The reload
    /// that must follow puts the other one there.
    fn quarantine_broken(&self, broken: &BrokenModule) -> bool {
        let BrokenModule { policy, digest, detail } = broken;
        let deciding = self.shared.try_get().is_some_and(|now| {
            now.0.policies().any(|active| active.name == *policy && active.module.digest == *digest)
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

/// What ended the wait of [`debounce`].
enum Debounced {
    Quiet,
    Broken(BrokenModule),
    Stop,
}

/// Waits until no more changes come, or something more important does.
fn debounce(commands: &Receiver<Command>) -> Debounced {
    let start = Instant::now();
    while start.elapsed() < MAX_DEBOUNCE {
        match commands.recv_timeout(DEBOUNCE) {
            Ok(Command::Changed | Command::Reload) => {}
            Ok(Command::Broken(broken)) => return Debounced::Broken(broken),
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return Debounced::Stop,
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    Debounced::Quiet
}

/// A bug in what looks at strangers' bytes refuses them, and does not leave every caller waiting for a dead thread.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, PolicyError>) -> Result<T, PolicyError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(PolicyError::Engine("loading panicked".to_owned())))
}
