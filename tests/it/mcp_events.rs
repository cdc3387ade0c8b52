//! `/events/{agent}`: who may listen, what is heard, and what a listener costs.

use std::time::Duration;

use serde_json::json;
use team_table::domain::message::{Draft, Origin};
use team_table::events::{EventStream, Hub};
use team_table::mcp::HttpOptions;
use team_table::storage::{Db, OpenOptions, WriteTx};
use team_table::tools::Table;

use crate::mcp_support::{Client, NEVER, PATIENCE, Server, SseEvent, table};

async fn listen(server: &Server, agent: &str, token: &str, after: Option<&str>) -> Client {
    let mut client = server.connect().await;
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(after.map(|id| ("last-event-id", id)));
    client.send(&format!("GET /events/{agent}"), &headers, "").await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
    client
}

async fn send(server: &Server, token: &str, recipient: &str, content: &str) {
    let message = json!({"sender": "bob", "recipient": recipient, "content": content, "token": token});
    let sent = server.call("send_message", message).await;
    assert_eq!(sent["content"], content, "{sent}");
}

#[tokio::test]
async fn a_token_is_needed_and_it_must_be_the_agents_own() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (alice, bob) = (format!("Bearer {alice}"), format!("Bearer {bob}"));
    let none = server.send("GET /events/alice", &[], "").await;
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer")));
    let wrong = server.send("GET /events/alice", &[("authorization", "Bearer tt_wrong")], "").await;
    assert_eq!(
        (wrong.status, wrong.header("www-authenticate")),
        (401, Some("Bearer error=\"invalid_token\""))
    );
    assert_eq!(server.send("GET /events/alice", &[("authorization", &bob)], "").await.status, 403);
    for id in ["x", "-1", "99999999999999999999"] {
        let headers = [("authorization", alice.as_str()), ("last-event-id", id)];
        assert_eq!(server.send("GET /events/alice", &headers, "").await.status, 400, "{id}");
    }
    assert_eq!(server.send("GET /events/%ff", &[("authorization", &alice)], "").await.status, 400);
    assert_eq!(server.send("POST /events/alice", &[("authorization", &alice)], "").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn events_are_heard_at_once_and_resumed_without_gap_or_repeat() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut stream = listen(&server, "alice", &alice, None).await;
    let connected = stream.event().await.unwrap();
    assert_eq!((connected.event.as_str(), connected.json()), ("connected", json!({"agent": "alice"})));
    send(&server, &bob, "alice", "one").await;
    let first = stream.event().await.unwrap();
    assert_eq!(first.event, "message");
    assert!(!first.data.contains("one"), "ids and names, not bodies");
    drop(stream);
    send(&server, &bob, "alice", "two").await;
    send(&server, &bob, "alice", "three").await;
    // A number that this log has not given: from another database, or from before this one was restored.
    let mut stranger = listen(&server, "alice", &alice, Some("999999")).await;
    let connected_again = stranger.event().await.unwrap();
    assert_eq!(connected_again.json(), json!({"agent": "alice", "gap": true}));
    drop(stranger);
    // From the last event, from before the first, and from the greeting of a stream that heard nothing.
    for (after, count) in [(first.id.as_deref().unwrap(), 2), ("0", 3), (connected.id.as_deref().unwrap(), 3)]
    {
        let mut stream = listen(&server, "alice", &alice, Some(after)).await;
        assert_eq!(stream.event().await.unwrap().event, "connected");
        let mut last = after.parse::<i64>().unwrap();
        let mut heard = 0;
        while heard < count {
            let event = stream.event().await.unwrap();
            assert!(number(&event) > last, "in order, once each");
            last = number(&event);
            heard += usize::from(event.event == "message");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn names_are_percent_decoded() {
    let server = Server::start().await;
    let token = server.register("ann b").await;
    let mut stream = listen(&server, "ann%20b", &token, None).await;
    assert_eq!(stream.event().await.unwrap().json(), json!({"agent": "ann b"}));
    server.stop().await;
}

#[tokio::test]
async fn a_silent_stream_beats_and_a_stopped_server_ends_it() {
    let mut options = HttpOptions::default();
    options.limits.heartbeat = Duration::from_millis(10);
    options.limits.drain = NEVER;
    let server = Server::with(options).await;
    let token = server.register("alice").await;
    let mut stream = listen(&server, "alice", &token, None).await;
    let connected = stream.event().await.unwrap();
    for _ in 0..3 {
        let beat = stream.event().await.unwrap();
        assert_eq!((beat.event.as_str(), &beat.id), ("heartbeat", &connected.id));
    }
    server.stop().await;
    while stream.event().await.is_some() {}
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let mut options = HttpOptions::default();
    options.limits.heartbeat = Duration::from_millis(10);
    let server = Server::with(options).await;
    let token = server.register("alice").await;
    let mut stream = listen(&server, "alice", &token, None).await;
    assert_eq!(stream.event().await.unwrap().event, "connected");
    let rotated = server.call("register", json!({"name": "alice", "token": token})).await;
    assert!(rotated["token"].is_string(), "{rotated}");
    let end = async { while stream.event().await.is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.expect("the stream outlives its token");
    server.stop().await;
}

/// A server of a table, and what opens its database a second time, as another process would.
async fn shared() -> (Server, Db) {
    let table: Table = table().await;
    let other = Db::open(table.db().path(), OpenOptions::default()).unwrap();
    (Server::on(table, "127.0.0.1:0".parse().unwrap(), HttpOptions::default()).await, other)
}

/// An event's place in the log.
fn number(event: &SseEvent) -> i64 {
    event.id.as_deref().unwrap().parse().unwrap()
}

/// `count` broadcasts of a member.
fn broadcasts(tx: &WriteTx<'_>, name: &str, count: usize) -> team_table::storage::Result<()> {
    let sender = tx.member(name)?.unwrap().into_principal(true);
    for n in 0..count {
        let content = format!("number {n}");
        let draft = Draft {
            content: content.into(),
            reply_to: None,
            idempotency_key: None,
            origin: Origin::Agent,
            person: None,
        };
        tx.broadcast(&sender, None, &draft, 1_000)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_burst_of_another_process_is_heard_in_order_once_each_and_not_by_its_author() {
    // More than the dispatcher keeps for a member, and more than it reads at once.
    const BURST: usize = 700;
    let (server, other) = shared().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut hers = [
        listen(&server, "alice", &alice, None).await,
        listen(&server, "alice", &alice, None).await,
        listen(&server, "alice", &alice, Some("0")).await,
    ];
    let mut his = listen(&server, "bob", &bob, None).await;
    assert_eq!(his.event().await.unwrap().event, "connected");
    // Few first: a stream that a burst has overrun reads the log, not what the dispatcher hands it.
    for count in [3, BURST, 1] {
        other.write(move |tx| broadcasts(tx, "bob", count)).unwrap();
        let mut ids = Vec::new();
        for stream in &mut hers {
            let mut heard = Vec::new();
            while heard.len() < count {
                let event = stream.event().await.unwrap();
                if event.event == "broadcast" {
                    heard.push(number(&event));
                }
            }
            assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
            ids.push(heard);
        }
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "every stream of hers hears the same");
        // From any of them on: what is still at hand, and what is in the log only.
        for from in [0, count / 2, count - 1] {
            let mut again = listen(&server, "alice", &alice, Some(&ids[0][from].to_string())).await;
            assert_eq!(again.event().await.unwrap().event, "connected");
            for id in &ids[0][from + 1..] {
                assert_eq!(number(&again.event().await.unwrap()), *id);
            }
        }
    }
    send(&server, &bob, "alice", "to you").await;
    send(&server, &bob, "bob", "to myself").await;
    let next = his.event().await.unwrap();
    assert_eq!(next.event, "message", "his own broadcasts are no news to him");
    assert_eq!(next.json()["recipient"], "bob", "nor is what he writes to others");
    assert_eq!(hers[0].event().await.unwrap().json()["recipient"], "alice");
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_another_process_ends_ends_its_stream_long_before_the_next_beat() {
    type Change = fn(&WriteTx<'_>) -> team_table::storage::Result<()>;
    let changes: [(&str, bool, Change); 4] = [
        ("grant", false, |tx| tx.grant("alice", "lead", 1_000).map(drop)),
        ("rotate", true, |tx| tx.rotate_token("alice", &[7; 32], 1_000)),
        ("revoke", true, |tx| tx.revoke("alice", 1_000).map(drop)),
        ("leave", true, |tx| tx.deregister(&tx.member("alice")?.unwrap(), 1_000)),
    ];
    for (what, ends, change) in changes {
        // It beats every thirty seconds: longer than anybody here waits.
        let (server, other) = shared().await;
        let (alice, _bob) = (server.register("alice").await, server.register("bob").await);
        let mut stream = listen(&server, "alice", &alice, None).await;
        assert_eq!(stream.event().await.unwrap().event, "connected");
        other.write(move |tx| change(tx).and_then(|()| broadcasts(tx, "bob", 1))).unwrap();
        let next = tokio::time::timeout(PATIENCE, stream.event()).await.expect("the stream says nothing");
        let heard = next.map(|event| event.event);
        assert_eq!(heard.as_deref(), (!ends).then_some("broadcast"), "{what}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_ended_while_its_stream_was_being_opened_opens_none() {
    let (server, db) = shared().await;
    let old = server.register("alice").await;
    let id = db.read(|tx| tx.member("alice")).unwrap().unwrap().id;
    let hub = Hub::start(db.clone());
    assert!(EventStream::open(&hub, id, Some(&old), None).await.unwrap().is_some());
    assert!(EventStream::open(&hub, id + 1, Some(&old), None).await.unwrap().is_none(), "not of another");
    db.write(|tx| tx.rotate_token("alice", &[7; 32], 1_000)).unwrap();
    assert!(EventStream::open(&hub, id, Some(&old), None).await.unwrap().is_none());
    server.stop().await;
}

/// Resident memory of this process in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
#[ignore = "measures the memory of the whole process, so nothing may run beside it; needs 2,100 open files"]
async fn an_idle_stream_costs_less_than_20_kib() {
    const STREAMS: usize = 1000;
    let server = Server::start().await;
    let token = server.register("alice").await;
    let mut streams = vec![listen(&server, "alice", &token, None).await];
    let before = memory();
    for _ in 0..STREAMS {
        let mut stream = listen(&server, "alice", &token, None).await;
        stream.event().await.unwrap();
        stream.forget_buffer();
        streams.push(stream);
    }
    let each = (memory() - before) / STREAMS;
    println!("{each} KiB a stream, both ends");
    assert!(each <= 20, "{each} KiB");
    server.stop().await;
}
