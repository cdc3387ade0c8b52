//! `person`: who decides in the console, and their sessions.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::remote::{self, SignInArguments};
use super::{CliError, output};
use crate::app;
use crate::auth::Secret;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::domain::person::{Actor, Person, Role};
use crate::storage::{Invitation, Session};

#[derive(Debug, Subcommand)]
pub(super) enum PersonCommand {
    /// Invite somebody, or make another link for a person who is known: it works once, within 15 minutes
    Invite(InviteArguments),
    /// List persons
    List,
    /// List sessions: where persons are signed in
    Sessions {
        /// Only this person's
        #[arg(long)]
        name: Option<String>,
    },
    /// End one session
    Revoke {
        /// Its number, from `person sessions`
        session: i64,
    },
    /// Sign in at a table on another machine by a link, for the commands that take --url
    SignIn(SignInArguments),
    /// End the session at a table on another machine, that of --as at --url
    SignOut,
    /// Remove a person: every session ends, and the name is not used again
    Remove {
        /// Name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct InviteArguments {
    /// Name
    name: String,
    /// viewer (reads), approver (decides for their agents) or operator (decides for all, changes policies)
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// The agents that an approver decides for, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    agents: Option<Vec<String>>,
    /// The address of the server, for the link [default: the server's own, as it is configured]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::parse(word).map_err(|refusal| format!("{}; {}", refusal.message, refusal.hint))
}

impl PersonCommand {
    /// Whether it is about a table on another machine.
    pub(super) const fn is_remote(&self) -> bool {
        matches!(self, Self::SignIn(_) | Self::SignOut)
    }
}

/// `person`: at a table on another machine, whose session to end.
pub(super) fn run(config: &Config, command: PersonCommand, person: Option<&str>) -> Result<(), CliError> {
    match command {
        PersonCommand::SignIn(arguments) => return remote::sign_in(config, &arguments),
        PersonCommand::SignOut => return remote::sign_out(config, person),
        _ => {}
    }
    let db = app::open_existing_db(config)?;
    let now = db.now(&Clock::System);
    match command {
        PersonCommand::Invite(arguments) => {
            let InviteArguments { name, role, agents, server } = arguments;
            let code = Secret::mint()?;
            let wanted = Invitation { name, role, agents, link: code.hash() };
            let person = db.write(move |tx| tx.invite(&Actor::Operator, &wanted, now))?;
            let server = server.unwrap_or_else(|| own_address(config));
            let link = format!("{}/console/join/{}", server.trim_end_matches('/'), code.reveal());
            let object = json!({ "person": as_json(&person), "link": link, "expires_in_seconds": 900 });
            let text =
                format!("{} ({}), once, within 15 minutes:\n{link}", person.name, person.role.as_str());
            output::done(&object, &text)?;
        }
        PersonCommand::List => {
            let persons = db.read(|tx| tx.persons())?;
            if output::is_json() {
                let persons: Vec<Value> = persons.iter().map(as_json).collect();
                return Ok(output::json(&json!({ "persons": persons }))?);
            }
            let rows = persons.into_iter().map(|person| {
                let decides = match person.role {
                    Role::Operator => "every agent".to_owned(),
                    Role::Approver => person.agents.join(", "),
                    Role::Viewer => String::new(),
                };
                let state = if person.removed_at.is_some() { "removed" } else { "active" };
                let since = output::local_time(person.created_at);
                [person.name, person.role.as_str().into(), state.into(), since, decides]
            });
            let header = ["NAME", "ROLE", "STATE", "INVITED", "DECIDES FOR"];
            let none = "no persons yet: team-table console makes you one, team-table person invite others";
            output::table(header, &["INVITED"], rows, none)?;
        }
        PersonCommand::Sessions { name } => {
            let sessions = db.read(|tx| tx.sessions(name.as_deref(), now))?;
            if output::is_json() {
                let sessions: Vec<Value> = sessions.iter().map(session_json).collect();
                return Ok(output::json(&json!({ "sessions": sessions }))?);
            }
            let rows = sessions.into_iter().map(|session| {
                let (began, used) =
                    (output::local_time(session.created_at), output::local_time(session.seen_at));
                [session.id.to_string(), session.person, began, used, session.device]
            });
            let header = ["N", "PERSON", "SIGNED IN", "LAST USED", "DEVICE"];
            output::table(header, &["DEVICE", "SIGNED IN"], rows, "nobody is signed in")?;
        }
        PersonCommand::Revoke { session } => {
            let ended = db.write(move |tx| tx.revoke_session(&Actor::Operator, session, now))?;
            let text = format!("session {session} of {} has ended", ended.person);
            output::done(&session_json(&ended), &text)?;
        }
        // Answered above.
        PersonCommand::SignIn(_) | PersonCommand::SignOut => {}
        PersonCommand::Remove { name } => {
            let removed = name.clone();
            let sessions = db.write(move |tx| tx.remove_person(&Actor::Operator, &removed, now))?;
            let text = format!("{name} is removed, {sessions} session(s) ended");
            output::done(&json!({ "name": name, "sessions_ended": sessions }), &text)?;
        }
    }
    Ok(())
}

/// Where the server of this configuration is reached from this machine.
fn own_address(config: &Config) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let host = match config.allowed_hosts.first() {
        Some(host) => host.clone(),
        None if config.listen.ip().is_unspecified() => "localhost".into(),
        None => config.listen.ip().to_string(),
    };
    let port = if host.contains(':') { String::new() } else { format!(":{}", config.listen.port()) };
    format!("{scheme}://{host}{port}{}", config.path_prefix)
}

fn as_json(person: &Person) -> Value {
    json!({
        "name": person.name,
        "role": person.role.as_str(),
        "agents": person.agents,
        "invited_at": clock::format(person.created_at),
        "removed_at": person.removed_at.map(clock::format),
    })
}

fn session_json(session: &Session) -> Value {
    json!({
        "session": session.id,
        "person": session.person,
        "signed_in_at": clock::format(session.created_at),
        "last_used_at": clock::format(session.seen_at),
        "device": session.device,
    })
}
