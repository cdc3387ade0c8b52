//! The one way from a question to its effect, for tool calls, messages and wakes: facts are read, the policies are asked with
//! no lock held, and one transaction checks that the facts still hold, records the decision and makes the effect. Where the
//! facts have moved, nothing has happened, and the policies are asked again.
//!
//! A [`Case`] says what is asked and what it rests on; its effect is whatever the caller puts into the transaction.
//!
//! Must not depend on tools, transports and the daemon.

mod hold;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::domain::clock::Millis;
use crate::domain::decision::{Decision, Fact, FactRequest, Input, SetRecord};
use crate::policy::PolicySet;
use crate::storage::{self, Db, DecisionRecord, FactScope, ReadTx, WriteTx};

pub use hold::Held;

/// How often a case is judged again because its facts moved. Each time another change was committed, so the table moves
/// on; a case that loses 200 times in a row is given up, and nothing has happened.
const MAX_ROUNDS: usize = 200;

/// The numbers of the log, `(last event, last decision)`: where they have not moved, no fact has.
pub type Version = (i64, i64);

/// A question, and what the answer to it rests on. Cheap to clone.
pub trait Case: Clone + Send + Sync + 'static {
    /// What is asked, as it is recorded.
    fn input(&self) -> &Arc<Input>;

    /// What the facts are about.
    fn scope(&self) -> &FactScope;

    /// The member whose call or inbox it is: counters go by it.
    fn agent_id(&self) -> Option<i64>;

    /// The facts that the policies of a set ask for.
    fn requests<'set>(&self, set: &'set PolicySet) -> &'set [FactRequest] {
        set.fact_requests(self.input())
    }

    /// Asks the policies.
    fn decide(&self, set: &PolicySet, facts: &[Fact]) -> Decision {
        set.answer(self.input(), facts)
    }

    /// Confirms, in the transaction of the effect, that everything the case rests on besides the facts still holds, and consumes
    /// what can be used only once (an approval), as the last step. `at` is the state of the log in that transaction.
    ///
    /// # Errors
    /// A refusal that ends the case.
    fn confirm_and_consume(&mut self, tx: &WriteTx<'_>, at: Version) -> storage::Result<Confirmation>;
}

/// Whether what a case rests on besides the facts still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// It still holds.
    Holds,
    /// It has changed: judge the case again.
    Moved,
    /// The case is over: there is nothing left to judge.
    Gone,
}

/// Facts, and the state of the log in which they were read.
#[derive(Debug)]
pub struct KnownFacts {
    since: Instant,
    facts: Vec<Fact>,
    version: Version,
}

impl KnownFacts {
    /// The state of the log in which they were read.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }
}

/// A decision, and the facts that it rests on.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// What the policies came to.
    pub decision: Decision,
    facts: Vec<Fact>,
    version: Version,
    micros: i64,
    new_set: Option<SetRecord>,
}

impl Ruling {
    /// The same with another decision, for a case that stands for several.
    #[must_use]
    pub fn with(&self, decision: Decision) -> Self {
        Self { decision, ..self.clone() }
    }
}

/// What became of an attempt to commit a decision and its effect.
#[derive(Debug)]
pub enum CommitResult<E> {
    /// Both are committed; the decision is recorded under this number.
    Done(i64, E),
    /// Nothing has happened: judge the case again.
    Moved,
    /// Nothing has happened, and the case is over.
    Gone,
}

/// Judges cases on one database.
#[derive(Debug)]
pub struct Judge {
    db: Db,
    /// Digest of the last policy set that this process has described in the database.
    described: Mutex<String>,
}

