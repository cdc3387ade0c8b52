//! Tasks: their states, who may move them, and when one counts as abandoned.

use serde::{Deserialize, Serialize};

use super::clock::{self, MINUTE, Millis};
use super::principal::Principal;
use super::refusal::Refusal;
use super::text;

/// Longest title, in characters. Clients are told of it.
pub const MAX_TITLE: usize = 200;
/// Longest description and longest result, in characters.
pub const MAX_TEXT: usize = 5_000;
/// Most tasks one task may depend on. Enough for any plan a person reads; keeps a call's work bounded.
pub const MAX_DEPENDENCIES: usize = 50;
/// An in-progress task whose assignee has not been seen for this long is stale.
pub const STALE_AFTER: Millis = 15 * MINUTE;

/// A state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Posted, not started.
    Pending,
    /// Claimed.
    InProgress,
    /// Claimed, and cannot go on.
    Blocked,
    /// Work finished, waiting for the reviewer.
    AwaitingReview,
    /// Finished. Never moves again.
    Done,
    /// Given up. Never moves again.
    Cancelled,
}

impl Status {
    /// Every state, in the order of a task's life.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::InProgress, Self::Blocked, Self::AwaitingReview, Self::Done, Self::Cancelled];

    /// The word clients use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Blocked => "blocked",
            Self::AwaitingReview => "awaiting_review",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a client's word.
    ///
    /// # Errors
    /// `invalid_argument`, with the words allowed.
    pub fn parse(word: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| {
            Refusal::invalid(
                format!("{:?} is not a task status", word.chars().take(32).collect::<String>()),
                format!("use one of {}", words(&Self::ALL)),
            )
        })
    }

    /// The states this one may move to by `update_task`.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::InProgress => &[Self::Done, Self::Blocked, Self::AwaitingReview, Self::Cancelled],
            Self::Pending | Self::Blocked => &[Self::InProgress, Self::Cancelled],
            Self::AwaitingReview => &[Self::Done, Self::InProgress, Self::Cancelled],
            Self::Done | Self::Cancelled => &[],
        }
    }

    /// Whether the task is over.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

fn words(statuses: &[Status]) -> String {
    statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ")
}

/// How urgent a task is. Ordered: `High < Medium < Low`, as ranks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Rank 0.
    High,
    /// Rank 1.
    Medium,
    /// Rank 2.
    Low,
}

impl Priority {
    /// The word clients use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// The number stored, so that an index yields the best first.
    #[must_use]
    pub const fn rank(self) -> i64 {
        match self {
            Self::High => 0,
            Self::Medium => 1,
            Self::Low => 2,
        }
    }

