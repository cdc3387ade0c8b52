//! The older HTTP+SSE transport, as the clients that still use it behave.

use std::time::Duration;

use serde_json::{Value, json};
use team_table::mcp::HttpOptions;

use crate::mcp_support::{Client, NEVER, PATIENCE, Response, Server, call, rpc};

/// An open session: the stream, and where to post.
struct Session {
    stream: Client,
    endpoint: String,
}

impl Session {
    async fn open(server: &Server, headers: &[(&str, &str)]) -> Self {
        let mut stream = server.connect().await;
        stream.send("GET /sse", headers, "").await;
        let head = stream.head().await;
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        let first = stream.event().await.unwrap();
        assert_eq!(first.event, "endpoint");
        assert!(first.data.starts_with("/messages?session_id="), "{first:?}");
        Self { stream, endpoint: format!("POST {}", first.data) }
    }

    async fn post(&self, server: &Server, headers: &[(&str, &str)], body: &str) -> Response {
        let json = [("content-type", "application/json")];
        let headers: Vec<_> = json.into_iter().chain(headers.iter().copied()).collect();
        server.send(&self.endpoint, &headers, body).await
    }

    async fn ask(&mut self, server: &Server, body: &str) -> Value {
        let response = self.post(server, &[], body).await;
        assert_eq!((response.status, response.body.as_str()), (202, "Accepted"));
        self.hear().await
    }

    async fn hear(&mut self) -> Value {
        let event = self.stream.event().await.expect("the session ended");
        assert_eq!(event.event, "message");
        event.json()
    }
}

#[tokio::test]
async fn a_session_answers_with_and_without_a_handshake() {
    let server = Server::start().await;
    let mut session = Session::open(&server, &[]).await;
    // The TypeScript client reconnects after a restart and goes on as if nothing had happened.
    let reply = session.ask(&server, &call(4, "register", json!({"name": "alice"}))).await;
    assert_eq!((&reply["id"], &reply["result"]["structuredContent"]["name"]), (&json!(4), &json!("alice")));
    for version in ["2024-11-05", "2025-11-25"] {
        let client = json!({"name": "test", "version": "1"});
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let reply = session.ask(&server, &rpc(1, "initialize", hello)).await;
        assert_eq!(reply["result"]["protocolVersion"], version);
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(session.post(&server, &[], initialized).await.status, 202);
        assert_eq!(session.ask(&server, &rpc(2, "ping", json!({}))).await["result"], json!({}));
    }
    server.stop().await;
}

#[tokio::test]
async fn two_sessions_do_not_hear_each_other() {
    let server = Server::start().await;
    let (mut one, mut two) = (Session::open(&server, &[]).await, Session::open(&server, &[]).await);
    assert_ne!(one.endpoint, two.endpoint);
    let id = one.endpoint.rsplit('=').next().unwrap();
    assert_eq!(id.len(), 43, "256 random bits");
    one.post(&server, &[], &rpc(1, "ping", json!({}))).await;
    two.post(&server, &[], &rpc(2, "ping", json!({}))).await;
    assert_eq!(two.hear().await["id"], 2);
    assert_eq!(one.hear().await["id"], 1);
    server.stop().await;
}

