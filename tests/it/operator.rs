//! What a person does to the policies through the code that the command line and the console share: who may, what is recorded of
//! whom, and what other settings come to.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use team_table::domain::decision::Mode;
use team_table::domain::person::{Actor, Person, Role};
use team_table::operator::{
    Candidate, Change, FieldKind, OperatorError, Policies, Progress, ReplayOptions, Source,
};
use team_table::policy::{Loader, PolicyEntry, PolicyError, read_set};
use team_table::storage::{AuditRow, Db, DecisionFilter, OpenOptions, WALK};

use crate::guests::{guest, guest_with_case, with_section};
use crate::harness::{Home, UNLIMITED};

fn policies(home: &Home) -> Policies {
    policies_with(home, OpenOptions::default())
}

fn policies_with(home: &Home, options: OpenOptions) -> Policies {
    let db = Db::open(&home.db(), options).unwrap();
    let beside = |name: &str| home.path().join(name);
    let loader = Loader::new(Some(&beside("table.db.policy-cache"))).unwrap();
    Policies::new(beside("policies"), beside("table.db.policy-state"), loader, db)
}

fn person(role: Role) -> Actor {
    let name = "anna".to_owned();
    Actor::Person(Person { id: 1, name, role, agents: Vec::new(), created_at: 0, removed_at: None })
}

fn upload(bytes: Vec<u8>) -> Candidate {
    Candidate::new(Source::Upload { name: "guest.wasm".to_owned(), bytes })
}

fn settings(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn entry(policies: &Policies, name: &str) -> Option<PolicyEntry> {
    read_set(policies.dir()).unwrap().into_iter().find(|entry| entry.name == name)
}

/// The rows about changes that were asked for, oldest first.
fn changes(home: &Home) -> Vec<AuditRow> {
    let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
    let mut rows = db.read(|tx| tx.policy_changes(None, 100)).unwrap();
    rows.reverse();
    rows
}

#[test]
fn a_change_names_the_person_who_made_it_and_only_operators_make_one() {
    let home = Home::unlimited();
    let policies = policies(&home);
    let before = fs::read_to_string(policies.dir().join("policy-set.toml")).unwrap();
    for role in [Role::Viewer, Role::Approver] {
        let by = person(role);
        for refused in [
            policies.install(&upload(guest("abstains")), Mode::Enforce, &by),
            policies.set_settings("rate-limit", Map::new(), Mode::Enforce, &by),
            policies.promote("rate-limit", None, &by),
            policies.enable("rate-limit", &by),
            policies.disable("rate-limit", &by),
            policies.remove("rate-limit", &by),
            policies.rollback("rate-limit", &by),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(&error, OperatorError::Refused(_)), "{error}");
            assert!(error.to_string().contains("needs the role operator"), "{error}");
        }
    }
    assert_eq!(fs::read_to_string(policies.dir().join("policy-set.toml")).unwrap(), before);
    assert!(changes(&home).is_empty());

    let by = person(Role::Operator);
    let installed = policies.install(&upload(guest("abstains")), Mode::Enforce, &by).unwrap();
    assert!(installed.done().starts_with("guest 1.0.0 (") && installed.status.error.is_none());
    policies.disable("guest", &Actor::Operator).unwrap();
    let rows = changes(&home);
    let who: Vec<_> = rows.iter().map(|row| (row.agent.as_str(), row.action.as_str())).collect();
    assert_eq!(who, [("person:anna", "policy_install"), ("operator", "policy_disable")]);
    let details = |row: &AuditRow| serde_json::from_str::<Value>(&row.details).unwrap();
    // The user of a server says nothing of the person in the browser.
    assert_eq!(details(&rows[0]).get("uid"), None);
    assert!(details(&rows[1])["uid"].is_u64());
    assert_eq!(details(&rows[1])["to"]["mode"], "off");
}

