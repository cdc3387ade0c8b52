//! Streamable HTTP: every revision, no sessions, rmcp's answers to odd requests kept, and the traps of real
//! clients.

use std::time::Duration;

use serde_json::{Value, json};
use team_table::mcp::HttpOptions;
use tokio::net::TcpStream;

use crate::mcp_support::{Client, NEVER, PATIENCE, Server, call, mcp, rpc, table};

#[tokio::test]
async fn every_revision_shakes_hands_and_needs_none() {
    let server = Server::start().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = json!({"name": "test", "version": "1"});
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let response = server.send("POST /mcp", &mcp(&[]), &rpc(1, "initialize", hello)).await;
        assert_eq!(response.json()["result"]["protocolVersion"], version);
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("mcp-session-id"), None, "nothing about a caller lives in a session");
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let headers = mcp(&[("mcp-protocol-version", version)]);
        assert_eq!(server.send("POST /mcp", &headers, initialized).await.status, 202);
        let listed = server.rpc("tools/list", json!({}), &[("mcp-protocol-version", version)]).await;
        assert!(listed["result"]["tools"].is_array());
    }
    let headers = mcp(&[("mcp-protocol-version", "1999-01-01")]);
    assert_eq!(server.send("POST /mcp", &headers, &rpc(1, "ping", json!({}))).await.status, 400);
    server.stop().await;
}

fn stateless_meta() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}})
}

