//! `escalation`: what waits for a person. Programs get the same on the standard input of a daemon's `--on-escalation`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::View;
use crate::domain::clock::{self, Millis};
use crate::domain::escalation::MAX_REMINDERS;
use crate::domain::message::{Message, MessageView};
use crate::domain::person::{Actor, Person, Role};
use crate::domain::refusal::Refusal;
use crate::storage::{Answer, EscalationRow, ReadTx, Result};

/// Most escalations of one list.
const LISTED: i64 = 500;
/// Messages of the thread that are shown around the one in question.
const THREAD: i64 = 20;

/// Whether a person is shown what waits for this agent's person: an approver sees what they decide, the others everything.
#[must_use]
pub fn concerns(person: &Person, agent: &str) -> bool {
    person.role != Role::Approver || person.decides_for(agent)
}

/// At most `limit` escalations that concern a person, newest first. For an approver agent by agent: what concerns others hides
/// nothing of theirs.
///
/// # Errors
/// Those of `list`, which lists those of one agent or of all.
pub fn of_person(
    person: &Person,
    limit: i64,
    list: impl Fn(Option<&str>) -> Result<Vec<EscalationRow>>,
) -> Result<Vec<EscalationRow>> {
    if person.role != Role::Approver {
        return list(None);
    }
    let mut rows = Vec::new();
    for agent in &person.agents {
        rows.extend(list(Some(agent))?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(rows)
}

/// Those that `by` is shown, of one agent or of all.
fn rows(tx: &ReadTx<'_>, by: &Actor, agent: Option<&str>, all: bool) -> Result<Vec<EscalationRow>> {
    let list = |agent: Option<&str>| tx.escalations(agent, all, LISTED);
    match (agent, by.person()) {
        (Some(agent), Some(person)) if !concerns(person, agent) => Ok(Vec::new()),
        (None, Some(person)) => of_person(person, LISTED, list),
        (agent, _) => list(agent),
    }
}

/// An escalation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the other fields are those of EscalationRow")]
pub struct EscalationView {
    pub id: i64,
    pub hook: String,
    pub agent: String,
    pub asker: String,
    pub action: String,
    /// The call's arguments, or the message's text.
    pub arguments: Value,
    pub message_id: Option<i64>,
    pub thread_id: Option<i64>,
    pub policy: String,
    pub module: String,
    pub code: String,
    pub message: String,
    /// The facts that the policy went by.
    pub facts: Value,
    pub decision_id: Option<i64>,
    /// One that is open and was announced often enough is `overdue`.
    pub status: String,
    pub created_at: String,
    pub resolved_at: Option<String>,
    pub reply: Option<String>,
    pub note: Option<String>,
    pub resolved_by: Option<String>,
    pub approvals: i64,
    /// Who has approved a held call that needs several persons.
    pub approved_by: Vec<String>,
    pub used_at: Option<String>,
    pub repeats: i64,
    pub reminders: i64,
}

impl EscalationView {
    fn read(tx: &ReadTx<'_>, row: EscalationRow) -> Result<Self> {
        let votes = if row.approvals > 1 { tx.votes(row.id)? } else { Vec::new() };
        let overdue = row.status == "open" && row.reminders >= MAX_REMINDERS;
        let parsed = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Ok(Self {
            arguments: parsed(&row.arguments),
            facts: parsed(&row.facts),
            status: if overdue { "overdue".to_owned() } else { row.status },
            approved_by: votes.into_iter().map(|vote| vote.person).collect(),
            created_at: clock::format(row.created_at),
            resolved_at: row.resolved_at.map(clock::format),
            used_at: row.used_at.map(clock::format),
            id: row.id,
            hook: row.hook,
            agent: row.agent,
            asker: row.asker,
            action: row.action,
            message_id: row.message_id,
            thread_id: row.thread_id,
            policy: row.policy,
            module: row.module,
            code: row.code,
            message: row.message,
            decision_id: row.decision_id,
            reply: row.reply,
            note: row.note,
            resolved_by: row.resolved_by,
            approvals: row.approvals,
            repeats: row.repeats,
            reminders: row.reminders,
        })
    }

    /// Whether it is a question, and not a held call.
    #[must_use]
    pub fn is_question(&self) -> bool {
        self.hook == "escalation"
    }

    /// How far a held call that needs several persons is: `1 of 2 approvals: anna`. None where one person decides.
    #[must_use]
    pub fn approved(&self) -> Option<String> {
        let names = self.approved_by.join(", ");
        let names = if names.is_empty() { names } else { format!(": {names}") };
        let (given, needed) = (self.approved_by.len(), self.approvals);
        (needed > 1).then(|| format!("{given} of {needed} approvals{names}"))
    }
}

/// Which escalations to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EscalationList {
    /// Also what was resolved.
    pub all: bool,
    /// Only this agent's.
    pub agent: Option<String>,
}

/// Escalations, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EscalationListData {
    /// The escalations.
    pub escalations: Vec<ListedEscalation>,
}

