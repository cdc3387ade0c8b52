//! Sessions of the older HTTP+SSE transport with whatever is posted to them: every post gets one of the answers there are, and
//! the session still answers afterwards.
//!
//! An input is lines: `?…` posts to that query instead of the session's, `:…` with that content type, `-` opens another
//! session, and any other line is posted as it stands.

#![no_main]

use std::net::SocketAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use team_table::mcp::{HttpOptions, serve_http};
use team_table_fuzz::{Desk, PATIENCE};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The id of the request after the input.
const PROBE: &str = "the request after the input";
/// What a post may be answered with.
const ANSWERS: [&str; 6] = ["202", "400", "403", "404", "415", "503"];

static SERVER: LazyLock<(Desk, SocketAddr)> = LazyLock::new(|| {
    let desk = Desk::open();
    let (listener, address) = desk.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    });
    let options = HttpOptions::default();
    desk.runtime.spawn(serve_http(desk.table.clone(), listener, options, CancellationToken::new()));
    (desk, address)
});

fuzz_target!(|data: &[u8]| {
    let (desk, address) = &*SERVER;
    let conversation = converse(*address, data);
    let ended = desk.runtime.block_on(async { tokio::time::timeout(PATIENCE, conversation).await });
    ended.expect("the session does not answer any more");
});

async fn converse(server: SocketAddr, data: &[u8]) {
    let mut session = Session::open(server).await;
    let mut posts = BufReader::new(TcpStream::connect(server).await.expect("the server accepts"));
    for line in data.split(|byte| *byte == b'\n').take(32) {
        let own = session.target.clone();
        match line {
            b"-" => session = Session::open(server).await,
            [b'?', query @ ..] => {
                let query: String = query.iter().take(200).map(|byte| format!("%{byte:02x}")).collect();
                post(
                    &mut posts,
                    &format!("/messages?{}", query.replace("%3d", "=")),
                    "application/json",
                    b"{}",
                )
                .await;
            }
            [b':', kind @ ..] => {
                let kind: String = kind
                    .iter()
                    .take(200)
                    .map(|byte| char::from(byte & 0x7f))
                    .filter(|c| !c.is_control())
                    .collect();
                post(&mut posts, &own, &kind, b"{}").await;
            }
            body => post(&mut posts, &own, "application/json", body).await,
        }
    }
    let probe = json!({ "jsonrpc": "2.0", "id": PROBE, "method": "ping" });
    post(&mut posts, &session.target.clone(), "application/json", probe.to_string().as_bytes()).await;
    while !session.event().await.contains(PROBE) {}
}

/// Posts, and reads the answer.
async fn post(posts: &mut BufReader<TcpStream>, target: &str, kind: &str, body: &[u8]) {
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    posts.write_all(&[head.as_bytes(), body].concat()).await.expect("the server reads");
    let mut length = 0;
    let mut status = String::new();
    loop {
        let mut line = String::new();
        posts.read_line(&mut line).await.expect("a line of the head");
        if status.is_empty() {
            status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut answer = vec![0; length];
    posts.read_exact(&mut answer).await.expect("the whole body");
    assert!(ANSWERS.contains(&status.as_str()), "{target} {kind:?} {body:?}: {status} {answer:?}");
}

struct Session {
    stream: BufReader<TcpStream>,
    target: String,
}

impl Session {
    async fn open(server: SocketAddr) -> Self {
        let mut stream = BufReader::new(TcpStream::connect(server).await.expect("the server accepts"));
        stream.write_all(b"GET /sse HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("the server reads");
        let mut session = Self { stream, target: String::new() };
        session.target = session.event().await;
        assert!(session.target.starts_with("/messages?session_id="), "{}", session.target);
        session
    }

    /// The data of the next event.
    async fn event(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).await.expect("a line of the stream");
            assert!(read > 0, "the session was closed");
            if let Some(data) = line.strip_prefix("data: ") {
                return data.trim().to_owned();
            }
        }
    }
}
