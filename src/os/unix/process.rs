//! Processes: signals, groups, programs that outlive this one.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{self, SignalKind, signal};

/// TERM and INT: this process should end. Once it is listened to, neither ends the process by itself.
#[derive(Debug)]
pub struct EndSignal {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl EndSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// HUP: policies and certificate should be read anew.
#[derive(Debug)]
pub struct ReloadSignal(unix::Signal);

impl ReloadSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// A command line as the shell takes it, ready to be run.
#[must_use]
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

/// Opens an address in the person's browser; its status says whether that worked.
#[must_use]
pub fn browser(address: &str) -> Command {
    let mut command = Command::new(super::kernel::OPENER);
    command.arg(address);
    command
}

/// The file names that a program may have on the `PATH`.
pub fn program_names(program: &str) -> impl Iterator<Item = String> {
    std::iter::once(program.to_owned())
}

/// A running command that can be ended with all that it started.
#[derive(Debug)]
pub struct Group(Child);

impl Group {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    /// The command itself.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Ends all of it, and waits for the command itself.
    ///
    /// # Errors
    /// When the command cannot be waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // It fails only when all of it has ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.0.wait()
    }
}

/// Starts a program that outlives this process, which does not wait for it: the system takes it over then.
///
/// # Errors
/// When it cannot be started.
pub fn leave_running(command: &mut Command) -> io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().map(drop)
}

/// Replaces this process by a program, with its number. Returns only when that fails.
#[must_use]
pub fn become_program(mut command: Command) -> io::Error {
    command.exec()
}

/// Where this process runs as root and the path, or the closest folder above it that is there, belongs to another user: that
/// path, and the number of its owner.
#[must_use]
pub fn other_owner_of_root(path: &Path) -> Option<(PathBuf, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let (path, found) = closest(path)?;
    (found.uid() != 0).then(|| (path, found.uid()))
}

/// Begins this program again, with these arguments, as the owner of a path. Returns only when that fails.
#[must_use]
pub fn become_owner_of(path: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> io::Error {
    let Some((_, found)) = closest(path) else { return io::ErrorKind::NotFound.into() };
    // Without root's supplementary groups: the standard library gives them up too.
    match std::env::current_exe() {
        Ok(program) => Command::new(program).args(arguments).uid(found.uid()).gid(found.gid()).exec(),
        Err(error) => error,
    }
}

/// The path, or the closest folder above it that is there.
fn closest(path: &Path) -> Option<(PathBuf, std::fs::Metadata)> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|path| Some((path.to_owned(), path.metadata().ok()?)))
}

/// The number of a file's owner; of a symbolic link's own.
#[must_use]
pub fn owner_number(path: &Path) -> Option<u32> {
    path.symlink_metadata().ok().map(|found| found.uid())
}

/// Whether everybody may make files in a folder, and each remove only their own, as in `/tmp`.
#[must_use]
pub fn is_shared_folder(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|found| found.mode() & 0o1000 != 0)
}

/// The number of the user that this process runs as, if the system has such numbers.
#[must_use]
pub fn user_number() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// Tells when the process that started this one is gone.
#[derive(Debug)]
pub struct ParentWatch(u32);

impl ParentWatch {
    /// Begins to watch.
    #[must_use]
    pub fn begin() -> Self {
        Self(parent_process())
    }

    /// Whether it is gone: another process has taken this one over.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        parent_process() != self.0
    }
}

/// The number of the process that started this one.
#[must_use]
pub fn parent_process() -> u32 {
    std::os::unix::process::parent_id()
}

/// Whether an error says that the reader of a pipe is gone.
#[must_use]
pub fn is_closed_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Has a terminal understand colours: here each does.
pub const fn prepare_terminal() {}

/// The name of this machine in its network.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