    /// The reverse of [`rank`](Self::rank).
    #[must_use]
    pub const fn from_rank(rank: i64) -> Self {
        match rank {
            0 => Self::High,
            1 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Reads a client's word.
    ///
    /// # Errors
    /// `invalid_argument`, with the words allowed.
    pub fn parse(word: &str) -> Result<Self, Refusal> {
        [Self::High, Self::Medium, Self::Low]
            .into_iter()
            .find(|priority| priority.as_str() == word)
            .ok_or_else(|| {
                Refusal::invalid(
                    format!("{:?} is not a priority", word.chars().take(32).collect::<String>()),
                    "use one of high, medium, low",
                )
            })
    }
}

/// A task to post, already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDraft {
    /// Title.
    pub title: String,
    /// Description.
    pub description: String,
    /// Who shall do it; empty for anyone.
    pub assignee: String,
    /// How urgent.
    pub priority: Priority,
    /// Tasks that must be done first.
    pub depends_on: Vec<i64>,
    /// The task this one is a part of.
    pub parent_id: Option<i64>,
    /// Who must approve it; empty for no review.
    pub reviewer: String,
    /// A repeat of the same creator's key posts nothing and returns the first task.
    pub idempotency_key: Option<String>,
}

impl TaskDraft {
    /// Checks the limits.
    ///
    /// # Errors
    /// `invalid_argument`, naming the field.
    pub fn check(&self) -> Result<(), Refusal> {
        text::filled("title", &self.title, MAX_TITLE)?;
        text::at_most("description", &self.description, MAX_TEXT)?;
        for (what, name) in [("assignee", &self.assignee), ("reviewer", &self.reviewer)] {
            if !name.is_empty() {
                super::agent::check_name(what, name)?;
            }
        }
        if self.depends_on.len() > MAX_DEPENDENCIES {
            return Err(Refusal::invalid(
                format!("depends_on names {} tasks", self.depends_on.len()),
                format!("name at most {MAX_DEPENDENCIES}"),
            ));
        }
        super::message::check_idempotency_key(self.idempotency_key.as_deref())
    }
}

/// A stored task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Number, unique and growing.
    pub id: i64,
    /// Title.
    pub title: String,
    /// Description.
    pub description: String,
    /// State.
    pub status: Status,
    /// Urgency.
    pub priority: Priority,
    /// Who posted it.
    pub creator: String,
    /// The member that posted it.
    pub creator_id: Option<i64>,
    /// Who does it, or shall; empty for anyone.
    pub assignee: String,
    /// The member that does it, or shall.
    pub assignee_id: Option<i64>,
    /// What came of it.
    pub result: String,
    /// When it was posted.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// Tasks that must be done first.
    pub depends_on: Vec<i64>,
    /// The task this one is a part of.
    pub parent_id: Option<i64>,
    /// Who must approve it; empty for no review.
    pub reviewer: String,
    /// The member that must approve it.
    pub reviewer_id: Option<i64>,
    /// How many of `depends_on` are not done.
    pub unmet: i64,
    /// When the assignee was last seen; `None` when no active member has that name.
    pub assignee_seen: Option<Millis>,
}

/// A task as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of Task")]
pub struct TaskView {
    pub id: i64,
    pub title: String,
    pub description: String,
    pub status: Status,
    pub priority: Priority,
    pub creator: String,
    pub assignee: String,
    pub result: String,
    pub created_at: String,
    pub updated_at: String,
    pub depends_on: Vec<i64>,
    pub parent_id: Option<i64>,
    pub reviewer: String,
    pub stale: bool,
}

impl Task {
    /// In progress, and its assignee has not been seen for [`STALE_AFTER`]. An assignee who is not at the
    /// table was last seen when the task last changed.
    #[must_use]
    pub fn is_stale(&self, now: Millis) -> bool {
        self.status == Status::InProgress && now - self.assignee_seen.unwrap_or(self.updated_at) > STALE_AFTER
    }

    /// The task as clients see it.
    #[must_use]
    pub fn view(self, now: Millis) -> TaskView {
        TaskView {
            stale: self.is_stale(now),
            id: self.id,
            title: self.title,
            description: self.description,
            status: self.status,
            priority: self.priority,
            creator: self.creator,
            assignee: self.assignee,
            result: self.result,
            created_at: clock::format(self.created_at),
            updated_at: clock::format(self.updated_at),
            depends_on: self.depends_on,
            parent_id: self.parent_id,
            reviewer: self.reviewer,
        }
    }

    /// Whether `caller` may claim the task now.
    ///
    /// # Errors
    /// `failed_precondition` when it is not open, or waits for others; `permission_denied` when it is
    /// somebody else's.
    pub fn check_claim(&self, caller: &Principal, now: Millis) -> Result<(), Refusal> {
        let id = self.id;
        if self.reviewer_id == Some(caller.id) {
            return Err(self.is_reviewer());
        }
        if self.is_stale(now) {
            return Ok(());
        }
        if self.status != Status::Pending {
            let holder =
                if self.assignee.is_empty() { String::new() } else { format!(" by {}", self.assignee) };
            return Err(Refusal::precondition(
                format!(
                    "task {id} is {}{holder}, only a pending or stale task can be claimed",
                    self.status.as_str()
                ),
                "call claim_task without task_id for the best ready task, or list_tasks with ready=true",
            ));
        }
        if !self.is_free_for(caller) {
            return Err(Refusal::denied(
                format!("task {id} is assigned to {}", self.assignee),
                "only the assignee, a lead or an admin can claim it: choose another with list_tasks ready=true",
            ));
        }
        self.check_dependencies()
    }

