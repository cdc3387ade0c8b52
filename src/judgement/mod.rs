//! The one way from a question to its effect, for tool calls and for messages: facts are read, the policies are asked with
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
        set.fact_requests(self.input().hook())
    }

    /// Asks the policies.
    fn decide(&self, set: &PolicySet, facts: &[Fact]) -> Decision {
        set.answer(self.input(), facts)
    }

    /// Whether all that the case rests on besides the facts still holds, in the transaction of its effect; `at` is the state
    /// of the log there. What can be taken only once is taken as the last step.
    ///
    /// # Errors
    /// A refusal that ends the case, or trouble with the database.
    fn stands(&mut self, tx: &WriteTx<'_>, at: Version) -> storage::Result<Standing>;
}

/// What became of that which a case rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It still holds.
    Holds,
    /// It has changed: judge the case again.
    Moved,
    /// The case is over: there is nothing left to judge.
    Gone,
}

/// Facts, and the state of the log in which they were read.
#[derive(Debug)]
pub struct Known {
    since: Instant,
    facts: Vec<Fact>,
    version: Version,
}

impl Known {
    /// The facts that a set asks for about a case.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn read(tx: &ReadTx<'_>, set: &PolicySet, case: &impl Case) -> storage::Result<Self> {
        let since = Instant::now();
        let (facts, version) = tx.facts_at(case.requests(set), case.scope())?;
        Ok(Self { since, facts, version })
    }

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

/// What became of an effect.
#[derive(Debug)]
pub enum Settled<E> {
    /// It was made, and the decision is recorded under this number.
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

    /// Attempts a case until an attempt comes to something (`None` asks for another); `None` when the facts moved every time.
    ///
    /// # Errors
    /// Those of the attempt.
    pub fn until_settled<T>(
        &self,
        mut attempt: impl FnMut() -> storage::Result<Option<T>>,
    ) -> storage::Result<Option<T>> {
        for _ in 0..MAX_ROUNDS {
            if let Some(settled) = attempt()? {
                return Ok(Some(settled));
            }
        }
        Ok(None)
    }

    /// Reads the facts and asks the policies.
    ///
    /// # Errors
    /// Trouble with the database.
    pub fn ask(&self, case: &impl Case, set: &PolicySet) -> storage::Result<Ruling> {
        let known = self.db.read_hot(|tx| Known::read(tx, set, case))?;
        Ok(self.ask_with(case, set, known))
    }

