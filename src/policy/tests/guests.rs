//! Components for tests: the hostile guests of `tests/data/guests`, made from text, and the questions they are asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::decision::{Answer, InboxMessage, Mode, PolicyErrorKind, PrincipalView, ToolCall};
use crate::policy::eval::Runtime;
use crate::policy::{Limits, Loader, Policy, PolicyError, PolicySet};

/// The bytes of a guest. Most files hold only a core module and are put into the frame that makes a policy of it.
pub(super) fn guest(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/guests");
    let read = |name: &str| std::fs::read_to_string(dir.join(format!("{name}.wat"))).unwrap();
    let mut text = read(name);
    if text.contains("(;frame;)") {
        let module =
            text.replace("(module\n", "(core module $main\n").replace("(;frame;)", &read("frame/core"));
        text = read("frame/component").replace("(;module;)", &module);
    }
    wat::parse_str(&text).unwrap()
}

/// The same component with a custom section.
pub(super) fn with_section(mut component: Vec<u8>, name: &str, content: &str) -> Vec<u8> {
    fn leb(mut value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        out.push(u8::try_from(value).unwrap());
        out
    }
    let body = [leb(name.len()), name.into(), content.into()].concat();
    component.push(0);
    component.extend(leb(body.len()));
    component.extend(body);
    component
}

/// A loader without a cache.
pub(super) fn loader(slots: usize) -> Loader {
    Loader::with_runtime(Runtime::with_slots(slots, Duration::from_secs(20)).unwrap(), None)
}

/// The default limits but for the clock: on a machine busy with other tests, only fuel may decide.
pub(super) fn patient() -> Limits {
    Limits { millis: 5_000, ..Limits::default() }
}

/// Loads bytes with no settings.
pub(super) fn load(loader: &Loader, bytes: &[u8]) -> Result<Policy, PolicyError> {
    load_with(loader, bytes, &json!({}), patient())
}

pub(super) fn load_with(
    loader: &Loader,
    bytes: &[u8],
    settings: &Value,
    limits: Limits,
) -> Result<Policy, PolicyError> {
    let module = Arc::new(loader.load(bytes, settings, limits)?);
    Ok(Policy::new("guest", Mode::Enforce, module))
}

/// What a policy alone says to an ordinary call.
pub(super) fn asked(loader: &Loader, policy: &Policy) -> Answer {
    let policy = Policy::new(&policy.name, policy.mode, Arc::clone(&policy.module));
    let decision = PolicySet::new(loader, vec![policy], 1).authorize(&call(), &[]);
    decision.verdicts.into_iter().next().unwrap().answer
}

/// The kind of failure a guest's evaluation ends in.
pub(super) fn failure(loader: &Loader, policy: &Policy) -> PolicyErrorKind {
    match asked(loader, policy) {
        Answer::Error { kind, .. } => kind,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// An ordinary call.
pub(super) fn call() -> ToolCall {
    ToolCall {
        tool: "send_message".into(),
        principal: PrincipalView {
            name: "alice".into(),
            role: "agent".into(),
            capabilities: vec!["rust".into()],
            authenticated: true,
        },
        arguments: json!({ "recipient": "bob", "content": "hello" }),
        transport: "stdio".into(),
        now: 1_767_225_600_000,
    }
}

/// An ordinary message.
pub(super) fn message(content: &str) -> InboxMessage {
    InboxMessage {
        id: 1,
        agent: "bob".into(),
        sender: call().principal,
        content: content.into(),
        thread: 1,
        reply_to: None,
        broadcast: false,
        automatic: false,
        created_at: 0,
        now: 0,
    }
}
