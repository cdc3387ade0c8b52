//! The poll daemon: watches one agent's inbox while its person is away, answers what the policies let be
//! answered, and puts the rest before the person. It walks the pipeline's way with a message instead of a
//! call: facts, policies, one transaction. Must not depend on terminals; what happens it tells as [`Note`]s.

mod holder;
mod hook;
mod judge;
mod note;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::auth::Token;
use crate::domain::agent::{self, DEFAULT_ROLE};
use crate::domain::clock::{Clock, MINUTE, Millis, SECOND};
use crate::domain::decision::Hook;
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::events::{Hub, Subscription};
use crate::judgement::Judge;
use crate::operator::views::EscalationShowData;
use crate::policy::PolicyHost;
use crate::storage::{self, Db, EscalationRow, Registration};
use judge::Reviewed;

pub use holder::Holder;
pub use note::Note;

/// How long a lease lasts unless renewed. The holder's death on the same machine is noticed at once; this
/// is for machines that share the database and cannot see each other's processes.
const LEASE: Millis = 90 * SECOND;
/// How often it is renewed, and how often a daemon that waits for it looks again.
const RENEW: Duration = Duration::from_secs(30);
/// How often a waiting daemon looks whether the holder still lives.
const WAITING_LOOK: Duration = Duration::from_secs(1);
/// Unread messages looked at in one go.
const BATCH: i64 = 50;

/// What the person asked for.
#[derive(Debug, Clone)]
pub struct PollOptions {
    /// The agent to answer for.
    pub agent: String,
    /// Register the agent when there is none of that name.
    pub register: bool,
    /// The longest time between two looks at the inbox; a message is seen at once.
    pub interval: Duration,
    /// Automatic replies before a person is asked, as `limits.max_replies` to the policies.
    pub max_messages: i64,
    /// Answer what is there and end.
    pub once: bool,
    /// A shell command that gets every escalation as JSON.
    pub on_escalation: Option<String>,
    /// End at the first escalation.
    pub exit_on_escalation: bool,
    /// How long an escalation waits before it is announced again.
    pub remind: Duration,
}

/// Why the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// The inbox was worked off, with `once`.
    Once,
    /// Something waits for the person, with `exit_on_escalation`.
    Escalated,
}

/// A daemon that cannot go on with this database connection.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The database cannot be used now; opening it again later may help.
    #[error("{0}")]
    Trouble(#[from] storage::Error),
    /// The file under the connection was removed or replaced.
    #[error("the database file is gone or was replaced")]
    Replaced,
}

impl From<Refusal> for DaemonError {
    fn from(refusal: Refusal) -> Self {
        Self::Trouble(refusal.into())
    }
}

/// A daemon on one open database.
pub struct Daemon {
    db: Db,
    judge: Judge,
    policies: Arc<PolicyHost>,
    options: PollOptions,
    holder: Holder,
    clock: Clock,
    started: Millis,
    tell: Box<dyn FnMut(&Note) + Send>,
    /// The person's commands that may still run.
    hooks: Vec<JoinHandle<Result<(), String>>>,
    /// The questions that waited for the person at the last look.
    open: BTreeSet<i64>,
    /// When the lease was last taken or renewed.
    renewed: Instant,
}

impl Daemon {
    /// A daemon that tells `tell` what happens.
    ///
    /// # Errors
    /// [`DaemonError::Trouble`] when its lock file cannot be made beside the database.
    pub fn new(
        db: Db,
        policies: Arc<PolicyHost>,
        options: PollOptions,
        clock: Clock,
        tell: impl FnMut(&Note) + Send + 'static,
    ) -> Result<Self, DaemonError> {
        let started = db.now(&clock);
        let unwritable = |error| storage::Error::Unwritable(format!("the lock file of a daemon: {error}"));
        Ok(Self {
            holder: Holder::this_process(db.path()).map_err(unwritable)?,
            judge: Judge::new(db.clone()),
            db,
            policies,
            options,
            clock,
            started,
            tell: Box::new(tell),
            hooks: Vec::new(),
            open: BTreeSet::new(),
            renewed: Instant::now(),
        })
    }

    /// Answers the inbox until told to stop, or as the options say.
    ///
    /// # Errors
    /// See [`DaemonError`]; nothing is half done then.
    pub async fn run(mut self, hub: &Hub, stop: &CancellationToken) -> Result<Ended, DaemonError> {
        let agent = self.seat()?;
        if !self.wait_for_lease(&agent, stop).await? {
            return Ok(Ended::Stopped);
        }
        self.tell(&Note::Started {
            agent: agent.name.clone(),
            max_messages: self.options.max_messages,
            interval_seconds: self.options.interval.as_secs(),
            not_deciding: self.policies.current().not_deciding(),
        });
        let ended = self.answer_until_ended(&agent, hub, stop).await;
        let holder = self.holder.name().to_owned();
        let released = self.db.write(move |tx| tx.release_lease(agent.id, &holder));
        match released {
            Ok(()) => self.holder.end(),
            Err(error) => tracing::debug!(%error, "the lease runs out by itself"),
        }
        // The process ends after this, and the commands' threads with it.
        let done = matches!(ended, Ok(Ended::Once | Ended::Escalated));
        while done && self.hooks.iter().any(|hook| !hook.is_finished()) && !stop.is_cancelled() {
            tokio::time::sleep(hook::LOOK).await;
        }
        self.reap_hooks();
        ended
    }

