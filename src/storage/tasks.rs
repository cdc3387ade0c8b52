//! The task board.

use rusqlite::{Row, params};
use serde_json::{Value, json};

use super::audit::Entry;
use super::error::Result;
use super::tx::{ReadTx, WriteTx};
use super::{Listing, REMAINING_CAP};
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, EventKind};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Priority, Status, Task, TaskDraft};

/// Characters of a task in a list besides its texts.
const TASK_FRAME: usize = 330;

/// Which tasks to list, by number.
#[derive(Debug, Clone, Default)]
pub struct TaskQuery {
    /// Only in this state.
    pub status: Option<Status>,
    /// Only this agent's; empty for everybody's.
    pub assignee: String,
    /// Only those that could be claimed now: pending, and all they depend on is done.
    pub ready: bool,
    /// Only those with a larger number.
    pub after_id: i64,
    /// At most so many.
    pub limit: i64,
}

fn read_task(row: &Row<'_>) -> rusqlite::Result<Task> {
    let status = row.get_ref("status")?.as_str()?;
    let depends_on = row.get_ref("depends_on")?.as_str()?;
    Ok(Task {
        id: row.get("id")?,
        title: row.get("title")?,
        description: row.get("description")?,
        // An unknown word could only come from another program: such a task is shown and cannot be claimed.
        status: Status::parse(status).unwrap_or(Status::Blocked),
        priority: Priority::from_rank(row.get("priority")?),
        creator: row.get("creator")?,
        creator_id: row.get("creator_id")?,
        assignee: row.get("assignee")?,
        assignee_id: row.get("assignee_id")?,
        result: row.get("result")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        depends_on: serde_json::from_str(depends_on).unwrap_or_default(),
        parent_id: row.get("parent_id")?,
        reviewer: row.get("reviewer")?,
        reviewer_id: row.get("reviewer_id")?,
        unmet: row.get("unmet")?,
        assignee_seen: row.get("assignee_seen")?,
    })
}

impl ReadTx<'_> {
    /// A task by number.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn task(&self, id: i64) -> Result<Option<Task>> {
        self.one("SELECT * FROM task_rows WHERE id = ?1", [id], read_task)
    }

    /// A page of tasks, and how many more match, at most [`REMAINING_CAP`].
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn tasks(&self, query: &TaskQuery) -> Result<(Vec<Task>, i64)> {
        let status = query.status.map(Status::as_str);
        let assignee = (!query.assignee.is_empty()).then_some(query.assignee.as_str());
        let limit = query.limit + REMAINING_CAP + 1;
        let parameters = params![query.after_id, status, assignee, limit];
        // Each form has its index; `?2 IS NULL` and its like only keep the parameters in their places.
        let (page, count) = match (query.ready, status, assignee) {
            (true, _, _) => (
                "SELECT * FROM task_rows WHERE status = 'pending' AND unmet = 0 AND id > ?1
                    AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE status = 'pending' AND unmet = 0 AND id > ?1
                    AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) LIMIT ?4)",
            ),
            (false, Some(_), Some(_)) => (
                "SELECT * FROM task_rows WHERE assignee = ?3 AND status = ?2 AND id > ?1 ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE assignee = ?3 AND status = ?2 AND id > ?1 LIMIT ?4)",
            ),
            (false, Some(_), None) => (
                "SELECT * FROM task_rows WHERE status = ?2 AND id > ?1 AND ?3 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE status = ?2 AND id > ?1 AND ?3 IS NULL LIMIT ?4)",
            ),
            (false, None, Some(_)) => (
                "SELECT * FROM task_rows WHERE assignee = ?3 AND id > ?1 AND ?2 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE assignee = ?3 AND id > ?1 AND ?2 IS NULL LIMIT ?4)",
            ),
            (false, None, None) => (
                "SELECT * FROM task_rows WHERE id > ?1 AND ?2 IS NULL AND ?3 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE id > ?1 AND ?2 IS NULL AND ?3 IS NULL LIMIT ?4)",
            ),
        };
        let (mut tasks, mut listing) = (Vec::new(), Listing::new(query.limit, TASK_FRAME));
        self.while_wanted(page, parameters, read_task, |task| {
            let depends_on = format!("{:?}", task.depends_on);
            let fits = listing.take(&[
                &task.title,
                &task.description,
                &task.result,
                &task.creator,
                &task.assignee,
                &task.reviewer,
                &depends_on,
            ]);
            if fits {
                tasks.push(task);
            }
            fits
        })?;
        let remaining = if listing.is_full() { self.number(count, parameters)? - listing.taken() } else { 0 };
        Ok((tasks, remaining.min(REMAINING_CAP)))
    }

    /// The best tasks that `caller` could claim, at most `limit`: their own before anyone's, then by priority,
    /// then by age.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn best_ready_tasks(&self, caller: &Principal, limit: usize) -> Result<Vec<i64>> {
        let mut best = Vec::new();
        for (assignee, id) in [(caller.name.as_str(), Some(caller.id)), ("", None)] {
            let more = i64::try_from(limit - best.len()).unwrap_or(i64::MAX);
            let found: Vec<i64> = self.all(
                "SELECT id FROM tasks WHERE status = 'pending' AND unmet = 0 AND assignee = ?1 AND assignee_id IS ?2
                 ORDER BY priority, id LIMIT ?3",
                params![assignee, id, more],
                |row| row.get(0),
            )?;
            best.extend(found);
        }
        Ok(best)
    }

    /// The member row that has this name now.
    fn holder_of(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.member(name)?.filter(|member| member.active).map(|member| member.id))
    }

    fn existing_task(&self, id: i64) -> Result<Task> {
        Ok(self.task(id)?.ok_or_else(|| {
            Refusal::not_found(format!("there is no task {id}"), "list_tasks shows the tasks there are")
        })?)
    }
}

