//! The audit log: who did what, each row chained to the one before it by its hash.

use serde::Serialize;

use crate::domain::clock::Millis;
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// A row to add.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) at: Millis,
    /// Who acted; `operator` for the command line.
    pub(crate) agent: &'a str,
    /// The tool or command.
    pub(crate) action: &'a str,
    /// Type and id of what was acted on.
    pub(crate) target: (&'a str, &'a str),
    /// JSON: what changed, without message bodies.
    pub(crate) details: &'a str,
}

/// A row as read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Number.
    pub id: i64,
    /// When, in milliseconds since 1970.
    #[serde(skip)]
    pub at: Millis,
    /// Who acted.
    pub agent: String,
    /// The tool or command.
    pub action: String,
    /// Type of what was acted on.
    pub target_type: String,
    /// Id of what was acted on.
    pub target_id: String,
    /// JSON.
    pub details: String,
    /// The decision that allowed it.
    pub decision_id: Option<i64>,
    /// 32 bytes, unless somebody else wrote it.
    #[serde(skip)]
    hash: Vec<u8>,
}

/// Which audit rows to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only this agent's.
    pub agent: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only from then on.
    pub since: Option<Millis>,
    /// At most so many.
    pub limit: i64,
}

/// A change to the policies that decide.
#[derive(Debug, Clone)]
pub struct PolicyChange {
    /// When.
    pub at: Millis,
    /// Who: `operator` for the command line, a person, or `host` for a set that a process found in force.
    pub by: String,
    /// `policy_` and the command, or `policy_set` for one that a process found in force: a file edited by hand, a rollback.
    pub action: String,
    /// The policy, or the policy directory for `policy_set`.
    pub policy: String,
    /// What it was and what it is, `from` and `to`.
    pub details: serde_json::Value,
}

/// What walking the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainReport {
    /// Every row follows from the one before it.
    Intact {
        /// How many rows there are.
        rows: u64,
    },
    /// A row was changed, or rows before it were removed.
    Broken {
        /// The first row that does not follow.
        id: i64,
        /// How many rows before it are sound.
        sound: u64,
    },
}

impl std::fmt::Display for ChainReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Intact { rows } => write!(f, "intact: {rows} rows"),
            Self::Broken { id, sound } => {
                write!(
                    f,
                    "broken at row {id}: it was changed, or rows before it are missing; {sound} sound before it"
                )
            }
        }
    }
}

/// The action of a row about a set that a process found in force.
pub const POLICY_SET: &str = "policy_set";

const GENESIS: [u8; 32] = [0; 32];

/// The hash of a row: over the hash before it and every field, each with its length, so that no two
/// different rows hash alike.
fn chain(previous: &[u8], row: &AuditRow) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("team-table audit chain v1");
    hasher.update(previous);
    hasher.update(&row.id.to_le_bytes());
    hasher.update(&row.at.to_le_bytes());
    hasher.update(&row.decision_id.unwrap_or(-1).to_le_bytes());
    for field in [&row.agent, &row.action, &row.target_type, &row.target_id, &row.details] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

pub(super) fn read_row(row: &Row<'_>) -> Result<AuditRow> {
    Ok(AuditRow {
        id: row.get("id")?,
        at: row.get("at")?,
        agent: row.get("agent")?,
        action: row.get("action")?,
        target_type: row.get("target_type")?,
        target_id: row.get("target_id")?,
        details: row.get("details")?,
        decision_id: row.get("decision_id")?,
        hash: row.get("hash")?,
    })
}

