//! What a person does at the table: posting, moving, assigning and commenting tasks, and writing to agents. The rules are those
//! for agents wherever they apply. Agents see the operator; the message and the audit row name the person.

use serde_json::json;

use super::handover::News;
use super::voice::Voice;
use crate::domain::agent::Member;
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, EventKind};
use crate::domain::message::{Draft, Message, Origin};
use crate::domain::person::{Actor, Role};
use crate::domain::refusal::{Code, Refusal};
use crate::domain::task::{self, Status, Task, TaskDraft};
use crate::storage::error::{Error, Result};
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Whom a person writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// One agent, by name.
    Agent(String),
    /// Every active member.
    Everyone,
}

/// Whether a person may give work to this agent, or take it away; an empty name is nobody's.
fn check_work_of(by: &Actor, agent: &str) -> Result<(), Refusal> {
    by.check_role(Role::Approver)?;
    if agent.is_empty() { Ok(()) } else { by.check_decides_for(agent) }
}

impl ReadTx<'_> {
    /// The task that a person wants to change.
    ///
    /// # Errors
    /// `permission_denied` when it is not theirs to change, `not_found`.
    fn task_to_change(&self, by: &Actor, id: i64) -> Result<Task> {
        // Before the look: who may change nothing is told so, whatever there is.
        by.check_role(Role::Approver)?;
        let task = self.task(id)?.ok_or_else(|| {
            Refusal::not_found(
                format!("there is no task {id}"),
                "team-table task list shows the tasks there are",
            )
        })?;
        check_work_of(by, &task.assignee)?;
        Ok(task)
    }

    /// The active member of that name.
    fn agent_at_the_table(&self, name: &str) -> Result<Member> {
        self.recipient(name).map_err(|error| match error {
            // Its hint names a tool of the agents.
            Error::Refused(refusal) if refusal.code == Code::NotFound => {
                Refusal { hint: "team-table agent list shows who is at the table".into(), ..refusal }.into()
            }
            other => other,
        })
    }
}

