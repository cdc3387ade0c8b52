//! The decision log: every judgement with all that is needed to make it again.

use std::sync::Arc;

use serde::Serialize;

use super::browse::{Page, WALK};
use crate::domain::clock::{DAY, Millis, SECOND};
use crate::domain::decision::{Decision, Fact, Input, Reason, SetRecord, Verdict};
use crate::storage::error::{Error, Result};
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// An input larger than this many bytes of JSON is kept once, by digest.
const LARGE: usize = 4_096;
/// Bytes of a row besides its texts.
const ROW: usize = 200;
/// How long decisions are kept.
pub const KEEP_FOR: Millis = 30 * DAY;
/// How many bytes of them are kept, unless a policy still counts the older ones.
pub const KEEP_BYTES: i64 = 512 * 1024 * 1024;
/// What the refused calls of one agent may store in a day, in bytes. Beyond that they are recorded and counted, but
/// without arguments, facts and verdicts, so that no agent can push the others' decisions out of the log.
pub const REFUSED_BYTES: i64 = 4 * 1024 * 1024;
/// How long a set counts as loaded after a process last said that it runs under it. Processes say so every ten
/// minutes; a suspended one may be late.
const LOADED_FOR: Millis = DAY;
/// The action of decisions about messages in an inbox.
pub(super) const REVIEW: &str = "review";
/// Rows removed in one step, so that pruning never holds up a caller for long.
const PRUNE_STEP: i64 = 200;

/// A decision to record.
#[derive(Debug, Clone)]
pub struct DecisionRecord {
    /// When it was made.
    pub at: Millis,
    /// The member whose call or inbox it is about, if it is one's: counters go by it.
    pub agent_id: Option<i64>,
    /// What was asked.
    pub input: Arc<Input>,
    /// The facts it was made on.
    pub facts: Vec<Fact>,
    /// What came of it.
    pub decision: Decision,
    /// Whether what it allowed was then done; the server's own rules may still have refused it.
    pub done: bool,
    /// Microseconds from the first fact read to the last verdict.
    pub micros: i64,
    /// The set that decided, where this database may not have seen it yet.
    pub new_set: Option<SetRecord>,
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
    /// The policy whose verdict determined the outcome.
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
    /// Only this action: a tool, or `review`.
    pub action: Option<String>,
    /// Only those whose outcome this policy determined.
    pub policy: Option<String>,
    /// Only from then on.
    pub since: Option<Millis>,
    /// Only with a smaller number.
    pub before_id: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

fn bytes(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

struct Raw {
    row: (i64, Millis, String, String, String, String, bool),
    why: (Option<String>, Option<String>, Option<String>, String),
    json: (Option<String>, String, String),
    micros: i64,
}

fn read_raw(row: &Row<'_>) -> Result<Raw> {
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
    pub fn record_decision(&self, record: &DecisionRecord) -> Result<i64> {
        let (agent, action) = match record.input.as_ref() {
            Input::Authorization(call) => (&call.principal.name, call.tool.as_str()),
            Input::Review(message) => (&message.agent, REVIEW),
        };
        let at = self.not_before(record.at)?;
        if let Some(set) = &record.new_set {
            self.note_policy_set(set, at)?;
        }
        let mut input = serde_json::to_string(record.input.as_ref())?;
        let mut facts = serde_json::to_string(&record.facts)?;
        let mut verdicts = serde_json::to_string(&record.decision.verdicts)?;
        let mut size = bytes(input.len() + facts.len() + verdicts.len() + ROW);
        if !record.done && !self.may_store(record, size)? {
            (input, facts, verdicts) =
                (serde_json::to_string(&record.input.without_arguments())?, "[]".into(), "[]".into());
            size = 0;
        }
        let (input, blob) = if input.len() > LARGE {
            // The triggers count what is shared.
            size -= bytes(input.len());
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
                                    input, input_blob, facts, verdicts, micros, agent_id, bytes_so_far)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?17,
                     ?16 + coalesce((SELECT bytes_so_far FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1), 0))",
            params![
                at,
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
                size,
                record.agent_id
            ],
        )?;
        self.decision.set(Some(id));
        Ok(id)
    }

    /// Whether a refused call may still be stored whole today; if so, its bytes are counted.
    fn may_store(&self, record: &DecisionRecord, size: i64) -> Result<bool> {
        let agent = record.agent_id.unwrap_or(0);
        let stored = self.execute(
            "INSERT INTO refused_bytes (agent_id, day, bytes) VALUES (?1, ?2, ?3)
             ON CONFLICT (agent_id) DO UPDATE SET day = ?2, bytes = CASE day WHEN ?2 THEN bytes + ?3 ELSE ?3 END
              WHERE day <> ?2 OR bytes + ?3 <= ?4",
            [agent, record.at.div_euclid(DAY), size, REFUSED_BYTES],
        )?;
        Ok(stored > 0)
    }

    /// Notes that a process runs under this set: what its windows still count is not pruned.
    pub fn note_policy_set(&self, set: &SetRecord, now: Millis) -> Result<()> {
        self.execute(
            "INSERT INTO policy_sets (digest, policies, window_seconds, seen_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (digest) DO UPDATE SET window_seconds = ?3, seen_at = max(seen_at, ?4)",
            params![set.digest, set.policies, set.window_seconds, now],
        )?;
        Ok(())
    }

