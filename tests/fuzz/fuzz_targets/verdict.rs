//! Whatever a policy leaves in its memory for an answer: the host reads it as a valid answer or an error, never panics, and
//! never takes an error for consent.
//!
//! The guest is compiled once. It is handed the bytes as the name of the tool, two letters a byte, writes them to address
//! 256 and answers with that address; pointers in them are addresses of its memory. With a first byte of 255 the rest is
//! what `configure` answers, which means to instrument and compile the guest anew.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use team_table::domain::decision::{Answer, Mode, Outcome, PrincipalView, ToolCall};
use team_table::policy::{Limits, Loader, Policy, PolicySet};
use team_table_fuzz::{every_panic_counts, framed};
use team_table_policy_sdk::limits::reason_complaint;

const MIRROR: &str = r#"(module
  (;frame;)
  (func $decode (param $from i32) (param $bytes i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $bytes)))
        (i32.store8
          (i32.add (i32.const 256) (local.get $i))
          (i32.or
            (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
            (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
  ;; The settings are "…" with the quotation marks, or {}: then it is a good configure.
  (func (export "team-table:policy/metadata@1.0.0#configure") (param $at i32) (param $length i32) (result i32)
    (if (i32.eq (local.get $length) (i32.const 2)) (then (return (i32.const 64))))
    (call $decode
      (i32.add (local.get $at) (i32.const 1))
      (i32.shr_u (i32.sub (local.get $length) (i32.const 2)) (i32.const 1)))
    (i32.const 256))
  ;; The record begins with the tool's name: address and length.
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param $call i32) (result i32)
    (call $decode (i32.load (local.get $call)) (i32.shr_u (i32.load offset=4 (local.get $call)) (i32.const 1)))
    (i32.const 256)))
"#;

/// Between address 256 and what the allocator hands out.
const MOST: usize = 3 * 1024;

struct Mirror {
    loader: Loader,
    bytes: Vec<u8>,
    set: PolicySet,
}

static MIRROR_SET: LazyLock<Mirror> = LazyLock::new(|| {
    every_panic_counts();
    let loader = Loader::new(None).expect("the engine cannot be made");
    let bytes = framed(MIRROR);
    let module = Arc::new(loader.load(&bytes, &json!({}), patient()).expect("the guest is good"));
    let policy = Policy { name: "mirror".into(), mode: Mode::Enforce, module };
    let set = PolicySet::new(&loader, vec![policy], 1);
    Mirror { loader, bytes, set }
});

/// Time is no matter here.
fn patient() -> Limits {
    Limits { millis: 5_000, ..Limits::default() }
}

fuzz_target!(|data: &[u8]| {
    let Mirror { loader, bytes, set } = &*MIRROR_SET;
    if let Some((255, description)) = data.split_first() {
        let _ = loader.load(bytes, &json!(letters(description)), patient());
        return;
    }
    let call = ToolCall {
        tool: letters(data),
        principal: PrincipalView {
            name: "alice".into(),
            role: "agent".into(),
            capabilities: Vec::new(),
            authenticated: true,
        },
        arguments: json!({}),
        transport: "stdio".into(),
        now: 0,
    };
    let decision = set.authorize(&call, &[]);
    let [verdict] = &decision.verdicts[..] else { panic!("not one verdict: {decision:?}") };
    let right = match &verdict.answer {
        Answer::Abstain | Answer::Allow => decision.outcome == Outcome::Allow,
        Answer::Deny(reason) | Answer::Escalate(reason) => {
            reason_complaint(&reason.code, &reason.message, &reason.notes).is_none()
                && matches!(decision.outcome, Outcome::Deny | Outcome::Escalate)
        }
        Answer::Error { detail, .. } => !detail.is_empty() && decision.outcome == Outcome::Error,
        Answer::Pass | Answer::Reply { .. } | Answer::Ignore(_) => false,
    };
    assert!(right, "{decision:?}");
});

fn letters(bytes: &[u8]) -> String {
    let letter = |nibble: u8| char::from(b'a' + nibble);
    bytes.iter().take(MOST).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}
