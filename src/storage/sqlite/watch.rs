//! Notices that another process has written to the database, by watching its folder for changes of the
//! write-ahead log.

use std::path::Path;
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::os::{WRITE_WATCH, WriteWatch};

/// Wakes its [`Notify`] on every write to the database's log, until it is dropped.
pub(super) struct FileWatch {
    _watcher: RecommendedWatcher,
}

impl FileWatch {
    /// `None` where the operating system has no watch to give; the caller then polls.
    pub(super) fn start(database: &Path, wake: Arc<Notify>) -> Option<Self> {
        let path = super::open::with_suffix(database, "-wal");
        // SQLite has no lock on its log, so nothing is lost when a watch closes that.
        let watched = match WRITE_WATCH {
            WriteWatch::Folder => {
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
            WriteWatch::File => &path,
            WriteWatch::Nothing => return None,
        };
        let log = path.file_name()?.to_owned();
        let watch = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A lost event is one that may have concerned the log.
            if event.is_ok_and(|event| !event.paths.iter().any(|path| path.file_name() == Some(&log))) {
                return;
            }
            wake.notify_one();
        })
        .and_then(|mut watcher| {
            watcher.watch(watched, RecursiveMode::NonRecursive)?;
            Ok(Self { _watcher: watcher })
        });
        watch.inspect_err(|error| tracing::warn!(%error, "no file watch, the event log is polled")).ok()
    }
}
