//! Linux and macOS.

mod files;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod kernel;
#[cfg(not(target_os = "macos"))]
#[path = "linux.rs"]
mod kernel;
mod process;

use std::time::Duration;

pub(super) use files::{access_at, access_of, file_id, new_beside, open_private, remedy};
pub use files::{
    copy_access, create_private_folder, lock_whole, make_private, open_plain, replace_file, sync_folder,
};
pub use kernel::{ALWAYS_HAS_SCREEN, KEPT, WRITE_WATCH, memory_and_files, process};
pub use process::{
    EndSignal, Group, ParentWatch, ReloadSignal, become_owner_of, become_program, browser, host_name,
    is_closed_pipe, is_shared_folder, leave_running, other_owner_of_root, owner_number, parent_process,
    prepare_terminal, program_names, shell, user_number,
};

/// The environment variable with the home directory.
pub const HOME: &str = "HOME";
/// Whether a file that a library makes gets the access that its folder hands down.
pub const FILES_TAKE_ACCESS_OF_FOLDER: bool = false;
/// In what steps the processor time of a thread is counted: too small to matter.
pub const CPU_TICK: Duration = Duration::ZERO;
