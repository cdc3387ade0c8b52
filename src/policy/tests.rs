use super::*;
use crate::domain::decision::*;
use serde_json::json;

#[test]
fn smoke() {
    let t = std::time::Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let loader = Loader::new(Some(&dir.path().join("c"))).unwrap();
    eprintln!("engine {:?}", t.elapsed());
    for round in 0..2 {
        for b in builtin::BUILTINS {
            let t = std::time::Instant::now();
            let m = loader.load(b.bytes, &json!({}), Limits::default());
            eprintln!(
                "{round} {} {:?} {:?}",
                b.name,
                t.elapsed(),
                m.as_ref().map(|m| (&m.name, &m.version, &m.facts)).map_err(|e| e.to_string())
            );
        }
    }
    for b in builtin::BUILTINS {
        match loader.check(b.bytes, &json!({}), Limits::default()) {
            Err(e) => eprintln!("{} {e}", b.name),
            Ok(r) => {
                eprintln!("{} load {} ms", r.name, r.load_millis);
                for c in r.cases {
                    eprintln!(
                        "   {} {:?} fuel {} us {} mem {}",
                        c.name, c.failure, c.fuel, c.micros, c.memory
                    );
                }
            }
        }
    }
    let m =
        loader.load(builtin::builtin("rate-limit").unwrap().bytes, &json!({}), Limits::default()).unwrap();
    let set = PolicySet::new(
        &loader,
        vec![Policy { name: "rate-limit".into(), mode: Mode::Enforce, module: std::sync::Arc::new(m) }],
        1,
    );
    let call = ToolCall {
        tool: "send_message".into(),
        principal: PrincipalView {
            name: "alice".into(),
            role: "agent".into(),
            capabilities: vec![],
            authenticated: true,
        },
        arguments: json!({"recipient": "bob", "content": "hello"}),
        transport: "stdio".into(),
        now: 1_000_000,
    };
    let facts: Vec<_> = set
        .fact_requests(Hook::Authorization)
        .iter()
        .map(|r| Fact { request: r.clone(), value: json!({"count": 3, "oldest": 0}) })
        .collect();
    eprintln!("{:?}", set.authorize(&call, &facts));
    let mut v: Vec<_> = (0..5000)
        .map(|_| {
            let t = std::time::Instant::now();
            let d = set.authorize(&call, &facts);
            assert_eq!(d.outcome, Outcome::Allow);
            t.elapsed()
        })
        .collect();
    v.sort();
    eprintln!("p50 {:?} p99 {:?}", v[2500], v[4950]);
}
