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

mod answers;
mod arguments;

use std::collections::BTreeMap;

use proptest::{
    collection::{btree_map, vec},
    prelude::{Just, Strategy, any},
    sample::select,
    strategy::{BoxedStrategy, Union},
};
use serde_json::{Value, json};

use crate::{FactRequest, Facts, InboxMessage, Principal, ToolCall};

pub use answers::assert_answers;
pub use arguments::arguments;

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
        "limits.max_replies" | "thread.auto_depth" | "thread.repeated" | "wake.in_hour"
        | "wake.ping_pong" | "wake.since_person" => number().prop_map(Value::from).boxed(),
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
