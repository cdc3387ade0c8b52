//! What persons look at: threads, the board, a task with all that belongs to it, shared context, who works on what. Newest
//! first, in pages that cost the same however long a table has run: none looks at more than [`WALK`] rows of what it lists.
//! Persons see everything, so nothing here asks who looks. Agents' tools have reads of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::audit::{AuditRow, read_row};
use super::listing::REMAINING_CAP;
use super::messages::read_message;
use super::tasks::known_status;
use crate::domain::clock::Millis;
use crate::domain::message::{EVERYONE, Message, Receipt};
use crate::domain::task::{Priority, Status, Task};
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::ReadTx;
use crate::storage::value::params;

/// Most rows that one page looks at.
pub const WALK: i64 = 20_000;
/// Where the messages of a thread stop being counted.
pub const THREAD_COUNT_CAP: i64 = 1_000;
/// Where the tasks of one status stop being counted.
pub const BOARD_COUNT_CAP: i64 = 10_000;
/// Most names of a thread's participants.
const PARTICIPANTS: usize = 8;
/// The newest messages of a thread among which its participants are looked for.
const PARTICIPANTS_WINDOW: i64 = 200;
/// Most tasks that are named as the parts of one, or as waiting for one.
const RELATED: i64 = 200;
/// Most changes of a task that are returned.
const CHANGES: usize = 50;
/// Most tasks in progress that are looked at for who works on what, and most of one member.
const WORKING: i64 = 2_000;
const WORKING_EACH: usize = 8;
/// Characters of a context entry's value in a list.
const BEGINNING: i64 = 200;

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What matches, newest first.
    pub rows: Vec<T>,
    /// What to pass as `before` for what follows; `None` at the end. There may be one though `rows` has fewer than the limit, or
    /// none at all: then the page ended after [`WALK`] rows.
    pub next: Option<i64>,
}

/// Which threads to list.
#[derive(Debug, Clone, Default)]
pub struct ThreadQuery {
    /// Only those in which an agent of this name (or `operator`) wrote or got one of the newest 1,000 messages.
    pub agent: Option<String>,
    /// Only those whose latest message has a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// A thread in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadRow {
    /// Number: that of its first message.
    pub thread_id: i64,
    /// Its first message.
    pub first: Message,
    /// Its latest message, by which it is ordered.
    pub last: Message,
    /// How many messages it has, at most [`THREAD_COUNT_CAP`].
    pub messages: i64,
    /// Who wrote or got its first message or one of the newest 200, at most 8 names; a broadcast names its sender only.
    pub participants: Vec<String>,
}

/// Which tasks of the board to list.
#[derive(Debug, Clone, Default)]
pub struct BoardQuery {
    /// Only in this state.
    pub status: Option<Status>,
    /// Only this agent's; `Some("")`: only those of nobody.
    pub assignee: Option<String>,
    /// Only those that this agent (or `operator`) posted.
    pub creator: Option<String>,
    /// Only of this priority.
    pub priority: Option<Priority>,
    /// Only those that could be claimed now: pending, and all they depend on is done.
    pub ready: bool,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// Another task, where one task names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// Number.
    pub id: i64,
    /// Title.
    pub title: String,
    /// State.
    pub status: Status,
}

/// A task with all that belongs to it.
#[derive(Debug, Clone)]
pub struct TaskStory {
    /// The task.
    pub task: Task,
    /// All that it depends on, done or not.
    pub waits_for: Vec<TaskRef>,
    /// What depends on it, at most 200.
    pub needed_by: Vec<TaskRef>,
    /// The tasks that are parts of it, at most 200.
    pub children: Vec<TaskRef>,
    /// The task that it is a part of.
    pub parent: Option<TaskRef>,
    /// The thread in which members are told of it; `None` until somebody was.
    pub thread_id: Option<i64>,
    /// The audit rows about it, newest first: at most 50, and only those among the newest [`WALK`] rows of the log, which has
    /// no index on what a row is about.
    pub changes: Vec<AuditRow>,
}

/// A context entry in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextHead {
    /// Key.
    pub key: String,
    /// The first 200 characters of the value.
    pub beginning: String,
    /// Characters of the value.
    pub length: i64,
    /// Who wrote it last.
    pub set_by: String,
    /// When.
    pub updated_at: Millis,
    /// 1, 2, 3, …
    pub version: i64,
    /// When it vanishes, if it does.
    pub expires_at: Option<Millis>,
}

