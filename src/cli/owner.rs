//! Root at another user's table: files that root makes there would lock the owner out, so the command runs as the owner.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::CliError;
use crate::config::Config;

/// Begins this process again as the user who owns the table, where it runs as root and the table is another user's.
///
/// # Errors
/// When that user cannot run this program; nothing was touched then.
pub(super) fn become_owner(config: &Config) -> Result<(), CliError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some((path, uid, gid)) = whose(&config.db) else { return Ok(()) };
    if uid == 0 {
        return Ok(());
    }
    // Without root's supplementary groups: the standard library gives them up too.
    let error = match std::env::current_exe() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).uid(uid).gid(gid).exec(),
        Err(error) => error,
    };
    Err(CliError::Broken(format!(
        "{} belongs to user {uid}, whom files of root would lock out, and this program cannot be run as that user \
         ({error}): install it where everybody can run it, then use sudo -u '#{uid}' team-table …",
        path.display()
    )))
}

/// The database, or the folder that it will be made in, with its owner and group.
fn whose(db: &Path) -> Option<(PathBuf, u32, u32)> {
    let db = std::path::absolute(db).ok()?;
    let there = db.ancestors().find_map(|path| Some((path.to_owned(), path.metadata().ok()?)))?;
    Some((there.0, there.1.uid(), there.1.gid()))
}