    fn is_free_for(&self, caller: &Principal) -> bool {
        self.assignee.is_empty() || self.assignee_id == Some(caller.id) || caller.is_privileged()
    }

    fn is_reviewer(&self) -> Refusal {
        Refusal::denied(
            format!("task {} is yours to review, so you cannot work on it", self.id),
            "leave it to another agent; you decide when it awaits review",
        )
    }

    /// Whether `caller` may move the task to `to`.
    ///
    /// # Errors
    /// `permission_denied` when the task is not theirs or the step is the reviewer's;
    /// `failed_precondition` when the state does not lead there.
    pub fn check_update(&self, caller: &Principal, to: Status) -> Result<(), Refusal> {
        let (id, name, me) = (self.id, caller.name.as_str(), Some(caller.id));
        let involved = [self.creator_id, self.assignee_id, self.reviewer_id].contains(&me);
        if !involved && !caller.is_privileged() {
            return Err(Refusal::denied(
                format!("{name} is neither creator, assignee nor reviewer of task {id}"),
                "ask one of them, a lead or an admin to update it",
            ));
        }
        self.check_leads_to(to)?;
        let withdraws = to == Status::Cancelled
            && matches!(self.status, Status::Pending | Status::AwaitingReview)
            && self.creator_id != me;
        if withdraws && !caller.is_privileged() {
            return Err(Refusal::denied(
                format!("task {id} is {}: only its creator can withdraw it", self.status.as_str()),
                format!("ask {}, a lead or an admin to cancel it", self.creator),
            ));
        }
        if to == Status::InProgress && self.status == Status::Pending {
            if self.reviewer_id == me {
                return Err(self.is_reviewer());
            }
            if !self.is_free_for(caller) {
                return Err(Refusal::denied(
                    format!("task {id} is assigned to {}", self.assignee),
                    "only the assignee, a lead or an admin can start it",
                ));
            }
            self.check_dependencies()?;
        }
        if to == Status::Done && !self.reviewer.is_empty() {
            self.check_review(caller)?;
        }
        Ok(())
    }

    fn check_leads_to(&self, to: Status) -> Result<(), Refusal> {
        if self.status.next().contains(&to) {
            return Ok(());
        }
        let hint = if self.status.is_final() {
            "a finished task never moves again: create a new one".to_owned()
        } else {
            format!("from {} it can become {}", self.status.as_str(), words(self.status.next()))
        };
        Err(Refusal::precondition(
            format!("task {} is {} and cannot become {}", self.id, self.status.as_str(), to.as_str()),
            hint,
        ))
    }

    /// Whether a person may move the task to `to`: wherever its state leads, as a lead may.
    ///
    /// # Errors
    /// `failed_precondition` when the state does not lead there, or nobody could begin.
    pub fn check_move(&self, to: Status) -> Result<(), Refusal> {
        self.check_leads_to(to)?;
        if to != Status::InProgress {
            return Ok(());
        }
        // An agent that starts it becomes its assignee; a person is no member.
        if self.assignee.is_empty() {
            return Err(Refusal::precondition(
                format!("task {} has no assignee, and a task in progress needs one", self.id),
                "assign it to an agent first, or leave it to the next agent that asks for work",
            ));
        }
        if self.status == Status::Pending { self.check_dependencies() } else { Ok(()) }
    }

    /// Whether a person may give the task to another member.
    ///
    /// # Errors
    /// `failed_precondition` when the work on it is over.
    pub fn check_assign(&self) -> Result<(), Refusal> {
        if matches!(self.status, Status::Pending | Status::InProgress | Status::Blocked) {
            return Ok(());
        }
        let hint = if self.status.is_final() {
            "a finished task never moves again: post a new one"
        } else {
            "send it back to in_progress first"
        };
        Err(Refusal::precondition(
            format!(
                "task {} is {}: only a pending, blocked or in_progress task can be assigned",
                self.id,
                self.status.as_str()
            ),
            hint,
        ))
    }