    /// Removes a few decisions that are too old, or too many; true while there are more to remove. A decision that
    /// a window of a loaded set can still count is never too old.
    pub fn prune_decisions(&self, now: Millis, keep_bytes: i64) -> Result<bool> {
        let too_old = self.pruned_before(now, keep_bytes)?;
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
    pub fn last_decision(&self) -> Result<i64> {
        let last =
            self.one("SELECT id FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1", (), |row| row.get(0))?;
        Ok(last.unwrap_or(0))
    }

    /// Bytes that were logged after the oldest decision that is kept; what several share counts once.
    pub fn decision_bytes(&self) -> Result<i64> {
        self.number(
            "SELECT coalesce((SELECT bytes_so_far FROM decisions WHERE id > 0 ORDER BY id DESC LIMIT 1)
                           - (SELECT bytes_so_far FROM decisions WHERE id > 0 ORDER BY id LIMIT 1), 0)
                  + (SELECT bytes FROM blob_bytes)",
            (),
        )
    }

    /// Decisions from before then may be removed.
    fn pruned_before(&self, now: Millis, keep_bytes: i64) -> Result<Millis> {
        if self.decision_bytes()? <= keep_bytes {
            return Ok(now - KEEP_FOR);
        }
        let window = self.number(
            "SELECT coalesce(max(window_seconds), 0) FROM policy_sets WHERE seen_at > ?1",
            [now - LOADED_FOR],
        )?;
        Ok(now - (window * SECOND).min(KEEP_FOR))
    }

    /// Whether [`WriteTx::prune_decisions`] would find something to remove.
    pub fn decisions_overdue(&self, now: Millis, keep_bytes: i64) -> Result<bool> {
        let oldest: Option<Millis> =
            self.one("SELECT at FROM decisions WHERE id > 0 ORDER BY id LIMIT 1", (), |row| row.get(0))?;
        let before = self.pruned_before(now, keep_bytes)?;
        Ok(oldest.is_some_and(|at| at < before))
    }

    /// Whether a policy set is described here, with a window this long, and counts as loaded for half a day yet.
    pub fn knows_policy_set(&self, digest: &str, window_seconds: i64, now: Millis) -> Result<bool> {
        let known = self.one(
            "SELECT 1 FROM policy_sets WHERE digest = ?1 AND window_seconds = ?2 AND seen_at > ?3",
            params![digest, window_seconds, now - LOADED_FOR / 2],
            |_| Ok(()),
        )?;
        Ok(known.is_some())
    }

    /// A policy set that decided here, as the JSON given with its first decision.
    pub fn policy_set(&self, digest: &str) -> Result<Option<String>> {
        self.one("SELECT policies FROM policy_sets WHERE digest = ?1", [digest], |row| row.get(0))
    }

    /// One decision.
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
    pub fn decision_ids(&self, since: Millis) -> Result<Vec<i64>> {
        self.all("SELECT id FROM decisions WHERE id > 0 AND at >= ?1 ORDER BY id", [since], |row| row.get(0))
    }

    /// The decisions from one number to another that were made from a time on, smallest number first.
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

    /// A page of decisions, newest first. Outcome, action and policy have no index: of what else matches, a page looks at
    /// [`WALK`] decisions.
    pub fn decisions(&self, filter: &DecisionFilter) -> Result<Page<DecisionRow>> {
        let before = filter.before_id.unwrap_or(i64::MAX);
        let DecisionFilter { agent, outcome, action, policy, .. } = filter;
        let (since, limit) = (filter.since.unwrap_or(0), usize::try_from(filter.limit).unwrap_or(0));
        let (mut ids, mut seen, mut passed, mut next) = (Vec::new(), 0, None, None);
        let sql = if agent.is_some() {
            "SELECT id, at, (?2 IS NULL OR outcome = ?2) AND (?3 IS NULL OR action = ?3) AND (?4 IS NULL OR policy IS ?4) AS fits
               FROM decisions WHERE agent_id IN (SELECT id FROM members WHERE name = ?5) AND id < ?1
              ORDER BY id DESC LIMIT ?6"
        } else {
            "SELECT id, at, (?2 IS NULL OR outcome = ?2) AND (?3 IS NULL OR action = ?3) AND (?4 IS NULL OR policy IS ?4) AS fits
               FROM decisions WHERE id > 0 AND id < ?1 AND ?5 IS NULL ORDER BY id DESC LIMIT ?6"
        };
        self.while_wanted(
            sql,
            params![before, outcome, action, policy, agent, WALK + 1],
            |row| Ok((row.get::<i64>("id")?, row.get::<Millis>("at")?, row.get::<bool>("fits")?)),
            |(id, at, fits)| {
                seen += 1;
                // Decisions are as old as their numbers say.
                if at < since {
                    return false;
                }
                if seen > WALK || (fits && ids.len() == limit) {
                    next = passed;
                    return false;
                }
                passed = Some(id);
                if fits {
                    ids.push(id);
                }
                true
            },
        )?;
        let rows = ids.into_iter().map(|id| self.decision(id)).collect::<Result<Vec<_>>>()?;
        Ok(Page { rows: rows.into_iter().flatten().collect(), next })
    }
}
