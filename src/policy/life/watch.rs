//! Says when something in the policy directory may have changed: by the operating system's notifications where there are
//! any, else by looking at time stamps. Must not depend on what the files mean.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::state::QUARANTINE_FILE;
use crate::os::{FileId, WRITE_WATCH, WriteWatch};
use crate::policy::file::SET_FILE;

/// How often time stamps are compared when there are no notifications.
const POLL: Duration = Duration::from_millis(500);
/// How often the directory itself is looked at beside the notifications: they are about the one that was there when the
/// watch began, and say nothing when another takes its place, or a symlink is pointed elsewhere.
const LOOK: Duration = Duration::from_secs(1);

/// What a file looks like from outside.
type Stamp = (PathBuf, Option<SystemTime>, u64);

/// A watch over the policy directory and the folder with the quarantine.
pub(super) struct Watch {
    dir: PathBuf,
    state: Option<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    /// The directory that is watched; none while only what it will be made in is.
    watched: Option<FileId>,
    seen: Vec<Stamp>,
}

impl Watch {
    /// Starts to watch; `changed` is called from another thread.
    pub(super) fn start(dir: &Path, state: Option<&Path>, changed: impl Fn() + Send + 'static) -> Self {
        let of_interest = dir.to_owned();
        let callback = move |event: notify::Result<Event>| {
            // Lost events are a reason to look, too.
            if event.map_or(true, |event| matters(&event, &of_interest)) {
                changed();
            }
        };
        let watcher = notify::recommended_watcher(callback)
            .inspect_err(|error| tracing::warn!(%error, "no file notifications: policies are polled"))
            .ok();
        let mut watch = Self {
            dir: dir.to_owned(),
            state: state.map(Path::to_owned),
            watcher,
            watched: None,
            seen: Vec::new(),
        };
        if let Some(state) = &watch.state
            && let Some(watcher) = &mut watch.watcher
            && let Err(error) = watcher.watch(state, RecursiveMode::NonRecursive)
        {
            tracing::warn!(%error, "a rollback by another process is seen only at the next reload");
        }
        watch.follow();
        watch.seen = watch.stamps();
        watch
    }

    /// Watches the directory, or while it is not there the closest folder that is. To be called after every change: the
    /// directory may have been made or replaced.
    pub(super) fn follow(&mut self) {
        let now = identity(&self.dir);
        let Some(watcher) = &mut self.watcher else { return };
        if now.is_some() && self.watched == now {
            return;
        }
        let closest = self.dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        if self.watched.is_some() {
            // The one before: it may be gone already, which is no failure.
            let _ = watcher.unwatch(&self.dir);
        }
        self.watched = now;
        if let Err(error) = watcher.watch(closest, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, "no file notifications: policies are polled");
            self.watcher = None;
        } else if now.is_some()
            && let Some(parent) = self.dir.parent()
        {
            // It may not have been watched: that is no failure.
            let _ = watcher.unwatch(parent);
        }
    }

    /// After how long without a notification the caller should ask [`Watch::differs`].
    pub(super) const fn poll_after(&self) -> Duration {
        if self.watcher.is_some() { LOOK } else { POLL }
    }

    /// Whether another directory is there than the one that is watched; where nothing tells of writes, whether the time stamps
    /// differ from when this was last asked.
    pub(super) fn differs(&mut self) -> bool {
        if self.watcher.is_some() && identity(&self.dir) != self.watched {
            return true;
        }
        if self.watcher.is_some() && WRITE_WATCH == WriteWatch::Folder {
            return false;
        }
        let now = self.stamps();
        let differs = now != self.seen;
        self.seen = now;
        differs
    }

    fn stamps(&self) -> Vec<Stamp> {
        let quarantine = self.state.iter().map(|state| state.join(QUARANTINE_FILE));
        let listed =
            std::fs::read_dir(&self.dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut stamps: Vec<_> = listed
            .filter(|path| is_ours(path))
            .chain(quarantine)
            .map(|path| {
                let metadata = std::fs::metadata(&path).ok();
                let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
                (path, modified, metadata.map_or(0, |metadata| metadata.len()))
            })
            .collect();
        stamps.sort();
        stamps
    }
}

fn identity(dir: &Path) -> Option<FileId> {
    if dir.is_dir() { FileId::at(dir).ok() } else { None }
}

/// Reading is no change, and other files are ignored.
fn matters(event: &Event, dir: &Path) -> bool {
    let change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    change && (event.need_rescan() || event.paths.iter().any(|path| is_ours(path) || dir.starts_with(path)))
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name();
    name == Some(OsStr::new(SET_FILE))
        || name == Some(OsStr::new(QUARANTINE_FILE))
        || path.extension() == Some(OsStr::new("wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_notifications_time_stamps_tell() {
        let dir = tempfile::tempdir().unwrap();
        let policies = dir.path().join("policies");
        let mut watch = Watch::start(&policies, Some(dir.path()), || {});
        watch.watcher = None;
        assert_eq!(watch.poll_after(), POLL);
        assert!(!watch.differs());
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(policies.join("README"), "x").unwrap();
        assert!(!watch.differs());
        for file in [policies.join(SET_FILE), policies.join("p.wasm"), dir.path().join(QUARANTINE_FILE)] {
            std::fs::write(file, "x").unwrap();
            assert!(watch.differs());
            assert!(!watch.differs());
        }
    }
}