    /// With a reviewer, no assignee approves their own work, and only the reviewer (or a lead, an admin)
    /// approves what awaits review.
    fn check_review(&self, caller: &Principal) -> Result<(), Refusal> {
        let (id, me) = (self.id, Some(caller.id));
        let reviewer = &self.reviewer;
        if self.assignee_id == me {
            return Err(Refusal::denied(
                format!("task {id} has a reviewer, so its assignee cannot mark it done"),
                format!("move it to awaiting_review; {reviewer} then decides"),
            ));
        }
        if self.status == Status::AwaitingReview && self.reviewer_id != me && !caller.is_privileged() {
            return Err(Refusal::denied(
                format!("task {id} awaits the review of {reviewer}"),
                format!("only {reviewer}, a lead or an admin can mark it done"),
            ));
        }
        Ok(())
    }

    fn check_dependencies(&self) -> Result<(), Refusal> {
        if self.unmet == 0 {
            return Ok(());
        }
        Err(Refusal::precondition(
            format!("task {} waits for {} task(s) it depends on", self.id, self.unmet),
            format!("finish {:?} first, or list_tasks with ready=true", self.depends_on),
        ))
    }
}

/// Most characters of a result and what was said of it, all of them together. Beyond, the oldest go.
const MAX_RESULTS: usize = 4 * MAX_TEXT;

/// A result with what was said before: nothing that a worker or a reviewer said is lost to the other.
#[must_use]
pub fn appended(before: &str, by: &str, result: &str) -> String {
    if before.is_empty() || result.is_empty() || before == result {
        return if result.is_empty() { before.to_owned() } else { result.to_owned() };
    }
    let both = format!("{before}\n\n{by}: {result}");
    let over = both.chars().count().saturating_sub(MAX_RESULTS);
    if over == 0 { both } else { format!("…{}", both.chars().skip(over + 1).collect::<String>()) }
}

/// Accepts a result of up to [`MAX_TEXT`] characters.
///
/// # Errors
/// `invalid_argument`.
pub fn check_result(result: &str) -> Result<(), Refusal> {
    text::at_most("result", result, MAX_TEXT)
}