impl WriteTx<'_> {
    /// Records that somebody asked for a change to a policy, and says the number of the row.
    pub fn record_policy_change(&self, change: &PolicyChange) -> Result<i64> {
        self.add_row(&Entry {
            at: change.at,
            agent: &change.by,
            action: &change.action,
            target: ("policy", &change.policy),
            details: &change.details.to_string(),
        })
    }

    /// Records that a process found a set in force, once for all processes: not when the last row about its directory has the
    /// same `to`.
    pub fn record_policy_set(&self, change: &PolicyChange) -> Result<()> {
        let last: Option<String> = self.one(
            "SELECT details FROM audit WHERE target_type IN ('policy', 'policy_set')
                AND target_type = 'policy_set' AND target_id = ?1 ORDER BY id DESC LIMIT 1",
            [&change.policy],
            |row| row.get(0),
        )?;
        let last: Option<serde_json::Value> = last.as_deref().map(serde_json::from_str).transpose()?;
        let from = last.and_then(|last| last.get("to").cloned()).unwrap_or_default();
        let mut details = change.details.clone();
        if details.get("to") == Some(&from) {
            return Ok(());
        }
        if let Some(fields) = details.as_object_mut() {
            fields.insert("from".into(), from);
        }
        self.audit(&Entry {
            at: change.at,
            agent: &change.by,
            action: &change.action,
            target: (POLICY_SET, &change.policy),
            details: &details.to_string(),
        })
    }

    /// Adds a row. The transaction holds the write lock, so racing processes keep one chain.
    pub(in crate::storage) fn audit(&self, entry: &Entry<'_>) -> Result<()> {
        self.add_row(entry).map(drop)
    }

    fn add_row(&self, entry: &Entry<'_>) -> Result<i64> {
        let last: Option<(i64, Vec<u8>)> =
            self.one("SELECT id, hash FROM audit WHERE id > 0 ORDER BY id DESC LIMIT 1", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (last_id, previous) = last.unwrap_or_else(|| (0, GENESIS.to_vec()));
        let row = AuditRow {
            id: last_id + 1,
            at: entry.at,
            agent: entry.agent.to_owned(),
            action: entry.action.to_owned(),
            target_type: entry.target.0.to_owned(),
            target_id: entry.target.1.to_owned(),
            details: entry.details.to_owned(),
            decision_id: self.decision.get(),
            hash: Vec::new(),
        };
        self.execute(
            "INSERT INTO audit (id, at, agent, action, target_type, target_id, details, decision_id, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                row.id,
                row.at,
                row.agent,
                row.action,
                row.target_type,
                row.target_id,
                row.details,
                row.decision_id,
                chain(&previous, &row)
            ],
        )?;
        Ok(row.id)
    }
}

impl ReadTx<'_> {
    /// Rows of the log, newest first. Walks it backwards until there are enough: no index is kept for what
    /// only people ask.
    pub fn audit_rows(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        self.all(
            "SELECT * FROM audit WHERE id > 0 AND at >= ?1 AND (?2 IS NULL OR agent = ?2)
                AND (?3 IS NULL OR action = ?3) ORDER BY id DESC LIMIT ?4",
            params![filter.since.unwrap_or(0), filter.agent, filter.action, filter.limit],
            read_row,
        )
    }

    /// Changes to the policies, newest first.
    pub fn policy_changes(&self, since: Option<Millis>, limit: i64) -> Result<Vec<AuditRow>> {
        self.all(
            "SELECT * FROM audit WHERE target_type IN ('policy', 'policy_set') AND id > 0 AND at >= ?1
              ORDER BY +id DESC LIMIT ?2",
            params![since.unwrap_or(0), limit],
            read_row,
        )
    }

    /// Changes to one policy that were asked for, newest first.
    pub fn changes_of_policy(&self, policy: &str, limit: i64) -> Result<Vec<AuditRow>> {
        self.all(
            "SELECT * FROM audit WHERE target_type IN ('policy', 'policy_set') AND target_type = 'policy'
                AND target_id = ?1 AND id > 0 ORDER BY +id DESC LIMIT ?2",
            params![policy, limit],
            read_row,
        )
    }

    /// Walks the whole chain from its first row.
    pub fn verify_audit(&self) -> Result<ChainReport> {
        let (mut sound, mut previous, mut expected, mut broken) = (0, GENESIS.to_vec(), 1, None);
        // From the very lowest: a row put before the first one is no part of the chain either.
        self.while_wanted("SELECT * FROM audit WHERE id >= ?1 ORDER BY id", [i64::MIN], read_row, |row| {
            if row.id != expected || row.hash != chain(&previous, &row) {
                broken = Some(row.id);
                return false;
            }
            previous = row.hash;
            sound += 1;
            expected += 1;
            true
        })?;
        // Rows cut off the end leave no gap; the engine's own counter remembers the highest id there was.
        let highest = self.highest_audit_row()?;
        Ok(match broken {
            Some(id) => ChainReport::Broken { id, sound },
            None if highest >= expected => ChainReport::Broken { id: expected, sound },
            None => ChainReport::Intact { rows: sound },
        })
    }
}