impl Judge {
    /// For the cases of one database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db, described: Mutex::default() }
    }

    /// Repeats an attempt at a case while it returns `None`, which means that the facts moved; `None` when they moved every time.
    ///
    /// # Errors
    /// Those of the attempt.
    pub fn retry<T>(
        &self,
        mut attempt: impl FnMut() -> storage::Result<Option<T>>,
    ) -> storage::Result<Option<T>> {
        for _ in 0..MAX_ROUNDS {
            if let Some(done) = attempt()? {
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    /// Reads the facts that a set asks for about a case.
    ///
    /// # Errors
    /// Those of storage.
    pub fn read_facts(
        &self,
        tx: &ReadTx<'_>,
        case: &impl Case,
        set: &PolicySet,
    ) -> storage::Result<KnownFacts> {
        let since = Instant::now();
        // A process that only reads does not hear what became of the first description that it queued.
        let mut described = self.described.lock();
        if *described != set.digest()
            && tx.knows_policy_set(set.digest(), set.longest_window(), case.scope().now)?
        {
            set.digest().clone_into(&mut described);
        }
        drop(described);
        let (facts, version) = tx.facts_at(case.requests(set), case.scope())?;
        Ok(KnownFacts { since, facts, version })
    }

    /// Reads the facts and asks the policies.
    ///
    /// # Errors
    /// Those of storage.
    pub fn ask(&self, case: &impl Case, set: &PolicySet) -> storage::Result<Ruling> {
        let known = self.db.read_hot(|tx| self.read_facts(tx, case, set))?;
        Ok(self.ask_with(case, set, known))
    }

    /// Asks the policies, with facts that were read already.
    pub fn ask_with(&self, case: &impl Case, set: &PolicySet, known: KnownFacts) -> Ruling {
        let KnownFacts { since, facts, version } = known;
        let decision = case.decide(set, &facts);
        let micros = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
        let undescribed = *self.described.lock() != set.digest();
        let new_set = undescribed.then(|| set.record()).flatten();
        Ruling { decision, facts, version, micros, new_set }
    }

    /// The one transaction: facts and case still hold, then the decision and the effect together. `done` says whether the
    /// effect is what was asked for.
    ///
    /// # Errors
    /// Those of the effect and of [`Case::confirm_and_consume`]; nothing has happened then.
    pub fn commit_if_unchanged<C: Case, E: Send + 'static>(
        &self,
        mut case: C,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
        done: bool,
        effect: impl FnOnce(&WriteTx<'_>, &C, i64) -> storage::Result<E> + Send + 'static,
    ) -> storage::Result<CommitResult<E>> {
        let (version, record, in_force) = (ruling.version, record(&case, ruling, done), Arc::clone(set));
        let committed = self.db.write(move |tx| {
            let at = tx.facts_version()?;
            if at != version && tx.facts(case.requests(&in_force), case.scope())? != record.facts {
                return Ok(CommitResult::Moved);
            }
            match case.confirm_and_consume(tx, at)? {
                Confirmation::Holds => {}
                Confirmation::Moved => return Ok(CommitResult::Moved),
                Confirmation::Gone => return Ok(CommitResult::Gone),
            }
            let decision = tx.record_decision(&record)?;
            Ok(CommitResult::Done(decision, effect(tx, &case, decision)?))
        })?;
        if let (CommitResult::Done(..), Some(_)) = (&committed, &ruling.new_set) {
            set.digest().clone_into(&mut self.described.lock());
        }
        Ok(committed)
    }

    /// Records a decision whose case changed nothing, with the next commit.
    pub fn record_later(&self, case: &impl Case, ruling: &Ruling, done: bool, now: Millis) {
        let record = record(case, ruling, done);
        self.db.write_later(move |tx| {
            tx.record_decision(&record)?;
            record.agent_id.map_or(Ok(()), |id| tx.touch(id, now))
        });
    }
}

fn record(case: &impl Case, ruling: &Ruling, done: bool) -> DecisionRecord {
    let Ruling { decision, facts, micros, new_set, .. } = ruling;
    DecisionRecord {
        at: case.scope().now,
        agent_id: case.agent_id(),
        input: Arc::clone(case.input()),
        facts: facts.clone(),
        decision: decision.clone(),
        done,
        micros: *micros,
        new_set: new_set.clone(),
    }
}

#[cfg(test)]
mod tests;
