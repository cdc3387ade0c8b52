//! The server against a model of it: calls of several agents, one at a time, through several processes on one
//! database, each answered exactly as the plain table in `table.rs` foretells. A disagreement is cut down to the
//! shortest sequence that still shows it. `PROPTEST_CASES=2000` makes a long run of it.

mod table;

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError};
use rusqlite::params;
use serde_json::{Map, Value, json};
use team_table::domain::clock::Clock;
use team_table::domain::person::Actor;
use team_table::storage::{Db, OpenOptions, Recipient};

use self::table::{ANYTHING, Done, OPERATOR, Table};
use crate::harness::{Answer, Home, Process, name_parameter};

const PROCESSES: usize = 3;
const AGENTS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// A member who does nothing else than to have the processes write down what they still hold.
const CLERK: &str = "clerk";
const KEYS: [&str; 6] = ["plan", "plan/b", "alice/notes", "bob/", "zoe/notes", "/"];
/// Most characters of a list result.
const BUDGET: usize = 12_000;
/// What of it the server keeps free for the badge.
const BADGE: usize = 1_500;
/// Characters of an item that the server reckons with and that need not be there: it knows the longest numbers only.
const FRAME: usize = 100;

/// The token of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Proof {
    /// The last the agent of that name was given.
    Own,
    /// The one before.
    Former,
    None,
    Wrong,
    Of(&'static str),
}

#[derive(Debug, Clone)]
enum Step {
    Call {
        who: &'static str,
        proof: Proof,
        process: usize,
        tool: &'static str,
        arguments: Value,
    },
    /// The operator grants a role.
    Grant(&'static str, &'static str),
    /// The operator writes to an agent, in the thread of a message if one is named.
    Write(&'static str, Option<i64>),
    /// Twenty minutes go by in which the agent is not seen.
    Away(&'static str),
    /// The time of a context entry is over.
    Expire(&'static str),
}

// ---------------------------------------------------------------- what is called

type Parameter = (&'static str, BoxedStrategy<Option<Value>>);

fn always<T: Into<Value> + std::fmt::Debug + 'static>(
    name: &'static str,
    value: impl Strategy<Value = T> + 'static,
) -> Parameter {
    (name, value.prop_map(|value| Some(value.into())).boxed())
}

/// Left out more often than not.
fn at_times<T: Into<Value> + std::fmt::Debug + 'static>(
    name: &'static str,
    value: impl Strategy<Value = T> + 'static,
) -> Parameter {
    (name, prop::option::weighted(0.3, value.prop_map(Into::into)).boxed())
}

/// Ids that mostly exist.
fn id() -> BoxedStrategy<i64> {
    prop_oneof![12 => 1..5_i64, 4 => 5..12_i64, 1 => 0..30_i64].boxed()
}

fn agent() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![0, 0, 0, 0, 1, 1, 1, 2, 2, 3]).prop_map(|at: usize| AGENTS[at])
}

fn content() -> BoxedStrategy<String> {
    prop_oneof![
        12 => "[a-z \"é]{1,12}x",
        2 => Just("long ".repeat(1_000)),
        1 => Just(" ".to_owned()),
    ]
    .boxed()
}

fn status() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just("in_progress"),
        6 => Just("done"),
        6 => Just("awaiting_review"),
        2 => Just("blocked"),
        1 => Just("cancelled"),
        1 => Just("pending"),
        1 => Just("over"),
    ]
}

fn limit() -> BoxedStrategy<i64> {
    prop_oneof![16 => 1..4_i64, 1 => Just(0), 1 => Just(201)].boxed()
}

fn repeat() -> Parameter {
    at_times("idempotency_key", select(vec!["k1", "k2", "k3", "k4"]))
}