/// An escalation in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListedEscalation {
    /// The escalation.
    #[serde(flatten)]
    pub escalation: EscalationView,
    /// The numbers of the messages that wait with it.
    pub waiting: Vec<i64>,
}

impl View for EscalationList {
    const NAME: &'static str = "escalations";
    type Data = EscalationListData;

    fn read(&self, tx: &ReadTx<'_>, by: &Actor, _now: Millis) -> Result<EscalationListData> {
        let listed = |row: EscalationRow| {
            let waiting = tx.waiting_with(&row)?.iter().map(|message| message.id).collect();
            Ok(ListedEscalation { escalation: EscalationView::read(tx, row)?, waiting })
        };
        let rows = rows(tx, by, self.agent.as_deref(), self.all)?;
        Ok(EscalationListData { escalations: rows.into_iter().map(listed).collect::<Result<_>>()? })
    }
}

/// What is open, without what waits with it: it is asked for again and again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EscalationWatch {
    /// Only this agent's.
    pub agent: Option<String>,
}

/// What is open, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EscalationWatchData {
    /// The escalations.
    pub open: Vec<EscalationView>,
}

impl View for EscalationWatch {
    const NAME: &'static str = "open-escalations";
    type Data = EscalationWatchData;

    fn read(&self, tx: &ReadTx<'_>, by: &Actor, _now: Millis) -> Result<EscalationWatchData> {
        let rows = rows(tx, by, self.agent.as_deref(), false)?;
        let open = rows.into_iter().map(|row| EscalationView::read(tx, row)).collect::<Result<_>>()?;
        Ok(EscalationWatchData { open })
    }
}

/// One escalation to show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EscalationShow {
    /// Its number.
    pub number: i64,
}

/// An escalation with the messages that belong to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EscalationShowData {
    /// The escalation.
    pub escalation: EscalationView,
    /// The last messages of its thread, oldest first.
    pub thread: Vec<MessageView>,
    /// What came since and is not answered while this one is open, oldest first: messages of its thread, or of the whole
    /// inbox if it holds that.
    pub waiting: Vec<MessageView>,
}

impl EscalationShowData {
    /// Reads what belongs to an escalation.
    ///
    /// # Errors
    /// Those of storage.
    pub fn read(tx: &ReadTx<'_>, row: EscalationRow) -> Result<Self> {
        let views = |messages: Vec<Message>| messages.into_iter().map(|message| message.view(None)).collect();
        let thread = row.thread_id.map(|thread| tx.thread(thread, THREAD)).transpose()?.unwrap_or_default();
        let waiting = tx.waiting_with(&row)?;
        Ok(Self {
            escalation: EscalationView::read(tx, row)?,
            thread: views(thread),
            waiting: views(waiting),
        })
    }
}

impl View for EscalationShow {
    const NAME: &'static str = "escalation";
    type Data = EscalationShowData;

    fn read(&self, tx: &ReadTx<'_>, by: &Actor, _now: Millis) -> Result<EscalationShowData> {
        let row = tx.escalation(self.number)?;
        let row = row.filter(|row| by.person().is_none_or(|person| concerns(person, &row.agent)));
        let row = row.ok_or_else(|| {
            Refusal::not_found(
                format!("there is no escalation {}", self.number),
                "`team-table escalation list --all` shows them",
            )
        })?;
        EscalationShowData::read(tx, row)
    }
}

/// What a person decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    pub answer: Answer,
    /// For the asker, and for the record.
    pub note: Option<String>,
}

/// What became of an escalation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionDone {
    /// Its number.
    pub escalation: i64,
    /// In a few words.
    pub done: String,
}
