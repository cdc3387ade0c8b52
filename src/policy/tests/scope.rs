//! Which tools a policy judges: as its module says, and as the set file says. About other calls it is not asked, and its facts
//! are not read.

use std::collections::BTreeSet;

use serde_json::json;

use super::guests::{call, guest, load, loader, message, patient, with_section};
use crate::domain::decision::{Fact, Hook, Input, Mode, Outcome, ToolCall, WAKE};
use crate::policy::file::{PolicyEntry, builtin, parse_set};
use crate::policy::{Loader, Policy, PolicySet};

fn of(tool: &str) -> ToolCall {
    ToolCall { tool: tool.into(), ..call() }
}

fn outcome(set: &PolicySet, tool: &str) -> (Outcome, usize) {
    let decision = set.authorize(&of(tool), &[]);
    (decision.outcome, decision.verdicts.len())
}

/// A guest that denies every call, whose module names the tools, in an entry that names others.
fn denies(loader: &Loader, judged: &str, named: Option<&[&str]>) -> Policy {
    let tools = named.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let entry = PolicyEntry { tools, limits: patient(), ..PolicyEntry::new("guest", "guest.wasm") };
    Policy::load(loader, &entry, &with_section(guest("denies"), "team-table:tools", judged)).unwrap()
}

#[test]
fn a_module_is_asked_about_the_tools_that_it_names() {
    let loader = loader(2);
    for (judged, named, asked, not_asked) in [
        ("", None, &["send_message", "list_tasks"][..], &[][..]),
        ("send_message\nbroadcast\n", None, &["send_message", "broadcast"], &["list_tasks", "send", ""]),
        ("", Some(&["send_message"][..]), &["send_message"], &["broadcast", "list_tasks"]),
        (
            "send_message\nbroadcast\n",
            Some(&["broadcast", "list_tasks"]),
            &["broadcast"],
            &["send_message", "list_tasks"],
        ),
    ] {
        let set = PolicySet::new(&loader, vec![denies(&loader, judged, named)], 1);
        for tool in asked {
            assert_eq!(outcome(&set, tool), (Outcome::Deny, 1), "{judged:?} {named:?} {tool}");
        }
        for tool in not_asked {
            assert_eq!(outcome(&set, tool), (Outcome::Allow, 0), "{judged:?} {named:?} {tool}");
        }
    }
}

#[test]
fn the_record_of_a_set_makes_the_same_set() {
    let loader = loader(2);
    let policy = denies(&loader, "send_message broadcast", Some(&["broadcast", "list_tasks"]));
    let set = PolicySet::new(&loader, vec![policy], 1);
    let [entry] = &set.manifest()[..] else { panic!("one policy") };
    assert_eq!(entry.tools, Some(BTreeSet::from(["broadcast".to_owned()])));
    let bytes = with_section(guest("denies"), "team-table:tools", "send_message broadcast");
    let again = PolicySet::new(&loader, vec![Policy::load(&loader, entry, &bytes).unwrap()], 1);
    assert_eq!(again.digest(), set.digest());
    assert_eq!(outcome(&again, "send_message"), (Outcome::Allow, 0));
    let all = PolicySet::new(&loader, vec![denies(&loader, "send_message broadcast", None)], 1);
    assert_ne!(all.digest(), set.digest());
}

#[test]
fn facts_are_read_for_those_that_are_asked() {
    let loader = loader(2);
    let rate_limit = load(&loader, builtin("rate-limit").unwrap().bytes).unwrap();
    let set = PolicySet::new(&loader, vec![rate_limit], 1);
    let wanted = |tool: &str| set.fact_requests(&Input::Authorization(of(tool))).len();
    assert_eq!((wanted("send_message"), wanted("list_tasks"), wanted(WAKE)), (2, 0, 0));
    // Its calls are counted where one of them is refused for too many: a call that is not judged is counted as well.
    let counted = ["send_message", "register", "list_tasks"].map(|tool| set.counts_calls_of(tool));
    assert_eq!(counted, [true, true, false]);
    // Without facts, since none is wanted.
    assert_eq!(outcome(&set, "list_tasks"), (Outcome::Allow, 0));
    assert_eq!(set.authorize(&of("send_message"), &[]).outcome, Outcome::Error);
}

#[test]
fn reviews_and_wakes_are_judged_whatever_tools_are_named() {
    let loader = loader(2);
    let wake_cap = builtin("wake-cap").unwrap().bytes;
    let bytes = with_section(wake_cap.to_vec(), "team-table:tools", "send_message");
    let policy = load(&loader, &bytes).unwrap();
    assert_eq!(policy.module.hooks, [Hook::Wake]);
    let set = PolicySet::new(&loader, vec![policy], 1);
    let question = Input::Authorization(of(WAKE));
    let facts: Vec<Fact> = set
        .fact_requests(&question)
        .iter()
        .map(|request| Fact { request: request.clone(), value: json!(0) })
        .collect();
    assert!(!facts.is_empty());
    assert_eq!(set.answer(&question, &facts).verdicts.len(), 1);
    let detection = builtin("question-detection").unwrap();
    let bytes = with_section(detection.bytes.to_vec(), "team-table:tools", "send_message");
    let set = PolicySet::new(&loader, vec![load(&loader, &bytes).unwrap()], 1);
    assert_eq!(set.review(&message("Shall we?"), &[]).verdicts.len(), 1);
}

#[test]
fn a_set_file_that_names_no_tool_is_refused() {
    let text = |tools: &str| format!("[[policy]]\nname = \"p\"\nmodule = \"p.wasm\"\ntools = {tools}\n");
    let entries = parse_set(&text("[\"send_message\", \"broadcast\"]")).unwrap();
    assert_eq!((entries[0].mode, entries[0].tools.as_ref().map(BTreeSet::len)), (Mode::Enforce, Some(2)));
    let refused = parse_set(&text("[]")).unwrap_err().to_string();
    assert!(refused.contains("line 4, column 9: tools names no tool"), "{refused}");
    assert!(parse_set(&text("\"send_message\"")).is_err());
}
