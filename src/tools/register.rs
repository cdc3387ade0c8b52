//! `register`: take a seat at the table, or renew the registration and rotate the token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Body, Call, Context, body};
use super::params;
use crate::auth::Token;
use crate::domain::agent::{self, DEFAULT_ROLE};
use crate::domain::clock;
use crate::domain::refusal::Refusal;
use crate::storage::{FactScope, Registration, Result, WriteTx};

fn default_role() -> String {
    DEFAULT_ROLE.to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    name: String,
    /// agent (default), coder, designer, ops, qa, reviewer or tester; lead and admin are granted by the operator
    #[serde(default = "default_role")]
    role: String,
    #[serde(default, deserialize_with = "params::list")]
    capabilities: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Registered {
    name: String,
    role: String,
    capabilities: Vec<String>,
    status: &'static str,
    registered_at: String,
    last_heartbeat: String,
    token: String,
}

impl Register {
    /// The name and role asked for: policies judge a registration by them.
    pub(super) fn wanted(&self) -> (&str, &str, &[String]) {
        (&self.name, &self.role, &self.capabilities)
    }
}

impl Call for Register {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn check(&self) -> Result<(), Refusal> {
        agent::check_name("name", &self.name)?;
        agent::check_free_name(&self.name)?;
        agent::check_role(&self.role)?;
        agent::check_capabilities(&self.capabilities)
    }

    fn target(&self, scope: &mut FactScope) {
        scope.member = Some(self.name.clone());
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let holder = tx.member(&self.name)?.filter(|member| context.proof == Some(member.id));
        let granted = holder.is_some_and(|member| member.granted);
        if agent::is_privileged(&self.role) && !granted {
            return Err(Refusal::denied(
                format!("the role {} is granted by the operator, not chosen", self.role),
                format!(
                    "register as agent, then ask your operator for `team-table agent grant \"{}\" {}`",
                    self.name, self.role
                ),
            )
            .into());
        }
        // A session that took the name by itself proves it by its seat: no token is given out that could leak.
        let automatic = context.seat.as_ref().is_some_and(|seat| seat.reserved.as_ref() == Some(&self.name));
        // The connection's own token goes on being good: it stands in the client's configuration.
        let kept = context.kept_token.clone();
        let token = if kept.is_some() || automatic { None } else { Some(Token::mint()?) };
        let wanted = Registration {
            name: self.name.clone(),
            role: self.role.clone(),
            capabilities: self.capabilities.clone(),
            proof: context.proof,
            token: token.as_ref().map(Token::hash),
        };
        let member = tx.register(&wanted, context.now)?;
        if let Some(seat) = &context.seat {
            tx.sit(seat, member.id, &member.name, context.now)?;
        }
        body(&Registered {
            status: member.status(),
            registered_at: clock::format(member.registered_at),
            last_heartbeat: clock::format(member.last_heartbeat),
            name: member.name,
            role: member.role,
            capabilities: member.capabilities,
            token: token.map(Token::reveal).or(kept).unwrap_or_default(),
        })
    }
}