fn parameters(tool: &str) -> Vec<Parameter> {
    match tool {
        "register" => vec![
            at_times("role", select(vec!["agent", "coder", "lead", "wizard"])),
            at_times("capabilities", select(vec![json!([]), json!(["rust", "sql"])])),
        ],
        "list_members" => vec![at_times("include_inactive", any::<bool>())],
        "send_message" => vec![
            always("recipient", prop_oneof![8 => agent(), 1 => Just("zoe"), 2 => Just(OPERATOR)]),
            always("content", content()),
            at_times("reply_to", id()),
            repeat(),
        ],
        "broadcast" => vec![always("content", content()), repeat()],
        "get_messages" => vec![
            at_times("include_read", any::<bool>()),
            at_times("peek", any::<bool>()),
            at_times("limit", limit()),
            at_times("thread_id", id()),
            at_times("before_id", id()),
        ],
        "create_task" => vec![
            always("title", prop_oneof![20 => Just("title"), 1 => Just("")]),
            at_times("priority", select(vec!["high", "medium", "low"])),
            at_times("description", Just("long ".repeat(1_000))),
            at_times("assignee", agent()),
            at_times("reviewer", agent()),
            at_times("depends_on", prop::collection::vec(id(), 1..3)),
            at_times("parent_id", id()),
            repeat(),
        ],
        "list_tasks" => vec![
            at_times("status", status()),
            at_times("assignee", agent()),
            at_times("ready", any::<bool>()),
            at_times("limit", limit()),
            at_times("after_id", id()),
        ],
        "claim_task" => vec![("task_id", prop::option::weighted(0.6, id().prop_map(Value::from)).boxed())],
        "update_task" => vec![
            always("task_id", id()),
            always("status", status()),
            at_times("result", select(vec!["", "it works"])),
        ],
        "share_context" => vec![
            always("key", select(&KEYS[..])),
            always("value", content()),
            at_times("expected_version", -1..4_i64),
            at_times("ttl_seconds", Just(3_600)),
        ],
        "get_shared_context" => vec![
            at_times("key", select(&KEYS[..])),
            at_times("prefix", select(vec!["plan", "alice/", "b", "é"])),
            at_times("limit", limit()),
        ],
        _ => Vec::new(),
    }
}

fn arguments(tool: &'static str) -> BoxedStrategy<(&'static str, Value)> {
    let (names, values): (Vec<&str>, Vec<_>) = parameters(tool).into_iter().unzip();
    values
        .prop_map(move |values| {
            let given =
                names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
            (tool, Value::Object(given.collect::<Map<_, _>>()))
        })
        .boxed()
}

fn step() -> impl Strategy<Value = Step> {
    let tools = [
        (3, "register"),
        (1, "deregister"),
        (1, "heartbeat"),
        (2, "list_members"),
        (6, "send_message"),
        (6, "get_messages"),
        (3, "broadcast"),
        (8, "create_task"),
        (4, "list_tasks"),
        (6, "claim_task"),
        (16, "update_task"),
        (5, "share_context"),
        (3, "get_shared_context"),
    ];
    let call =
        prop::strategy::Union::new_weighted(tools.map(|(weight, tool)| (weight, arguments(tool))).to_vec());
    let proof = prop_oneof![
        40 => Just(Proof::Own),
        2 => Just(Proof::Former),
        2 => Just(Proof::None),
        1 => Just(Proof::Wrong),
        1 => agent().prop_map(Proof::Of),
    ];
    prop_oneof![
        30 => (agent(), proof, 0..PROCESSES, call)
            .prop_map(|(who, proof, process, (tool, arguments))| Step::Call { who, proof, process, tool, arguments }),
        1 => (agent(), select(vec!["lead", "agent", "reviewer"])).prop_map(|(who, role)| Step::Grant(who, role)),
        2 => (agent(), prop::option::of(id())).prop_map(|(who, reply_to)| Step::Write(who, reply_to)),
        2 => agent().prop_map(Step::Away),
        2 => select(&KEYS[..]).prop_map(Step::Expire),
    ]
}

// ---------------------------------------------------------------- what is answered

/// The server and its model, side by side.
struct Pair {
    // Field order is drop order: the folder goes last.
    processes: Vec<Process>,
    /// The operator's, as one more process.
    db: Db,
    home: Home,
    model: Table,
    /// What was called and answered.
    story: String,
}

/// Why an answer is not the one foretold.
type Verdict = Result<(), String>;

