//! Whatever a policy leaves in its memory for an answer: the host reads it as a valid answer or an error, never panics, and
//! never takes an error for consent.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use team_table::domain::decision::{Answer, Mode, Outcome, PrincipalView, ToolCall};
use team_table::policy::{Loader, Policy, PolicySet};
use team_table_fuzz::every_panic_counts;
use team_table_fuzz::mirror::{COMPONENT, letters, patient};
use team_table_policy_sdk::limits::reason_error;

static MIRROR: LazyLock<PolicySet> = LazyLock::new(|| {
    every_panic_counts();
    let loader = Loader::new(None).expect("the engine cannot be made");
    let module = Arc::new(loader.load(&COMPONENT, &json!({}), patient()).expect("the guest is good"));
    let policy = Policy::new("mirror", Mode::Enforce, module);
    PolicySet::new(&loader, vec![policy], 1)
});

fuzz_target!(|data: &[u8]| {
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
    let decision = MIRROR.authorize(&call, &[]);
    let [verdict] = &decision.verdicts[..] else { panic!("not one verdict: {decision:?}") };
    let right = match &verdict.answer {
        Answer::Abstain | Answer::Allow => decision.outcome == Outcome::Allow,
        Answer::Deny(reason) | Answer::Escalate(reason) => {
            reason_error(&reason.code, &reason.message, &reason.notes).is_none()
                && matches!(decision.outcome, Outcome::Deny | Outcome::Escalate)
        }
        Answer::Error { detail, .. } => !detail.is_empty() && decision.outcome == Outcome::Error,
        Answer::Pass | Answer::Reply { .. } | Answer::Ignore(_) => false,
    };
    assert!(right, "{decision:?}");
});