impl WriteTx<'_> {
    /// Posts a task. Its creator is the operator; a repeated idempotency key returns the first task and posts nothing.
    ///
    /// # Errors
    /// `invalid_argument` for what a task cannot be; `permission_denied` for a viewer, and for an approver when assignee or
    /// reviewer does not answer to them; otherwise as [`create_task`](Self::create_task).
    pub fn post_task_as(&self, by: &Actor, draft: &TaskDraft, now: Millis) -> Result<Task> {
        check_work_of(by, &draft.assignee)?;
        check_work_of(by, &draft.reviewer)?;
        draft.check()?;
        for name in [&draft.assignee, &draft.reviewer].into_iter().filter(|name| !name.is_empty()) {
            self.agent_at_the_table(name)?;
        }
        self.post_task(&by.into(), draft, now)
    }

    /// Moves a task to another state, with a text for its result if that is not empty. The assignee is told.
    ///
    /// # Errors
    /// `invalid_argument` for a text that is too long; `permission_denied` for a viewer, and for an approver when the assignee
    /// does not answer to them; `not_found`; `failed_precondition`: see [`Task::check_move`].
    pub fn move_task_as(&self, by: &Actor, id: i64, to: Status, text: &str, now: Millis) -> Result<Task> {
        let before = self.task_to_change(by, id)?;
        task::check_result(text)?;
        before.check_move(to)?;
        if to == Status::Done {
            // The reviewer's word is not given for them by somebody they do not answer to.
            check_work_of(by, &before.reviewer)?;
        }
        let voice = Voice::from(by);
        self.move_task(&voice, &before, to, text, now)?;
        let is_told = to.is_final() || (before.status, to) == (Status::AwaitingReview, Status::InProgress);
        if !is_told {
            self.tell(&voice, before.assignee_id, &before, News::Moved(to), text, now)?;
        }
        self.task_to_change(by, id)
    }

    /// Gives a task to an agent, or with an empty name to nobody. One that somebody works on, or could not go on with, is
    /// pending again. The new assignee is told, and the one before. What is assigned already stays as it is.
    ///
    /// # Errors
    /// `permission_denied` for a viewer, for an approver when one of both assignees does not answer to them, and for the task's
    /// reviewer; `not_found`; `failed_precondition` when the work is over.
    pub fn assign_task_as(&self, by: &Actor, id: i64, assignee: &str, now: Millis) -> Result<Task> {
        let before = self.task_to_change(by, id)?;
        check_work_of(by, assignee)?;
        before.check_assign()?;
        let member = if assignee.is_empty() { None } else { Some(self.agent_at_the_table(assignee)?) };
        let (name, member_id) =
            (member.as_ref().map_or("", |member| &member.name), member.as_ref().map(|member| member.id));
        if member_id == before.assignee_id && name == before.assignee {
            return Ok(before);
        }
        if member_id.is_some() && member_id == before.reviewer_id {
            return Err(Refusal::denied(
                format!("{name} reviews task {id}, so it cannot work on it"),
                "assign it to another agent",
            )
            .into());
        }
        self.execute(
            "UPDATE tasks SET assignee = ?2, assignee_id = ?3, status = 'pending', updated_at = ?4 WHERE id = ?1",
            params![id, name, member_id, now],
        )?;
        let task = self.task_to_change(by, id)?;
        let voice = Voice::from(by);
        let posted = json!({ "id": id, "creator": task.creator, "assignee": name, "priority": task.priority.as_str() });
        let audience = member_id.map_or(Audience::Everyone, Audience::Member);
        self.event(now, EventKind::TaskAssigned, voice.id, audience, &posted)?;
        let changed = json!({ "id": id, "from": before.status.as_str(), "status": task.status.as_str(), "by": voice.name,
                              "assignee": name });
        self.event(now, EventKind::TaskUpdated, voice.id, Audience::Everyone, &changed)?;
        let details = json!({ "id": id, "from": before.status.as_str(), "status": task.status.as_str(),
                              "assignee": name, "previous_assignee": before.assignee });
        self.task_audit(&voice, "assign_task", id, &details, now)?;
        self.tell(&voice, before.assignee_id, &before, News::Passed(name), "", now)?;
        self.tell_assigned(&voice, &task, now)?;
        Ok(task)
    }

    /// Adds a comment to a task's result, whatever its state, and tells the assignee.
    ///
    /// # Errors
    /// `invalid_argument` for an empty or too long text; `permission_denied` for a viewer, and for an approver when the assignee
    /// does not answer to them; `not_found`.
    pub fn comment_task_as(&self, by: &Actor, id: i64, text: &str, now: Millis) -> Result<Task> {
        let before = self.task_to_change(by, id)?;
        task::check_comment(text)?;
        let voice = Voice::from(by);
        self.execute(
            "UPDATE tasks SET result = ?2, updated_at = ?3 WHERE id = ?1",
            params![id, voice.said_after(&before.result, text), now],
        )?;
        self.task_moved(&voice, "comment_task", &before, before.status, now)?;
        self.tell(&voice, before.assignee_id, &before, News::Commented, text, now)?;
        self.task_to_change(by, id)
    }

    /// Writes to an agent, or to everyone, in the operator's name. With `reply_to` the message joins the thread of that one.
    ///
    /// # Errors
    /// `invalid_argument` for an empty or too long text; `permission_denied` for an agent that does not answer to the person,
    /// and for a broadcast by anybody but an operator; `not_found` when the agent is not at the table, or there is no such
    /// message.
    pub fn write_as(
        &self,
        by: &Actor,
        to: &Recipient,
        reply_to: Option<i64>,
        text: &str,
        now: Millis,
    ) -> Result<Message> {
        match to {
            Recipient::Agent(name) => by.check_decides_for(name)?,
            Recipient::Everyone => by.check_role(Role::Operator)?,
        }
        let voice = Voice::from(by);
        let draft = Draft {
            content: text.into(),
            reply_to,
            idempotency_key: None,
            origin: Origin::Person,
            person: voice.person.map(Into::into),
        };
        draft.check()?;
        let thread = match reply_to {
            None => None,
            Some(id) => Some(self.message(id)?.map(|message| message.thread_id).ok_or_else(|| {
                Refusal::not_found(
                    format!("there is no message {id}"),
                    "answer a message that is shown, or begin a thread",
                )
            })?),
        };
        match to {
            Recipient::Agent(name) => {
                self.deliver(&voice, &self.agent_at_the_table(name)?, &draft, thread, now)
            }
            Recipient::Everyone => self.deliver_to_all(&voice, None, &draft, thread, now),
        }
    }
}
