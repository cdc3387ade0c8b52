//! Root at another user's table: files that root makes there would lock the owner out, so the command runs as the owner.

use super::CliError;
use crate::config::Config;
use crate::os;

/// Begins this process again as the user who owns the table, where it runs as root and the table is another user's.
///
/// # Errors
/// When that user cannot run this program; nothing was touched then.
pub(super) fn become_owner(config: &Config) -> Result<(), CliError> {
    let Some((path, user)) = os::other_owner_of_root(&config.db) else { return Ok(()) };
    let error = os::become_owner_of(&path, std::env::args_os().skip(1));
    Err(CliError::Broken(format!(
        "{} belongs to user {user}, whom files of root would lock out, and this program cannot be run as that user \
         ({error}): install it where everybody can run it, then use sudo -u '#{user}' team-table …",
        path.display()
    )))
}