impl WriteTx<'_> {
    /// Posts a task. A repeated idempotency key returns the first task and posts nothing.
    ///
    /// # Errors
    /// `not_found` when a task it depends on, or is a part of, does not exist.
    pub fn create_task(&self, creator: &Principal, draft: &TaskDraft, now: Millis) -> Result<Task> {
        if let Some(key) = &draft.idempotency_key {
            let posted = self.one(
                "SELECT id FROM tasks WHERE creator_id = ?1 AND idempotency_key = ?2",
                params![creator.id, key],
                |row| row.get(0),
            )?;
            if let Some(id) = posted {
                return self.existing_task(id);
            }
        }
        let mut depends_on = draft.depends_on.clone();
        depends_on.sort_unstable();
        depends_on.dedup();
        let mut unmet = 0_i64;
        for id in &depends_on {
            unmet += i64::from(self.existing_task(*id)?.status != Status::Done);
        }
        if let Some(parent) = draft.parent_id {
            self.existing_task(parent)?;
        }
        let id = self.insert(
            "INSERT INTO tasks (title, description, status, priority, creator, creator_id, assignee, reviewer,
                                parent_id, unmet, created_at, updated_at, idempotency_key, assignee_id, reviewer_id)
             VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13)",
            params![
                draft.title,
                draft.description,
                draft.priority.rank(),
                creator.name,
                creator.id,
                draft.assignee,
                draft.reviewer,
                draft.parent_id,
                unmet,
                now,
                draft.idempotency_key,
                self.holder_of(&draft.assignee)?,
                self.holder_of(&draft.reviewer)?
            ],
        )?;
        for dependency in &depends_on {
            self.execute(
                "INSERT INTO task_dependencies (task_id, depends_on) VALUES (?1, ?2)",
                [id, *dependency],
            )?;
        }
        let audience = match self.member(&draft.assignee)? {
            _ if draft.assignee.is_empty() => Audience::Everyone,
            Some(member) if member.active => Audience::Member(member.id),
            _ => Audience::Nobody,
        };
        let data = json!({ "id": id, "creator": creator.name, "assignee": draft.assignee,
                           "priority": draft.priority.as_str() });
        self.event(now, EventKind::TaskAssigned, Some(creator.id), audience, &data)?;
        self.task_audit(creator, "create_task", id, &data, now)?;
        self.existing_task(id)
    }

    /// Takes a task on: a given one, or the best ready one.
    ///
    /// # Errors
    /// `not_found`, `failed_precondition`, `permission_denied`: see [`Task::check_claim`].
    pub fn claim_task(&self, caller: &Principal, id: Option<i64>, now: Millis) -> Result<Task> {
        let id = match id {
            Some(id) => id,
            None => self.best_ready_tasks(caller, 1)?.first().copied().ok_or_else(|| {
                Refusal::not_found(
                    "no task is ready for you",
                    "list_tasks shows what others work on; wait for the task_assigned event or create_task",
                )
            })?,
        };
        let task = self.existing_task(id)?;
        task.check_claim(caller, now)?;
        self.execute(
            "UPDATE tasks SET status = 'in_progress', assignee = ?2, assignee_id = ?4, updated_at = ?3 WHERE id = ?1",
            params![id, caller.name, now, caller.id],
        )?;
        self.task_moved(caller, "claim_task", &task, Status::InProgress, now)?;
        self.existing_task(id)
    }

    /// Moves a task to another state. Starting one that nobody has makes the caller its assignee.
    ///
    /// # Errors
    /// `not_found`, `failed_precondition`, `permission_denied`: see [`Task::check_update`].
    pub fn update_task(
        &self,
        caller: &Principal,
        id: i64,
        to: Status,
        result: &str,
        now: Millis,
    ) -> Result<Task> {
        let task = self.existing_task(id)?;
        task.check_update(caller, to)?;
        self.execute(
            "UPDATE tasks SET status = ?2, updated_at = ?4,
                    result = CASE ?3 WHEN '' THEN result ELSE ?3 END,
                    assignee = CASE WHEN assignee = '' AND ?2 = 'in_progress' THEN ?5 ELSE assignee END,
                    assignee_id = CASE WHEN assignee = '' AND ?2 = 'in_progress' THEN ?6 ELSE assignee_id END
              WHERE id = ?1",
            params![id, to.as_str(), result, now, caller.name, caller.id],
        )?;
        if to == Status::Done {
            self.execute(
                "UPDATE tasks SET unmet = unmet - 1
                  WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = ?1)",
                [id],
            )?;
        }
        self.task_moved(caller, "update_task", &task, to, now)?;
        self.existing_task(id)
    }

    fn task_moved(
        &self,
        caller: &Principal,
        action: &str,
        before: &Task,
        to: Status,
        now: Millis,
    ) -> Result<()> {
        let data = json!({ "id": before.id, "from": before.status.as_str(), "status": to.as_str(), "by": caller.name });
        self.event(now, EventKind::TaskUpdated, Some(caller.id), Audience::Everyone, &data)?;
        self.task_audit(caller, action, before.id, &data, now)
    }

    fn task_audit(
        &self,
        caller: &Principal,
        action: &str,
        id: i64,
        details: &Value,
        now: Millis,
    ) -> Result<()> {
        self.audit(&Entry {
            at: now,
            agent: &caller.name,
            action,
            target: ("task", &id.to_string()),
            details: &details.to_string(),
        })
    }
}