/// What is refused never happened: a change whose audit row cannot be written is not in force.
#[test]
fn a_change_that_cannot_be_recorded_is_not_made() {
    let home = Home::unlimited();
    let impatient = OpenOptions { busy_timeout: Duration::from_millis(50), ..OpenOptions::default() };
    let policies = policies_with(&home, impatient);
    let by = person(Role::Operator);
    policies.install(&upload(guest("abstains")), Mode::Enforce, &by).unwrap();
    let other = Candidate { name: Some("guest".into()), ..upload(guest("denies")) };
    policies.install(&other, Mode::Enforce, &by).unwrap();
    let set = || fs::read_to_string(policies.dir().join("policy-set.toml")).unwrap();
    let (before, recorded) = (set(), changes(&home).len());

    let other_process = rusqlite::Connection::open(home.db()).unwrap();
    other_process.execute_batch("BEGIN IMMEDIATE").unwrap();
    for refused in [
        policies.set_settings("tool-authorization", Map::new(), Mode::Enforce, &by),
        policies.disable("guest", &by),
        policies.remove("guest", &by),
        policies.rollback("guest", &by),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(&error, OperatorError::Storage(_)), "{error}");
        assert_eq!(set(), before);
    }
    other_process.execute_batch("ROLLBACK").unwrap();
    assert_eq!(changes(&home).len(), recorded);
    // The rollback that was refused has used nothing up.
    let Change::RolledBack { .. } = policies.rollback("guest", &by).unwrap().change else { panic!() };
    assert_ne!(set(), before);
}

#[test]
fn each_policy_of_the_set_names_who_installed_it_and_who_changed_it_last() {
    let home = Home::unlimited();
    let (policies, anna) = (policies(&home), person(Role::Operator));
    policies.install(&upload(guest("abstains")), Mode::Enforce, &anna).unwrap();
    let status = policies.disable("guest", &Actor::Operator).unwrap().status;
    let off = policies.standing(&status).unwrap().into_iter().find(|it| it.status.name == "guest").unwrap();
    assert_eq!(off.installed.map(|it| it.who), Some("person:anna".into()));
    let status = policies.enable("guest", &Actor::Operator).unwrap().status;
    let standing = policies.standing(&status).unwrap();
    let of = |name: &str| standing.iter().find(|it| it.status.name == name).unwrap();
    let (installed, changed) = (of("guest").installed.clone().unwrap(), of("guest").changed.clone().unwrap());
    assert_eq!(
        (installed.who.as_str(), installed.change.as_str(), installed.uid),
        ("person:anna", "install", None)
    );
    assert_eq!((changed.who.as_str(), changed.change.as_str()), ("operator", "enable"));
    assert_eq!((changed.from.mode.as_deref(), changed.to.mode.as_deref()), (Some("off"), Some("enforce")));
    assert_eq!(changed.to.digest, of("guest").status.digest);
    assert_eq!((of("guest").built_in, of("tool-authorization").built_in), (false, true));
    assert_eq!((&of("tool-authorization").installed, &of("tool-authorization").changed), (&None, &None));

    // Another module under that name, in a file written by hand: nobody is named for what they did not install.
    let module = home.path().join("policies/guest-other.wasm");
    fs::write(&module, guest("denies")).unwrap();
    let set = format!("{UNLIMITED}\n[[policy]]\nname = \"guest\"\nmodule = \"guest-other.wasm\"\n");
    fs::write(policies.dir().join("policy-set.toml"), set).unwrap();
    let standing = policies.standing(&policies.status().unwrap()).unwrap();
    let guest = standing.iter().find(|it| it.status.name == "guest").unwrap();
    assert_eq!((guest.installed.as_ref(), guest.changed.as_ref()), (None, Some(&changed)));

    // What is wrong with the last change stands beside the policy it is about.
    fs::write(&module, b"text").unwrap();
    let status = policies.status().unwrap();
    let standing = policies.standing(&status).unwrap();
    assert!(status.error.is_some_and(|error| error.contains("not WebAssembly")));
    let guest = standing.iter().find(|it| it.status.name == "guest").unwrap();
    assert!(guest.status.error.as_ref().is_some_and(|error| error.contains("not WebAssembly")), "{guest:?}");
    let [newest, ..] = &policies.history("guest", 2).unwrap()[..] else { panic!("no history") };
    assert_eq!(newest, &changed);
}

#[test]
fn a_module_whose_cases_fail_comes_with_its_report_and_not_into_the_set() {
    let home = Home::unlimited();
    let policies = policies(&home);
    let named = Candidate { name: Some("guest".into()), ..upload(guest_with_case("denies")) };
    let failed = policies.install(&named, Mode::Enforce, &Actor::Operator);
    let Err(OperatorError::Cases(report)) = failed else { panic!("{failed:?}") };
    assert_eq!((report.cases.len(), report.passed()), (1, false));
    let refused = policies.install(&upload(b"text".to_vec()), Mode::Enforce, &Actor::Operator).unwrap_err();
    assert!(refused.to_string().starts_with("guest.wasm is refused: not WebAssembly"), "{refused}");
    assert!(changes(&home).is_empty() && entry(&policies, "guest").is_none());
}