impl Pair {
    fn new() -> Self {
        let home = Home::unlimited();
        let processes = (0..PROCESSES).map(|_| home.start()).collect();
        let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
        let mut pair = Self { db, home, processes, model: Table::default(), story: String::new() };
        for (at, name) in [CLERK, "alice", "bob", "carol"].into_iter().enumerate() {
            pair.call(name, Proof::None, at % PROCESSES, "register", &json!({})).unwrap();
        }
        pair
    }

    fn take(&mut self, step: &Step) -> Verdict {
        match step {
            Step::Call { who, proof, process, tool, arguments } => {
                self.call(who, *proof, *process, tool, arguments)
            }
            Step::Grant(name, role) => {
                let output = self.home.run(&["agent", "grant", name, role]);
                let granted = self.model.grant(name, role);
                let _ = writeln!(self.story, "agent grant {name} {role}: {}", output.status);
                same(&json!(granted), &json!(output.status.success()))
            }
            Step::Write(name, reply_to) => {
                let (to, answered) = (Recipient::Agent((*name).to_owned()), *reply_to);
                let now = self.db.now(&Clock::System);
                let sent =
                    self.db.write(move |tx| tx.write_as(&Actor::Operator, &to, answered, "and you?", now));
                let _ = writeln!(self.story, "operator to {name}, reply_to {reply_to:?}: {}", sent.is_ok());
                same(&json!(self.model.write(name, *reply_to, "and you?")), &json!(sent.is_ok()))
            }
            Step::Away(name) => {
                // What a process still holds would tell that the agent was seen later than it is made to be.
                (0..PROCESSES).try_for_each(|process| self.write_down(process))?;
                let sql = "UPDATE members SET last_heartbeat = last_heartbeat - 1200000 WHERE name = ?1 AND current = 1";
                self.home.sql().execute(sql, [name]).unwrap();
                let _ = writeln!(self.story, "twenty minutes without {name}");
                self.model.leave_alone(name);
                Ok(())
            }
            Step::Expire(key) => {
                let sql = "UPDATE context SET expires_at = ?2 WHERE key = ?1 AND expires_at IS NOT NULL";
                self.home.sql().execute(sql, params![key, 1]).unwrap();
                let _ = writeln!(self.story, "the time of {key} is over, if it has one");
                self.model.expire(key);
                Ok(())
            }
        }
    }

    /// Has a process commit what it has put off.
    fn write_down(&mut self, process: usize) -> Verdict {
        self.call(CLERK, Proof::Own, process, "heartbeat", &json!({}))
    }

    fn call(
        &mut self,
        who: &str,
        proof: Proof,
        process: usize,
        tool: &'static str,
        arguments: &Value,
    ) -> Verdict {
        let mut arguments = arguments.clone();
        arguments[name_parameter(tool)] = json!(who);
        let tokens = |name| self.model.tokens_of(name);
        let token = match proof {
            Proof::Own => tokens(who).first().copied(),
            Proof::Former => tokens(who).get(1).copied(),
            Proof::Of(other) => tokens(other).first().copied(),
            Proof::Wrong => Some("tt_wrong"),
            Proof::None => None,
        }
        .map(str::to_owned);
        let peeks = arguments["peek"] == true;
        let was_away: Vec<bool> = (0..self.model.holders()).map(|at| self.model.is_away(at)).collect();
        let foretold = self.model.call(tool, &arguments, token.as_deref());
        let _ = write!(self.story, "{process} {who} ({proof:?}) {tool} {}", short(&arguments));
        if let Some(token) = token {
            arguments["token"] = json!(token);
        }
        let mut answer = self.processes[process].call(tool, arguments);
        let _ = writeln!(self.story, ": {}", short(&answer.body));
        let badge = answer.body.as_object_mut().unwrap().remove("_notification");
        if tool == "register" && !answer.is_error && foretold.outcome.is_ok() {
            self.model.issue(who, answer.body["token"].as_str().unwrap());
        }
        match (&foretold.outcome, &answer) {
            (Err(code), _) => same(&json!(code), &json!(answer.code()))?,
            (Ok(_), Answer { is_error: true, .. }) => return Err(format!("not {:?}", foretold.outcome)),
            (Ok(Done::Is(body)), _) => same(body, &answer.body)?,
            (Ok(list), _) => {
                let ids = page(list, &mut answer.body)?;
                if let Some(reader) = foretold.caller.filter(|_| tool == "get_messages" && !peeks) {
                    self.model.mark_read(reader, &ids);
                }
            }
        }
        let Some(caller) = foretold.caller else { return same(&Value::Null, &badge.into()) };
        let expected = self.model.badge(caller).filter(|_| tool != "get_messages");
        same(&expected.into(), &badge.into())?;
        if was_away[caller] {
            // Seen by this call, which is written down with the next commit if not with its own.
            self.model.seen(caller);
            self.write_down(process)?;
        }
        Ok(())
    }
}