/// Accepts a comment of 1 to [`MAX_TEXT`] characters that is not only white space.
///
/// # Errors
/// `invalid_argument`.
pub fn check_comment(text: &str) -> Result<(), Refusal> {
    text::filled("comment", text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::Code;
    use proptest::prelude::*;

    fn principal(name: &str, role: &str) -> Principal {
        let id = ["alice", "bob", "carol", "rita", "boss", "mallory"].iter().position(|known| *known == name);
        let id = i64::try_from(id.unwrap()).unwrap();
        Principal { id, name: name.into(), role: role.into(), capabilities: vec![], authenticated: true }
    }

    fn task(status: Status) -> Task {
        Task {
            id: 7,
            title: "t".into(),
            description: String::new(),
            status,
            priority: Priority::Medium,
            creator: "carol".into(),
            creator_id: Some(2),
            assignee: "alice".into(),
            assignee_id: Some(0),
            result: String::new(),
            created_at: 0,
            updated_at: 0,
            depends_on: vec![],
            parent_id: None,
            reviewer: String::new(),
            reviewer_id: None,
            unmet: 0,
            assignee_seen: Some(0),
        }
    }

    #[test]
    fn a_reviewed_task_is_finished_by_its_reviewer_only() {
        let reviewed = Task { reviewer: "rita".into(), reviewer_id: Some(3), ..task(Status::AwaitingReview) };
        assert!(reviewed.check_update(&principal("rita", "agent"), Status::Done).is_ok());
        assert!(reviewed.check_update(&principal("boss", "lead"), Status::Done).is_ok());
        for other in ["alice", "carol"] {
            let refusal = reviewed.check_update(&principal(other, "agent"), Status::Done).unwrap_err();
            assert_eq!(refusal.code, Code::PermissionDenied, "{other}");
        }
        let working = Task { reviewer: "rita".into(), reviewer_id: Some(3), ..task(Status::InProgress) };
        assert!(working.check_update(&principal("alice", "lead"), Status::Done).is_err());
        assert!(working.check_update(&principal("alice", "agent"), Status::AwaitingReview).is_ok());
    }

    /// From every state of a task its creator can end it, without any other member.
    #[test]
    fn no_task_gets_into_a_state_that_its_creator_cannot_end() {
        let carol = principal("carol", "agent");
        let member = |id: Option<i64>| id.map_or(String::new(), |id| format!("m{id}"));
        let mut seen = 0;
        for status in Status::ALL {
            for assignee_id in [None, Some(0), Some(2)] {
                for reviewer_id in [None, Some(2), Some(3)] {
                    for unmet in [0, 1] {
                        if assignee_id.is_some() && assignee_id == reviewer_id {
                            continue;
                        }
                        let task = Task {
                            assignee: member(assignee_id),
                            assignee_id,
                            reviewer: member(reviewer_id),
                            reviewer_id,
                            unmet,
                            ..task(status)
                        };
                        let ends = task.check_update(&carol, Status::Cancelled);
                        assert_eq!(ends.is_ok(), !status.is_final(), "{task:?}");
                        seen += 1;
                    }
                }
            }
        }
        assert_eq!(seen, 6 * 8 * 2);
    }

    #[test]
    fn a_reviewer_does_not_work_on_what_it_reviews() {
        let open = Task {
            assignee: String::new(),
            assignee_id: None,
            reviewer: "rita".into(),
            reviewer_id: Some(3),
            ..task(Status::Pending)
        };
        for role in ["agent", "lead"] {
            let rita = principal("rita", role);
            assert_eq!(open.check_claim(&rita, 0).unwrap_err().code, Code::PermissionDenied);
            let refusal = open.check_update(&rita, Status::InProgress).unwrap_err();
            assert_eq!(refusal.code, Code::PermissionDenied);
        }
    }

    #[test]
    fn a_verdict_and_the_work_are_both_kept() {
        assert_eq!(appended("", "alice", "done"), "done");
        assert_eq!(appended("done", "rita", ""), "done");
        assert_eq!(appended("done", "rita", "needs tests"), "done\n\nrita: needs tests");
        let long = "x".repeat(MAX_RESULTS);
        let kept = appended(&long, "rita", "newest");
        assert_eq!(kept.chars().count(), MAX_RESULTS);
        assert!(kept.starts_with('…') && kept.ends_with("rita: newest"));
    }

    #[test]
    fn a_stale_task_can_be_claimed_by_anyone() {
        let abandoned = task(Status::InProgress);
        let bob = principal("bob", "agent");
        assert!(abandoned.check_claim(&bob, STALE_AFTER).is_err());
        assert!(abandoned.check_claim(&bob, STALE_AFTER + 1).is_ok());
    }

    #[test]
    fn a_task_waits_for_what_it_depends_on() {
        let waiting = Task { unmet: 1, depends_on: vec![3], ..task(Status::Pending) };
        let alice = principal("alice", "agent");
        assert_eq!(waiting.check_claim(&alice, 0).unwrap_err().code, Code::FailedPrecondition);
        assert_eq!(
            waiting.check_update(&alice, Status::InProgress).unwrap_err().code,
            Code::FailedPrecondition
        );
    }

    proptest! {
        #[test]
        fn a_finished_task_never_moves(from in 4usize..6, to in 0usize..6, privileged in any::<bool>()) {
            let caller = principal("carol", if privileged { "admin" } else { "agent" });
            let refusal = task(Status::ALL[from]).check_update(&caller, Status::ALL[to]).unwrap_err();
            prop_assert_eq!(refusal.code, Code::FailedPrecondition);
        }

        #[test]
        fn strangers_move_nothing(from in 0usize..6, to in 0usize..6) {
            let caller = principal("mallory", "agent");
            let refusal = task(Status::ALL[from]).check_update(&caller, Status::ALL[to]).unwrap_err();
            prop_assert_eq!(refusal.code, Code::PermissionDenied);
        }

        #[test]
        fn every_word_parses_back(index in 0usize..6) {
            let status = Status::ALL[index];
            prop_assert_eq!(Status::parse(status.as_str()).unwrap(), status);
        }
    }
}
