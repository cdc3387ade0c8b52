//! Property tests of a policy: [proptest](proptest) strategies for whatever a host may ask and whatever it may know, and
//! [`assert_answers`], which holds a whole policy against them. Where cases show what a policy is for, this shows that it
//! always comes to an answer: a fault, a panic or a reason that is too long counts as a failed evaluation, and a policy that
//! fails again and again is rolled back.
//!
//! ```ignore
//! #[test]
//! fn every_question_gets_an_answer() {
//!     team_table_policy_sdk::strategies::assert_answers::<MyPolicy>("{}");
//! }
//! ```
//!
//! What is drawn keeps the server's own rules, which hold before a policy is asked: an agent's name is well formed, and an
//! argument of a tool has the type that the tool takes, in one of the ways in which models write it. Beside them stand arguments,
//! tools and additions that no host of today knows.
//!
//! Must not know any policy in particular.

use std::{collections::BTreeMap, fmt::Debug};

use proptest::{
    collection::{btree_map, vec},
    prelude::{Just, Strategy, any},
    sample::select,
    strategy::{BoxedStrategy, Union},
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::{
    Arguments, Exported, FactRequest, Facts, Fault, InboxMessage, Principal, Reason, ReviewOutcome, ToolCall,
    Verdict,
    limits::{reason_complaint, reply_complaint},
};

/// The tools there are.
pub const TOOLS: [&str; 13] = [
    "broadcast",
    "claim_task",
    "create_task",
    "deregister",
    "get_messages",
    "get_shared_context",
    "heartbeat",
    "list_members",
    "list_tasks",
    "register",
    "send_message",
    "share_context",
    "update_task",
];

/// A well-formed agent name: 1-64 characters, often one of three, so that two names in a question may be the same.
pub fn name() -> impl Strategy<Value = String> {
    let known = select(vec!["alice", "bob", "carol"]).prop_map(str::to_owned);
    proptest::prop_oneof![3 => known, 1 => "[A-Za-z0-9]([A-Za-z0-9 _.-]{0,62}[A-Za-z0-9])?"]
}

/// A well-formed role, often one of those that are widely known.
pub fn role() -> impl Strategy<Value = String> {
    let known = select(vec!["agent", "admin", "lead", "coder", "reviewer"]).prop_map(str::to_owned);
    proptest::prop_oneof![3 => known, 1 => "[a-z][a-z0-9_-]{0,31}"]
}

/// Who calls or writes.
pub fn principal() -> impl Strategy<Value = Principal> {
    (name(), role(), vec("\\PC{1,64}", 0..=20), any::<bool>()).prop_map(
        |(name, role, capabilities, authenticated)| Principal { name, role, capabilities, authenticated },
    )
}

/// The text of a message, a task or an entry: of people's words, of lines of anything, or of the greatest length.
pub fn text() -> impl Strategy<Value = String> {
    let words = select(vec![
        "should we wait?",
        "done, all tests pass",
        "what do you think",
        "please decide",
        "> quoted?",
        "```\nlet x = a?;\n```",
        "https://example.org/?q=1",
        "¿puedes mirarlo?",
        "これでいいですか",
        "\n",
        " ",
    ]);
    let sentences = vec(words, 1..6).prop_map(|words| words.join(" "));
    let long = "[a-z?\\n ]{1,6}".prop_map(|part| part.repeat(10_000).chars().take(10_000).collect());
    proptest::prop_oneof![30 => sentences, 30 => "(?s).{1,200}", 1 => long]
}

/// Any JSON: what a later host may add.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = proptest::prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        proptest::prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("\\PC{0,12}", inner, 0..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// The arguments of a call of `tool`: those that must be there, any choice of the others, and now and then one that no tool
/// of today has. For a tool that is none of [`TOOLS`], only the last.
pub fn arguments(tool: &str) -> impl Strategy<Value = Arguments> + use<> {
    let (required, optional) = parameters(tool);
    let required: Vec<_> = required.iter().map(|&(name, kind)| (Just(name), kind.values())).collect();
    let optional: Vec<_> =
        optional.iter().map(|&(name, kind)| proptest::option::of((Just(name), kind.values()))).collect();
    let unknown = btree_map("\\PC{1,12}", json(), 0..2);
    (required, optional, proptest::prop_oneof![3 => Just(BTreeMap::new()), 1 => unknown]).prop_map(
        |(required, optional, unknown)| {
            let mut all: Map<String, Value> = unknown.into_iter().collect();
            let known = required.into_iter().chain(optional.into_iter().flatten());
            all.extend(known.map(|(name, value)| (name.to_owned(), value)));
            Arguments::from_json(Value::Object(all).to_string())
        },
    )
}

/// A call of any tool, now and then of one that there is not.
pub fn tool_call() -> impl Strategy<Value = ToolCall> {
    let tool = proptest::prop_oneof![20 => select(&TOOLS[..]).prop_map(str::to_owned), 1 => "[a-z_]{1,20}"];
    let asked = tool.prop_flat_map(|tool| (arguments(&tool), Just(tool)));
    let transport = select(vec!["stdio", "http", "sse", "cli"]);
    (asked, principal(), transport, time(), extra()).prop_map(
        |((arguments, tool), principal, transport, now, extra)| ToolCall {
            tool,
            principal,
            arguments,
            transport: transport.to_owned(),
            now,
            extra,
        },
    )
}

/// A message in an inbox.
pub fn inbox_message() -> impl Strategy<Value = InboxMessage> {
    let ids = (number(), number(), proptest::option::of(number()));
    (ids, name(), principal(), text(), any::<[bool; 2]>(), [time(), time()], extra()).prop_map(
        |(
            (id, thread, reply_to),
            agent,
            sender,
            content,
            [broadcast, automatic],
            [created_at, now],
            extra,
        )| {
            InboxMessage {
                id,
                agent,
                sender,
                content,
                thread,
                reply_to,
                broadcast,
                automatic,
                created_at,
                now,
                extra,
            }
        },
    )
}

/// What a host may answer to these requests: for every fact of the catalogue any value of its form, for a fact of another
/// name any JSON.
pub fn facts(requests: &[FactRequest]) -> impl Strategy<Value = Facts> + use<> {
    let answers: Vec<_> = requests
        .iter()
        .map(|request| (Just(request.clone()), fact_value(&request.name).prop_map(|value| value.to_string())))
        .collect();
    answers.prop_map(Facts::from_iter)
}

/// What a host may answer to a request for the fact of this name.
fn fact_value(fact: &str) -> BoxedStrategy<Value> {
    let or_null =
        |value: BoxedStrategy<Value>| Union::new_weighted(vec![(1, Just(Value::Null).boxed()), (4, value)]);
    match fact {
        "calls.attempted"
        | "calls.allowed"
        | "calls.denied"
        | "messages.sent"
        | "replies.sent"
        | "replies.sent_to_sender" => (number(), time())
            .prop_map(|(count, oldest)| json!({ "count": count, "oldest": (count > 0).then_some(oldest) }))
            .boxed(),
        "limits.max_replies" | "thread.auto_depth" | "thread.repeated" => {
            number().prop_map(Value::from).boxed()
        }
        "thread.participants" => {
            let many = (0..1_000).prop_map(|count| {
                (0..count).map(|n| format!("agent number {n} of a team of very many agents")).collect()
            });
            proptest::prop_oneof![3 => vec(name(), 0..4), 1 => many].prop_map(Value::from).boxed()
        }
        "target.task" => {
            let status =
                select(vec!["pending", "in_progress", "blocked", "awaiting_review", "done", "cancelled"]);
            let priority = select(vec!["high", "medium", "low"]);
            let people = (name(), nobody_or_a_name(), nobody_or_a_name());
            let task = (number(), text(), status, priority, people).prop_map(
                |(id, title, status, priority, (creator, assignee, reviewer))| {
                    json!({
                        "id": id, "title": title, "status": status, "priority": priority,
                        "creator": creator, "assignee": assignee, "reviewer": reviewer,
                    })
                },
            );
            or_null(task.boxed()).boxed()
        }
        "target.context" => {
            let entry = (key(), name(), number(), time()).prop_map(|(key, set_by, version, updated_at)| {
                json!({ "key": key, "set_by": set_by, "version": version, "updated_at": updated_at })
            });
            or_null(entry.boxed()).boxed()
        }
        "target.member" => {
            let stands = (select(vec!["active", "inactive"]), select(vec!["online", "away"]));
            let member = (principal(), stands).prop_map(|(principal, (status, presence))| {
                let Principal { name, role, capabilities, .. } = principal;
                json!({
                    "name": name, "role": role, "capabilities": capabilities,
                    "status": status, "presence": presence,
                })
            });
            or_null(member.boxed()).boxed()
        }
        "member.role" => or_null(role().prop_map(Value::from).boxed()).boxed(),
        _ => json().boxed(),
    }
}

/// Whether a host supplies the fact when it asks for a verdict (`false`: for a review).
fn is_supplied(request: &FactRequest, to_authorize: bool) -> bool {
    let only_for = |families: &[&str]| families.iter().any(|family| request.name.starts_with(family));
    !only_for(if to_authorize { &["limits.", "replies.", "thread."] } else { &["calls.", "target."] })
}

/// Asserts that a policy with these settings (JSON text) answers everything: whatever the call or the message is and whatever
/// the host knows, there is an answer, it is the same when it is asked again, and the host would take it.
///
/// 256 questions to each hook, or as many as `PROPTEST_CASES` says.
///
/// # Panics
///
/// When the settings are refused, and with the simplest question found that the policy does not answer.
pub fn assert_answers<P: Exported>(settings: &str) {
    let [policy, twin] = [(); 2].map(|()| match crate::configure::<P>(settings) {
        Ok(policy) => policy,
        Err(errors) => give_up::<P>(&format!("refuses {settings}: {}", errors.join("; "))),
    });
    let supplied = |to_authorize| {
        let requests: Vec<_> =
            policy.facts().into_iter().filter(|request| is_supplied(request, to_authorize)).collect();
        facts(&requests)
    };
    run::<P, _>(&(tool_call(), supplied(true)), |(call, facts)| {
        judge([&policy, &twin], |policy| policy.ask_authorize(call, facts), complaint_of_verdict)
    });
    run::<P, _>(&(inbox_message(), supplied(false)), |(message, facts)| {
        judge([&policy, &twin], |policy| policy.ask_review(message, facts), complaint_of_review)
    });
}

fn run<P: Exported, S: Strategy>(questions: &S, test: impl Fn(&S::Value) -> Result<(), TestCaseError>) {
    // Where a failed question would be kept for the next run, only the macros of proptest know.
    let config = Config { failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(questions, |question| test(&question));
    if let Err(error) = outcome {
        give_up::<P>(&error.to_string());
    }
}

/// Asks a policy twice and its twin once, so that what a policy remembers shows in the answers.
fn judge<P, A: PartialEq + Debug>(
    [policy, twin]: [&P; 2],
    ask: impl Fn(&P) -> Option<Result<A, Fault>>,
    complaint: impl Fn(&A) -> Option<String>,
) -> Result<(), TestCaseError> {
    let Some(first) = ask(policy) else { return Ok(()) };
    for other in [policy, twin].into_iter().filter_map(ask) {
        if other != first {
            return Err(TestCaseError::fail(format!("two answers to one question: {first:?}, {other:?}")));
        }
    }
    let complaint = match first {
        Ok(answer) => complaint(&answer),
        Err(fault) => Some(format!("no answer: {fault}")),
    };
    complaint.map_or(Ok(()), |complaint| Err(TestCaseError::fail(complaint)))
}

fn complaint_of_verdict(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Abstain | Verdict::Allow => None,
        Verdict::Deny(reason) | Verdict::Escalate(reason) => complaint_of_reason(reason),
    }
}

fn complaint_of_review(review: &ReviewOutcome) -> Option<String> {
    match review {
        ReviewOutcome::Pass => None,
        ReviewOutcome::Reply(text) => reply_complaint(text),
        ReviewOutcome::Ignore(reason) | ReviewOutcome::Escalate(reason) => complaint_of_reason(reason),
    }
}

fn complaint_of_reason(reason: &Reason) -> Option<String> {
    reason_complaint(&reason.code, &reason.message, &reason.notes)
}

#[allow(clippy::panic, reason = "the body of a test")]
fn give_up<P: Exported>(what: &str) -> ! {
    panic!("{}: {what}", P::NAME)
}

/// What an argument is.
#[derive(Clone, Copy)]
enum Kind {
    Name,
    NobodyOrName,
    Role,
    Text,
    Key,
    Status,
    Priority,
    Number,
    Flag,
    Words,
    Numbers,
}

impl Kind {
    /// Its values, and how models write them besides: numbers, flags and lists as text, null for what is left out.
    fn values(self) -> BoxedStrategy<Value> {
        fn also_as_text(values: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
            (values, proptest::bool::weighted(0.2))
                .prop_map(|(value, as_text)| if as_text { value.to_string().into() } else { value })
                .boxed()
        }
        let status = ["in_progress", "done", "blocked", "awaiting_review", "cancelled"];
        match self {
            Self::Name => name().prop_map(Value::from).boxed(),
            Self::NobodyOrName => {
                proptest::prop_oneof![1 => Just(Value::Null), 5 => nobody_or_a_name().prop_map(Value::from)]
                    .boxed()
            }
            Self::Role => role().prop_map(Value::from).boxed(),
            Self::Text => text().prop_map(Value::from).boxed(),
            Self::Key => key().prop_map(Value::from).boxed(),
            Self::Status => select(status.to_vec()).prop_map(Value::from).boxed(),
            Self::Priority => select(vec!["high", "medium", "low"]).prop_map(Value::from).boxed(),
            Self::Number => also_as_text(number().prop_map(Value::from)),
            Self::Flag => also_as_text(any::<bool>().prop_map(Value::from)),
            Self::Words => also_as_text(vec("\\PC{1,64}", 0..4).prop_map(Value::from)),
            Self::Numbers => also_as_text(vec(number(), 0..4).prop_map(Value::from)),
        }
    }
}

type Parameters = &'static [(&'static str, Kind)];

