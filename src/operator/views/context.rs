//! `context list` and `context show`.

use serde::{Deserialize, Serialize};

use super::View;
use crate::domain::clock::{self, Millis};
use crate::domain::context_entry::{ContextView, MAX_KEY};
use crate::domain::person::Actor;
use crate::domain::refusal::Refusal;
use crate::storage::{ContextHead, ContextVersion, ReadTx, Result};

/// Most versions that are shown.
const VERSIONS: usize = 20;

/// Which entries to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ContextList {
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys that sort after this one.
    pub after: String,
    /// At most so many.
    pub limit: u32,
}

/// Entries, by key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContextListData {
    /// The entries.
    pub entries: Vec<ContextHeadView>,
    /// What to pass as `after` for what follows.
    pub next: Option<String>,
}

/// An entry in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContextHeadView {
    /// Key.
    pub key: String,
    /// The first characters of the value.
    pub beginning: String,
    /// Characters of the value.
    pub length: i64,
    /// Who wrote it last.
    pub set_by: String,
    /// When.
    pub updated_at: String,
    /// 1, 2, 3, …
    pub version: i64,
    /// When it vanishes, if it does.
    pub expires_at: Option<String>,
}

impl From<ContextHead> for ContextHeadView {
    fn from(head: ContextHead) -> Self {
        Self {
            key: head.key,
            beginning: head.beginning,
            length: head.length,
            set_by: head.set_by,
            updated_at: clock::format(head.updated_at),
            version: head.version,
            expires_at: head.expires_at.map(clock::format),
        }
    }
}

impl View for ContextList {
    const NAME: &'static str = "context";
    type Data = ContextListData;

    fn limit(&self) -> u32 {
        self.limit
    }

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, now: Millis) -> Result<ContextListData> {
        let limit = self.limit.max(1);
        let mut heads = tx.context_heads(&self.prefix, &self.after, i64::from(limit) + 1, now)?;
        let is_cut = heads.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if is_cut {
            heads.pop();
        }
        let next = heads.last().map(|head| head.key.clone()).filter(|_| is_cut);
        Ok(ContextListData { entries: heads.into_iter().map(Into::into).collect(), next })
    }
}

/// One entry to show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContextShow {
    /// Its key.
    pub key: String,
}

/// An entry, and who wrote which version of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContextShowData {
    /// The entry.
    pub entry: ContextView,
    /// Its versions, newest first.
    pub versions: Vec<VersionView>,
}

/// That a version of an entry was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionView {
    /// 1, 2, 3, …
    pub version: i64,
    /// Who wrote it.
    pub set_by: String,
    /// When.
    pub at: String,
}

impl From<ContextVersion> for VersionView {
    fn from(ContextVersion { version, set_by, at }: ContextVersion) -> Self {
        Self { version, set_by, at: clock::format(at) }
    }
}

impl View for ContextShow {
    const NAME: &'static str = "context-entry";
    type Data = ContextShowData;

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, now: Millis) -> Result<ContextShowData> {
        let entry = tx.context_entry(&self.key, now)?.ok_or_else(|| {
            let shown: String = self.key.chars().take(MAX_KEY).collect();
            Refusal::not_found(
                format!("there is no context entry {shown:?}"),
                "team-table context list shows them",
            )
        })?;
        let versions = tx.context_versions(&self.key, VERSIONS)?.into_iter().map(Into::into).collect();
        Ok(ContextShowData { entry: entry.view(), versions })
    }
}