    /// Asks the policies, with facts that were read already.
    pub fn ask_with(&self, case: &impl Case, set: &PolicySet, known: Known) -> Ruling {
        let Known { since, facts, version } = known;
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
    /// Those of the effect and of [`Case::stands`]; nothing has happened then.
    pub fn settle<C: Case, E: Send + 'static>(
        &self,
        mut case: C,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
        done: bool,
        effect: impl FnOnce(&WriteTx<'_>, &C, i64) -> storage::Result<E> + Send + 'static,
    ) -> storage::Result<Settled<E>> {
        let (version, record, in_force) = (ruling.version, record(&case, ruling, done), Arc::clone(set));
        let settled = self.db.write(move |tx| {
            let at = tx.facts_version()?;
            if at != version && tx.facts(case.requests(&in_force), case.scope())? != record.facts {
                return Ok(Settled::Moved);
            }
            match case.stands(tx, at)? {
                Standing::Holds => {}
                Standing::Moved => return Ok(Settled::Moved),
                Standing::Gone => return Ok(Settled::Gone),
            }
            let decision = tx.record_decision(&record)?;
            Ok(Settled::Done(decision, effect(tx, &case, decision)?))
        })?;
        if let (Settled::Done(..), Some(_)) = (&settled, &ruling.new_set) {
            set.digest().clone_into(&mut self.described.lock());
        }
        Ok(settled)
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
mod tests {
    //! A third kind of question, "may this agent be woken?", that no policy has a hook for yet: it needs a case of its own
    //! and nothing else.

    use std::sync::LazyLock;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::decision::{Hook, InboxMessage, Outcome, PrincipalView, Reason, ToolCall};
    use crate::domain::message::{Draft, Origin};
    use crate::domain::principal::Principal;
    use crate::policy::Loader;
    use crate::storage::{OpenOptions, Registration};

    static SENT: LazyLock<Vec<FactRequest>> = LazyLock::new(|| {
        let params = [("window_seconds".to_owned(), "60".to_owned())].into();
        vec![FactRequest { name: "messages.sent".into(), params }]
    });

    /// Bob may be woken for the first message of a minute; a second one needs bob's person.
    #[derive(Clone)]
    struct WakeCase {
        input: Arc<Input>,
        scope: FactScope,
        sleeper: i64,
        is_asleep: bool,
    }

    impl Case for WakeCase {
        fn input(&self) -> &Arc<Input> {
            &self.input
        }

        fn scope(&self) -> &FactScope {
            &self.scope
        }

        fn agent_id(&self) -> Option<i64> {
            Some(self.sleeper)
        }

        fn requests<'set>(&self, _: &'set PolicySet) -> &'set [FactRequest] {
            &SENT
        }

        fn decide(&self, set: &PolicySet, facts: &[Fact]) -> Decision {
            let count = facts[0].value.get("count").and_then(Value::as_i64).unwrap();
            let (outcome, reason) = match count {
                0 | 1 => (Outcome::Allow, None),
                _ => {
                    let (code, message) = ("often".into(), "woken already".into());
                    (Outcome::Escalate, Some(Reason { code, message, notes: Vec::new() }))
                }
            };
            Decision {
                hook: Hook::Review,
                set: set.digest().to_owned(),
                generation: 1,
                outcome,
                policy: None,
                reason,
                reply: None,
                verdicts: Vec::new(),
            }
        }

        fn stands(&mut self, _: &WriteTx<'_>, _: Version) -> storage::Result<Standing> {
            Ok(if self.is_asleep { Standing::Holds } else { Standing::Gone })
        }
    }

    struct Room {
        _folder: tempfile::TempDir,
        db: Db,
        judge: Judge,
        set: Arc<PolicySet>,
        alice: Principal,
        bob: Principal,
    }

    impl Room {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let db = Db::open(&folder.path().join("t.db"), OpenOptions::default()).unwrap();
            let join = |name: &str| {
                let wanted = Registration {
                    name: name.into(),
                    role: "agent".into(),
                    capabilities: Vec::new(),
                    proof: None,
                    token: None,
                };
                db.write(move |tx| tx.register(&wanted, 1_000)).unwrap().into_principal(true)
            };
            let (alice, bob) = (join("alice"), join("bob"));
            let set = Arc::new(PolicySet::new(&Loader::new(None).unwrap(), Vec::new(), 1));
            Self { _folder: folder, judge: Judge::new(db.clone()), db, set, alice, bob }
        }

        fn send(&self) {
            let alice = self.alice.clone();
            let draft = Draft {
                content: "news".into(),
                reply_to: None,
                idempotency_key: None,
                origin: Origin::Agent,
            };
            self.db.write(move |tx| tx.send_message(&alice, "bob", &draft, 1_000)).unwrap();
        }

        fn case(&self) -> WakeCase {
            let sender = PrincipalView {
                name: "alice".into(),
                role: "agent".into(),
                capabilities: Vec::new(),
                authenticated: true,
            };
            let message = InboxMessage {
                id: 1,
                agent: "bob".into(),
                sender,
                content: "news".into(),
                thread: 1,
                reply_to: None,
                broadcast: false,
                automatic: false,
                created_at: 1_000,
                now: 1_000,
            };
            let principal = Some((self.alice.id, "alice".to_owned()));
            let scope = FactScope { now: 1_000, principal, ..FactScope::default() };
            let input = Arc::new(Input::Review(message));
            WakeCase { input, scope, sleeper: self.bob.id, is_asleep: true }
        }

        fn ring(&self, case: WakeCase, ruling: &Ruling) -> Settled<&'static str> {
            self.judge.settle(case, &self.set, ruling, true, |_, _, _| Ok("rung")).unwrap()
        }

