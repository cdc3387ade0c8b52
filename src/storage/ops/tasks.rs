//! The task board.

use serde_json::{Value, json};

use super::audit::Entry;
use super::listing::{Listing, REMAINING_CAP};
use super::voice::Voice;
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, EventKind};
use crate::domain::message::check_repeat;
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Priority, Status, Task, TaskDraft};
use crate::storage::error::Result;
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Characters of a task in a list besides its texts.
const TASK_FRAME: usize = 330;

/// Which tasks to list, by number.
#[derive(Debug, Clone, Default)]
pub struct TaskQuery {
    /// Only in this state.
    pub status: Option<Status>,
    /// Only this agent's; empty for everybody's.
    pub assignee: String,
    /// Only those that this agent reviews; empty for all.
    pub reviewer: String,
    /// Only those that could be claimed now: pending, and all they depend on is done.
    pub ready: bool,
    /// Only those with a larger number.
    pub after_id: i64,
    /// At most so many.
    pub limit: i64,
}

/// The state that a word in the database stands for. An unknown one could only come from another program: such a task is shown
/// and cannot be claimed.
pub(super) fn known_status(word: &str) -> Status {
    Status::parse(word).unwrap_or(Status::Blocked)
}

fn read_task(row: &Row<'_>) -> Result<Task> {
    let depends_on = row.text("depends_on")?;
    Ok(Task {
        id: row.get("id")?,
        title: row.get("title")?,
        description: row.get("description")?,
        status: known_status(row.text("status")?),
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
    pub fn task(&self, id: i64) -> Result<Option<Task>> {
        self.one("SELECT * FROM task_rows WHERE id = ?1", [id], read_task)
    }

    /// A page of tasks, and how many more match, at most [`REMAINING_CAP`].
    pub fn tasks(&self, query: &TaskQuery) -> Result<(Vec<Task>, i64)> {
        let status = query.status.map(Status::as_str);
        let assignee = (!query.assignee.is_empty()).then_some(query.assignee.as_str());
        let limit = query.limit + REMAINING_CAP + 1;
        let reviewer = (!query.reviewer.is_empty()).then_some(query.reviewer.as_str());
        let parameters = params![query.after_id, status, assignee, limit, reviewer];
        // Each form has its index; `?2 IS NULL` and its like only keep the parameters in their places.
        let (page, count) = match (reviewer, query.ready, status, assignee) {
            (Some(_), ready, _, _) => (
                if ready {
                    "SELECT * FROM task_rows WHERE reviewer = ?5 AND status = 'pending' AND unmet = 0 AND id > ?1
                        AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) ORDER BY id LIMIT ?4"
                } else {
                    "SELECT * FROM task_rows WHERE reviewer = ?5 AND id > ?1
                        AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) ORDER BY id LIMIT ?4"
                },
                if ready {
                    "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE reviewer = ?5 AND status = 'pending' AND unmet = 0
                        AND id > ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) LIMIT ?4)"
                } else {
                    "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE reviewer = ?5 AND id > ?1
                        AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) LIMIT ?4)"
                },
            ),
            (None, true, _, _) => (
                "SELECT * FROM task_rows WHERE status = 'pending' AND unmet = 0 AND id > ?1
                    AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) AND ?5 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE status = 'pending' AND unmet = 0 AND id > ?1
                    AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR assignee = ?3) AND ?5 IS NULL LIMIT ?4)",
            ),
            (None, false, Some(_), Some(_)) => (
                "SELECT * FROM task_rows WHERE assignee = ?3 AND status = ?2 AND id > ?1 AND ?5 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE assignee = ?3 AND status = ?2 AND id > ?1 AND ?5 IS NULL LIMIT ?4)",
            ),
            (None, false, Some(_), None) => (
                "SELECT * FROM task_rows WHERE status = ?2 AND id > ?1 AND ?3 IS NULL AND ?5 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE status = ?2 AND id > ?1 AND ?3 IS NULL AND ?5 IS NULL LIMIT ?4)",
            ),
            (None, false, None, Some(_)) => (
                "SELECT * FROM task_rows WHERE assignee = ?3 AND id > ?1 AND ?2 IS NULL AND ?5 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE assignee = ?3 AND id > ?1 AND ?2 IS NULL AND ?5 IS NULL LIMIT ?4)",
            ),
            (None, false, None, None) => (
                "SELECT * FROM task_rows WHERE id > ?1 AND ?2 IS NULL AND ?3 IS NULL AND ?5 IS NULL ORDER BY id LIMIT ?4",
                "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE id > ?1 AND ?2 IS NULL AND ?3 IS NULL AND ?5 IS NULL LIMIT ?4)",
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

    /// The tasks that `caller` could claim, the best first: its own before anyone's, then by priority, then by age. At
    /// most so many.
    pub fn ready_tasks(&self, caller: &Principal, limit: i64) -> Result<Vec<i64>> {
        let mut ready = Vec::new();
        for assignee in [Some(caller.id), None] {
            let left = limit - i64::try_from(ready.len()).unwrap_or(limit);
            ready.extend(self.all(
                "SELECT id FROM tasks WHERE status = 'pending' AND unmet = 0 AND assignee_id IS ?1
                    AND (?1 IS NOT NULL OR assignee = '') AND reviewer_id IS NOT ?2
                 ORDER BY priority, id LIMIT ?3",
                params![assignee, caller.id, left],
                |row| row.get::<i64>(0),
            )?);
        }
        Ok(ready)
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
        self.post_task(&creator.into(), draft, now)
    }

    /// Posts a task in the name of an agent or the operator.
    pub(super) fn post_task(&self, creator: &Voice<'_>, draft: &TaskDraft, now: Millis) -> Result<Task> {
        let mut depends_on = draft.depends_on.clone();
        depends_on.sort_unstable();
        depends_on.dedup();
        if let Some(key) = &draft.idempotency_key {
            let posted = self.one(
                "SELECT id FROM tasks WHERE creator_id IS ?1 AND idempotency_key = ?2",
                params![creator.id, key],
                |row| row.get(0),
            )?;
            if let Some(id) = posted {
                let task = self.existing_task(id)?;
                let words = |numbers: &[i64], parent: Option<i64>| format!("{numbers:?} {parent:?}");
                check_repeat(
                    key,
                    id,
                    &[
                        &task.title,
                        &task.description,
                        task.priority.as_str(),
                        &task.reviewer,
                        &words(&task.depends_on, task.parent_id),
                    ],
                    &[
                        &draft.title,
                        &draft.description,
                        draft.priority.as_str(),
                        &draft.reviewer,
                        &words(&depends_on, draft.parent_id),
                    ],
                )?;
                return Ok(task);
            }
        }
        let mut unmet = 0_i64;
        for id in &depends_on {
            let status = self.existing_task(*id)?.status;
            if status == Status::Cancelled {
                return Err(Refusal::precondition(
                    format!("task {id} is cancelled, so nothing can wait for it"),
                    "leave it out of depends_on, or post it anew and depend on that",
                )
                .into());
            }
            unmet += i64::from(status != Status::Done);
        }
        let member = |name: &str| (!name.is_empty()).then(|| self.recipient(name)).transpose();
        let (assignee, reviewer) = (member(&draft.assignee)?, member(&draft.reviewer)?);
        if let (Some(assignee), Some(reviewer)) = (&assignee, &reviewer)
            && assignee.id == reviewer.id
        {
            return Err(Refusal::invalid(
                format!("{} cannot review its own work", reviewer.name),
                "name another reviewer, or none",
            )
            .into());
        }
        if let Some(parent) = draft.parent_id {
            self.existing_task(parent)?;
        }
        let id = self.insert(
            "INSERT INTO tasks (title, description, status, priority, creator, creator_id, assignee,
                                assignee_id, reviewer, reviewer_id, parent_id, unmet, created_at, updated_at,
                                idempotency_key)
             VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13)",
            params![
                draft.title,
                draft.description,
                draft.priority.rank(),
                creator.name,
                creator.id,
                assignee.as_ref().map_or("", |member| &member.name),
                assignee.as_ref().map(|member| member.id),
                reviewer.as_ref().map_or("", |member| &member.name),
                reviewer.as_ref().map(|member| member.id),
                draft.parent_id,
                unmet,
                now,
                draft.idempotency_key
            ],
        )?;
        for dependency in &depends_on {
            self.execute(
                "INSERT INTO task_dependencies (task_id, depends_on) VALUES (?1, ?2)",
                [id, *dependency],
            )?;
        }
        let audience = assignee.as_ref().map_or(Audience::Everyone, |member| Audience::Member(member.id));
        let task = self.existing_task(id)?;
        let data = json!({ "id": id, "creator": creator.name, "assignee": task.assignee,
                           "priority": draft.priority.as_str() });
        self.event(now, EventKind::TaskAssigned, creator.id, audience, &data)?;
        self.task_audit(creator, "create_task", id, &data, now)?;
        self.tell_assigned(creator, &task, now)?;
        Ok(task)
    }

    /// Takes a task on.
    ///
    /// # Errors
    /// `not_found`, `failed_precondition`, `permission_denied`: see [`Task::check_claim`].
    pub fn claim_task(&self, caller: &Principal, id: i64, now: Millis) -> Result<Task> {
        let task = self.existing_task(id)?;
        task.check_claim(caller, now)?;
        // Write transactions are serial: nobody has claimed it since it was read.
        self.execute(
            "UPDATE tasks SET status = 'in_progress', assignee = ?2, assignee_id = ?3, updated_at = ?4 WHERE id = ?1",
            params![id, caller.name, caller.id, now],
        )?;
        self.task_moved(&caller.into(), "claim_task", &task, Status::InProgress, now)?;
        self.existing_task(id)
    }

    /// Moves a task to another state. Starting an unassigned one makes the caller its assignee.
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
        self.move_task(&caller.into(), &task, to, result, now)?;
        self.existing_task(id)
    }

    /// Moves a task that may be moved, in the name of an agent or the operator, and tells those whom it concerns.
    pub(super) fn move_task(
        &self,
        caller: &Voice<'_>,
        task: &Task,
        to: Status,
        result: &str,
        now: Millis,
    ) -> Result<()> {
        self.execute(
            "UPDATE tasks SET status = ?2, updated_at = ?4, result = ?3,
                    assignee_id = CASE WHEN assignee = '' AND ?2 = 'in_progress' THEN ?6 ELSE assignee_id END,
                    assignee = CASE WHEN assignee = '' AND ?2 = 'in_progress' THEN ?5 ELSE assignee END
              WHERE id = ?1",
            params![
                task.id,
                to.as_str(),
                caller.said_after(&task.result, result),
                now,
                caller.name,
                caller.id
            ],
        )?;
        if to == Status::Done {
            self.execute(
                "UPDATE tasks SET unmet = unmet - 1
                  WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = ?1)",
                [task.id],
            )?;
        }
        self.task_moved(caller, "update_task", task, to, now)?;
        self.tell_moved(caller, task, to, result, now)
    }

    /// The event and the audit row of a task that is in the state `to` now.
    pub(super) fn task_moved(
        &self,
        caller: &Voice<'_>,
        action: &str,
        before: &Task,
        to: Status,
        now: Millis,
    ) -> Result<()> {
        let data = json!({ "id": before.id, "from": before.status.as_str(), "status": to.as_str(), "by": caller.name });
        self.event(now, EventKind::TaskUpdated, caller.id, Audience::Everyone, &data)?;
        self.task_audit(caller, action, before.id, &data, now)
    }

    pub(super) fn task_audit(
        &self,
        caller: &Voice<'_>,
        action: &str,
        id: i64,
        details: &Value,
        now: Millis,
    ) -> Result<()> {
        self.audit(&Entry {
            at: now,
            agent: &caller.audit,
            action,
            target: ("task", &id.to_string()),
            details: &details.to_string(),
        })
    }
}
