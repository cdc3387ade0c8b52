//! The decision log: every judgement with all that is needed to make it again.

use rusqlite::{Row, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::tx::{ReadTx, WriteTx};
use crate::domain::clock::{DAY, Millis};
use crate::domain::decision::{Decision, Fact, Input, Reason, Verdict};

/// An input larger than this many bytes of JSON is kept once, by digest.
const LARGE: usize = 4_096;
/// How long decisions are kept.
pub const KEEP_FOR: Millis = 30 * DAY;
/// How many bytes of them are kept.
pub const KEEP_BYTES: i64 = 512 * 1024 * 1024;
/// Rows removed in one step, so that pruning never holds up a caller for long.
const PRUNE_STEP: i64 = 200;

/// A decision to record.
#[derive(Debug, Clone)]
pub struct DecisionRecord {
    /// When it was made.
    pub at: Millis,
    /// What was asked.
    pub input: Input,
    /// The facts it was made on.
    pub facts: Vec<Fact>,
    /// What came of it.
    pub decision: Decision,
    /// Whether what it allowed was then done; the server's own rules may still have refused it.
    pub done: bool,
    /// Microseconds from the first fact read to the last verdict.
    pub micros: i64,
    /// The set that decided, as JSON, where this database may not have seen it yet.
    pub new_set: Option<String>,
}

/// A decision as read back.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionRow {
    /// Number.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// Which question.
    pub hook: String,
    /// Who asked for it.
    pub agent: String,
    /// The tool, or `review`.
    pub action: String,
    /// What it came to.
    pub outcome: String,
    /// Whether what it allowed was then done.
    pub done: bool,
    /// The policy that carried the day.
    pub policy: Option<String>,
    /// Its reason's code.
    pub code: Option<String>,
    /// Its reason's words.
    pub message: Option<String>,
    /// Digest of the set that decided.
    pub set_digest: String,
    /// What was asked.
    pub input: Input,
    /// The facts.
    pub facts: Vec<Fact>,
    /// Every policy's answer.
    pub verdicts: Vec<Verdict>,
    /// Microseconds it took.
    pub micros: i64,
}

/// Which decisions to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    /// Only this agent's.
    pub agent: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only from then on.
    pub since: Option<Millis>,
    /// Only with a smaller number.
    pub before_id: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

struct Raw {
    row: (i64, Millis, String, String, String, String, bool),
    why: (Option<String>, Option<String>, Option<String>, String),
    json: (Option<String>, String, String),
    micros: i64,
}

fn read_raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        row: (
            row.get("id")?,
            row.get("at")?,
            row.get("hook")?,
            row.get("agent")?,
            row.get("action")?,
            row.get("outcome")?,
            row.get("done")?,
        ),
        why: (row.get("policy")?, row.get("code")?, row.get("message")?, row.get("set_digest")?),
        json: (row.get("whole_input")?, row.get("facts")?, row.get("verdicts")?),
        micros: row.get("micros")?,
    })
}

fn complete(raw: Raw) -> Result<DecisionRow> {
    let (id, at, hook, agent, action, outcome, done) = raw.row;
    let (policy, code, message, set_digest) = raw.why;
    let (input, facts, verdicts) = raw.json;
    let input = input.ok_or_else(|| Error::Fault(format!("the input of decision {id} is missing")))?;
    Ok(DecisionRow {
        id,
        at,
        hook,
        agent,
        action,
        outcome,
        done,
        policy,
        code,
        message,
        set_digest,
        input: serde_json::from_str(&input)?,
        facts: serde_json::from_str(&facts)?,
        verdicts: serde_json::from_str(&verdicts)?,
        micros: raw.micros,
    })
}

impl WriteTx<'_> {
    /// Records a decision; the audit rows that follow in this transaction name it. Returns its number.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn record_decision(&self, record: &DecisionRecord) -> Result<i64> {
        let (agent, action) = match &record.input {
            Input::Authorization(call) => (&call.principal.name, call.tool.as_str()),
            Input::Escalation(message) => (&message.agent, "review"),
        };
        if let Some(policies) = &record.new_set {
            self.execute(
                "INSERT OR IGNORE INTO policy_sets (digest, policies) VALUES (?1, ?2)",
                params![record.decision.set, policies],
            )?;
        }
        let input = serde_json::to_string(&record.input)?;
        let facts = serde_json::to_string(&record.facts)?;
        let verdicts = serde_json::to_string(&record.decision.verdicts)?;
        let size = i64::try_from(input.len() + facts.len() + verdicts.len() + 200).unwrap_or(i64::MAX);
        let (input, blob) = if input.len() > LARGE {
            let digest = *blake3::hash(input.as_bytes()).as_bytes();
            self.execute(
                "INSERT INTO blobs (digest, content, uses) VALUES (?1, ?2, 1)
                 ON CONFLICT (digest) DO UPDATE SET uses = uses + 1",
                params![digest, input],
            )?;
            (None, Some(digest))
        } else {
            (Some(input), None)
        };
        let Reason { code, message, .. } = record.decision.reason.clone().unwrap_or_default();
        let given = |text: String| (!text.is_empty()).then_some(text);
        let id = self.insert(
            "INSERT INTO decisions (at, hook, agent, action, outcome, done, policy, code, message, set_digest,
                                    input, input_blob, facts, verdicts, micros, bytes_so_far)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                     ?16 + coalesce((SELECT bytes_so_far FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1), 0))",
            params![
                record.at,
                record.decision.hook.as_str(),
                agent,
                action,
                record.decision.outcome.as_str(),
                record.done,
                record.decision.policy,
                given(code),
                given(message),
                record.decision.set,
                input,
                blob,
                facts,
                verdicts,
                record.micros,
                size
            ],
        )?;
        self.decision.set(Some(id));
        Ok(id)
    }

    /// Removes a few decisions that are too old, or too many; true while there are more to remove.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn prune_decisions(&self, now: Millis, keep_bytes: i64) -> Result<bool> {
        let bytes = self.decision_bytes()?;
        let too_old = if bytes > keep_bytes { i64::MAX } else { now - KEEP_FOR };
        // The newest stays: the running sum goes on from it.
        let removed = self.execute(
            "DELETE FROM decisions WHERE at < ?1 AND id < ?2
                AND id IN (SELECT id FROM decisions WHERE id > 0 ORDER BY id LIMIT ?3)",
            [too_old, self.last_decision()?, PRUNE_STEP],
        )?;
        Ok(i64::try_from(removed).unwrap_or(0) == PRUNE_STEP)
    }
}