/// The parameters of a tool: those that must be there and those that may.
fn parameters(tool: &str) -> (Parameters, Parameters) {
    use Kind::{Flag, Key, Name, NobodyOrName, Number, Numbers, Priority, Role, Status, Text, Words};
    match tool {
        "broadcast" => (&[("sender", Name), ("content", Text)], &[("idempotency_key", Text)]),
        "claim_task" => (&[("agent_name", Name)], &[("task_id", Number)]),
        "create_task" => (
            &[("title", Text), ("creator", Name)],
            &[
                ("description", Text),
                ("assignee", NobodyOrName),
                ("priority", Priority),
                ("depends_on", Numbers),
                ("parent_id", Number),
                ("reviewer", NobodyOrName),
                ("idempotency_key", Text),
            ],
        ),
        "deregister" | "heartbeat" => (&[("name", Name)], &[]),
        "get_messages" => (
            &[("agent_name", Name)],
            &[
                ("include_read", Flag),
                ("limit", Number),
                ("wait_seconds", Number),
                ("peek", Flag),
                ("thread_id", Number),
                ("before_id", Number),
            ],
        ),
        "get_shared_context" => {
            (&[], &[("key", Key), ("agent_name", Name), ("prefix", Text), ("limit", Number)])
        }
        "list_members" => (&[], &[("include_inactive", Flag), ("agent_name", Name)]),
        "list_tasks" => (
            &[],
            &[
                ("status", Status),
                ("assignee", NobodyOrName),
                ("agent_name", Name),
                ("ready", Flag),
                ("limit", Number),
                ("after_id", Number),
            ],
        ),
        "register" => (&[("name", Name)], &[("role", Role), ("capabilities", Words)]),
        "send_message" => (
            &[("sender", Name), ("recipient", Name), ("content", Text)],
            &[("reply_to", Number), ("idempotency_key", Text)],
        ),
        "share_context" => (
            &[("agent_name", Name), ("key", Key), ("value", Text)],
            &[("ttl_seconds", Number), ("expected_version", Number)],
        ),
        "update_task" => {
            (&[("task_id", Number), ("status", Status), ("agent_name", Name)], &[("result", Text)])
        }
        _ => (&[], &[]),
    }
}

fn nobody_or_a_name() -> impl Strategy<Value = String> {
    proptest::prop_oneof![1 => Just(String::new()), 3 => name()]
}

/// A key of the shared context, a member's or the team's.
fn key() -> impl Strategy<Value = String> {
    let own = (name(), "\\PC{1,40}").prop_map(|(name, rest)| format!("{name}/{rest}"));
    proptest::prop_oneof![own, "\\PC{1,128}"]
}

/// A number as hosts have them: mostly small, never beyond 63 bits.
fn number() -> impl Strategy<Value = u64> {
    let greatest = i64::MAX.cast_unsigned();
    proptest::prop_oneof![8 => 0..200_u64, 2 => 0..=greatest, 1 => Just(greatest)]
}

/// Milliseconds since 1970: mostly of this century, but a host's clock may be wrong.
fn time() -> impl Strategy<Value = u64> {
    proptest::prop_oneof![4 => 1_500_000_000_000..2_000_000_000_000_u64, 1 => number()]
}

fn extra() -> impl Strategy<Value = BTreeMap<String, String>> {
    let some = btree_map("[a-z.]{1,12}", json().prop_map(|value| value.to_string()), 0..3);
    proptest::prop_oneof![3 => Just(BTreeMap::new()), 1 => some]
}
