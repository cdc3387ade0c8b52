//! The built-in policies, through the same gate as everybody's, with and without the cache.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::guests::{call, patient};
use crate::domain::decision::{Fact, InboxMessage, Input, Mode, Outcome};
#[cfg(unix)]
use crate::policy::PolicyError;
use crate::policy::file::{BUILTINS, builtin};
use crate::policy::{Limits, Loader, Policy, PolicySet};

fn rate_limit(loader: &Loader) -> PolicySet {
    let bytes = builtin("rate-limit").unwrap().bytes;
    let module = Arc::new(loader.load(bytes, &json!({}), patient()).unwrap());
    PolicySet::new(loader, vec![Policy::new("rate-limit", Mode::Enforce, module)], 1)
}

fn sent(set: &PolicySet, count: u64) -> Vec<Fact> {
    set.fact_requests(&Input::Authorization(call()))
        .iter()
        .map(|request| Fact {
            request: request.clone(),
            value: json!({ "count": count, "oldest": call().now }),
        })
        .collect()
}

#[test]
fn every_built_in_policy_holds_its_own_cases() {
    let loader = Loader::new(None).unwrap();
    for builtin in BUILTINS {
        let report = loader.check(builtin.bytes, &json!({}), patient()).unwrap();
        assert!(report.passed(), "{}: {:#?}", builtin.name, report.cases);
        assert!(!report.cases.is_empty(), "{} has no cases", builtin.name);
        assert_eq!(report.name, builtin.name);
        assert_eq!(report.sdk.as_deref(), Some("1.0.0"));
    }
}

#[test]
fn decides_by_facts_and_repeats_itself() {
    let loader = Loader::new(None).unwrap();
    let set = rate_limit(&loader);
    assert_eq!(set.authorize(&call(), &sent(&set, 3)).outcome, Outcome::Allow);
    let facts = sent(&set, 30);
    let first = set.authorize(&call(), &facts);
    assert_eq!(first.outcome, Outcome::Deny);
    assert_eq!(first.reason.as_ref().unwrap().code, "rate_limited");
    assert_eq!(first.policy.as_deref(), Some("rate-limit"));
    let again = set.authorize(&call(), &facts);
    assert_eq!(
        (&again.verdicts[0].answer, again.verdicts[0].fuel),
        (&first.verdicts[0].answer, first.verdicts[0].fuel)
    );
}

/// 10,000 characters of any script, and the texts that cost most: a third of the limit is left.
#[test]
fn the_longest_message_of_any_script_fits_the_default_fuel() {
    let of = builtin("question-detection").unwrap();
    let loader = Loader::new(None).unwrap();
    let module = Arc::new(loader.load(of.bytes, &json!({}), Limits { millis: 5_000, ..of.limits }).unwrap());
    let policy = Policy::new(of.name, Mode::Enforce, module);
    let set = PolicySet::new(&loader, vec![policy], 1);
    let mut worst = (0, "");
    for text in [
        "the build is green and the report is in the shared folder ",
        "сборка прошла и отчёт лежит в общей папке ",
        "构建成功报告已经放在共享文件夹里",
        "请请请请请请等等等等等等",
        "需要需要需要不不不",
        "ビルドは成功しましたレポートは共有フォルダにあります",
        "ごごごご教教教教",
        "빌드가 성공했고 보고서는 공유 폴더에 있습니다 ",
        "التقرير في المجلد المشترك ",
        "रिपोर्ट साझा फ़ोल्डर में है ",
        "need need need need ",
        "please your not no ",
        "a, ",
        "or ",
        "any ",
        "or why the ",
        "no wait a need a ",
        "if you if you ",
        "no need your no wait your ",
        "habe dein ",
        "danke für dein ",
        "не жду без нужно ",
        "aspetto attendo serve ",
        "who was ",
        "what. ",
        "\"'“‘«",
        "@a ",
        "> ",
        "?a",
        "..--''",
    ] {
        let content: String = text.chars().cycle().take(10_000).collect();
        let message = InboxMessage {
            id: 1,
            agent: "bob".into(),
            sender: call().principal,
            content,
            thread: 1,
            reply_to: None,
            broadcast: false,
            automatic: false,
            created_at: 0,
            now: 0,
        };
        let decision = set.review(&message, &[]);
        assert_ne!(decision.outcome, Outcome::Error, "{text}: {:?}", decision.verdicts);
        worst = worst.max((decision.verdicts[0].fuel, text));
    }
    assert!(worst.0 * 3 < of.limits.fuel * 2, "{worst:?}");
    eprintln!("the most fuel: {worst:?}");
}

#[test]
fn shadow_is_asked_and_affects_nothing() {
    let loader = Loader::new(None).unwrap();
    let module = Arc::clone(&rate_limit(&loader).policies().next().unwrap().module);
    let policy = Policy::new("rate-limit", Mode::Shadow, module);
    let set = PolicySet::new(&loader, vec![policy], 1);
    let decision = set.authorize(&call(), &sent(&set, 30));
    assert_eq!(decision.outcome, Outcome::Allow);
    assert!(matches!(decision.verdicts[0].answer, crate::domain::decision::Answer::Deny(_)));
}

