//! A person's session at a table on another machine: it begins by a link, is kept in `credentials.toml`, and brings views and
//! decisions.

use std::io::{IsTerminal, Read as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::runtime::Runtime;

use super::credentials::{self, Credential};
use crate::cli::{CliError, escalation, output};
use crate::config::{Config, table_url};
use crate::domain::person::check_name;
use crate::domain::refusal::{Code, Refusal};
use crate::mcp::Remote;
use crate::operator::views::{SessionEnded, SignIn, SignedIn};

/// The longest link that is read from standard input, in bytes.
const MAX_LINK: u64 = 4_096;
/// The longest secret of a session that is kept, in bytes; ours have 46.
const MAX_SECRET: usize = 128;
/// Characters of a refusal's sentence that are shown.
const MAX_SENTENCE: usize = 500;
/// What stands between a server's address and a link's code.
const JOIN: &str = "/console/join/";

#[derive(Debug, Args)]
pub(crate) struct SignInArguments {
    /// The link that an operator of the table made, or - for standard input; left out: it is asked for, or read from a pipe. What
    /// stands on a command line, other users of this machine can read
    link: Option<String>,
    /// Who vouches for the server's certificate, where the system does not know them, PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A table on another machine, as a person who has signed in there sees it.
pub(crate) struct PersonSession {
    table: Remote,
    /// The same for all requests: a connection is of the runtime on which it was opened.
    runtime: Runtime,
}

impl PersonSession {
    fn new(table: Remote) -> Result<Self, CliError> {
        Ok(Self { table, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    /// The session that is kept for a table; of this person, where one is named.
    ///
    /// # Errors
    /// There is none, or there are several and no person is named.
    pub(crate) fn find(config: &Config, url: &str, name: Option<&str>) -> Result<Self, CliError> {
        Self::new(credentials::find_person(config, Some(url), name)?.table()?)
    }

    /// Asks a route below `/console/data`, by `POST` where there is a question.
    ///
    /// # Errors
    /// The table does not answer, or refuses.
    pub(crate) fn ask<A: DeserializeOwned>(
        &self,
        path: &str,
        question: Option<&(impl Serialize + Sync)>,
    ) -> Result<A, CliError> {
        let body = question.map(serde_json::to_vec).transpose().map_err(std::io::Error::from)?;
        let answer = self.runtime.block_on(self.table.answer(&format!("/console/data{path}"), body))?;
        let address = self.table.address();
        if answer.is_success() {
            return serde_json::from_slice(&answer.body).map_err(|error| {
                let why: String = output::visible(&error.to_string()).chars().take(MAX_SENTENCE).collect();
                CliError::Broken(format!(
                    "the table at {address} answered something else than was asked for; is it of the same version? ({why})"
                ))
            });
        }
        if let Ok(Refusal { code, message, hint }) = serde_json::from_slice(&answer.body) {
            let sentence = |text: String| output::visible(&output::first_line(&text, MAX_SENTENCE));
            return Err(Refusal::new(code, sentence(message), sentence(hint)).into());
        }
        if answer.is_missing() {
            return Err(CliError::Broken(format!(
                "the server at {address} answers no command line of another machine: it serves no console (--console off), or is \
                 of an older version"
            )));
        }
        Err(answer.unexpected(&self.table).into())
    }
}

/// Follows a link, and keeps the session.
pub(crate) fn sign_in(config: &Config, arguments: &SignInArguments) -> Result<(), CliError> {
    let (url, code) = read_link(arguments.link.as_deref())?;
    // A file that cannot be used is found before the link is used up.
    let before = credentials::persons(config)?;
    super::warn_of_plain_http(&url)?;
    let authority = arguments.ca.as_deref().map(std::path::absolute).transpose()?;
    let link = PersonSession::new(Remote::new(&url, &code, authority.as_deref())?)?;
    let SignedIn { person, role, session } =
        link.ask("/sign-in", Some(&SignIn { machine: super::machine() }))?;
    check_name(&person)?;
    if session.len() > MAX_SECRET || !session.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::Broken(format!("what {url} answered is no session: look at its server")));
    }
    let credential = Credential { url, name: person, token: session, authority };
    if let Err(problem) = credentials::keep_person(config, credential.clone()) {
        // Nobody would have its secret.
        let _ = end(&credential);
        return Err(problem);
    }
    let Credential { url, name, .. } = &credential;
    if let Some(old) = before.iter().find(|old| (&old.url, &old.name) == (url, name)) {
        // It may have ended already, and nobody has its secret any more.
        let _ = end(old);
    }
    let role = output::visible(&role);
    let object = json!({ "url": url, "person": name, "role": role });
    let text = format!(
        "signed in at {url} as {name} ({role}); the session is kept in credentials.toml beside the database\n\
         team-table board --url {url} shows the board"
    );
    Ok(output::done(&object, &text)?)
}

/// Ends a session, and forgets it.
pub(crate) fn sign_out(config: &Config, person: Option<&str>) -> Result<(), CliError> {
    let url = config.url.as_ref().map(|(url, _)| url.as_str());
    let credential = credentials::find_person(config, url, person)?;
    let ended = match end(&credential) {
        Ok(_) => "has ended",
        Err(CliError::Refused(refusal)) if refusal.code == Code::Unauthenticated => "had ended already",
        Err(error) => return Err(error),
    };
    let Credential { url, name, .. } = &credential;
    credentials::forget_person(config, &credential)?;
    let text = format!("the session of {name} at {url} {ended}, and is forgotten here");
    Ok(output::done(&json!({ "url": url, "person": name }), &text)?)
}

fn end(credential: &Credential) -> Result<SessionEnded, CliError> {
    PersonSession::new(credential.table()?)?.ask("/sign-out", Some(&json!({})))
}

/// The address of the server and the code of a link.
fn read_link(given: Option<&str>) -> Result<(String, String), CliError> {
    let link = match given {
        Some(link) if link != "-" => link.to_owned(),
        None if std::io::stdin().is_terminal() => escalation::ask("link: ")?.unwrap_or_default(),
        _ => {
            let mut link = String::new();
            std::io::stdin().take(MAX_LINK).read_to_string(&mut link)?;
            link
        }
    };
    let parts = link.trim().split_once(JOIN).and_then(|(url, code)| match table_url(url)? {
        (url, None) if !code.is_empty() => Some((url, code.trim_end_matches('/').to_owned())),
        _ => None,
    });
    parts.ok_or_else(|| {
        CliError::Usage(format!(
            "this is no link to sign in: it looks like https://HOST:PORT{JOIN}tp_…; an operator makes one with team-table person \
             invite NAME --server https://HOST:PORT"
        ))
    })
}
