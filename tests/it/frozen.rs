//! Components of earlier days: what was once built against an interface passes the gate and decides as it did, whatever
//! has become of the SDK and the built-in policies since. `tests/data/frozen` says how they were made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use team_table::domain::decision::{
    Decision, Fact, Hook, InboxMessage, Input, Mode, Outcome, PrincipalView, ToolCall,
};
use team_table::policy::{Limits, Loader, Policy, PolicySet};

use crate::office::Office;

/// Name, digest and hooks of every component. A line is added for a new one; none is ever changed.
const VERSION_1: [(&str, &str, &[Hook]); 6] = [
    (
        "business-hours",
        "893610e82a92923fe8d4861ab24546f0454f2bc8077bdba04694fb83e2545e2d",
        &[Hook::Authorization, Hook::Review],
    ),
    (
        "question-detection",
        "931bd87c14df5b0154131b975fa1fa166d4d646051041e3ad0f3afa349cdb9e0",
        &[Hook::Review],
    ),
    (
        "rate-limit",
        "713e1505bd991d8eafc00d296935f86cf9ec67b8d1ef10b1b8b277c0cf92c1f6",
        &[Hook::Authorization],
    ),
    ("repeat-guard", "37adb27216ea4cef8111ca63eef1330ab8f83f49988cbbf305c8e9d022640c77", &[Hook::Review]),
    ("reply-cap", "d63e1f0c24dbd300c1d4c7a1a497fa184d7dd84bedb22d64bd6f9d6bd93010c6", &[Hook::Review]),
    (
        "tool-authorization",
        "5771cfd246a39286c74b910bffc2341f217aec2ba0e77f3abdbbd136e2083472",
        &[Hook::Authorization],
    ),
];

/// Sunday noon, outside anybody's working hours.
const SUNDAY: i64 = 1_767_528_000_000;

/// What question-detection, which reads most, is given; and time enough on a busy machine.
const LIMITS: Limits = Limits { fuel: 60_000_000, millis: 5_000, memory_mib: 16, module_mib: 4 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/frozen/v1")
}

fn component(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.wasm"))).unwrap()
}

#[test]
fn components_of_version_1_pass_the_gate_and_hold_their_cases() {
    let mut there: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    there.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    assert_eq!(there.len(), VERSION_1.len(), "a component that is not in the list, or the other way round");
    let loader = Loader::new(None).unwrap();
    for (name, digest, hooks) in VERSION_1 {
        let bytes = component(name);
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), digest, "{name} was built again: restore it");
        let report = loader.check(&bytes, &json!({}), LIMITS).unwrap();
        assert_eq!((report.name.as_str(), report.hooks.as_slice()), (name, hooks));
        assert_eq!(report.sdk.as_deref(), Some("1.0.0"), "{name}");
        assert!(report.cases.len() >= 10, "{name} has lost its cases");
        assert!(report.passed(), "{name}: {:#?}", report.cases);
    }
}

/// Asks one component alone; every fact it wants has this value.
fn ask(loader: &Loader, name: &str, input: &Input, value: &Value) -> Decision {
    let module = Arc::new(loader.load(&component(name), &json!({}), LIMITS).unwrap());
    let policy = Policy::new(name, Mode::Enforce, module);
    let set = PolicySet::new(loader, vec![policy], 1);
    let requests = set.fact_requests(input).iter();
    let facts: Vec<_> =
        requests.map(|request| Fact { request: request.clone(), value: value.clone() }).collect();
    set.answer(input, &facts)
}

fn bob() -> PrincipalView {
    PrincipalView { name: "bob".into(), role: "agent".into(), capabilities: Vec::new(), authenticated: true }
}

fn call(tool: &str, role: &str) -> Input {
    Input::Authorization(ToolCall {
        tool: tool.into(),
        principal: PrincipalView { role: role.into(), ..bob() },
        arguments: json!({ "content": "The build is green." }),
        transport: "stdio".into(),
        now: SUNDAY,
    })
}

fn message(content: &str) -> Input {
    Input::Review(InboxMessage {
        id: 7,
        agent: "alice".into(),
        sender: bob(),
        content: content.into(),
        thread: 7,
        reply_to: None,
        broadcast: false,
        automatic: false,
        created_at: SUNDAY,
        now: SUNDAY,
    })
}

#[test]
fn components_of_version_1_decide_on_both_hooks() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cache");
    let loader = Loader::new(Some(&cache)).unwrap();
    let sent = |count: u64| json!({ "count": count, "oldest": SUNDAY });
    let none = Value::Null;
    let green = "The build is green.";
    for (name, input, fact, outcome, code) in [
        ("rate-limit", call("broadcast", "agent"), sent(29), Outcome::Allow, None),
        ("rate-limit", call("broadcast", "agent"), sent(30), Outcome::Deny, Some("rate_limited")),
        ("tool-authorization", call("register", "tester"), none.clone(), Outcome::Allow, None),
        ("tool-authorization", call("register", "wizard"), none.clone(), Outcome::Deny, Some("unknown_role")),
        (
            "business-hours",
            call("broadcast", "agent"),
            none.clone(),
            Outcome::Escalate,
            Some("outside_hours"),
        ),
        ("business-hours", call("heartbeat", "agent"), none.clone(), Outcome::Allow, None),
        ("business-hours", message(green), none.clone(), Outcome::Escalate, Some("outside_hours")),
        ("question-detection", message(green), none.clone(), Outcome::Pass, None),
        ("question-detection", message("Is it green?"), none, Outcome::Escalate, Some("question")),
        ("repeat-guard", message(green), json!(2), Outcome::Pass, None),
        ("repeat-guard", message(green), json!(3), Outcome::Escalate, Some("repeated")),
    ] {
        let decision = ask(&loader, name, &input, &fact);
        let said = decision.reason.as_ref().map(|reason| reason.code.as_str());
        assert_eq!((decision.outcome, said), (outcome, code), "{name} {input:?}: {decision:?}");
    }
}

#[test]
fn a_daemon_asks_one_of_them_who_repeats_the_same() {
    let office = Office::with_set("[[policy]]\nname = \"guard\"\nmodule = \"repeat-guard.wasm\"\n");
    fs::write(office.home.path().join("policies/repeat-guard.wasm"), component("repeat-guard")).unwrap();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let first = office.send(&bob, "alice", "The build is green.", None);
    for content in ["And fast.", " The build is green.\n", "The build is green."] {
        office.send(&bob, "alice", content, Some(first.id));
    }
    let elsewhere = office.send(&bob, "alice", "The build is green.", None);
    let codes = || -> Vec<Value> {
        let notes = office.once("alice", &[]);
        notes.iter().map(|note| note["code"].clone()).filter(|code| !code.is_null()).collect()
    };
    assert_eq!(codes(), Vec::<Value>::new(), "said three times in one thread, and once in another");
    assert_eq!(office.answers(&elsewhere).len(), 1);
    office.send(&bob, "alice", "The build is green.", Some(first.id));
    assert_eq!(codes(), ["repeated"]);
}