#[test]
fn a_warm_cache_does_not_compile() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let load = || {
        let loader = Loader::new(Some(&cache)).unwrap();
        let start = Instant::now();
        let set = rate_limit(&loader);
        assert_eq!(set.authorize(&call(), &sent(&set, 30)).outcome, Outcome::Deny);
        start.elapsed()
    };
    let (cold, warm) = (load(), load());
    assert!(warm * 3 < cold, "cold {cold:?}, warm {warm:?}");
}

/// The files of a cache.
fn entries(cache: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn a_damaged_or_foreign_entry_is_compiled_again_and_never_run() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("ours");
    let decide = |cache: &Path| {
        let loader = Loader::new(Some(cache)).unwrap();
        let set = rate_limit(&loader);
        assert_eq!(set.authorize(&call(), &sent(&set, 30)).outcome, Outcome::Deny);
    };
    decide(&ours);
    let good: Vec<_> = entries(&ours).iter().map(|path| std::fs::read(path).unwrap()).collect();
    // One flipped bit, an entry under another's name, one that was cut off, an empty one.
    for (path, whole) in entries(&ours).iter().zip(&good) {
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let cut = whole[..middle].to_vec();
        for bad in good.iter().filter(|other| *other != whole).chain([&flipped, &cut, &Vec::new()]) {
            std::fs::write(path, bad).unwrap();
            decide(&ours);
            assert_eq!(std::fs::read(path).unwrap(), *whole, "it was written anew");
        }
    }
    // What others may write to is not read, however right it looks.
    #[cfg(unix)]
    {
        let path = &entries(&ours)[0];
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        decide(&ours);
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "it was written anew");
    }
}

#[cfg(unix)]
#[test]
fn a_cache_others_can_write_to_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    let loader = Loader::new(Some(&cache)).unwrap();
    let set = rate_limit(&loader);
    assert_eq!(set.authorize(&call(), &sent(&set, 30)).outcome, Outcome::Deny);
    assert_eq!(entries(&cache).len(), 0);
    let opened = crate::policy::component::private_dir(&cache);
    assert!(matches!(opened, Err(PolicyError::Untrusted { .. })));
}

/// Not an assertion but a measurement: `cargo test --release --lib policy::tests::real::speed -- --ignored --nocapture`.
#[test]
#[ignore = "prints measurements"]
fn speed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let start = Instant::now();
    let loader = Loader::new(Some(&cache)).unwrap();
    println!("engine {:?}", start.elapsed());
    for round in ["cold", "warm"] {
        for builtin in BUILTINS {
            let start = Instant::now();
            loader.load(builtin.bytes, &json!({}), patient()).unwrap();
            println!(
                "{round} load of {} ({} KiB): {:?}",
                builtin.name,
                builtin.bytes.len() / 1024,
                start.elapsed()
            );
        }
    }
    let set = rate_limit(&loader);
    let facts = sent(&set, 3);
    for threads in [1, 2, 8] {
        let mut times: Vec<Duration> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        (0..20_000)
                            .map(|_| {
                                let start = Instant::now();
                                assert_eq!(set.authorize(&call(), &facts).outcome, Outcome::Allow);
                                start.elapsed()
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        times.sort_unstable();
        println!(
            "{threads} threads: p50 {:?} p99 {:?}",
            times[times.len() / 2],
            times[times.len() * 99 / 100]
        );
    }
    let endless = Limits { fuel: crate::policy::eval::MAX_FUEL, ..Limits::default() };
    let hangs =
        super::guests::load_with(&loader, &super::guests::guest("loops_in_call"), &json!({}), endless)
            .unwrap();
    let cut = (0..20).map(|_| {
        let start = Instant::now();
        super::guests::failure(&loader, &hangs);
        start.elapsed()
    });
    println!("a hanging call with 50 ms is cut after at most {:?}", cut.max().unwrap());
    let rss = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", rss.lines().find(|line| line.starts_with("VmRSS")).unwrap());
}

/// How long a process waits for its first set, and a changed file to be in force; as [`speed`].
#[test]
#[ignore = "prints measurements"]
fn start_up() {
    let root = tempfile::tempdir().unwrap();
    let start = || {
        let config = crate::policy::HostConfig {
            dir: root.path().join("policies"),
            cache_dir: Some(root.path().join("cache")),
            state_dir: Some(root.path().join("state")),
            clock: Arc::new(|| 0),
        };
        let start = Instant::now();
        let host = crate::policy::PolicyHost::start(config).unwrap();
        let returned = start.elapsed();
        drop(host.current());
        println!("start returns after {returned:?}, the built-in set decides after {:?}", start.elapsed());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|line| line.starts_with("VmRSS")).unwrap());
        host
    };
    for _ in ["cold", "warm"] {
        drop(start());
    }
    let host = start();
    let policies = root.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    for (i, builtin) in BUILTINS.iter().cycle().take(8).enumerate() {
        let generation = host.status().unwrap().generation;
        // A section more makes it another module.
        let module = super::guests::with_section(builtin.bytes.to_vec(), "round", &i.to_string());
        std::fs::write(policies.join("p.wasm"), module).unwrap();
        let start = Instant::now();
        std::fs::write(policies.join("policy-set.toml"), "[[policy]]\nname = \"p\"\nmodule = \"p.wasm\"\n")
            .unwrap();
        let status = host.wait_for(Duration::from_mins(1), |status| status.generation > generation).unwrap();
        let kib = builtin.bytes.len() / 1024;
        println!(
            "change of {kib} KiB in force after {:?}, loading {} ms",
            start.elapsed(),
            status.swap_millis
        );
    }
}
