//! `setup --url`: an agent's token for a table on another machine.

use std::io::Read as _;

use super::{SetupArguments, say};
use crate::cli::{CliError, remote};
use crate::config::Config;

/// The longest token that is read, in bytes; ours have 46.
const MAX_TOKEN: u64 = 4_096;

/// Checks that an agent's token opens a table on another machine, and keeps it; the address with the agent's name.
pub(super) fn enter(
    config: &Config,
    url: &str,
    arguments: &SetupArguments,
    dry: bool,
) -> Result<Option<String>, CliError> {
    if arguments.undo || arguments.status {
        return Ok(None);
    }
    if arguments.project {
        return Err(CliError::Usage(
            "the files of a project are others', too: leave --url out, or --project".into(),
        ));
    }
    check_named_by_token(arguments.name.is_some() || arguments.role.is_some())?;
    remote::warn_of_plain_http(url)?;
    if arguments.token_stdin {
        let mut token = String::new();
        std::io::stdin().take(MAX_TOKEN).read_to_string(&mut token)?;
        if token.trim().is_empty() {
            return Err(CliError::Usage(
                "standard input holds no token: pass it by a pipe or from a file".into(),
            ));
        }
        let authority = arguments.ca.as_deref().map(std::path::absolute).transpose()?;
        let mut credential = remote::Credential {
            url: url.to_owned(),
            name: String::new(),
            token: token.trim().to_owned(),
            authority,
        };
        credential.name = remote::holder(&credential.table()?)?;
        let named = credential.named_url();
        if dry {
            say(&format!("{url} knows this token as {}", credential.name));
        } else {
            say(&format!(
                "{url} knows this token as {}; it is kept in credentials.toml beside the database",
                credential.name
            ));
            remote::keep(config, credential)?;
        }
        return Ok(Some(named));
    }
    let Some(table) = remote::table(config)? else { return Ok(None) };
    let named = remote::named_url(&table)?;
    say(&format!("{named} is entered with the token that is kept"));
    Ok(Some(named))
}

/// Refuses a name where a token says who the agent is.
pub(super) fn check_named_by_token(named: bool) -> Result<(), CliError> {
    if named {
        return Err(CliError::Usage(
            "at a table on another machine the token says who the agent is: leave --name and --role out"
                .into(),
        ));
    }
    Ok(())
}
