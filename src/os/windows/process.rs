//! Processes: console events, jobs, programs that outlive this one, and the processes of this machine.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::ptr::null;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};
use windows_sys::Win32::Foundation::{
    FILETIME, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Console::{
    ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode, GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE,
    STD_OUTPUT_HANDLE, SetConsoleCtrlHandler, SetConsoleMode,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject,
};
use windows_sys::Win32::System::SystemInformation::{ComputerNameDnsHostname, GetComputerNameExW};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, GetProcessTimes, OpenProcess, PROCESS_NAME_WIN32,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW, WaitForSingleObject,
};

use super::security::{self, check};
use crate::os::ProcessFacts;

/// Ctrl-C, Ctrl-Break, the console's window closed, the session's end: this process should end.
#[derive(Debug)]
pub struct EndSignal {
    interrupt: CtrlC,
    break_off: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl EndSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            break_off: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.break_off.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// Windows has no signal for it: policies are followed by the file watch.
#[derive(Debug)]
pub struct ReloadSignal;

impl ReloadSignal {
    /// Begins to listen.
    ///
    /// # Errors
    /// None here.
    pub const fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Never returns.
    pub async fn next(&mut self) {
        std::future::pending().await
    }
}

/// A command line as the shell takes it, ready to be run.
#[must_use]
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd");
    // The shell has rules of its own for quotes: it takes what is between the outer two as it is.
    command.raw_arg(format!("/S /C \"{line}\""));
    command
}

/// Opens an address in the person's browser; its status says whether that worked.
#[must_use]
pub fn browser(address: &str) -> Command {
    let mut command = Command::new("rundll32");
    command.arg("url.dll,FileProtocolHandler").arg(address);
    command
}

/// The file names that a program may have on the `PATH`. What npm installs is a script of the shell's.
pub fn program_names(program: &str) -> impl Iterator<Item = String> {
    ["exe", "cmd"].into_iter().map(move |ending| format!("{program}.{ending}"))
}

/// A running command that can be ended with all that it started.
#[derive(Debug)]
pub struct Group {
    child: Child,
    job: OwnedHandle,
}

impl Group {
    /// Starts it. What it starts in the instant before it is put into its job is not ended with it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
        // SAFETY: both arguments may be null; the handle is checked before it is taken.
        let job = unsafe {
            let job = CreateJobObjectW(null(), null());
            check(i32::from(!job.is_null()))?;
            OwnedHandle::from_raw_handle(job)
        };
        let mut child = command.creation_flags(CREATE_NO_WINDOW).spawn()?;
        #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
        // SAFETY: both handles are open.
        let put = check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) });
        // One that has ended already takes no job, and needs none.
        if put.is_err() && child.try_wait()?.is_none() {
            child.kill()?;
            put?;
        }
        Ok(Self { child, job })
    }

    /// The command itself.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends all of it, and waits for the command itself.
    ///
    /// # Errors
    /// When the command cannot be waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
        // SAFETY: the handle is open. It fails only when all of it has ended by itself.
        unsafe {
            TerminateJobObject(self.job.as_raw_handle(), 1);
        }
        self.child.wait()
    }
}

/// Starts a program that outlives this process, which does not wait for it.
///
/// # Errors
/// When it cannot be started.
pub fn leave_running(command: &mut Command) -> io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It would inherit our own, and whoever reads them would wait for its end.
    for ours in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        #[expect(unsafe_code, reason = "calls of the system; see SAFETY")]
        // SAFETY: the handle is the system's own, and a call with a bad one fails.
        unsafe {
            SetHandleInformation(GetStdHandle(ours), HANDLE_FLAG_INHERIT, 0);
        }
    }
    command.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP).spawn().map(drop)
}

/// Leaves Ctrl-C and Ctrl-Break to the program that shares the console.
#[expect(unsafe_code, reason = "the system declares what it calls so; this touches nothing")]
unsafe extern "system" fn leave_it(_event: u32) -> i32 {
    1
}

