//! `share_context`: write an entry everybody can read.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Body, Call, Context, body};
use super::params;
use crate::domain::clock::SECOND;
use crate::domain::context_entry::{self, MAX_TTL_SECONDS};
use crate::domain::refusal::Refusal;
use crate::storage::{ContextWrite, FactScope, Result, WriteTx};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareContext {
    agent_name: String,
    /// alice/... is alice's to write
    key: String,
    value: String,
    #[serde(default, deserialize_with = "params::optional_integer")]
    ttl_seconds: Option<i64>,
    /// write only over this version; 0: only if new
    #[serde(default, deserialize_with = "params::optional_integer")]
    expected_version: Option<i64>,
}

impl Call for ShareContext {
    fn name(&self) -> Option<&str> {
        Some(&self.agent_name)
    }

    fn check(&self) -> Result<(), Refusal> {
        context_entry::check_key(&self.key)?;
        context_entry::check_value(&self.value)?;
        if let Some(seconds) = self.ttl_seconds.filter(|seconds| !(1..=MAX_TTL_SECONDS).contains(seconds)) {
            return Err(Refusal::invalid(
                format!("ttl_seconds is {seconds}"),
                format!("use 1 to {MAX_TTL_SECONDS}, or leave it out to keep the entry"),
            ));
        }
        if let Some(version) = self.expected_version.filter(|version| *version < 0) {
            return Err(Refusal::invalid(
                format!("expected_version is {version}"),
                "use the version you read, or 0 for a key that must not exist",
            ));
        }
        Ok(())
    }

    fn target(&self, scope: &mut FactScope) {
        scope.context = Some(self.key.clone());
    }

    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        let entry = ContextWrite {
            key: self.key.clone(),
            value: self.value.clone(),
            expires_at: self.ttl_seconds.map(|seconds| context.now + seconds * SECOND),
            expected_version: self.expected_version,
        };
        body(&tx.share_context(context.member()?, &entry, context.now)?.view())
    }
}