    async fn answer_until_ended(
        &mut self,
        agent: &Principal,
        hub: &Hub,
        stop: &CancellationToken,
    ) -> Result<Ended, DaemonError> {
        let mut subscription = hub.subscribe(agent.id);
        loop {
            let look = self.work_off(agent, stop)?;
            if look == Look::Escalated && self.options.exit_on_escalation {
                return Ok(Ended::Escalated);
            }
            if stop.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            if self.options.once {
                return Ok(Ended::Once);
            }
            if !self.rest(agent, &mut subscription, stop).await? {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Waits for a message, the interval's end or the signal to stop (false); keeps the lease and reminds the
    /// person meanwhile, however long the interval is.
    async fn rest(
        &mut self,
        agent: &Principal,
        subscription: &mut Subscription,
        stop: &CancellationToken,
    ) -> Result<bool, DaemonError> {
        let mut left = self.options.interval;
        loop {
            self.remind(agent)?;
            self.reap_hooks();
            let nap = left.min(if self.hooks.is_empty() { RENEW } else { WAITING_LOOK });
            let woken = tokio::select! {
                () = stop.cancelled() => return Ok(false),
                () = subscription.changed() => true,
                () = tokio::time::sleep(nap) => false,
            };
            // By time, not per wake: a change of the board must not cost each daemon a commit.
            if self.renewed.elapsed() >= RENEW && !self.take_lease(agent, None)? {
                return self.wait_for_lease(agent, stop).await;
            }
            left = left.saturating_sub(nap);
            if woken || left.is_zero() {
                return Ok(true);
            }
        }
    }

    /// The agent, registered if need be.
    fn seat(&mut self) -> Result<Principal, DaemonError> {
        let name = self.options.agent.clone();
        let now = self.db.now(&self.clock);
        let member = self.db.read(|tx| tx.member(&name))?.filter(|member| member.active);
        if let Some(member) = member {
            return Ok(member.into_principal(true));
        }
        agent::check_free_name(&name)?;
        if !self.options.register {
            return Err(Refusal::not_found(
                format!("no member named {name:?}"),
                "`team-table agent list` shows them; to register it now, start poll with --register",
            )
            .into());
        }
        let token = Token::mint()?;
        let wanted = Registration {
            name,
            role: DEFAULT_ROLE.to_owned(),
            capabilities: Vec::new(),
            proof: None,
            token: Some(token.hash()),
        };
        let member = self.db.write(move |tx| tx.register(&wanted, now))?;
        self.tell(&Note::Registered { agent: member.name.clone() });
        Ok(member.into_principal(true))
    }

    /// Becomes the one daemon of this agent; false when told to stop before that.
    async fn wait_for_lease(
        &mut self,
        agent: &Principal,
        stop: &CancellationToken,
    ) -> Result<bool, DaemonError> {
        let mut told = false;
        loop {
            let dead = self
                .db
                .read(|tx| tx.lease(agent.id))?
                .map(|(holder, _)| holder)
                .filter(|it| holder::is_dead(self.db.path(), it));
            if self.take_lease(agent, dead)? {
                return Ok(true);
            }
            if self.options.once {
                return Err(Refusal::precondition(
                    format!("another poll daemon answers for {} now", agent.name),
                    "leave it to that one, or end it first; its lease runs out 90 s after it was last renewed",
                )
                .into());
            }
            if !told {
                let holder =
                    self.db.read(|tx| tx.lease(agent.id))?.map(|(holder, _)| holder).unwrap_or_default();
                self.tell(&Note::Waiting { agent: agent.name.clone(), holder });
                told = true;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(false),
                () = tokio::time::sleep(WAITING_LOOK) => {}
            }
        }
    }

    fn take_lease(&mut self, agent: &Principal, displace: Option<String>) -> Result<bool, DaemonError> {
        if self.db.is_replaced() {
            return Err(DaemonError::Replaced);
        }
        self.renewed = Instant::now();
        let (now, id, holder) = (self.db.now(&self.clock), agent.id, self.holder.name().to_owned());
        Ok(self.db.write(move |tx| {
            let taken = tx.take_lease(id, &holder, displace.as_deref(), now + LEASE, now)?;
            if taken {
                tx.touch(id, now)?;
            }
            Ok(taken)
        })?)
    }

    fn holds_lease(&self, agent: &Principal) -> Result<bool, DaemonError> {
        let lease = self.db.read(|tx| tx.lease(agent.id))?;
        Ok(lease.is_some_and(|(holder, _)| holder == self.holder.name()))
    }

    /// Answers unread messages until none is left that it may answer, or it is time to stop. A question that waits for the
    /// person holds its thread, and no other.
    fn work_off(&mut self, agent: &Principal, stop: &CancellationToken) -> Result<Look, DaemonError> {
        let mut look = Look::Done;
        let mut after = 0;
        loop {
            if !self.db.read(|tx| tx.is_seated(agent))? {
                return Err(Refusal::precondition(
                    format!("{} has left the table, or another agent has its name now", agent.name),
                    "start the daemon again to answer for the agent that holds the name",
                )
                .into());
            }
            self.announce_new(agent)?;
            let open = self.look_at_open(agent)?;
            if !open.is_empty() {
                look = Look::Escalated;
            }
            let is_held = open.iter().any(|row| row.holds_inbox);
            let messages = self.db.read(|tx| tx.to_review(agent.id, after, BATCH))?;
            if messages.is_empty() {
                return Ok(look);
            }
            for message in messages {
                if stop.is_cancelled() {
                    return Ok(look);
                }
                let id = message.id;
                let held = open.iter().find(|row| row.thread_id == Some(message.thread_id)).map(|row| row.id);
                match self.judge(agent, &message, held, is_held)? {
                    Some(Reviewed::Escalated(_)) => {
                        look = Look::Escalated;
                        after = id;
                        // What is open has changed.
                        break;
                    }
                    Some(Reviewed::Gone) if !self.holds_lease(agent)? => return Ok(look),
                    Some(Reviewed::Gone | Reviewed::Moved) => break,
                    _ => after = id,
                }
            }
            if look == Look::Escalated && self.options.exit_on_escalation {
                self.announce_new(agent)?;
                return Ok(look);
            }
        }
    }

    /// The questions that wait for the person; tells of those that have come and gone since the last look.
    fn look_at_open(&mut self, agent: &Principal) -> Result<Vec<EscalationRow>, DaemonError> {
        let rows = self.db.read(|tx| tx.open_reviews(agent.id))?;
        let now: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
        let before = std::mem::replace(&mut self.open, now.clone());
        for id in now.difference(&before) {
            self.tell(&Note::Paused { escalation: *id });
        }
        for id in before.difference(&now) {
            let Some(row) = self.db.read(|tx| tx.escalation(*id))? else { continue };
            self.tell(&Note::Resumed { escalation: row.id, reply: row.reply, note: row.note });
        }
        Ok(rows)
    }

    /// Tells of escalations that nobody was told of: questions, and calls that are held.
    fn announce_new(&mut self, agent: &Principal) -> Result<(), DaemonError> {
        let (id, now) = (agent.id, self.db.now(&self.clock));
        if !self.db.read(|tx| tx.has_unannounced(id))? {
            return Ok(());
        }
        for row in self.db.write(move |tx| tx.take_unannounced(id, now))? {
            self.announce(row.id, 0)?;
            if row.hook == Hook::Review.as_str() {
                // Told already: it is no news at the next look.
                self.open.insert(row.id);
            }
        }
        Ok(())
    }

    /// Tells of an escalation, here and to the person's command.
    fn announce(&mut self, id: i64, reminder: i64) -> Result<(), DaemonError> {
        let Some(row) = self.db.read(|tx| tx.escalation(id))? else { return Ok(()) };
        if let Some(command) = &self.options.on_escalation {
            let escalation = self.db.read(|tx| EscalationShowData::read(tx, row.clone()))?;
            self.hooks.extend(hook::run(command, json!(escalation).to_string()));
        }
        let EscalationRow { id, asker, action, policy, code, message, .. } = row;
        self.tell(&Note::Escalated { escalation: id, from: asker, action, policy, code, message, reminder });
        Ok(())
    }

    /// Tells of the person's commands that have failed.
    fn reap_hooks(&mut self) {
        let (done, running) =
            std::mem::take(&mut self.hooks).into_iter().partition(|hook| hook.is_finished());
        self.hooks = running;
        let done: Vec<JoinHandle<_>> = done;
        for hook in done {
            if let Ok(Err(problem)) = hook.join() {
                self.tell(&Note::HookFailed { problem });
            }
        }
    }

    fn remind(&mut self, agent: &Principal) -> Result<(), DaemonError> {
        let (now, id) = (self.db.now(&self.clock), agent.id);
        let every = i64::try_from(self.options.remind.as_millis()).unwrap_or(i64::MAX).max(MINUTE / 60);
        if self.db.read(|tx| tx.waiting_for_person(id))? == 0 {
            return Ok(());
        }
        for row in self.db.write(move |tx| tx.remind(id, every, now))? {
            self.announce(row.id, row.reminders + 1)?;
        }
        Ok(())
    }

    fn tell(&mut self, note: &Note) {
        (self.tell)(note);
    }
}

/// What a look at the inbox came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing is left to answer.
    Done,
    /// Something waits for the person.
    Escalated,
}
