//! A bar for the person who waits while recorded decisions are looked at. It is on standard error, and only there when that is a
//! terminal.

use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};

use crate::operator::{Progress, cores};

/// Nothing stops a walk of the command line but the end of the process.
static STOP: AtomicBool = AtomicBool::new(false);

/// Does what takes long with a bar beside it.
pub(super) fn with_bar<T>(work: impl FnOnce(Progress<'_>) -> T) -> T {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} decisions, {eta} left")
    {
        bar.set_style(style);
    }
    let tell = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let done = work(Progress { tell: &tell, stop: &STOP, cores: cores() });
    bar.finish_and_clear();
    done
}
