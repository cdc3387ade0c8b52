//! Modules that are damaged, wrong or mean harm: each is refused for its own reason, or cut off by its own limit.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use super::guests::{asked, call, failure, guest, load, load_with, loader, with_section};
use crate::domain::decision::{Answer, Outcome, PolicyErrorKind};
use crate::policy::eval::{MAX_FUEL, Runtime};
use crate::policy::{Limits, Loader, PolicyError, PolicySet};

/// What a module is refused with.
fn refusal(bytes: &[u8]) -> PolicyError {
    load(&loader(2), bytes).map(|policy| policy.module.digest.clone()).unwrap_err()
}

#[test]
fn non_components_are_refused() {
    assert!(matches!(refusal(b"#!/bin/sh\n"), PolicyError::NotWasm));
    assert!(matches!(refusal(b""), PolicyError::NotWasm));
    assert!(matches!(refusal(&guest("core_module")), PolicyError::CoreModule));
    let whole = guest("abstains");
    for length in [8, whole.len() / 2, whole.len() - 1] {
        let refused = refusal(&whole[..length]);
        assert!(
            matches!(refused, PolicyError::Invalid(_) | PolicyError::NoHook { .. }),
            "{length}: {refused}"
        );
    }
}

#[test]
fn damage_anywhere_is_refused_or_harmless() {
    let loader = loader(2);
    let whole = guest("abstains");
    for at in (8..whole.len()).step_by(41) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        if let Ok(policy) = load(&loader, &damaged) {
            let _ = asked(&loader, &policy);
        }
    }
}

#[test]
fn imports_are_refused_by_name() {
    let refused = refusal(&guest("imports"));
    assert!(
        matches!(&refused, PolicyError::Imports(names) if names == "wasi:clocks/wall-clock@0.2.0"),
        "{refused}"
    );
}

#[test]
fn wrong_exports_are_refused() {
    assert!(matches!(refusal(&guest("exports_nothing")), PolicyError::NoHook { supported: "1.0.0" }));
    assert!(matches!(refusal(&guest("no_metadata")), PolicyError::NoMetadata { .. }));
    let refused = refusal(&guest("wrong_types"));
    assert!(
        matches!(&refused, PolicyError::WrongType { export, .. } if export.contains("metadata@1.0.0.configure")),
        "{refused}"
    );
    assert_eq!(
        refusal(&guest("version_2")).to_string(),
        "exports team-table:policy/authorizer@2.0.0; this host supports version 1.0.0"
    );
}

#[test]
fn an_unknown_sdk_is_refused() {
    let with_sdk = |version| with_section(guest("abstains"), "team-table:sdk", version);
    assert!(matches!(refusal(&with_sdk("2.0.0")), PolicyError::Sdk { found, .. } if found == "2.0.0"));
    assert_eq!(load(&loader(2), &with_sdk("1.7.0")).unwrap().module.sdk.as_deref(), Some("1.7.0"));
    assert_eq!(load(&loader(2), &guest("abstains")).unwrap().module.sdk, None);
}

#[test]
fn too_big_a_module_is_refused_unless_the_set_allows_it() {
    let big = with_section(guest("abstains"), "padding", &"x".repeat(1024 * 1024));
    let limits = |module_mib| Limits { module_mib, ..Limits::default() };
    let load = |mib| load_with(&loader(2), &big, &json!({}), limits(mib)).map(|_| ());
    assert!(matches!(load(1), Err(PolicyError::TooBig { limit: 1_048_576, .. })));
    load(2).unwrap();
}

#[test]
fn configure_is_limited_and_heard() {
    let kind = |name| match refusal(&guest(name)) {
        PolicyError::Configure { kind, .. } => kind,
        other => panic!("{name}: {other}"),
    };
    assert_eq!(kind("loops_in_configure"), PolicyErrorKind::OutOfFuel);
    assert_eq!(kind("grows_in_configure"), PolicyErrorKind::OutOfMemory);
    assert_eq!(kind("traps_in_configure"), PolicyErrorKind::Trap);
    assert_eq!(refusal(&guest("refuses_settings")).to_string(), "settings refused: max must be 1 or more");
    let refused = refusal(&guest("asks_unknown_fact")).to_string();
    assert!(refused.starts_with("there is no fact `weather.today`; known are calls.allowed"), "{refused}");
    assert!(matches!(refusal(&guest("changes_tables")), PolicyError::Snapshot(_)));
}

#[test]
fn calls_are_limited() {
    let loader = loader(2);
    for (name, kind) in [
        ("loops_in_call", PolicyErrorKind::OutOfFuel),
        ("grows_in_call", PolicyErrorKind::OutOfMemory),
        ("recurses", PolicyErrorKind::Trap),
        ("traps", PolicyErrorKind::Trap),
        ("returns_megabytes", PolicyErrorKind::Malformed),
        ("returns_gigabytes", PolicyErrorKind::Malformed),
        ("returns_bad_text", PolicyErrorKind::Malformed),
        ("returns_bad_code", PolicyErrorKind::Malformed),
        ("returns_bad_verdict", PolicyErrorKind::Malformed),
        ("returns_wild_pointer", PolicyErrorKind::Malformed),
    ] {
        let policy = load(&loader, &guest(name)).unwrap();
        assert_eq!(failure(&loader, &policy), kind, "{name}");
        // And the engine is as good as before.
        assert_eq!(asked(&loader, &load(&loader, &guest("abstains")).unwrap()), Answer::Abstain);
    }
}