impl ReadTx<'_> {
    /// The number of the newest decision; 0 when there is none.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn last_decision(&self) -> Result<i64> {
        let last =
            self.one("SELECT id FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1", [], |row| row.get(0))?;
        Ok(last.unwrap_or(0))
    }

    /// Bytes that were logged after the oldest decision that is kept, with what is shared counted each time.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn decision_bytes(&self) -> Result<i64> {
        self.number(
            "SELECT coalesce((SELECT bytes_so_far FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1)
                           - (SELECT bytes_so_far FROM decisions WHERE id > 0 ORDER BY id LIMIT 1), 0)",
            [],
        )
    }

    /// Whether [`WriteTx::prune_decisions`] would find something to remove.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn decisions_overdue(&self, now: Millis, keep_bytes: i64) -> Result<bool> {
        let oldest: Option<Millis> =
            self.one("SELECT at FROM decisions WHERE id > 0 ORDER BY id LIMIT 1", [], |row| row.get(0))?;
        Ok(oldest.is_some_and(|at| at < now - KEEP_FOR) || self.decision_bytes()? > keep_bytes)
    }

    /// A policy set that decided here, as the JSON given with its first decision.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn policy_set(&self, digest: &str) -> Result<Option<String>> {
        self.one("SELECT policies FROM policy_sets WHERE digest = ?1", [digest], |row| row.get(0))
    }

    /// One decision.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn decision(&self, id: i64) -> Result<Option<DecisionRow>> {
        self.one(
            "SELECT d.*, coalesce(d.input, b.content) AS whole_input
               FROM decisions d LEFT JOIN blobs b ON b.digest = d.input_blob WHERE d.id = ?1",
            [id],
            read_raw,
        )?
        .map(complete)
        .transpose()
    }

    /// The numbers of the decisions from a time on, smallest first.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn decision_ids(&self, since: Millis) -> Result<Vec<i64>> {
        self.all("SELECT id FROM decisions WHERE id > 0 AND at >= ?1 ORDER BY id", [since], |row| row.get(0))
    }

    /// The decisions from one number to another that were made from a time on, smallest number first.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn decisions_between(&self, first: i64, last: i64, since: Millis) -> Result<Vec<DecisionRow>> {
        let rows = self.all(
            "SELECT d.*, coalesce(d.input, b.content) AS whole_input
               FROM decisions d LEFT JOIN blobs b ON b.digest = d.input_blob
              WHERE d.id BETWEEN ?1 AND ?2 AND d.at >= ?3 ORDER BY d.id",
            [first, last, since],
            read_raw,
        )?;
        rows.into_iter().map(complete).collect()
    }

    /// Decisions, newest first.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn decisions(&self, filter: &DecisionFilter) -> Result<Vec<DecisionRow>> {
        let since = filter.since.unwrap_or(0);
        let before = filter.before_id.unwrap_or(i64::MAX);
        let outcome = &filter.outcome;
        let rows = match &filter.agent {
            Some(agent) => self.all(
                "SELECT d.*, coalesce(d.input, b.content) AS whole_input
                   FROM (SELECT id FROM decisions WHERE agent = ?1 AND at >= ?2 AND id < ?3
                            AND (?4 IS NULL OR outcome = ?4) ORDER BY id DESC LIMIT ?5) picked
                   CROSS JOIN decisions d ON d.id = picked.id LEFT JOIN blobs b ON b.digest = d.input_blob
                  ORDER BY d.id DESC",
                params![agent, since, before, outcome, filter.limit],
                read_raw,
            )?,
            None => self.all(
                "SELECT d.*, coalesce(d.input, b.content) AS whole_input
                   FROM decisions d LEFT JOIN blobs b ON b.digest = d.input_blob
                  WHERE d.id < ?1 AND d.at >= ?2 AND (?3 IS NULL OR d.outcome = ?3)
                  ORDER BY d.id DESC LIMIT ?4",
                params![before, since, outcome, filter.limit],
                read_raw,
            )?,
        };
        rows.into_iter().map(complete).collect()
    }
}