#[tokio::test]
async fn posting_to_the_stream_is_refused_so_that_opencode_tries_the_next_transport() {
    let server = Server::start().await;
    let json = [("content-type", "application/json")];
    assert_eq!(server.send("POST /sse", &json, &rpc(1, "ping", json!({}))).await.status, 405);
    assert_eq!(server.send("GET /messages", &[], "").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn odd_posts_get_their_status() {
    let server = Server::start().await;
    let mut session = Session::open(&server, &[]).await;
    let json = [("content-type", "application/json")];
    let ping = rpc(1, "ping", json!({}));
    assert_eq!(server.send("POST /messages", &json, &ping).await.status, 400);
    assert_eq!(server.send("POST /messages?session_id=", &json, &ping).await.status, 404);
    assert_eq!(server.send("POST /messages?session_id=guess", &json, &ping).await.status, 404);
    assert_eq!(server.send(&session.endpoint, &[("content-type", "text/plain")], &ping).await.status, 415);
    for (body, code) in [("nonsense", -32_700), ("[]", -32_600), ("7", -32_600)] {
        let response = session.post(&server, &[], body).await;
        assert_eq!((response.status, &response.json()["error"]["code"]), (400, &json!(code)));
    }
    assert_eq!(session.ask(&server, &ping).await["id"], 1, "and it goes on");
    server.stop().await;
}

#[tokio::test]
async fn a_session_dies_with_its_stream() {
    let server = Server::start().await;
    let Session { stream, endpoint } = Session::open(&server, &[]).await;
    drop(stream);
    let json = [("content-type", "application/json")];
    // The lost connection is noticed while others are served.
    let end =
        async { while server.send(&endpoint, &json, &rpc(1, "ping", json!({}))).await.status != 404 {} };
    tokio::time::timeout(PATIENCE, end).await.expect("the session outlives its stream");
    assert!(server.send("GET /metrics", &[], "").await.body.contains("\nteam_table_sse_sessions 0\n"));
    server.stop().await;
}

#[tokio::test]
async fn the_token_of_the_stream_is_needed_to_post_but_proves_nothing_for_a_post() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (alice, bob) = (format!("Bearer {alice}"), format!("Bearer {bob}"));
    let list = call(1, "list_members", json!({}));
    let mut session = Session::open(&server, &[("authorization", &alice)]).await;
    assert_eq!(session.post(&server, &[("authorization", &bob)], &list).await.status, 403);
    assert_eq!(session.post(&server, &[], &list).await.status, 403);
    assert_eq!(session.post(&server, &[("authorization", &alice)], &list).await.status, 202);
    assert_eq!(session.hear().await["result"]["isError"], false);
    // A stream opened without: each post speaks for itself.
    let mut session = Session::open(&server, &[]).await;
    assert_eq!(session.post(&server, &[("authorization", &bob)], &list).await.status, 202);
    assert_eq!(session.hear().await["result"]["isError"], false);
    let reply = session.ask(&server, &list).await;
    assert_eq!(reply["result"]["structuredContent"]["code"], "unauthenticated", "{reply}");
    server.stop().await;
}

#[tokio::test]
async fn sessions_are_bounded_and_those_that_stay_silent_end() {
    let mut options = HttpOptions::default();
    options.limits.sse_sessions = 1;
    options.limits.keep_alive = Duration::from_millis(20);
    options.limits.sse_idle = Duration::from_millis(300);
    let server = Server::with(options).await;
    let mut session = Session::open(&server, &[]).await;
    let second = server.send("GET /sse", &[], "").await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    assert_eq!(session.ask(&server, &rpc(1, "ping", json!({}))).await["id"], 1);
    assert_eq!(session.stream.event().await, None, "closed once idle");
    Session::open(&server, &[]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_session_and_nobody_else_anything() {
    let server = Server::start().await;
    let deaf = Session::open(&server, &[]).await;
    let json = [("content-type", "application/json")];
    let mut poster = server.connect().await;
    let list = rpc(1, "tools/list", json!({}));
    // Enough to fill both sockets' buffers and the session's own.
    for _ in 0..20_000 {
        poster.send(&deaf.endpoint, &json, &list).await;
        if poster.response().await.status == 404 {
            let mut other = Session::open(&server, &[]).await;
            assert_eq!(other.ask(&server, &rpc(2, "ping", json!({}))).await["id"], 2);
            return;
        }
    }
    panic!("replies pile up without end");
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end_and_calls_under_way_are_answered() {
    let mut options = HttpOptions::default();
    options.limits.drain = NEVER;
    let server = Server::with(options).await;
    let mut idle = Session::open(&server, &[]).await;
    let mut busy = Session::open(&server, &[]).await;
    for id in 0..20 {
        busy.post(&server, &[], &call(id, "register", json!({"name": format!("agent{id}")}))).await;
    }
    server.stop().await;
    let mut answered = 0;
    while let Some(event) = busy.stream.event().await {
        assert_eq!(event.json()["result"]["isError"], false);
        answered += 1;
    }
    assert_eq!(answered, 20);
    assert_eq!(idle.stream.event().await, None);
}
