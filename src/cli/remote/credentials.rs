//! What tables on other machines are entered with, in `credentials.toml` beside the database, owner-only: agents' tokens (`[[table]]`),
//! written by `setup`, and the sessions of persons (`[[person]]`), written by `person sign-in`.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::CliError;
use crate::cli::setup::replace_file;
use crate::config::Config;
use crate::mcp::{Remote, RemoteError};
use crate::os::Access;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default, rename = "table", skip_serializing_if = "Vec::is_empty")]
    tables: Vec<Credential>,
    #[serde(default, rename = "person", skip_serializing_if = "Vec::is_empty")]
    persons: Vec<Credential>,
}

/// What one table is entered with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    /// Where it is.
    pub(crate) url: String,
    /// The agent, or the person.
    pub(crate) name: String,
    /// The agent's token, or the secret of the person's session.
    pub(crate) token: String,
    /// Who vouches for the server's certificate, where that is not an authority that the system knows. PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authority: Option<PathBuf>,
}

impl Credential {
    /// The address with the agent's name in it.
    pub(crate) fn named_url(&self) -> String {
        with_agent(&self.url, &self.name)
    }

    pub(crate) fn table(&self) -> Result<Remote, RemoteError> {
        Remote::new(&self.url, &self.token, self.authority.as_deref())
    }
}

/// An address with an agent's name in it, as `--url` takes it.
pub(super) fn with_agent(url: &str, name: &str) -> String {
    url.replacen("://", &format!("://{name}@"), 1)
}

pub(super) fn all(config: &Config) -> Result<Vec<Credential>, CliError> {
    Ok(read(config)?.tables)
}

/// The credential for a table; of the agent, where one is named.
pub(super) fn find(config: &Config, url: &str, agent: Option<&str>) -> Result<Option<Credential>, CliError> {
    let fits = |table: &Credential| table.url == url && agent.is_none_or(|agent| agent == table.name);
    let mut found = all(config)?.into_iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), Some(_)) => Err(CliError::Usage(format!(
            "tokens of several agents are kept for {url}: name one, as in {}",
            one.named_url()
        ))),
        (one, _) => Ok(one),
    }
}

/// Keeps a credential in place of the one of the same agent.
pub(crate) fn keep(config: &Config, credential: Credential) -> Result<(), CliError> {
    let mut kept = read(config)?;
    kept.tables.retain(|table| (&table.url, &table.name) != (&credential.url, &credential.name));
    kept.tables.push(credential);
    write(config, &kept)
}

/// Removes the agents' credentials that are not needed any more.
pub(crate) fn forget(config: &Config, is_needed: impl Fn(&str) -> bool) -> Result<(), CliError> {
    let mut kept = read(config)?;
    let before = kept.tables.len();
    kept.tables.retain(|table| is_needed(&table.named_url()));
    if kept.tables.len() == before {
        return Ok(());
    }
    write(config, &kept)
}

/// The sessions of persons.
pub(super) fn persons(config: &Config) -> Result<Vec<Credential>, CliError> {
    Ok(read(config)?.persons)
}

/// The one session at a table, where one is named, of a person, where one is named.
pub(super) fn find_person(
    config: &Config,
    url: Option<&str>,
    name: Option<&str>,
) -> Result<Credential, CliError> {
    let fits = |one: &Credential| {
        url.is_none_or(|url| url == one.url) && name.is_none_or(|name| name.eq_ignore_ascii_case(&one.name))
    };
    let mut found = persons(config)?;
    found.retain(fits);
    match (&found[..], url) {
        ([one], _) => Ok(one.clone()),
        ([], Some(url)) => {
            let who = name.map_or_else(|| "nobody is".to_owned(), |name| format!("{name} is not"));
            Err(CliError::Usage(format!(
                "{who} signed in at {url} from here: an operator of the table makes a link with team-table person invite NAME \
                 --server {url}, and team-table person sign-in follows it"
            )))
        }
        ([], None) => {
            Err(CliError::Usage("no such session is kept here: there is nothing to sign out of".into()))
        }
        (several, _) => {
            let all: Vec<_> = several.iter().map(|one| format!("{} at {}", one.name, one.url)).collect();
            Err(CliError::Usage(format!(
                "several sessions are kept here ({}): add --as NAME{}",
                all.join(", "),
                if url.is_none() { " and --url URL" } else { "" }
            )))
        }
    }
}

/// Keeps a session in place of the one of the same person.
pub(super) fn keep_person(config: &Config, session: Credential) -> Result<(), CliError> {
    let mut kept = read(config)?;
    kept.persons.retain(|one| (&one.url, &one.name) != (&session.url, &session.name));
    kept.persons.push(session);
    write(config, &kept)
}

/// Removes a session.
pub(super) fn forget_person(config: &Config, session: &Credential) -> Result<(), CliError> {
    let mut kept = read(config)?;
    kept.persons.retain(|one| (&one.url, &one.name) != (&session.url, &session.name));
    write(config, &kept)
}

fn path(config: &Config) -> PathBuf {
    config.db.with_file_name("credentials.toml")
}

fn read(config: &Config) -> Result<Credentials, CliError> {
    let path = path(config);
    let access = match Access::at(&path) {
        Ok(access) => access,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Credentials::default()),
        Err(error) => return Err(error.into()),
    };
    if access.others_use {
        return Err(CliError::Broken(format!(
            "others can read the tokens in {} ({}): {}, and have them rotated",
            path.display(),
            access.shown,
            Access::remedy(&path)
        )));
    }
    toml_edit::de::from_str(&fs::read_to_string(&path)?)
        // The parser's own words show the line, and with it a token.
        .map_err(|_| {
            CliError::Broken(format!(
                "{} is not what this program writes: mend it or remove it",
                path.display()
            ))
        })
}

/// Writes the file; removes it where nothing is left to keep.
fn write(config: &Config, credentials: &Credentials) -> Result<(), CliError> {
    if credentials.tables.is_empty() && credentials.persons.is_empty() {
        return Ok(fs::remove_file(path(config))?);
    }
    let text = toml_edit::ser::to_string_pretty(credentials).map_err(std::io::Error::other)?;
    Ok(replace_file(&path(config), &text)?)
}