/// Whether a value is the one foretold; the parts that are not foretold may be any text, but not missing.
fn same(foretold: &Value, got: &Value) -> Verdict {
    match (foretold, got) {
        (Value::String(mark), Value::String(_) | Value::Bool(_)) if mark == ANYTHING => Ok(()),
        (Value::Object(one), Value::Object(other)) => {
            if !one.keys().eq(other.keys()) {
                return Err(format!("not the fields of {foretold}"));
            }
            one.iter().try_for_each(|(name, value)| {
                same(value, &other[name]).map_err(|why| format!("{name}: {why}"))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).try_for_each(|(one, other)| same(one, other))
        }
        _ if foretold == got => Ok(()),
        _ => Err(format!("{} instead of {}", short(got), short(foretold))),
    }
}

/// Checks a list: the first of what was foretold, as many as go in, and how many are left. The ids of those returned.
fn page(foretold: &Done, body: &mut Value) -> Result<Vec<i64>, String> {
    let Done::List { name, items, limit, last_first } = foretold else {
        return Err(format!("not {foretold:?}"));
    };
    if body.to_string().chars().count() > BUDGET && body[name].as_array().is_none_or(|got| got.len() > 1) {
        return Err("too long".into());
    }
    let remaining = body["remaining"].as_u64();
    let Value::Array(mut got) = body[name].take() else { return Err(format!("no {name}")) };
    if *last_first {
        got.reverse();
    }
    if *name == "members" {
        got.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    }
    if got.len() > *limit || got.len() > items.len() {
        return Err(format!("{} items of {}", got.len(), items.len()));
    }
    items.iter().zip(&got).try_for_each(|(one, other)| same(one, other))?;
    same(&json!(items.len() - got.len()), &json!(remaining))?;
    if got.len() < items.len().min(*limit) {
        let reckoned = |item: &Value| item.to_string().chars().count() + FRAME;
        let one_more: usize = items[..=got.len()].iter().map(reckoned).sum();
        if got.is_empty() || one_more < BUDGET - BADGE {
            return Err(format!("only {} items", got.len()));
        }
    }
    Ok(got.iter().filter_map(|item| item["id"].as_i64()).collect())
}

fn short(value: &Value) -> String {
    value.to_string().replace(&"long ".repeat(1_000), "long long …")
}

fn config() -> Config {
    let ours = Config { failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ours,
        None => Config { cases: 60, ..ours },
    }
}

fn agree(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    steps.iter().try_for_each(|step| {
        pair.take(step).map_err(|why| TestCaseError::fail(format!("{why}, after\n{}", pair.story)))
    })
}

/// Found so: who was refused a registration was not seen by it.
#[test]
fn a_refused_registration_is_a_call_as_well() {
    let call = |who, tool, arguments| Step::Call { who, proof: Proof::Own, process: 0, tool, arguments };
    for role in ["lead", "wizard"] {
        let steps = [
            Step::Away("carol"),
            call("carol", "register", json!({ "role": role })),
            call("alice", "list_members", json!({})),
        ];
        agree(&steps).unwrap();
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_the_one_the_contract_foretells(steps in prop::collection::vec(step(), 1..200)) {
        agree(&steps)?;
    }
}
