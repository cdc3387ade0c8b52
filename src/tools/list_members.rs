//! `list_members`: who is at the table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Call, Context, Preview, body};
use super::params;
use crate::domain::agent::{Member, MemberView};
use crate::storage::{ReadTx, Result};
use crate::wake;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListMembers {
    #[serde(default, deserialize_with = "params::boolean")]
    include_inactive: bool,
    #[serde(default)]
    agent_name: Option<String>,
    /// next page: last name seen
    #[serde(default)]
    after: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Members {
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    members: Vec<MemberView>,
    remaining: usize,
}

impl Call for ListMembers {
    fn name(&self) -> Option<&str> {
        self.agent_name.as_deref()
    }

    fn preview(&self, tx: &ReadTx<'_>, context: &Context) -> Result<Preview> {
        let (members, remaining) = tx.listed_members(self.include_inactive, &self.after)?;
        let seats = wake::live_seats(tx)?;
        let view = |member: Member| member.view(seats.get(&member.id), context.now);
        let members = members.into_iter().map(view).collect();
        Ok(Preview::Answer(body(&Members { members, remaining })?))
    }
}