/// Runs a program in the place of this process, and ends with its status. Returns only when it cannot be started.
#[must_use]
pub fn become_program(mut command: Command) -> io::Error {
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the function is there for as long as the process, and touches nothing.
    unsafe {
        SetConsoleCtrlHandler(Some(leave_it), 1);
    }
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

/// There is no user here whom another user's files lock out so easily.
#[must_use]
pub const fn other_owner_of_root(_path: &Path) -> Option<(PathBuf, u32)> {
    None
}

/// Not on this system.
#[must_use]
pub fn become_owner_of(_path: &Path, _arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Users have no numbers here.
#[must_use]
pub const fn owner_number(_path: &Path) -> Option<u32> {
    None
}

/// There are no such folders here.
#[must_use]
pub const fn is_shared_folder(_folder: &Path) -> bool {
    false
}

/// Users have no numbers here.
#[must_use]
pub const fn user_number() -> Option<u32> {
    None
}

/// Tells when the process that started this one is gone.
#[derive(Debug)]
pub struct ParentWatch(Option<OwnedHandle>);

impl ParentWatch {
    /// Begins to watch. A parent that is gone already, or may not be looked at, is not watched.
    #[must_use]
    pub fn begin() -> Self {
        let parent = parent_process();
        // Its number may be another's by now, which then started later than this process.
        let is_it = process(parent)
            .zip(process(std::process::id()))
            .is_some_and(|(parent, this)| parent.started <= this.started);
        Self(is_it.then(|| open_process(parent, PROCESS_SYNCHRONIZE)).flatten())
    }

    /// Whether it is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.as_ref().is_some_and(|parent| !still_runs(parent))
    }
}

/// The number of the process that started this one; 0 if the system does not tell.
#[must_use]
pub fn parent_process() -> u32 {
    parent_of(std::process::id()).unwrap_or_default()
}

/// Whether an error says that the reader of a pipe is gone.
#[must_use]
pub fn is_closed_pipe(error: &io::Error) -> bool {
    // ERROR_PIPE_NOT_CONNECTED, which the standard library does not know as such.
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(233)
}

/// Has a console of the old kind understand colours. What is no console needs nothing.
pub fn prepare_terminal() {
    let mut mode = 0;
    #[expect(unsafe_code, reason = "calls of the system; see SAFETY")]
    // SAFETY: the handle is the system's own, and calls with a bad one fail; the mode goes into a variable that lives here.
    unsafe {
        let output = GetStdHandle(STD_OUTPUT_HANDLE);
        if GetConsoleMode(output, &raw mut mode) != 0 {
            SetConsoleMode(output, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        }
    }
}

/// The name of this machine in its network.
#[must_use]
pub fn host_name() -> String {
    // A name has at most 63 bytes.
    let mut name = [0; 256];
    let mut length = u32::try_from(name.len()).unwrap_or_default();
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the place is as long as is said, and the length written is that of what was written.
    let told = unsafe { GetComputerNameExW(ComputerNameDnsHostname, name.as_mut_ptr(), &raw mut length) };
    let written = if told == 0 { 0 } else { length as usize };
    String::from_utf16_lossy(name.get(..written).unwrap_or_default())
}

/// Bytes of memory that this process has in use, and how many files it has open, as far as the system tells.
#[must_use]
pub const fn memory_and_files() -> (Option<u64>, Option<usize>) {
    (None, None)
}

/// The process of this number; `None` if there is none, or this user may not look at it.
#[must_use]
pub fn process(pid: u32) -> Option<ProcessFacts> {
    let process = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE)?;
    // A process whose handle somebody keeps is there after its end.
    if !still_runs(&process) {
        return None;
    }
    let [mut started, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    let (mut path, mut length) = ([0; 1_024], 1_024);
    let handle = process.as_raw_handle();
    #[expect(unsafe_code, reason = "calls of the system; see SAFETY")]
    // SAFETY: the handle is open; all results go into variables that live here, the path into a place as long as is said.
    let told = unsafe {
        // A path that is too long is not told.
        if QueryFullProcessImageNameW(handle, PROCESS_NAME_WIN32, path.as_mut_ptr(), &raw mut length) == 0 {
            length = 0;
        }
        GetProcessTimes(handle, &raw mut started, &raw mut ended, &raw mut kernel, &raw mut user) != 0
    };
    if !told {
        return None;
    }
    let path = PathBuf::from(OsString::from_wide(path.get(..length as usize)?));
    let started = u64::from(started.dwHighDateTime) << 32 | u64::from(started.dwLowDateTime);
    Some(ProcessFacts {
        started: i64::try_from(started).ok()?,
        parent: parent_of(pid)?,
        program: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        is_ours: security::user_of(process.as_handle()).ok()? == security::user().ok()?,
    })
}

fn open_process(pid: u32, access: u32) -> Option<OwnedHandle> {
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the handle is checked before it is taken.
    unsafe {
        let process = OpenProcess(access, 0, pid);
        (!process.is_null()).then(|| OwnedHandle::from_raw_handle(process))
    }
}

/// Whether a process, opened to be waited for, has not ended.
fn still_runs(process: &OwnedHandle) -> bool {
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the handle is open.
    let waited = unsafe { WaitForSingleObject(process.as_raw_handle(), 0) };
    waited == WAIT_TIMEOUT
}

/// The process that started the one of this number; it may be gone.
fn parent_of(pid: u32) -> Option<u32> {
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the handle is checked before it is taken.
    let snapshot = unsafe {
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        (snapshot != INVALID_HANDLE_VALUE).then(|| OwnedHandle::from_raw_handle(snapshot))?
    };
    let mut entry = PROCESSENTRY32W {
        dwSize: u32::try_from(mem::size_of::<PROCESSENTRY32W>()).ok()?,
        ..PROCESSENTRY32W::default()
    };
    let handle = snapshot.as_raw_handle();
    #[expect(unsafe_code, reason = "calls of the system; see SAFETY")]
    // SAFETY: the handle is open, and the structure lives here and says how large it is.
    let mut more = unsafe { Process32FirstW(handle, &raw mut entry) };
    while more != 0 {
        if entry.th32ProcessID == pid {
            return Some(entry.th32ParentProcessID);
        }
        #[expect(unsafe_code, reason = "calls of the system; see SAFETY")]
        // SAFETY: as above.
        {
            more = unsafe { Process32NextW(handle, &raw mut entry) };
        }
    }
    None
}
