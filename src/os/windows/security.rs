//! Security descriptors: those that new files get, and those that files have.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
    SECURITY_ATTRIBUTES, SetFileSecurityW, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A text as the system takes it: UTF-16, with a zero at its end.
pub(super) fn wide(text: &std::ffi::OsStr) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt;
    text.encode_wide().chain([0]).collect()
}

/// A path as the system's own calls take it. One that is longer than `MAX_PATH` allows is written in the form that has no such limit.
pub(super) fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    // A folder's name must leave room for a file of 8 and 3 characters: 248 of the 260.
    const LONGEST: usize = 247;
    let whole = std::path::absolute(path)?;
    let text = whole.as_os_str();
    let mut units = wide(text);
    if units.iter().filter(|&&unit| unit == 0).count() > 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is a zero in the path"));
    }
    let has_prefix = |prefix: &str| units.starts_with(&prefix.encode_utf16().collect::<Vec<_>>());
    if units.len() > LONGEST && !has_prefix(r"\\?\") && !has_prefix(r"\\.\") {
        // `\\server\share` is `\\?\UNC\server\share`.
        let (prefix, from) = if has_prefix(r"\\") { (r"\\?\UNC\", 2) } else { (r"\\?\", 0) };
        units = prefix.encode_utf16().chain(units.drain(from..)).collect();
    }
    Ok(units)
}

/// The error of the call before, where that says that it failed.
pub(super) fn check(succeeded: i32) -> io::Result<()> {
    if succeeded == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Memory that the system allocated for us.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
        // SAFETY: it was allocated by a call that says to free it so, and nothing refers to it any more.
        unsafe {
            LocalFree(self.0);
        }
    }
}

/// A descriptor in the system's own form.
pub(super) struct Descriptor(Local);

impl Descriptor {
    fn parse(text: &str) -> io::Result<Self> {
        let (text, mut found): (_, PSECURITY_DESCRIPTOR) = (wide(text.as_ref()), null_mut());
        #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
        // SAFETY: the text ends with a zero, and the result goes into a pointer that lives here.
        let parsed = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut found,
                null_mut(),
            )
        };
        check(parsed)?;
        Ok(Self(Local(found)))
    }

    /// For this user, the system and the administrators, and nothing inherited. In a folder it holds for what is made inside.
    pub(super) fn private(folder: bool) -> io::Result<Self> {
        Self::ours(if folder { "OICI" } else { "" }, "")
    }

    /// The same, for a file that every user of this machine may read.
    pub(super) fn readable() -> io::Result<Self> {
        Self::ours("", "(A;;FR;;;AU)")
    }

    fn ours(inherit: &str, others: &str) -> io::Result<Self> {
        let user = user()?;
        Self::parse(&format!(
            "D:P(A;{inherit};FA;;;{user})(A;{inherit};FA;;;SY)(A;{inherit};FA;;;BA){others}"
        ))
    }

    /// As what makes a file or folder takes it; to be used while the descriptor lives.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        let length = u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or_default();
        SECURITY_ATTRIBUTES { nLength: length, lpSecurityDescriptor: self.0.0, bInheritHandle: 0 }
    }

    fn text(&self, parts: u32) -> io::Result<String> {
        let mut text = null_mut();
        #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
        // SAFETY: the descriptor is one of the system's, and the result goes into a pointer that lives here.
        let shown = unsafe {
            ConvertSecurityDescriptorToStringSecurityDescriptorW(
                self.0.0,
                SDDL_REVISION_1,
                parts,
                &raw mut text,
                null_mut(),
            )
        };
        check(shown)?;
        Ok(text_of(Local(text.cast())))
    }
}

/// A text that the system allocated for us; it ends with a zero.
fn text_of(text: Local) -> String {
    let text_at: *const u16 = text.0.cast();
    #[expect(unsafe_code, reason = "a text of the system; see SAFETY")]
    // SAFETY: the system says that it ends with a zero, and nothing reads beyond that.
    let units = unsafe {
        let length = (0..).take_while(|&at| *text_at.add(at) != 0).count();
        std::slice::from_raw_parts(text_at, length)
    };
    String::from_utf16_lossy(units)
}

/// The user of a process, as a number in SDDL.
pub(super) fn user_of(process: BorrowedHandle<'_>) -> io::Result<String> {
    let mut token: HANDLE = null_mut();
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the process' handle is open, and the token's goes into a variable that lives here and is closed below.
    let token = unsafe {
        check(OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &raw mut token))?;
        OwnedHandle::from_raw_handle(token)
    };
    // A SID has at most 68 bytes.
    let mut place = [0_u64; 32];
    let mut length = 0;
    let mut text = null_mut();
    #[expect(unsafe_code, reason = "calls of the system; see SAFETY")]
    // SAFETY: the place is aligned for a `TOKEN_USER` and larger than the largest, whose SID lies in the same place; the text goes
    // into a pointer that lives here.
    unsafe {
        let size = u32::try_from(size_of_val(&place)).unwrap_or_default();
        check(GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            place.as_mut_ptr().cast(),
            size,
            &raw mut length,
        ))?;
        let user: *const TOKEN_USER = place.as_ptr().cast();
        check(ConvertSidToStringSidW((*user).User.Sid, &raw mut text))?;
    }
    Ok(text_of(Local(text.cast())))
}

/// This user, as a number in SDDL.
pub(super) fn user() -> io::Result<&'static str> {
    static USER: OnceLock<String> = OnceLock::new();
    if let Some(user) = USER.get() {
        return Ok(user);
    }
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: it is a number that stands for this process, always good and never closed.
    let this = unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) };
    let user = user_of(this)?;
    Ok(USER.get_or_init(|| user))
}

/// This user as the system writes an owner: some have a name of two letters.
fn user_as_owner() -> io::Result<String> {
    let text = Descriptor::parse(&format!("O:{}", user()?))?.text(OWNER_SECURITY_INFORMATION)?;
    Ok(text.strip_prefix("O:").unwrap_or(&text).to_owned())
}

/// The descriptor of an open file or folder, and this user, both in SDDL.
pub(super) fn descriptor_of(file: BorrowedHandle<'_>) -> io::Result<(String, String)> {
    let mut found: PSECURITY_DESCRIPTOR = null_mut();
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the handle is open; the result goes into a pointer that lives here, the other results are not asked for.
    let status = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut found,
        )
    };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status.cast_signed()));
    }
    let text = Descriptor(Local(found)).text(OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION)?;
    Ok((text, user_as_owner()?))
}

/// Gives a file that is there the access of a new private one.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    set_acl(path, &Descriptor::private(path.is_dir())?)
}

/// Gives a file the ACL of an open one.
pub(super) fn copy_acl(from: BorrowedHandle<'_>, to: &Path) -> io::Result<()> {
    let (text, _) = descriptor_of(from)?;
    // The owner stays as it is.
    let acl = text.find("D:").and_then(|at| text.get(at..)).unwrap_or("D:");
    set_acl(to, &Descriptor::parse(acl)?)
}

fn set_acl(path: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let name = wide_path(path)?;
    #[expect(unsafe_code, reason = "a call of the system; see SAFETY")]
    // SAFETY: the name ends with a zero, and the descriptor lives longer than this function.
    check(unsafe { SetFileSecurityW(name.as_ptr(), DACL_SECURITY_INFORMATION, descriptor.0.0) })
}
