//! `/events/{agent}`: who may listen, what is heard, and what a listener costs.

use std::time::{Duration, Instant};

use serde_json::json;
use team_table::mcp::HttpOptions;

use crate::mcp_support::{Client, PATIENCE, Server};

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
    let start = Instant::now();
    let first = stream.event().await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(100), "took {:?}", start.elapsed());
    assert_eq!(first.event, "message");
    assert!(!first.data.contains("one"), "ids and names, not bodies");
    drop(stream);
    send(&server, &bob, "alice", "two").await;
    send(&server, &bob, "alice", "three").await;
    let number = |id: &Option<String>| id.as_deref().unwrap().parse::<i64>().unwrap();
    // From the last event, from before the first, and from the greeting of a stream that heard nothing.
    for (after, count) in [(first.id.as_deref().unwrap(), 2), ("0", 3), (connected.id.as_deref().unwrap(), 3)]
    {
        let mut stream = listen(&server, "alice", &alice, Some(after)).await;
        assert_eq!(stream.event().await.unwrap().event, "connected");
        let mut last = after.parse::<i64>().unwrap();
        let mut heard = 0;
        while heard < count {
            let event = stream.event().await.unwrap();
            assert!(number(&event.id) > last, "in order, once each");
            last = number(&event.id);
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
    let server = Server::with(options).await;
    let token = server.register("alice").await;
    let mut stream = listen(&server, "alice", &token, None).await;
    let connected = stream.event().await.unwrap();
    for _ in 0..3 {
        let beat = stream.event().await.unwrap();
        assert_eq!((beat.event.as_str(), &beat.id), ("heartbeat", &connected.id));
    }
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
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
