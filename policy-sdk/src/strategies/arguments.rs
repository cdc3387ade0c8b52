//! The arguments of each tool, as the server lets them through to a policy. Knows the tools' parameters by name and type,
//! which a test of the server compares with the tools themselves.

use std::collections::BTreeMap;

use proptest::{
    collection::{btree_map, vec},
    prelude::{Just, Strategy, any},
    sample::select,
    strategy::BoxedStrategy,
};
use serde_json::{Map, Value};

use super::{json, key, name, nobody_or_a_name, number, role, text};
use crate::Arguments;

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
