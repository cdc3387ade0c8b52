//! What stands between the open network and the routes, tried on all of them.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use team_table::mcp::{HttpOptions, loggable};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use crate::harness::{Home, Network};
use crate::mcp_support::{Client, PATIENCE, Server, call, mcp, rpc, table};

const ROUTES: [&str; 10] = [
    "POST /mcp",
    "GET /mcp",
    "DELETE /mcp",
    "GET /sse",
    "POST /messages?session_id=x",
    "GET /events/alice",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /no/such/route",
];

#[tokio::test]
async fn foreign_pages_are_turned_away_from_every_route() {
    let options =
        HttpOptions { allowed_origins: vec!["https://app.example.com".into()], ..HttpOptions::default() };
    let server = Server::with(options).await;
    for route in ROUTES {
        for origin in
            ["http://evil.example", "null", "http://localhost.evil.example", "https://app.example.com.evil"]
        {
            let response = server.send(route, &mcp(&[("origin", origin)]), "").await;
            assert_eq!(response.status, 403, "{origin} at {route}");
            assert_eq!(response.header("access-control-allow-origin"), None);
        }
    }
    for origin in ["http://localhost:6274", "http://127.0.0.1", "https://app.example.com"] {
        let response =
            server.send("POST /mcp", &mcp(&[("origin", origin)]), &rpc(1, "ping", json!({}))).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (200, Some(origin)));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_rebound_name_is_turned_away_from_every_route() {
    let server = Server::start().await;
    for route in ROUTES {
        for host in ["evil.example", "evil.example:8741", "localhost.evil.example"] {
            let probe = ["GET /healthz", "GET /readyz"].contains(&route);
            assert_eq!(
                server.send(route, &mcp(&[("host", host)]), "").await.status,
                if probe { 200 } else { 403 },
                "{host} at {route}"
            );
        }
    }
    for host in ["localhost", "localhost:1", "127.0.0.1:8741", "[::1]:8741"] {
        assert_eq!(server.send("GET /metrics", &[("host", host)], "").await.status, 200, "{host}");
    }
    let mut client = server.connect().await;
    client.write(b"GET http://evil.example/metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(client.response().await.status, 403);
    let mut client = server.connect().await;
    client.write(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n").await;
    assert_eq!(client.response().await.status, 400);
    server.stop().await;
}

/// The operator reads which setting lets a host or origin through, once: a page that tries for ever fills no log.
#[test]
fn a_refused_host_or_origin_is_logged_once_with_its_setting() {
    let home = Home::unlimited();
    let server = Network::start(&home);
    let ask = |header: &str| {
        let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
        let head = format!("GET /metrics HTTP/1.1\r\n{header}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    };
    for _ in 0..3 {
        ask("host: evil.example");
    }
    for _ in 0..3 {
        ask("host: localhost\r\norigin: http://evil.example");
    }
    let log = server.logs("TEAM_TABLE_ALLOWED_ORIGINS");
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((lines("TEAM_TABLE_ALLOWED_HOSTS"), lines("TEAM_TABLE_ALLOWED_ORIGINS")), (1, 1), "{log}");
}

#[tokio::test]
async fn allowed_host_names_pass_and_close_an_open_bind_to_others() {
    let options = HttpOptions { allowed_hosts: vec!["table.example.com".into()], ..HttpOptions::default() };
    for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
        let server = Server::on(table().await, bind.parse().unwrap(), options.clone()).await;
        assert_eq!(server.send("GET /metrics", &[("host", "table.example.com:8741")], "").await.status, 200);
        assert_eq!(server.send("GET /metrics", &[("host", "evil.example")], "").await.status, 403);
        server.stop().await;
    }
    let open = Server::on(table().await, "0.0.0.0:0".parse().unwrap(), HttpOptions::default()).await;
    assert_eq!(open.send("GET /metrics", &[("host", "any.example")], "").await.status, 200);
    open.stop().await;
}

#[tokio::test]
async fn preflights_are_answered_for_allowed_origins_only() {
    let server = Server::start().await;
    let ask = async |origin| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization, mcp-param-x"),
        ];
        server.send("OPTIONS /mcp", &headers, "").await
    };
    let yes = ask("http://localhost:6274").await;
    assert_eq!((yes.status, yes.header("access-control-allow-origin")), (204, Some("http://localhost:6274")));
    assert_eq!(yes.header("access-control-allow-headers"), Some("authorization, mcp-param-x"));
    assert_eq!(yes.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert_eq!(ask("http://evil.example").await.status, 403);
    assert_eq!(server.send("OPTIONS /mcp", &[], "").await.status, 405, "not from a browser");
    server.stop().await;
}

#[tokio::test]
async fn bodies_over_a_mebibyte_are_refused_however_they_are_sent() {
    let server = Server::start().await;
    let big = "x".repeat(1024 * 1024 + 1);
    for route in ["POST /mcp", "POST /messages?session_id=x", "POST /no/such/route"] {
        // Announced, and refused before it is sent.
        let mut client = server.connect().await;
        client.send(route, &mcp(&[("content-length", "1048577")]), "").await;
        assert_eq!(client.response().await.status, 413, "{route}");
        // In chunks, which announce nothing.
        let mut client = server.connect().await;
        client.send(route, &mcp(&[("transfer-encoding", "chunked")]), "").await;
        client.write(format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len()).as_bytes()).await;
        assert_eq!(client.response().await.status, 413, "{route}");
    }
    let fits = call(1, "register", json!({"name": "alice", "pad": "x".repeat(1_000_000)}));
    assert_eq!(server.send("POST /mcp", &mcp(&[]), &fits).await.status, 200);
    server.stop().await;
}

/// A client that writes its whole request before it reads gets the refusal, not a broken pipe.
#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start().await;
    let body = vec![b'x'; 8 * 1024 * 1024];
    let length = body.len().to_string();
    let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    for (headers, status) in [
        (vec![], 413),
        (vec![("content-encoding", "gzip")], 415),
        (vec![("host", "evil.example")], 403),
        (vec![("origin", "http://evil.example")], 403),
    ] {
        for (more, sent) in
            [(("content-length", length.as_str()), &body), (("transfer-encoding", "chunked"), &chunk)]
        {
            let mut client = server.connect().await;
            let headers: Vec<_> = headers.iter().copied().chain([more]).collect();
            client.send("POST /mcp", &mcp(&headers), "").await;
            client.write_whole(sent).await;
            assert_eq!(client.response().await.status, status, "{headers:?}");
        }
    }
    // A client that asks first is told at once, and need not send.
    let mut client = server.connect().await;
    client.send("POST /mcp", &mcp(&[("content-length", &length), ("expect", "100-continue")]), "").await;
    assert_eq!(client.response().await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn slow_requests_time_out() {
    let mut options = HttpOptions::default();
    options.limits.head_timeout = Duration::from_millis(200);
    options.limits.body_timeout = Duration::from_millis(200);
    let server = Server::with(options).await;
    server.connect().await.closed().await;
    let mut half_a_head = server.connect().await;
    half_a_head.write(b"GET /healthz HTTP/1.1\r\nhost: loc").await;
    assert!(!half_a_head.closed().await.contains("200"));
    let mut half_a_body = server.connect().await;
    half_a_body.send("POST /mcp", &mcp(&[("content-length", "100")]), "").await;
    assert_eq!(half_a_body.response().await.status, 408);
    let mut idle = server.connect().await;
    idle.send("GET /healthz", &[], "").await;
    assert_eq!(idle.response().await.status, 200);
    assert_eq!(idle.closed().await, "", "kept alive, but not for ever");
    server.stop().await;
}

/// A connection that was given a place. The place of one that has ended is free as soon as the server has let go of it.
async fn admitted(server: &Server) -> Client {
    let admission = async {
        loop {
            let mut client = server.connect().await;
            client.send("GET /healthz", &[], "").await;
            if client.closed_or_ok().await {
                return client;
            }
        }
    };
    tokio::time::timeout(PATIENCE, admission).await.expect("there is no place")
}

#[tokio::test]
async fn heads_and_connections_are_bounded() {
    let mut options = HttpOptions::default();
    options.limits.connections = 2;
    let server = Server::with(options).await;
    let mut one = server.connect().await;
    let huge = "x".repeat(100_000);
    one.send("GET /healthz", &[("x-huge", &huge)], "").await;
    assert_eq!(one.response().await.status, 431);
    one.closed().await;
    let mut held = vec![admitted(&server).await, admitted(&server).await];
    assert!(server.connect().await.closed().await.starts_with("HTTP/1.1 503 "));
    drop(held.pop());
    drop(admitted(&server).await);
    server.stop().await;
}

/// A guess costs its guesser the address's patience; those who share the address and do not guess notice nothing.
#[tokio::test]
async fn an_address_that_guesses_tokens_is_throttled_and_everything_else_still_passes() {
    let mut options = HttpOptions::default();
    options.limits.failed_tokens = 3;
    let server = Server::with(options).await;
    let token = server.register("alice").await;
    let list = call(1, "list_members", json!({}));
    let bad = |token: &'static str| [("authorization", token)];
    // As a bearer of a call, as an argument, and on the event stream.
    assert_eq!(server.send("POST /mcp", &mcp(&bad("Bearer tt_one")), &list).await.status, 200);
    assert_eq!(server.call("list_members", json!({"token": "tt_two"})).await["code"], "unauthenticated");
    assert_eq!(server.send("GET /events/alice", &bad("Bearer tt_three"), "").await.status, 401);

    let refused = server.send("GET /events/alice", &bad("Bearer tt_four"), "").await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    for (headers, arguments) in
        [(mcp(&bad("Bearer tt_five")), json!({})), (mcp(&[]), json!({"token": "tt_six"}))]
    {
        let answer = server.send("POST /mcp", &headers, &call(1, "list_members", arguments)).await.json();
        let body = &answer["result"]["structuredContent"];
        assert_eq!(body["code"], "resource_exhausted", "{answer}");
        assert!(body["hint"].as_str().unwrap().contains("rotate-token"), "{body}");
    }
    assert!(
        server.send("GET /metrics", &[], "").await.body.contains("\nteam_table_http_throttled_total 3\n")
    );

    // A valid token, in the header or in the arguments beside a dead header; a handshake; a newcomer; a probe.
    let good = format!("Bearer {token}");
    let passes = server.send("POST /mcp", &mcp(&[("authorization", &good)]), &list).await;
    assert_eq!(passes.json()["result"]["isError"], false, "a good agent behind the same address");
    let dead = mcp(&bad("Bearer tt_one"));
    let with_token = call(1, "list_members", json!({"token": token}));
    let passes = server.send("POST /mcp", &dead, &with_token).await;
    assert_eq!(passes.json()["result"]["isError"], false);
    for (method, params) in [("ping", json!({})), ("tools/list", json!({}))] {
        let answer = server.send("POST /mcp", &dead, &rpc(1, method, params)).await;
        assert!(answer.json()["result"].is_object(), "{method}: {answer:?}");
    }
    let shakes = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    assert!(
        server.send("POST /mcp", &dead, &rpc(1, "initialize", shakes)).await.json()["result"].is_object()
    );
    server.register("bob").await;
    assert_eq!(server.send("GET /healthz", &bad("Bearer tt_one"), "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn one_dead_token_presented_for_ever_counts_once() {
    let mut options = HttpOptions::default();
    options.limits.failed_tokens = 3;
    let server = Server::with(options).await;
    for _ in 0..10 {
        assert_eq!(server.call("list_members", json!({"token": "tt_dead"})).await["code"], "unauthenticated");
        let dead = [("authorization", "Bearer tt_dead")];
        assert_eq!(server.send("GET /events/alice", &dead, "").await.status, 401);
    }
    assert_eq!(server.call("list_members", json!({"token": "tt_other"})).await["code"], "unauthenticated");
    server.stop().await;
}

#[tokio::test]
async fn a_call_without_any_token_does_not_count_as_a_wrong_one() {
    let mut options = HttpOptions::default();
    options.limits.failed_tokens = 1;
    let server = Server::with(options).await;
    for _ in 0..3 {
        assert_eq!(server.call("list_members", json!({})).await["code"], "unauthenticated");
        assert_eq!(server.send("GET /events/alice", &[], "").await.status, 401);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_machines_of_an_operator_are_answered() {
    let server = Server::start().await;
    for (route, body) in [("GET /healthz", "ok"), ("GET /readyz", "ready")] {
        let response = server.send(route, &[], "").await;
        assert_eq!((response.status, response.body.as_str()), (200, body));
    }
    let metrics = server.send("GET /metrics", &[], "").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text;"));
    assert_eq!(metrics.body.matches("# EOF").count(), 1);
    assert!(metrics.body.ends_with("\n# EOF\n"));
    assert!(
        metrics.body.contains("\nteam_table_http_responses_total{class=\"2xx\"} 2\n"),
        "{}",
        metrics.body
    );
    server.stop().await;
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Set in the process of its own in which [`no_level_of_logging_shows_a_token`] looks.
const ALONE: &str = "TEAM_TABLE_TEST_ALONE";

// In a process of its own and on one thread, because what a call site logs is decided for all threads at
// once, and the other tests have no subscriber.
#[tokio::test(flavor = "current_thread")]
async fn no_level_of_logging_shows_a_token() {
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "mcp_hardening::no_level_of_logging_shows_a_token"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let (safe, all) = (Log::default(), Log::default());
    let layer = |log: &Log| {
        let log = log.clone();
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || log.clone())
    };
    let layers = vec![layer(&safe).with_filter(filter_fn(loggable)).boxed(), layer(&all).boxed()];
    let subscriber = tracing_subscriber::registry().with(layers);
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start().await;
    let bearer = [("authorization", "Bearer tt_in_the_header")];
    let arguments = json!({"token": "tt_in_the_arguments", "name": "nobody"});
    server.send("POST /mcp", &mcp(&bearer), &call(1, "list_members", arguments)).await;
    server
        .send("POST /mcp", &mcp(&bearer), &call(1, "no_such_tool", json!({"token": "tt_in_the_arguments"})))
        .await;
    server.send("GET /events/nobody", &bearer, "").await;
    server.stop().await;
    let text = |log: &Log| String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text(&all).contains("tt_in_the_arguments"), "rmcp no longer logs requests: the filter can go");
    assert!(!text(&safe).contains("tt_in_the"), "{}", text(&safe));
    // The header is marked sensitive, so not even rmcp's own output has it.
    assert!(!text(&all).contains("tt_in_the_header"));
}
