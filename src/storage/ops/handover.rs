//! What members are told of a task: messages in the task's own thread, from who did it.

use serde_json::json;

use super::voice::Voice;
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, EventKind};
use crate::domain::message::{MAX_CONTENT, Origin};
use crate::domain::task::{Status, Task};
use crate::storage::error::Result;
use crate::storage::tx::WriteTx;
use crate::storage::value::params;

/// What a task's change means for one of those it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News<'a> {
    Assigned,
    AwaitsReview,
    Rejected,
    Done,
    Cancelled,
    Unblocked,
    /// A task that this one depends on was cancelled.
    Stuck(i64),
    /// A person has put it into another state.
    Moved(Status),
    /// A person has given it to another member, or to nobody, where the name is empty.
    Passed(&'a str),
    /// A person has said something about it.
    Commented,
}

impl WriteTx<'_> {
    /// Tells the assignee of a new task.
    pub(super) fn tell_assigned(&self, creator: &Voice<'_>, task: &Task, now: Millis) -> Result<()> {
        self.tell(creator, task.assignee_id, task, News::Assigned, "", now)
    }

    /// Tells those whom a move concerns, with the text that came with it.
    pub(super) fn tell_moved(
        &self,
        caller: &Voice<'_>,
        before: &Task,
        to: Status,
        said: &str,
        now: Millis,
    ) -> Result<()> {
        let news = match (before.status, to) {
            (_, Status::AwaitingReview) => News::AwaitsReview,
            (Status::AwaitingReview, Status::InProgress) => News::Rejected,
            (_, Status::Done) => News::Done,
            (_, Status::Cancelled) => News::Cancelled,
            _ => return Ok(()),
        };
        let mut concerned = match news {
            News::AwaitsReview => vec![before.reviewer_id.or(before.creator_id)],
            News::Rejected => vec![before.assignee_id],
            News::Cancelled => vec![before.creator_id, before.assignee_id, before.reviewer_id],
            _ => vec![before.creator_id, before.assignee_id],
        };
        concerned.sort_unstable();
        concerned.dedup();
        for member in concerned {
            self.tell(caller, member, before, news, said, now)?;
        }
        if matches!(news, News::Done | News::Cancelled) {
            self.tell_dependents(caller, before.id, news, now)?;
        }
        Ok(())
    }

    /// Tells of the tasks that can begin now, or that never will.
    fn tell_dependents(&self, caller: &Voice<'_>, id: i64, news: News<'_>, now: Millis) -> Result<()> {
        let dependents: Vec<i64> = self.all(
            "SELECT t.id FROM task_dependencies d JOIN tasks t ON t.id = d.task_id
              WHERE d.depends_on = ?1 AND t.status = 'pending' AND (?2 OR t.unmet = 0) ORDER BY t.id",
            params![id, news == News::Cancelled],
            |row| row.get(0),
        )?;
        for dependent in dependents {
            let Some(task) = self.task(dependent)? else { continue };
            let (member, news) = match news {
                News::Cancelled => (task.creator_id, News::Stuck(id)),
                _ => (task.assignee_id.or(task.creator_id), News::Unblocked),
            };
            self.tell(caller, member, &task, news, "", now)?;
        }
        Ok(())
    }

    /// Tells one member, unless it has done it itself.
    pub(super) fn tell(
        &self,
        from: &Voice<'_>,
        to: Option<i64>,
        task: &Task,
        news: News<'_>,
        said: &str,
        now: Millis,
    ) -> Result<()> {
        let Some(to) = to.filter(|to| Some(*to) != from.id) else { return Ok(()) };
        let Some(name) =
            self.one("SELECT name FROM members WHERE id = ?1", [to], |row| row.get::<String>(0))?
        else {
            return Ok(());
        };
        let id = self.next_message()?;
        let thread: Option<i64> =
            self.one("SELECT thread_id FROM tasks WHERE id = ?1", [task.id], |row| row.get(0))?.flatten();
        let thread = thread.unwrap_or(id);
        if thread == id {
            self.execute("UPDATE tasks SET thread_id = ?2 WHERE id = ?1", [task.id, id])?;
        }
        self.execute(
            "INSERT INTO messages (id, sender, sender_id, recipient, content, created_at, thread_id, origin, person)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                id,
                from.name,
                from.id,
                name,
                words(task, news, said),
                now,
                thread,
                Origin::Task.as_str(),
                from.person
            ],
        )?;
        self.execute("INSERT INTO inbox (member_id, message_id) VALUES (?1, ?2)", [to, id])?;
        self.want_wake(to, id, now)?;
        let data = json!({ "id": id, "sender": from.name, "recipient": name, "thread_id": thread });
        self.event(now, EventKind::Message, from.id, Audience::Member(to), &data)?;
        Ok(())
    }
}

/// The message: what happened, what was said, what to do next.
fn words(task: &Task, news: News<'_>, said: &str) -> String {
    let (id, title) = (task.id, &task.title);
    let (what, next) = match news {
        News::Assigned => (
            format!("is assigned to you (priority {})", task.priority.as_str()),
            format!("start it with claim_task task_id={id}"),
        ),
        News::AwaitsReview => (
            "awaits your review".to_owned(),
            format!(
                "update_task task_id={id} to done, or to in_progress with a result that says what is missing"
            ),
        ),
        News::Rejected => ("was sent back to you after review".to_owned(), "go on with it".to_owned()),
        News::Done => ("is done".to_owned(), String::new()),
        News::Cancelled => ("was cancelled".to_owned(), String::new()),
        News::Unblocked => {
            ("waits for no other task any more".to_owned(), format!("claim_task task_id={id} starts it"))
        }
        News::Stuck(other) => (
            format!("depends on task {other}, which was cancelled"),
            format!(
                "it can never start: update_task task_id={id} to cancelled, and post it anew if it is needed"
            ),
        ),
        News::Moved(Status::InProgress) => (
            "was set to in_progress".to_owned(),
            format!("go on with it; update_task task_id={id} when it is done"),
        ),
        News::Moved(to) => (format!("was set to {}", to.as_str()), String::new()),
        News::Passed("") => ("is not yours any more".to_owned(), "stop working on it".to_owned()),
        News::Passed(other) => {
            (format!("is not yours any more: {other} has it now"), "stop working on it".to_owned())
        }
        News::Commented => ("has a comment".to_owned(), String::new()),
    };
    let mut text = format!("Task {id} {title:?} {what}.");
    for (label, part) in [("", said), ("Next: ", next.as_str())] {
        if !part.is_empty() {
            text.extend(["\n", label, part]);
        }
    }
    text.chars().take(MAX_CONTENT).collect()
}