/// That a version of a context entry was written. Its value is kept only while it is the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextVersion {
    /// 1, 2, 3, …; begins anew after the entry has expired.
    pub version: i64,
    /// Who wrote it.
    pub set_by: String,
    /// When.
    pub at: Millis,
}

fn read_ref(row: &Row<'_>) -> Result<TaskRef> {
    Ok(TaskRef { id: row.get("id")?, title: row.get("title")?, status: known_status(row.text("status")?) })
}

impl ReadTx<'_> {
    /// A page of the threads, ordered by their latest messages.
    pub fn threads(&self, query: &ThreadQuery) -> Result<Page<ThreadRow>> {
        let newest = self.number("SELECT coalesce(max(id), 0) FROM messages", ())?;
        let before = query.before.unwrap_or(i64::MAX).clamp(1, newest + 1);
        // Numbers have no gaps, so that a range of them bounds the rows.
        let from = before - WALK;
        let limit = query.limit.max(1);
        let mut last = self.all(
            "SELECT m.* FROM messages m
              WHERE m.id < ?1 AND m.id >= ?2
                AND NOT EXISTS (SELECT 1 FROM messages later
                                 WHERE later.thread_id = m.thread_id AND later.id > m.id)
                AND (?3 IS NULL OR EXISTS
                    (SELECT 1 FROM (SELECT id, sender, recipient FROM messages
                                     WHERE thread_id = m.thread_id ORDER BY id DESC LIMIT ?4) part
                      WHERE part.sender = ?3 OR part.recipient = ?3
                         OR (part.recipient = ?5 AND EXISTS
                                (SELECT 1 FROM inbox i WHERE i.message_id = part.id AND i.member_id IN
                                    (SELECT who.id FROM members who WHERE who.name = ?3)))))
              ORDER BY m.id DESC LIMIT ?6",
            params![before, from, query.agent, THREAD_COUNT_CAP, EVERYONE, limit + 1],
            read_message,
        )?;
        let mut next = (from > 1).then_some(from);
        if i64::try_from(last.len()).is_ok_and(|found| found > limit) {
            last.pop();
            next = last.last().map(|message| message.id);
        }
        let rows = last.into_iter().map(|last| self.thread_row(last)).collect::<Result<_>>()?;
        Ok(Page { rows, next })
    }

    fn thread_row(&self, last: Message) -> Result<ThreadRow> {
        let thread_id = last.thread_id;
        let first = self.one(
            "SELECT * FROM messages WHERE thread_id = ?1 ORDER BY id LIMIT 1",
            [thread_id],
            read_message,
        )?;
        let first = first.unwrap_or_else(|| last.clone());
        let messages = self.number(
            "SELECT count(*) FROM (SELECT 1 FROM messages WHERE thread_id = ?1 LIMIT ?2)",
            [thread_id, THREAD_COUNT_CAP],
        )?;
        let mut participants = Vec::new();
        let mut meet = |name: &str| {
            if name != EVERYONE && !participants.iter().any(|known| known == name) {
                participants.push(name.to_owned());
            }
            participants.len() < PARTICIPANTS
        };
        if meet(&first.sender) && meet(&first.recipient) {
            self.while_wanted(
                "SELECT sender, recipient FROM messages WHERE thread_id = ?1 ORDER BY id DESC LIMIT ?2",
                [thread_id, PARTICIPANTS_WINDOW],
                |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
                |(sender, recipient)| meet(&sender) && meet(&recipient),
            )?;
        }
        Ok(ThreadRow { thread_id, first, last, messages, participants })
    }

    /// A page of one thread: the newest `limit` messages before `before`, oldest of them first. A direct message to a member
    /// comes with what became of it. Earlier ones are there while the first of them has not the thread's own number.
    pub fn thread_page(
        &self,
        thread_id: i64,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(Message, Option<Receipt>)>> {
        let mut newest = self.all(
            "SELECT * FROM messages WHERE thread_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            [thread_id, before.unwrap_or(i64::MAX), limit.max(1)],
            read_message,
        )?;
        newest.reverse();
        newest
            .into_iter()
            .map(|message| {
                let receipt = self.receipt(None, &message)?;
                Ok((message, receipt))
            })
            .collect()
    }

    /// A page of the board. Creator and priority have no index: of what else matches, a page looks at [`WALK`] tasks.
    pub fn board(&self, query: &BoardQuery) -> Result<Page<Task>> {
        let (status, assignee) = (query.status.map(Status::as_str), query.assignee.as_deref());
        let priority = query.priority.map(Priority::rank);
        let limit = usize::try_from(query.limit).unwrap_or(0).max(1);
        // Each form has its index; `?2 IS NULL` and its like only keep the parameters in their places.
        let sql = match (query.ready, status, assignee) {
            (true, _, _) => {
                "SELECT id, creator, priority FROM tasks WHERE status = 'pending' AND unmet = 0 AND id < ?1
                    AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) ORDER BY id DESC LIMIT ?4"
            }
            (false, Some(_), Some(_)) => {
                "SELECT id, creator, priority FROM tasks WHERE assignee = ?3 AND status = ?2 AND id < ?1
                  ORDER BY id DESC LIMIT ?4"
            }
            (false, Some(_), None) => {
                "SELECT id, creator, priority FROM tasks WHERE status = ?2 AND id < ?1 AND ?3 IS NULL
                  ORDER BY id DESC LIMIT ?4"
            }
            (false, None, Some(_)) => {
                "SELECT id, creator, priority FROM tasks WHERE assignee = ?3 AND id < ?1 AND ?2 IS NULL
                  ORDER BY id DESC LIMIT ?4"
            }
            (false, None, None) => {
                "SELECT id, creator, priority FROM tasks WHERE id < ?1 AND ?2 IS NULL AND ?3 IS NULL
                  ORDER BY id DESC LIMIT ?4"
            }
        };
        let (mut ids, mut seen, mut passed, mut next) = (Vec::new(), 0, None, None);
        self.while_wanted(
            sql,
            params![query.before.unwrap_or(i64::MAX), status, assignee, WALK + 1],
            |row| {
                let fits =
                    query.creator.as_deref().is_none_or(|creator| row.text("creator").ok() == Some(creator))
                        && priority.is_none_or(|rank| row.get("priority").ok() == Some(rank));
                Ok((row.get::<i64>("id")?, fits))
            },
            |(id, fits)| {
                seen += 1;
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
        let tasks = ids.into_iter().map(|id| self.task(id)).collect::<Result<Vec<_>>>()?;
        Ok(Page { rows: tasks.into_iter().flatten().collect(), next })
    }

    /// What a task still waits for: the numbers of those it depends on that are not done.
    pub fn unmet_dependencies(&self, id: i64) -> Result<Vec<i64>> {
        self.all(
            "SELECT t.id FROM task_dependencies d JOIN tasks t ON t.id = d.depends_on
              WHERE d.task_id = ?1 AND t.status <> 'done' ORDER BY t.id",
            [id],
            |row| row.get(0),
        )
    }

    /// How many tasks there are of each status, in the order of a task's life; each counted up to [`BOARD_COUNT_CAP`].
    pub fn board_counts(&self) -> Result<Vec<(Status, i64)>> {
        let count = |status: Status| {
            let count = self.number(
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE status = ?1 LIMIT ?2)",
                params![status.as_str(), BOARD_COUNT_CAP],
            )?;
            Ok((status, count))
        };
        Status::ALL.into_iter().map(count).collect()
    }

    /// A task with all that belongs to it.
    pub fn task_story(&self, id: i64) -> Result<Option<TaskStory>> {
        let Some(task) = self.task(id)? else { return Ok(None) };
        let waits_for = self.all(
            "SELECT t.id, t.title, t.status FROM task_dependencies d JOIN tasks t ON t.id = d.depends_on
              WHERE d.task_id = ?1 ORDER BY t.id",
            [id],
            read_ref,
        )?;
        let needed_by = self.all(
            "SELECT t.id, t.title, t.status FROM task_dependencies d JOIN tasks t ON t.id = d.task_id
              WHERE d.depends_on = ?1 ORDER BY t.id LIMIT ?2",
            [id, RELATED],
            read_ref,
        )?;
        let children = self.all(
            "SELECT id, title, status FROM tasks WHERE parent_id = ?1 ORDER BY id LIMIT ?2",
            [id, RELATED],
            read_ref,
        )?;
        let parent = match task.parent_id {
            Some(parent) => {
                self.one("SELECT id, title, status FROM tasks WHERE id = ?1", [parent], read_ref)?
            }
            None => None,
        };
        let thread_id = self.one("SELECT thread_id FROM tasks WHERE id = ?1", [id], |row| row.get(0))?;
        let changes = self.changes_of("task", &id.to_string(), task.created_at, CHANGES)?;
        Ok(Some(TaskStory {
            task,
            waits_for,
            needed_by,
            children,
            parent,
            thread_id: thread_id.flatten(),
            changes,
        }))
    }

    /// The audit rows about one thing, newest first, not before `since`. The log has no index for it: at most [`WALK`] of its
    /// newest rows are looked at.
    fn changes_of(&self, kind: &str, id: &str, since: Millis, limit: usize) -> Result<Vec<AuditRow>> {
        let newest = self.number("SELECT coalesce(max(id), 0) FROM audit", ())?;
        let mut rows = Vec::new();
        self.while_wanted(
            "SELECT * FROM audit WHERE id > ?1 ORDER BY id DESC",
            [(newest - WALK).max(0)],
            |row| {
                let about = row.text("target_type")? == kind && row.text("target_id")? == id;
                Ok((row.get::<Millis>("at")?, about.then(|| read_row(row)).transpose()?))
            },
            |(at, row)| {
                let wanted = at >= since && rows.len() < limit;
                if wanted {
                    rows.extend(row);
                }
                wanted
            },
        )?;
        Ok(rows)
    }

    /// The tasks in progress of each member, by the member's number: those among the newest 2,000, at most 8 of each.
    pub fn working_on(&self) -> Result<BTreeMap<i64, Vec<(i64, String)>>> {
        let tasks = self.all(
            "SELECT assignee_id, id, title FROM tasks WHERE status = 'in_progress' ORDER BY id DESC LIMIT ?1",
            [WORKING],
            |row| Ok((row.get::<Option<i64>>(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut working: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
        for (assignee, id, title) in tasks {
            let Some(assignee) = assignee else { continue };
            let of_one = working.entry(assignee).or_default();
            if of_one.len() < WORKING_EACH {
                of_one.push((id, title));
            }
        }
        Ok(working)
    }

    /// How many messages each present holder of a name has not read, by the member's number; each counted up to
    /// [`REMAINING_CAP`].
    pub fn unread_counts(&self) -> Result<BTreeMap<i64, i64>> {
        let counts = self.all(
            "SELECT who.id, (SELECT count(*) FROM (SELECT 1 FROM inbox
                                                    WHERE member_id = who.id AND read_at IS NULL LIMIT ?1))
               FROM members who WHERE who.current = 1",
            [REMAINING_CAP],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(counts.into_iter().collect())
    }

    /// The context entries whose keys begin with `prefix` and sort after `after`, by key.
    pub fn context_heads(
        &self,
        prefix: &str,
        after: &str,
        limit: i64,
        now: Millis,
    ) -> Result<Vec<ContextHead>> {
        // No text sorts after the prefix and the highest character, and has the prefix.
        let end = format!("{prefix}{}", char::MAX);
        self.all(
            "SELECT key, substr(value, 1, ?6) AS beginning, length(value) AS length, set_by, updated_at, version, expires_at
               FROM context
              WHERE key >= ?1 AND key < ?2 AND (expires_at IS NULL OR expires_at > ?3) AND key > ?4
              ORDER BY key LIMIT ?5",
            params![prefix, end, now, after, limit.max(1), BEGINNING],
            |row| {
                Ok(ContextHead {
                    key: row.get("key")?,
                    beginning: row.get("beginning")?,
                    length: row.get("length")?,
                    set_by: row.get("set_by")?,
                    updated_at: row.get("updated_at")?,
                    version: row.get("version")?,
                    expires_at: row.get("expires_at")?,
                })
            },
        )
    }

    /// Who wrote which version of a context entry, newest first; only those among the newest [`WALK`] rows of the audit log.
    pub fn context_versions(&self, key: &str, limit: usize) -> Result<Vec<ContextVersion>> {
        let rows = self.changes_of("context", key, 0, limit)?;
        let version = |row: AuditRow| {
            let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
            let version = details.get("version")?.as_i64()?;
            Some(ContextVersion { version, set_by: row.agent, at: row.at })
        };
        Ok(rows.into_iter().filter_map(version).collect())
    }
}
