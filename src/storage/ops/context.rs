//! Shared context entries.

use serde_json::json;

use super::audit::Entry;
use super::listing::{Listing, REMAINING_CAP};
use crate::domain::clock::Millis;
use crate::domain::context_entry::{self, ContextEntry};
use crate::domain::event::{Audience, EventKind};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Characters of an entry in a list besides its texts.
const CONTEXT_FRAME: usize = 170;

/// An entry to write, already checked.
#[derive(Debug, Clone)]
pub struct ContextWrite {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// When it shall vanish.
    pub expires_at: Option<Millis>,
    /// Write only when this is the present version; 0: only when there is no such entry.
    pub expected_version: Option<i64>,
}

fn read_entry(row: &Row<'_>) -> Result<ContextEntry> {
    Ok(ContextEntry {
        key: row.get("key")?,
        value: row.get("value")?,
        set_by: row.get("set_by")?,
        set_by_id: row.get("set_by_id")?,
        updated_at: row.get("updated_at")?,
        version: row.get("version")?,
        expires_at: row.get("expires_at")?,
    })
}

impl ReadTx<'_> {
    /// An entry that has not expired.
    pub fn context_entry(&self, key: &str, now: Millis) -> Result<Option<ContextEntry>> {
        self.one(
            "SELECT * FROM context WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            params![key, now],
            read_entry,
        )
    }

    /// The entries whose keys begin with `prefix` and sort after `after`, by key, and how many more there are, at most
    /// [`REMAINING_CAP`].
    pub fn context_entries(
        &self,
        prefix: &str,
        after: &str,
        limit: i64,
        now: Millis,
    ) -> Result<(Vec<ContextEntry>, i64)> {
        // No text sorts after the prefix and the highest character, and has the prefix.
        let end = format!("{prefix}{}", char::MAX);
        let (mut entries, mut listing) = (Vec::new(), Listing::new(limit, CONTEXT_FRAME));
        self.while_wanted(
            "SELECT * FROM context WHERE key >= ?1 AND key < ?2 AND (expires_at IS NULL OR expires_at > ?3) AND key > ?4
             ORDER BY key",
            params![prefix, end, now, after],
            read_entry,
            |entry| {
                let fits = listing.take(&[&entry.key, &entry.value, &entry.set_by]);
                if fits {
                    entries.push(entry);
                }
                fits
            },
        )?;
        let mut remaining = 0;
        if listing.is_full() {
            remaining = self.number(
                "SELECT count(*) FROM (SELECT 1 FROM context
                  WHERE key >= ?1 AND key < ?2 AND (expires_at IS NULL OR expires_at > ?3) AND key > ?5
                  LIMIT ?4)",
                params![prefix, end, now, REMAINING_CAP + listing.taken(), after],
            )? - listing.taken();
        }
        Ok((entries, remaining))
    }

    /// Whether `writer` may write `key`: one that begins with a member's name and a slash is that
    /// member's, a lead's or an admin's to write.
    /// An entry that a former holder of the name left behind is not the new holder's.
    fn check_context_owner(&self, writer: &Principal, key: &str, now: Millis) -> Result<()> {
        let Some(owner) = context_entry::owner_of(key).filter(|_| !writer.is_privileged()) else {
            return Ok(());
        };
        let written_for = self.one(
            "SELECT owner_id FROM context WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            params![key, now],
            |row| row.get::<Option<i64>>(0),
        )?;
        if let Some(id) = written_for.flatten().filter(|id| *id != writer.id)
            && owner == writer.name
        {
            return Err(Refusal::denied(
                format!("{key:?} belongs to the member {id} who had the name {owner} before you"),
                "write another key, or ask a lead or an admin to write this one",
            )
            .into());
        }
        if owner == writer.name || self.member(owner)?.is_none() {
            return Ok(());
        }
        Err(Refusal::denied(
            format!("keys that begin with {owner}/ belong to {owner}"),
            format!("write under {}/ or a key without a member's name", writer.name),
        )
        .into())
    }
}

impl WriteTx<'_> {
    /// Writes an entry; its version grows by one.
    ///
    /// # Errors
    /// `permission_denied` when the key is another member's; `failed_precondition`, with the present
    /// version, when that is not the one expected.
    pub fn share_context(
        &self,
        writer: &Principal,
        entry: &ContextWrite,
        now: Millis,
    ) -> Result<ContextEntry> {
        self.check_context_owner(writer, &entry.key, now)?;
        let owner = match context_entry::owner_of(&entry.key) {
            Some(owner) => self.member(owner)?.map(|member| member.id),
            None => None,
        };
        self.execute(
            "DELETE FROM context WHERE key IN
                 (SELECT key FROM context WHERE expires_at <= ?1 AND expires_at IS NOT NULL LIMIT 20)",
            [now],
        )?;
        let before = self.context_entry(&entry.key, now)?;
        let version = before.as_ref().map_or(0, |entry| entry.version);
        if let Some(expected) = entry.expected_version.filter(|expected| *expected != version) {
            let state = if version == 0 { "does not exist".into() } else { format!("has version {version}") };
            return Err(Refusal::precondition(
                format!("{:?} {state}, not version {expected}", entry.key),
                format!("read it with get_shared_context, then retry with expected_version={version}"),
            )
            .into());
        }
        let written = ContextEntry {
            key: entry.key.clone(),
            value: entry.value.clone(),
            set_by: writer.name.clone(),
            set_by_id: Some(writer.id),
            updated_at: now,
            version: version + 1,
            expires_at: entry.expires_at,
        };
        self.execute(
            "INSERT INTO context (key, value, set_by, updated_at, version, expires_at, set_by_id, owner_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (key) DO UPDATE SET value = ?2, set_by = ?3, updated_at = ?4, version = ?5, expires_at = ?6,
                                             set_by_id = ?7, owner_id = ?8",
            params![
                written.key,
                written.value,
                written.set_by,
                now,
                written.version,
                written.expires_at,
                writer.id,
                owner
            ],
        )?;
        let data = json!({ "key": written.key, "version": written.version, "set_by": written.set_by });
        self.event(now, EventKind::ContextUpdated, Some(writer.id), Audience::Everyone, &data)?;
        let previous = before.map(|entry| entry.set_by);
        self.audit(&Entry {
            at: now,
            agent: &writer.name,
            action: "share_context",
            target: ("context", &written.key),
            details: &json!({ "version": written.version, "previous_set_by": previous }).to_string(),
        })?;
        Ok(written)
    }
}