        fn decisions(&self) -> usize {
            let all = crate::storage::DecisionFilter { limit: 10, ..Default::default() };
            self.db.read(|tx| tx.decisions(&all)).unwrap().len()
        }
    }

    #[test]
    fn a_new_kind_of_question_is_a_case_and_nothing_else() {
        let room = Room::new();
        room.send();
        let ruling = room.judge.ask(&room.case(), &room.set).unwrap();
        assert_eq!(ruling.decision.outcome, Outcome::Allow);
        assert!(matches!(room.ring(room.case(), &ruling), Settled::Done(1, "rung")));
        assert_eq!(room.decisions(), 1);
    }

    #[test]
    fn an_effect_whose_facts_have_moved_is_not_made() {
        let room = Room::new();
        room.send();
        let ruling = room.judge.ask(&room.case(), &room.set).unwrap();
        room.send();
        assert!(matches!(room.ring(room.case(), &ruling), Settled::Moved));
        assert_eq!(room.decisions(), 0);
        // Asked again, the policies want bob's person to decide.
        let case = room.case();
        let ruling = room.judge.ask(&case, &room.set).unwrap();
        assert_eq!(ruling.decision.outcome, Outcome::Escalate);
        let held = Held {
            agent: "bob".into(),
            asker: "alice".into(),
            action: "wake".into(),
            subject: [1; 32],
            arguments: json!({ "message": 1 }).to_string(),
            message: None,
        };
        let escalation = ruling.escalation(&case, held);
        let settled = room.judge.settle(case, &room.set, &ruling, false, move |tx, _, decision_id| {
            tx.escalate(&crate::storage::NewEscalation { decision_id, ..escalation }, 1_000)
        });
        assert!(matches!(settled.unwrap(), Settled::Done(1, 1)));
        let row = room.db.read(|tx| tx.escalation(1)).unwrap().unwrap();
        assert_eq!((row.action.as_str(), row.code.as_str(), row.decision_id), ("wake", "often", Some(1)));
    }

    #[test]
    fn a_case_that_is_over_leaves_nothing() {
        let room = Room::new();
        room.send();
        let case = WakeCase { is_asleep: false, ..room.case() };
        let ruling = room.judge.ask(&case, &room.set).unwrap();
        assert!(matches!(room.ring(case, &ruling), Settled::Gone));
        assert_eq!(room.decisions(), 0);
    }

    #[test]
    fn a_case_whose_facts_never_rest_is_given_up() {
        let room = Room::new();
        let mut attempts = 0;
        let settled = room.judge.until_settled(|| {
            attempts += 1;
            Ok(None::<()>)
        });
        assert_eq!((settled.unwrap(), attempts), (None, MAX_ROUNDS));
    }

    static ATTEMPTED: LazyLock<Vec<FactRequest>> = LazyLock::new(|| {
        let params = [("window_seconds".to_owned(), "60".to_owned())].into();
        vec![FactRequest { name: "calls.attempted".into(), params }]
    });

    /// A call that a policy lets pass three times a minute, whatever becomes of it then.
    #[derive(Clone)]
    struct Attempted {
        input: Arc<Input>,
        scope: FactScope,
    }

    impl Case for Attempted {
        fn input(&self) -> &Arc<Input> {
            &self.input
        }

        fn scope(&self) -> &FactScope {
            &self.scope
        }

        fn agent_id(&self) -> Option<i64> {
            self.scope.principal.as_ref().map(|(id, _)| *id)
        }

        fn requests<'set>(&self, _: &'set PolicySet) -> &'set [FactRequest] {
            &ATTEMPTED
        }

        fn decide(&self, set: &PolicySet, facts: &[Fact]) -> Decision {
            let attempted = facts[0].value.get("count").and_then(Value::as_i64).unwrap();
            let outcome = if attempted < 3 { Outcome::Allow } else { Outcome::Deny };
            Decision { outcome, ..set.answer(&self.input, &[]) }
        }

        fn stands(&mut self, _: &WriteTx<'_>, _: Version) -> storage::Result<Standing> {
            Ok(Standing::Holds)
        }
    }

    #[test]
    fn refused_calls_that_race_are_counted_exactly() {
        let room = Room::new();
        let principal = room.case().scope.principal;
        let call = ToolCall {
            tool: "heartbeat".into(),
            principal: room.alice.view(),
            arguments: json!({}),
            transport: "stdio".into(),
            now: 1_000,
        };
        let case = Attempted {
            input: Arc::new(Input::Authorization(call)),
            scope: FactScope { now: 1_000, principal, ..FactScope::default() },
        };
        // Each is recorded as a call that the server's own rules refused after the policies had allowed it.
        let attempt = || {
            let settled = room.judge.until_settled(|| {
                let ruling = room.judge.ask(&case, &room.set)?;
                let settled = room.judge.settle(case.clone(), &room.set, &ruling, false, |_, _, _| Ok(()))?;
                Ok(matches!(settled, Settled::Done(..)).then_some(ruling.decision.outcome))
            });
            settled.unwrap().unwrap()
        };
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..4).map(|_| attempt()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let passed = outcomes.iter().filter(|outcome| **outcome == Outcome::Allow).count();
        assert_eq!((passed, outcomes.len()), (3, 32));
    }
}