#[test]
fn settings_are_replaced_live_or_tried_in_a_copy_beside_the_policy() {
    let home = Home::new();
    let (policies, by) = (policies(&home), person(Role::Operator));
    // A built-in policy that no file names: the copy must not push it out of the set.
    let tried =
        policies.set_settings("rate-limit", settings(json!({ "max_messages": 3 })), Mode::Shadow, &by);
    let tried = tried.unwrap();
    assert_eq!(
        (tried.policy.as_str(), &tried.change),
        ("rate-limit-next", &Change::Settings { mode: Mode::Shadow })
    );
    assert_eq!(tried.done(), "rate-limit-next is asked beside the live set with these settings");
    assert_eq!((tried.status.error, tried.status.not_deciding), (None, Vec::<&str>::new()));
    assert_eq!(entry(&policies, "rate-limit").unwrap().mode, Mode::Enforce);
    let copy = entry(&policies, "rate-limit-next").unwrap();
    assert_eq!((copy.mode, &copy.settings["max_messages"]), (Mode::Shadow, &json!(3)));

    // The copy is in the shadow itself: its settings are replaced, and what is not given any more is gone.
    let again =
        policies.set_settings("rate-limit-next", settings(json!({ "max_changes": 9 })), Mode::Shadow, &by);
    assert_eq!(again.unwrap().policy, "rate-limit-next");
    let copy = entry(&policies, "rate-limit-next").unwrap();
    assert_eq!(Value::Object(copy.settings), json!({ "max_changes": 9 }));
    assert_eq!(read_set(policies.dir()).unwrap().len(), 6);

    let file = || fs::read_to_string(policies.dir().join("policy-set.toml")).unwrap();
    let before = file();
    for (name, wrong, why) in [
        (
            "rate-limit",
            json!({ "max_messages": 0 }),
            "rate-limit is refused: settings refused: max_messages is 0",
        ),
        ("rate-limit", json!({ "max_mesages": 3 }), "unknown field `max_mesages`"),
        ("no-such", json!({}), "no policy `no-such` in the set"),
    ] {
        let error = policies.set_settings(name, settings(wrong), Mode::Enforce, &by).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(file(), before);

    // Live, in the policy's own place; what the file does not say of limits is not written into it.
    let live = policies.set_settings(
        "question-detection",
        settings(json!({ "opinion": false })),
        Mode::Enforce,
        &by,
    );
    assert_eq!(live.unwrap().done(), "question-detection decides with these settings");
    assert!(file().contains("opinion = false") && !file().contains("fuel"), "{}", file());

    policies.promote("rate-limit-next", Some("rate-limit"), &by).unwrap();
    let error = policies.set_settings("rate-limit-next", Map::new(), Mode::Shadow, &by);
    assert_eq!(error.unwrap().policy, "rate-limit-next-next");
    let actions: Vec<_> = changes(&home).into_iter().map(|row| (row.action, row.target_id)).collect();
    let settings_of = |name: &str| ("policy_settings".to_owned(), name.to_owned());
    assert_eq!(actions[0], settings_of("rate-limit-next"));
    assert_eq!(actions[2], settings_of("question-detection"));
    assert_eq!(actions.len(), 5);
}

#[test]
fn a_copy_that_decides_already_is_not_put_back_into_the_shadow() {
    let home = Home::unlimited();
    let policies = policies(&home);
    let next = Candidate { name: Some("guest-next".into()), ..upload(guest("abstains")) };
    policies.install(&upload(guest("abstains")), Mode::Enforce, &Actor::Operator).unwrap();
    policies.install(&next, Mode::Enforce, &Actor::Operator).unwrap();
    let error = policies.set_settings("guest", Map::new(), Mode::Shadow, &Actor::Operator).unwrap_err();
    assert!(matches!(&error, OperatorError::Decides(name) if name == "guest-next"), "{error}");
    let error = policies.rollback("guest", &Actor::Operator).unwrap_err();
    assert!(matches!(error, OperatorError::Policy(PolicyError::NothingToRollBack(_))), "{error}");
}

#[test]
fn a_replay_of_other_settings_tells_how_far_it_is_and_stops_when_told() {
    let home = Home::unlimited();
    let mut stdio = home.start();
    let token = stdio.join("alice");
    for _ in 0..4 {
        let message = json!({ "sender": "alice", "token": token, "recipient": "alice", "content": "note" });
        stdio.call("send_message", message).ok();
    }
    drop(stdio);
    let set = "[[policy]]\nname = \"rate-limit\"\nmodule = \"builtin:rate-limit\"\n";
    fs::write(home.path().join("policies/policy-set.toml"), set).unwrap();
    let policies = policies(&home);
    let candidate = Candidate::with_settings(
        "tool-authorization",
        settings(json!({
            "roles": { "*": { "deny": ["send_message"] } }
        })),
    );
    let (seen, total, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let tell = |done, all| {
        seen.fetch_max(done, Ordering::Relaxed);
        total.store(all, Ordering::Relaxed);
    };
    let options = ReplayOptions { since: 0, hook: None, examples: 2 };
    let replay =
        policies.replay(&candidate, options, Progress { tell: &tell, stop: &stop, cores: 2 }).unwrap();
    assert_eq!((replay.policy.as_str(), replay.flipped), ("tool-authorization", 4));
    let [kind] = &replay.flips[..] else { panic!("{replay:?}") };
    assert_eq!(
        (kind.from.as_str(), kind.to.as_str(), kind.count, kind.examples.len()),
        ("allow", "deny", 4, 2)
    );
    assert_eq!(seen.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
    assert!(replay.replayed >= 5 && replay.replayed <= total.load(Ordering::Relaxed));
    // Nothing was changed.
    assert!(changes(&home).iter().all(|row| row.agent == "host"));

    stop.store(true, Ordering::Relaxed);
    let stopped = policies.replay(&candidate, options, Progress { tell: &tell, stop: &stop, cores: 2 });
    assert!(matches!(stopped, Err(OperatorError::Stopped)));
}

#[test]
fn the_log_of_decisions_is_filtered_and_counted_by_what_was_decided() {
    let home = Home::with_set(Some(
        "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n\
         [policy.settings.roles.\"*\"]\ndeny = [\"share_context\"]\n",
    ));
    let mut stdio = home.start();
    for name in ["alice", "bob"] {
        let token = stdio.join(name);
        for _ in 0..3 {
            stdio.call("heartbeat", json!({ "name": name, "token": token })).ok();
        }
        let share = json!({ "agent_name": name, "token": token, "key": "k", "value": "v" });
        stdio.call("share_context", share).refused("permission_denied");
    }
    drop(stdio);
    let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
    let ids = |filter: DecisionFilter| -> Vec<i64> {
        let rows =
            db.read(move |tx| tx.decisions(&DecisionFilter { limit: 100, ..filter.clone() })).unwrap().rows;
        rows.into_iter().map(|row| row.id).collect()
    };
    let text = |word: &str| Some(word.to_owned());
    let all = || DecisionFilter::default();
    let refused = ids(DecisionFilter { policy: text("tool-authorization"), ..all() });
    assert_eq!((refused.len(), ids(DecisionFilter { outcome: text("deny"), ..all() })), (2, refused.clone()));
    assert_eq!(ids(DecisionFilter { action: text("share_context"), ..all() }), refused);
    let of_alice = |filter: DecisionFilter| ids(DecisionFilter { agent: text("alice"), ..filter });
    assert_eq!(of_alice(DecisionFilter { policy: text("tool-authorization"), ..all() }), refused[1..]);
    assert_eq!(of_alice(DecisionFilter { action: text("heartbeat"), ..all() }).len(), 3);
    assert_eq!(
        of_alice(DecisionFilter { action: text("heartbeat"), outcome: text("deny"), ..all() }),
        [0i64; 0]
    );
    assert_eq!(ids(DecisionFilter { policy: text("rate-limit"), ..all() }), [0i64; 0]);
    let older = ids(DecisionFilter { action: text("share_context"), before_id: Some(refused[0]), ..all() });
    assert_eq!(older, refused[1..]);

    // An hour is one stretch or two.
    let counts = db.read(|tx| tx.decision_counts(0, 3_600_000)).unwrap();
    let sum = |outcome: &str| -> u64 {
        counts.counts.iter().filter(|it| it.outcome == outcome).map(|it| it.count).sum()
    };
    assert_eq!((sum("deny"), sum("allow") + 2), (2, ids(all()).len() as u64));
    assert!(
        counts
            .counts
            .iter()
            .all(|it| (it.outcome == "deny") == (it.policy.as_deref() == Some("tool-authorization")))
    );
    let later = db.read(|tx| tx.decision_counts(i64::MAX, 1_000)).unwrap();
    assert_eq!((later.since, later.counts), (i64::MAX, vec![]));

    // However rare what is looked for, a page is bounded, and the pages together miss nothing.
    let sql = rusqlite::Connection::open(home.db()).unwrap();
    let copied = sql
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO decisions (at, hook, agent, agent_id, action, outcome, done, set_digest, input, facts, verdicts, micros, bytes_so_far)
             SELECT at, hook, agent, agent_id, action, 'allow', 1, set_digest, input, '[]', '[]', 1, bytes_so_far
               FROM decisions, n WHERE id = (SELECT max(id) FROM decisions)",
            [WALK],
        )
        .unwrap();
    assert_eq!(i64::try_from(copied), Ok(WALK));
    let page = |before_id| {
        let filter = DecisionFilter { outcome: text("deny"), before_id, limit: 100, ..all() };
        db.read(|tx| tx.decisions(&filter)).unwrap()
    };
    let newest = page(None);
    assert_eq!((newest.rows.len(), newest.next.is_some()), (0, true));
    let rest = page(newest.next);
    assert_eq!(rest.rows.iter().map(|row| row.id).collect::<Vec<_>>(), refused);
    assert_eq!(rest.next, None);
}

#[test]
fn a_policy_describes_its_settings_as_a_form_and_a_form_sets_them() {
    let home = Home::new();
    let (policies, by) = (policies(&home), person(Role::Operator));
    // Every built-in policy says what its settings are.
    for name in ["question-detection", "rate-limit", "reply-cap", "tool-authorization", "wake-cap"] {
        let described = policies.describe(name).unwrap();
        assert!(described.is_described && !described.fields.is_empty(), "{name}");
        assert!(described.fields.iter().all(|field| field.current.is_none()), "{name}");
    }
    let described = policies.describe("rate-limit").unwrap();
    let max = described.fields.iter().find(|field| field.name == "max_messages").unwrap();
    assert_eq!((&max.kind, max.shown().as_str()), (&FieldKind::Integer { min: Some(1), max: None }, "30"));
    // As a browser sends it: boxes that are not ticked are not there.
    let typed = |name: &str| match name {
        "setting.max_messages" => Some("12"),
        "setting.window_seconds" => Some("60"),
        "setting.limit_messages" => Some("on"),
        _ => None,
    };
    let wanted = described.read_form(typed).unwrap();
    assert_eq!(Value::Object(wanted.clone()), json!({ "max_messages": 12, "limit_changes": false }));
    policies.set_settings("rate-limit", wanted, Mode::Enforce, &by).unwrap();
    let described = policies.describe("rate-limit").unwrap();
    let max = described.fields.iter().find(|field| field.name == "max_messages").unwrap();
    assert_eq!((max.shown().as_str(), &max.current), ("12", &Some(json!(12))));
    assert_eq!(described.before, None, "the module is the same: nothing to go back to");

    // A module that says nothing of its settings has one field with all of them; what cannot be read is not installed.
    let plain = Candidate { settings: settings(json!({ "word": "x" })), ..upload(guest("abstains")) };
    policies.install(&plain, Mode::Enforce, &by).unwrap();
    let described = policies.describe("guest").unwrap();
    let [field] = &described.fields[..] else { panic!("{described:?}") };
    assert_eq!((described.is_described, field.current.clone()), (false, Some(json!({ "word": "x" }))));
    let broken = with_section(guest("abstains"), "team-table:settings", "[[setting]]\nname = 1\n");
    let named = Candidate { name: Some("guest".into()), ..upload(broken) };
    let refused = policies.install(&named, Mode::Enforce, &by).unwrap_err().to_string();
    assert!(refused.contains("its embedded description of the settings cannot be read: "), "{refused}");
    let good = "[[setting]]\nname = \"word\"\nkind = \"text\"\ntext = \"t\"\n";
    let good = upload(with_section(guest("abstains"), "team-table:settings", good));
    policies.install(&good, Mode::Enforce, &by).unwrap();
    let described = policies.describe("guest").unwrap();
    assert_eq!((described.is_described, described.fields[0].shown().as_str()), (true, "x"));
    assert_eq!(described.before, Some(blake3::hash(&guest("abstains")).to_hex().to_string()));
    assert!(policies.describe("no-such").is_err());
}
