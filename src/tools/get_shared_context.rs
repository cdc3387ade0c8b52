//! `get_shared_context`: read one entry, or list many.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Call, Context, Preview, Target, body};
use super::{check_limit, default_limit, params};
use crate::domain::context_entry::{ContextEntry, ContextView};
use crate::domain::refusal::Refusal;
use crate::storage::{FactScope, ReadTx, Result};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetSharedContext {
    /// default: list all
    #[serde(default)]
    key: String,
    #[serde(default)]
    agent_name: Option<String>,
    /// list keys that begin so
    #[serde(default)]
    prefix: String,
    #[serde(default = "default_limit", deserialize_with = "params::integer")]
    limit: i64,
    /// next page: last key seen
    #[serde(default)]
    after: String,
}

#[derive(Serialize)]
struct Entries {
    entries: Vec<ContextView>,
    remaining: i64,
}

/// One entry, or `entries` and `remaining`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema that fits either form of the result")]
pub(super) struct EntryOrEntries {
    key: String,
    value: String,
    set_by: String,
    updated_at: String,
    version: i64,
    expires_at: Option<String>,
    entries: Vec<serde_json::Map<String, serde_json::Value>>,
    remaining: i64,
}

impl Call for GetSharedContext {
    fn name(&self) -> Option<&str> {
        self.agent_name.as_deref()
    }

    fn check(&self) -> Result<(), Refusal> {
        check_limit(self.limit)
    }

    fn target(&self, scope: &mut FactScope) {
        scope.context = (!self.key.is_empty()).then(|| self.key.clone());
    }

    fn lists(&self) -> Option<(Target, &'static str, &'static str)> {
        self.key.is_empty().then_some((Target::Context, "entries", "key"))
    }

    fn preview(&self, tx: &ReadTx<'_>, context: &Context) -> Result<Preview> {
        if self.key.is_empty() {
            let (entries, remaining) =
                tx.context_entries(&self.prefix, &self.after, self.limit, context.now)?;
            let entries = entries.into_iter().map(ContextEntry::view).collect();
            return Ok(Preview::Answer(body(&Entries { entries, remaining })?));
        }
        let unknown = || {
            let key: String = self.key.chars().take(crate::domain::context_entry::MAX_KEY).collect();
            Refusal::not_found(format!("no context entry {key:?}"), "leave key out to list what there is")
        };
        let entry = tx.context_entry(&self.key, context.now)?.ok_or_else(unknown)?;
        Ok(Preview::Answer(body(&entry.view())?))
    }
}