#[test]
fn the_clock_cuts_what_fuel_does_not() {
    let loader = loader(1);
    let limits = Limits { fuel: MAX_FUEL, ..Limits::default() };
    let policy = load_with(&loader, &guest("loops_in_call"), &json!({}), limits).unwrap();
    let start = Instant::now();
    assert_eq!(failure(&loader, &policy), PolicyErrorKind::Deadline);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn every_limit_fires_with_the_pool_exhausted() {
    // One instance for seven who want one: four that hang until the clock cuts them, one that burns its fuel, one that
    // loops in configure, one that is honest.
    let loader = loader(1);
    let endless = Limits { fuel: MAX_FUEL, millis: 20, ..Limits::default() };
    let hangs = load_with(&loader, &guest("loops_in_call"), &json!({}), endless).unwrap();
    let burns = load(&loader, &guest("loops_in_call")).unwrap();
    let honest = load(&loader, &guest("denies")).unwrap();
    let bad = guest("loops_in_configure");
    let together = Barrier::new(7);
    std::thread::scope(|scope| {
        let hanging: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    failure(&loader, &hangs)
                })
            })
            .collect();
        let burning = scope.spawn(|| {
            together.wait();
            failure(&loader, &burns)
        });
        let configuring = scope.spawn(|| {
            together.wait();
            load(&loader, &bad).map(|_| ())
        });
        together.wait();
        assert!(matches!(asked(&loader, &honest), Answer::Deny(_)), "exhaustion waits, it does not fail");
        for thread in hanging {
            assert_eq!(thread.join().unwrap(), PolicyErrorKind::Deadline);
        }
        assert_eq!(burning.join().unwrap(), PolicyErrorKind::OutOfFuel);
        let kind = PolicyErrorKind::OutOfFuel;
        let configured = configuring.join().unwrap();
        assert!(
            matches!(configured, Err(PolicyError::Configure { kind: k, .. }) if k == kind),
            "{configured:?}"
        );
    });
}

#[test]
fn waiting_for_an_instance_has_an_end() {
    let loader = Loader::with_runtime(Runtime::with_slots(1, Duration::from_millis(1)).unwrap(), None);
    let policy = load(&loader, &guest("abstains")).unwrap();
    let held = loader.runtime().slot().unwrap();
    assert_eq!(failure(&loader, &policy), PolicyErrorKind::Host);
    let set = PolicySet::new(&loader, vec![policy], 1);
    assert_eq!(set.authorize(&call(), &[]).outcome, Outcome::Error);
    drop(held);
    assert_eq!(set.authorize(&call(), &[]).outcome, Outcome::Allow);
}

#[test]
fn a_language_runtime_of_many_libraries_fits() {
    let loader = loader(1);
    let policy = load(&loader, &guest("many_libraries")).unwrap();
    assert_eq!(asked(&loader, &policy), Answer::Abstain);
}

#[test]
fn every_evaluation_starts_from_the_snapshot() {
    let loader = loader(1);
    let policy = load(&loader, &guest("remembers")).unwrap();
    for _ in 0..3 {
        assert_eq!(asked(&loader, &policy), Answer::Abstain);
    }
}

#[test]
fn a_module_whose_cases_fail_is_refused() {
    let case = |outcome: &str| {
        format!(
            "[[case]]\nname = \"hello\"\ncall = {{ tool = \"send_message\" }}\nexpect = {{ outcome = \"{outcome}\" }}\n"
        )
    };
    let with_case = |name: &str, outcome: &str| with_section(guest(name), "team-table:cases", &case(outcome));
    load(&loader(2), &with_case("abstains", "abstain")).unwrap();
    let refused = refusal(&with_case("abstains", "deny"));
    assert!(
        matches!(&refused, PolicyError::CasesFailed { failed: 1, total: 1, first }
        if first == "`hello`: expected deny, got abstain"),
        "{refused}"
    );
    let refused = refusal(&with_case("loops_in_call", "abstain")).to_string();
    assert!(refused.contains("out of fuel"), "{refused}");
    let unreadable = with_section(guest("abstains"), "team-table:cases", "[[case]]\nnam = 1");
    assert!(matches!(refusal(&unreadable), PolicyError::CasesUnreadable(_)));
}

#[test]
fn a_fact_that_is_not_supplied_fails_closed() {
    let loader = loader(2);
    let bytes = crate::policy::file::builtin("rate-limit").unwrap().bytes;
    let policy = load(&loader, bytes).unwrap();
    assert_eq!(failure(&loader, &policy), PolicyErrorKind::Host);
}
