//! `agent`: what an operator does about members.

use clap::Subcommand;
use serde_json::json;

use super::{CliError, output};
use crate::app;
use crate::auth::Token;
use crate::config::Config;
use crate::domain::agent::{self, MemberView};
use crate::domain::clock::Clock;
use crate::domain::refusal::Refusal;
use crate::policy::read_set;
use crate::wake;

#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// List members
    List {
        /// Also those who have left
        #[arg(long)]
        all: bool,
    },
    /// Give a member a role that survives re-registration (admin and lead are only given here)
    Grant {
        /// Agent name
        name: String,
        /// Role
        role: String,
    },
    /// Cut a member off: its tokens and a granted role end, and its name is free
    Revoke {
        /// Agent name
        name: String,
    },
    /// Replace a member's token and print the new one
    RotateToken {
        /// Agent name
        name: String,
    },
}

pub(super) fn run(config: &Config, command: AgentCommand) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let now = db.now(&Clock::System);
    match command {
        AgentCommand::List { all } => {
            let (members, seats) = db.read(|tx| Ok((tx.members(all)?, wake::live_seats(tx)?)))?;
            let views: Vec<MemberView> =
                members.iter().map(|member| member.view(seats.get(&member.id), now)).collect();
            if output::is_json() {
                return Ok(output::json(&json!({ "members": views }))?);
            }
            let rows = members.iter().zip(&views).map(|(member, view)| {
                let role =
                    if member.granted { format!("{} (granted)", view.role) } else { view.role.clone() };
                let state = if member.active { view.presence } else { view.status };
                [
                    view.name.clone(),
                    role,
                    state.into(),
                    output::local_time(member.last_heartbeat),
                    view.capabilities.join(", "),
                ]
            });
            let header = ["NAME", "ROLE", "STATE", "LAST SEEN", "CAPABILITIES"];
            output::table(header, &["CAPABILITIES"], rows, "no members yet")?;
        }
        AgentCommand::Grant { name, role } => {
            check_known(config, &role)?;
            let member = db.write(move |tx| tx.grant(&name, &role, now))?;
            let text = format!("{} is now {}", member.name, member.role);
            output::done(&json!({ "name": member.name, "role": member.role }), &text)?;
        }
        AgentCommand::Revoke { name } => {
            let shown = name.clone();
            let held = {
                let name = name.clone();
                db.read(move |tx| tx.member(&name))?
            };
            if held.is_some_and(|member| !member.active) {
                return Err(CliError::Usage(format!(
                    "{shown} is off the table already; nothing was changed"
                )));
            }
            let tokens = db.write(move |tx| tx.revoke(&name, now))?;
            let text = format!("{shown} is off the table, {tokens} token(s) revoked");
            output::done(&json!({ "name": shown, "tokens_revoked": tokens }), &text)?;
        }
        AgentCommand::RotateToken { name } => {
            let token = Token::mint()?;
            let (hash, secret) = (token.hash(), token.reveal());
            let shown = name.clone();
            db.write(move |tx| tx.rotate_token(&name, &hash, now))?;
            output::done(&json!({ "name": shown, "token": secret }), &secret)?;
        }
    }
    Ok(())
}

/// Refuses a role that no rule is about: a typing mistake would leave the member without the rules it should have.
fn check_known(config: &Config, role: &str) -> Result<(), CliError> {
    let mut known: Vec<String> = agent::ROLES.iter().map(|&known| known.to_owned()).collect();
    // A set file that cannot be read keeps no operator from granting a role that is known without it.
    for entry in read_set(&config.policies).unwrap_or_default() {
        let extra = entry.settings.get("extra_roles").and_then(serde_json::Value::as_array);
        known.extend(extra.into_iter().flatten().filter_map(|role| Some(role.as_str()?.to_owned())));
    }
    if known.iter().any(|known| known == role) {
        return Ok(());
    }
    Err(Refusal::invalid(
        format!("{role:?} is no role that is known here"),
        format!("use one of {}; the setting extra_roles of tool-authorization adds others", known.join(", ")),
    )
    .into())
}