#[tokio::test]
async fn the_stateless_revision_is_served() {
    let server = Server::start().await;
    let ask = async |method: &str, name: Option<&str>, mut params: Value| {
        params["_meta"] = stateless_meta();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        headers.extend(name.map(|name| ("mcp-name", name)));
        server.send("POST /mcp", &mcp(&headers), &rpc(1, method, params)).await
    };
    let found = ask("server/discover", None, json!({})).await.json();
    assert_eq!(found["result"]["supportedVersions"].as_array().map(Vec::len), Some(5), "{found}");
    let called =
        ask("tools/call", Some("register"), json!({"name": "register", "arguments": {"name": "alice"}}))
            .await;
    assert_eq!(called.json()["result"]["structuredContent"]["name"], "alice");
    for gone in ["initialize", "ping", "prompts/list"] {
        let response = ask(gone, None, json!({})).await;
        assert_eq!((response.status, &response.json()["error"]["code"]), (404, &json!(-32_601)), "{gone}");
    }
    let contradiction = ask("tools/call", Some("other"), json!({"name": "register", "arguments": {}})).await;
    assert_eq!(contradiction.status, 400);
    for gone in ["GET /mcp", "DELETE /mcp"] {
        let response = server.send(gone, &mcp(&[("mcp-protocol-version", "2026-07-28")]), "").await;
        assert_eq!(response.status, 405, "{gone}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_goes_on_after_a_restart_of_the_server() {
    let (table, options) = (table().await, HttpOptions::default());
    let first = Server::on(table.clone(), "127.0.0.1:0".parse().unwrap(), options.clone()).await;
    let token = first.register("alice").await;
    let address = first.address;
    first.stop().await;
    let second = Server::on(table, address, options).await;
    // Neither a handshake nor the session id it may remember from another server gets in its way.
    let headers = [("mcp-session-id", "remembered"), ("mcp-protocol-version", "2025-06-18")];
    let params = json!({"name": "list_members", "arguments": {"token": token}});
    let reply = second.rpc("tools/call", params, &headers).await;
    assert_eq!(reply["result"]["structuredContent"]["members"][0]["name"], "alice", "{reply}");
    second.stop().await;
}

#[tokio::test]
async fn the_methods_of_the_endpoint() {
    let server = Server::start().await;
    assert_eq!(server.send("GET /mcp", &mcp(&[]), "").await.status, 405);
    let delete = server.send("DELETE /mcp", &mcp(&[("mcp-session-id", "x")]), "").await;
    assert_eq!(delete.status, 204, "Python logs anything but 200 and 204 as a failure");
    assert_eq!(server.send("PUT /mcp", &mcp(&[]), "{}").await.status, 405);
    assert_eq!(server.send("GET /nothing", &[], "").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn malformed_bodies_get_a_json_rpc_error() {
    let server = Server::start().await;
    for (body, id, code) in [
        ("nonsense", Value::Null, -32_700),
        ("[]", Value::Null, -32_600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, json!(1.5), -32_600),
        (r#"{"id":"a"}"#, json!("a"), -32_600),
    ] {
        let response = server.send("POST /mcp", &mcp(&[]), body).await;
        assert_eq!(response.status, 400, "{body}");
        assert_eq!(
            (&response.json()["id"], &response.json()["error"]["code"]),
            (&id, &json!(code)),
            "{body}"
        );
    }
    let cut = r#"{"jsonrpc":"2.0","id":"cut \ud83d","method":"ping"}"#;
    let response = server.send("POST /mcp", &mcp(&[]), cut).await;
    assert_eq!((response.status, &response.json()["id"]), (200, &json!("cut \u{fffd}")));
    server.stop().await;
}

/// 2025-03-26 is the one revision with batches, and the one of a request that names none.
#[tokio::test]
async fn a_batch_is_answered_as_one_under_the_revisions_that_have_it() {
    let server = Server::start().await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
         "params": {"name": "register", "arguments": {"name": "alice"}, "_meta": {"progressToken": 1}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "two", "method": "ping"},
        {"id": 3},
    ])
    .to_string();
    for version in [&[("mcp-protocol-version", "2025-03-26")][..], &[]] {
        let answers = server.send("POST /mcp", &mcp(version), &batch).await.json();
        let ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!(ids, [json!(1), json!("two"), json!(3)]);
        assert!(answers[0]["result"]["content"].is_array(), "{answers}");
        assert_eq!(answers[2]["error"]["code"], -32_600);
    }
    let told = r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#;
    assert_eq!(server.send("POST /mcp", &mcp(&[]), told).await.status, 202);
    let later = server.send("POST /mcp", &mcp(&[("mcp-protocol-version", "2025-06-18")]), &batch).await;
    assert_eq!((later.status, &later.json()["error"]["code"]), (400, &json!(-32_600)));
    server.stop().await;
}

#[tokio::test]
async fn a_prefix_stands_in_front_of_every_route_or_was_taken_away_by_the_proxy() {
    let options = HttpOptions { path_prefix: "/team".into(), ..HttpOptions::default() };
    let server = Server::with(options).await;
    let ping = rpc(1, "ping", json!({}));
    for path in ["/mcp", "/mcp/", "/team/mcp", "/team/mcp/"] {
        assert_eq!(server.send(&format!("POST {path}"), &mcp(&[]), &ping).await.status, 200, "{path}");
    }
    assert_eq!(server.send("GET /team/healthz/", &[("host", "probe.example")], "").await.status, 200);
    assert_eq!(server.send("GET /teams/healthz", &[], "").await.status, 404);
    assert_eq!(server.send("GET /team/events/alice/", &[], "").await.status, 401);
    let mut session = server.connect().await;
    session.send("GET /team/sse", &[], "").await;
    session.head().await;
    let endpoint = session.event().await.unwrap().data;
    assert!(endpoint.starts_with("/team/messages?session_id="), "{endpoint}");
    assert_eq!(server.send(&format!("POST {endpoint}"), &mcp(&[]), &ping).await.status, 202);
    assert!(session.event().await.unwrap().data.contains("\"id\":1"));
    server.stop().await;
}

/// haproxy's and many balancers' checks are HTTP/1.0 without a host.
#[tokio::test]
async fn old_probes_are_answered() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        let mut probe = server.connect().await;
        probe.write(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await;
        assert_eq!(probe.response().await.status, 200, "{path}");
    }
    let mut probe = server.connect().await;
    probe.write(b"GET /metrics HTTP/1.0\r\n\r\n").await;
    assert_eq!(probe.response().await.status, 400, "the numbers are for those who name us");
    server.stop().await;
}

#[tokio::test]
async fn arguments_as_text_are_named() {
    let server = Server::start().await;
    let error = server
        .rpc("tools/call", json!({"name": "register", "arguments": "{\"name\": \"alice\"}"}), &[])
        .await;
    let words = error["error"]["message"].as_str().unwrap();
    assert!(words.contains("`arguments` is text") && words.contains("JSON object"), "{words}");
    server.stop().await;
}

#[tokio::test]
async fn malformed_requests_get_their_status() {
    let server = Server::start().await;
    let ping = rpc(1, "ping", json!({}));
    for (headers, body, status) in [
        (mcp(&[("accept", "application/json")]), ping.as_str(), 406),
        (mcp(&[("accept", "text/event-stream")]), &ping, 406),
        (mcp(&[("content-type", "text/plain")]), &ping, 415),
        (mcp(&[("content-type", "text/plain")]), "nonsense", 415),
        (mcp(&[]), "nonsense", 400),
        (mcp(&[]), "[]", 400),
        (mcp(&[]), "\u{fffd}", 400),
        (mcp(&[("accept", "*/*")]), &ping, 200),
        (mcp(&[("accept", "application/*, text/*;q=0.5")]), &ping, 200),
        (mcp(&[]), &ping, 200),
    ] {
        let response = server.send("POST /mcp", &headers, body).await;
        assert_eq!(response.status, status, "{headers:?} {body} {response:?}");
        for internal in ["untagged", "serde", "variant", "line 1"] {
            assert!(!response.body.contains(internal), "{response:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_bearer_of_a_request_is_its_caller() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut client = server.connect().await;
    // Two agents on one connection, as sub-agents do it.
    for token in [&alice, &bob, &alice] {
        let authorization = format!("Bearer {token}");
        client
            .send(
                "POST /mcp",
                &mcp(&[("authorization", &authorization)]),
                &call(1, "list_members", json!({})),
            )
            .await;
        let reply = client.response().await.json();
        assert_eq!(reply["result"]["isError"], false, "{reply}");
    }
    client.send("POST /mcp", &mcp(&[]), &call(1, "list_members", json!({}))).await;
    let reply = client.response().await.json();
    assert_eq!(reply["result"]["structuredContent"]["code"], "unauthenticated", "{reply}");
    server.stop().await;
}

#[tokio::test]
async fn a_call_with_progress_becomes_a_stream_without_a_priming_event() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut client = server.connect().await;
    let wait = json!({"name": "get_messages", "_meta": {"progressToken": 7},
        "arguments": {"agent_name": "alice", "token": alice, "wait_seconds": 50}});
    client.send("POST /mcp", &mcp(&[]), &rpc(1, "tools/call", wait)).await;
    let head = client.head().await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
    // An empty first event makes Gemini CLI drop the server.
    let note = client.event().await.unwrap().json();
    assert_eq!(note["method"], "notifications/progress");
    assert_eq!(note["params"]["progressToken"], 7);
    let send = json!({"sender": "bob", "recipient": "alice", "content": "hello", "token": bob});
    server.call("send_message", send).await;
    let reply = client.event().await.unwrap().json();
    assert_eq!(reply["result"]["structuredContent"]["messages"][0]["content"], "hello", "{reply}");
    assert_eq!(client.event().await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_quick_call_with_a_progress_token_stays_plain_json() {
    let server = Server::start().await;
    let params = json!({"name": "register", "arguments": {"name": "alice"}, "_meta": {"progressToken": 1}});
    let response = server.send("POST /mcp", &mcp(&[]), &rpc(1, "tools/call", params)).await;
    assert_eq!(response.header("content-type"), Some("application/json"));
    server.stop().await;
}

#[tokio::test]
async fn a_caller_that_is_gone_takes_no_message_with_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut client = server.connect().await;
    let wait = json!({"agent_name": "alice", "token": alice, "wait_seconds": 50});
    client.send("POST /mcp", &mcp(&[]), &call(1, "get_messages", wait)).await;
    drop(client);
    // The lost connection is noticed while others are served.
    while !server.send("GET /metrics", &[], "").await.body.contains("team_table_http_connections 1\n") {}
    let send = json!({"sender": "bob", "recipient": "alice", "content": "hello", "token": bob});
    server.call("send_message", send).await;
    // Had it been handed out to the caller that is gone, it is unread again within moments.
    let again = json!({"agent_name": "alice", "token": alice, "wait_seconds": 50});
    let got = server.call("get_messages", again).await;
    assert_eq!(got["messages"][0]["content"], "hello", "{got}");
    server.stop().await;
}

#[tokio::test]
async fn calls_under_way_finish_and_idle_connections_do_not_hold_up_the_end() {
    let mut options = HttpOptions::default();
    options.limits.drain = NEVER;
    let server = Server::with(options).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let opened_only = TcpStream::connect(server.address).await.unwrap();
    let mut kept_alive = server.connect().await;
    kept_alive.send("GET /healthz", &[], "").await;
    kept_alive.response().await;
    let mut waiting = server.connect().await;
    let wait = json!({"agent_name": "alice", "token": alice, "wait_seconds": 50});
    waiting.send("POST /mcp", &mcp(&[]), &call(1, "get_messages", wait)).await;
    let mut sender = server.connect().await;
    // Half of a request before the end, half after it.
    let send = json!({"sender": "bob", "recipient": "alice", "content": "hello", "token": bob});
    let body = call(2, "send_message", send);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\n\
        content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    sender.write(head.as_bytes()).await;
    assert_eq!(sender.head().await.status, 100, "the server has begun this request");
    server.tell_to_stop();
    assert_eq!(kept_alive.closed().await, "");
    // The listener and the idle connections are closed side by side.
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("it still listens");
    sender.write(body.as_bytes()).await;
    assert_eq!(sender.response().await.json()["result"]["isError"], false);
    let reply = waiting.response().await.json();
    assert_eq!(reply["result"]["structuredContent"]["messages"][0]["content"], "hello", "{reply}");
    assert_eq!(Client::new(opened_only).closed().await, "");
    server.stopped().await;
}

#[tokio::test]
async fn unfinished_requests_are_cut_off() {
    let mut options = HttpOptions::default();
    options.limits.drain = Duration::from_millis(100);
    let server = Server::with(options).await;
    let alice = server.register("alice").await;
    let mut waiting = server.connect().await;
    let wait = json!({"agent_name": "alice", "token": alice, "wait_seconds": 50});
    waiting.send("POST /mcp", &mcp(&[("expect", "100-continue")]), &call(1, "get_messages", wait)).await;
    assert_eq!(waiting.head().await.status, 100);
    server.stop().await;
    assert_eq!(waiting.closed().await, "");
}
