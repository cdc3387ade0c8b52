//! Windows.

mod files;
mod process;
mod security;

use std::time::Duration;

use crate::os::{Kept, WriteWatch};

pub(super) use files::{access_at, access_of, file_id, new_beside, open_private, remedy};
pub use files::{
    copy_access, create_private_folder, lock_whole, make_private, open_plain, replace_file, sync_folder,
};
pub use process::{
    EndSignal, Group, ParentWatch, ReloadSignal, become_owner_of, become_program, browser, host_name,
    is_closed_pipe, is_shared_folder, leave_running, memory_and_files, other_owner_of_root, owner_number,
    parent_process, prepare_terminal, process, program_names, shell, user_number,
};

/// The environment variable with the home directory.
pub const HOME: &str = "USERPROFILE";
/// Whether a browser can be opened in any case.
pub const ALWAYS_HAS_SCREEN: bool = true;
/// The time of the last write is noted when a file is flushed or closed, and for a file that keeps its size not each time.
pub const WRITE_WATCH: WriteWatch = WriteWatch::Nothing;
/// Below the part of the profile that stays on this machine.
pub const KEPT: Option<Kept> =
    Some(Kept { variable: "LOCALAPPDATA", cache: "team-table", state: "team-table" });
/// Whether a file that a library makes gets the access that its folder hands down.
pub const FILES_TAKE_ACCESS_OF_FOLDER: bool = true;
/// In what steps the processor time of a thread is counted: one tick of the clock.
pub const CPU_TICK: Duration = Duration::from_millis(16);
