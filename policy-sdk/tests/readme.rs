//! The example of the README is a real policy: this compiles it, runs its cases, and compares the README with it.
#![cfg(feature = "test-kit")]
#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(unreachable_pub, reason = "it is the root of an author's crate, and only here a module")]
#[path = "done_with_result/policy.rs"]
mod done_with_result;

use team_table_policy_sdk::cases;

use done_with_result::DoneWithResult;

#[test]
fn the_readme_shows_this_policy_and_these_cases() {
    let readme = include_str!("../README.md");
    // In an author's crate the cases lie elsewhere than here.
    let policy = include_str!("done_with_result/policy.rs").replace("tests/done_with_result/", "cases/");
    assert!(readme.contains(&policy), "README.md shows another policy than tests/done_with_result/policy.rs");
    assert!(readme.contains(include_str!("done_with_result/cases.toml")), "README.md shows other cases");
}

/// Runs one case of the example policy.
fn run(case: &str) -> cases::CaseResult {
    let results = cases::run_native::<DoneWithResult>(&format!("[[case]]\nname = \"x\"\n{case}")).unwrap();
    results.into_iter().next().unwrap()
}

#[test]
fn a_failed_case_shows_what_was_expected_and_what_came() {
    let result = run("call = { tool = \"heartbeat\" }\nexpect = { outcome = \"deny\", code = \"nope\" }");
    assert!(!result.passed);
    assert_eq!(
        result.to_string(),
        "FAIL x\n       expected  deny, code \"nope\"\n       got       abstain\n       fact      target.task {} = null"
    );
}

#[test]
fn a_malformed_fact_is_no_answer() {
    let call = "call = { tool = \"update_task\", arguments = { status = \"done\" } }";
    let result = run(&format!(
        "{call}\nfacts = [{{ name = \"target.task\", value = 7 }}]\nexpect = {{ outcome = \"abstain\" }}"
    ));
    assert!(result.got.starts_with("no answer: fact target.task is malformed"), "{}", result.got);
}

#[test]
fn a_fact_that_nobody_asked_for_is_a_mistake_in_the_case() {
    let result = run(
        "call = { tool = \"heartbeat\" }\nfacts = [{ name = \"messages.sent\" }]\nexpect = { outcome = \"abstain\" }",
    );
    assert!(result.got.contains("the policy asks for: target.task {}"), "{}", result.got);
}

#[test]
fn a_hook_that_is_not_exported_is_no_answer() {
    let result = run("message = { content = \"hello\" }\nexpect = { outcome = \"pass\" }");
    assert_eq!(result.got, "no answer: the policy does not export this hook");
}

#[test]
fn a_case_asks_one_thing() {
    for case in ["", "expect = { outcome = \"pass\" }", "call = { tool = \"x\" }", "colour = \"blue\""] {
        assert!(cases::parse(&format!("[[case]]\nname = \"x\"\n{case}")).is_err(), "{case}");
    }
}

/// The README's property test, as it stands there.
#[cfg(feature = "proptest")]
#[test]
fn every_question_gets_an_answer() {
    team_table_policy_sdk::strategies::assert_answers::<DoneWithResult>("{}");
}

#[test]
fn the_readme_shows_the_test_above() {
    let here = include_str!("readme.rs");
    let test = here
        .split_once("#[test]\nfn every_question")
        .map(|(_, rest)| format!("#[test]\nfn every_question{rest}"));
    let test =
        test.and_then(|rest| rest.split_once("\n}\n").map(|(body, _)| format!("{body}\n}}\n"))).unwrap();
    assert!(include_str!("../README.md").contains(&test), "{test}");
}
