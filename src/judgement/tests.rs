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
            approvals: 1,
            verdicts: Vec::new(),
        }
    }

    fn confirm_and_consume(&mut self, _: &WriteTx<'_>, _: Version) -> storage::Result<Confirmation> {
        Ok(if self.is_asleep { Confirmation::Holds } else { Confirmation::Gone })
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
            person: None,
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

    fn ring(&self, case: WakeCase, ruling: &Ruling) -> CommitResult<&'static str> {
        self.judge.commit_if_unchanged(case, &self.set, ruling, true, |_, _, _| Ok("rung")).unwrap()
    }

    fn decisions(&self) -> usize {
        let all = crate::storage::DecisionFilter { limit: 10, ..Default::default() };
        self.db.read(|tx| tx.decisions(&all)).unwrap().rows.len()
    }
}

#[test]
fn a_new_kind_of_question_is_a_case_and_nothing_else() {
    let room = Room::new();
    room.send();
    let ruling = room.judge.ask(&room.case(), &room.set).unwrap();
    assert_eq!(ruling.decision.outcome, Outcome::Allow);
    assert!(matches!(room.ring(room.case(), &ruling), CommitResult::Done(1, "rung")));
    assert_eq!(room.decisions(), 1);
}

#[test]
fn an_effect_whose_facts_have_moved_is_not_made() {
    let room = Room::new();
    room.send();
    let ruling = room.judge.ask(&room.case(), &room.set).unwrap();
    room.send();
    assert!(matches!(room.ring(room.case(), &ruling), CommitResult::Moved));
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
    let committed =
        room.judge.commit_if_unchanged(case, &room.set, &ruling, false, move |tx, _, decision_id| {
            tx.escalate(&crate::storage::NewEscalation { decision_id, ..escalation }, 1_000)
        });
    assert!(matches!(committed.unwrap(), CommitResult::Done(1, 1)));
    let row = room.db.read(|tx| tx.escalation(1)).unwrap().unwrap();
    assert_eq!((row.action.as_str(), row.code.as_str(), row.decision_id), ("wake", "often", Some(1)));
}

#[test]
fn a_case_that_is_over_leaves_nothing() {
    let room = Room::new();
    room.send();
    let case = WakeCase { is_asleep: false, ..room.case() };
    let ruling = room.judge.ask(&case, &room.set).unwrap();
    assert!(matches!(room.ring(case, &ruling), CommitResult::Gone));
    assert_eq!(room.decisions(), 0);
}

#[test]
fn a_case_whose_facts_never_rest_is_given_up() {
    let room = Room::new();
    let mut attempts = 0;
    let outcome = room.judge.retry(|| {
        attempts += 1;
        Ok(None::<()>)
    });
    assert_eq!((outcome.unwrap(), attempts), (None, MAX_ROUNDS));
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

    fn confirm_and_consume(&mut self, _: &WriteTx<'_>, _: Version) -> storage::Result<Confirmation> {
        Ok(Confirmation::Holds)
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
        let outcome = room.judge.retry(|| {
            let ruling = room.judge.ask(&case, &room.set)?;
            let committed =
                room.judge.commit_if_unchanged(case.clone(), &room.set, &ruling, false, |_, _, _| Ok(()))?;
            Ok(matches!(committed, CommitResult::Done(..)).then_some(ruling.decision.outcome))
        });
        outcome.unwrap().unwrap()
    };
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..4).map(|_| attempt()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let passed = outcomes.iter().filter(|outcome| **outcome == Outcome::Allow).count();
    assert_eq!((passed, outcomes.len()), (3, 32));
}
