//! What the tests of the MCP layer share: a table, an HTTP server around it, and an HTTP client that hides
//! nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use team_table::domain::clock::Clock;
use team_table::events::Hub;
use team_table::mcp::{HttpOptions, serve_http};
use team_table::policy::{HostConfig, PolicyHost};
use team_table::storage::{Db, OpenOptions};
use team_table::tools::{Table, TableOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any test waits: a server that waits this long fails the test.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

/// A fresh, empty table in a folder of its own. Compiled policies are shared by all tests.
pub(crate) async fn table() -> Table {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = tempfile::tempdir_in(target).unwrap().keep();
    let db = Db::open(&dir.join("table.db"), OpenOptions::default()).unwrap();
    let policies = PolicyHost::start(HostConfig {
        dir: dir.join("policies"),
        cache_dir: Some(target.join("policy-cache")),
        state_dir: Some(dir.join("policy-state")),
        clock: Arc::new(|| Clock::System.now()),
    });
    let options = TableOptions { require_tokens: true, clock: Clock::System };
    Table::new(db.clone(), Arc::new(policies.unwrap()), Hub::start(db), options)
}

/// A running HTTP server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(HttpOptions::default()).await
    }

    pub(crate) async fn with(options: HttpOptions) -> Self {
        Self::on(table().await, "127.0.0.1:0".parse().unwrap(), options).await
    }

    pub(crate) async fn on(table: Table, address: SocketAddr, options: HttpOptions) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve_http(table, listener, options, shutdown.clone()));
        Self { address, shutdown, serving }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut client = self.connect().await;
        client.send(request, headers, body).await;
        client.response().await
    }

    /// A JSON-RPC request to `/mcp`.
    pub(crate) async fn rpc(&self, method: &str, params: Value, headers: &[(&str, &str)]) -> Value {
        let response = self.send("POST /mcp", &mcp(headers), &rpc(1, method, params)).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    /// Calls a tool over `/mcp`; gives its `structuredContent`.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let reply = self.rpc("tools/call", json!({"name": tool, "arguments": arguments}), &[]).await;
        reply["result"]["structuredContent"].clone()
    }

    /// Registers an agent and gives its token.
    pub(crate) async fn register(&self, name: &str) -> String {
        let agent = self.call("register", json!({"name": name})).await;
        agent["token"].as_str().unwrap_or_else(|| panic!("{agent}")).to_owned()
    }

    pub(crate) fn tell_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.serving).await.expect("server does not stop").unwrap().unwrap();
    }

    pub(crate) async fn stop(self) {
        self.tell_to_stop();
        self.stopped().await;
    }
}

/// The headers every streamable HTTP client sends, and more.
pub(crate) fn mcp<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [("accept", "application/json, text/event-stream"), ("content-type", "application/json")];
    usual
        .into_iter()
        .filter(|(name, _)| more.iter().all(|(other, _)| other != name))
        .chain(more.iter().copied())
        .collect()
}

/// A JSON-RPC request as text.
pub(crate) fn rpc(id: i64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// A `tools/call` as text.
pub(crate) fn call(id: i64, tool: &str, arguments: Value) -> String {
    rpc(id, "tools/call", json!({"name": tool, "arguments": arguments}))
}

/// What a [`Client`] speaks over: TCP, or TLS on it.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// One HTTP/1.1 connection.
pub(crate) struct Client {
    stream: Box<dyn Wire>,
    host: String,
    buffer: Vec<u8>,
    chunked: bool,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A server-sent event.
#[derive(Debug, PartialEq)]
pub(crate) struct SseEvent {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
}

impl SseEvent {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // As real clients do; what is under test is the server's side.
        stream.set_nodelay(true).unwrap();
        let host = stream.peer_addr().unwrap().to_string();
        Self::over(stream, host)
    }

    pub(crate) fn over(stream: impl Wire + 'static, host: String) -> Self {
        Self { stream: Box::new(stream), host, buffer: Vec::new(), chunked: false }
    }

    /// Sends `METHOD /path` with a `Host` unless `headers` has one.
    pub(crate) async fn send(&mut self, request: &str, headers: &[(&str, &str)], body: &str) {
        let mut lines = vec![format!("{request} HTTP/1.1")];
        if headers.iter().all(|(name, _)| *name != "host") {
            lines.push(format!("host: {}", self.host));
        }
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !body.is_empty() {
            lines.push(format!("content-length: {}", body.len()));
        }
        self.write(format!("{}\r\n\r\n{body}", lines.join("\r\n")).as_bytes()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // The server may have refused and closed already; its answer tells.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Writes all of it, as a client does that takes a broken pipe for an error.
    pub(crate) async fn write_whole(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server hung up on a client that was still sending");
    }

    /// Status and headers of the next response.
    pub(crate) async fn head(&mut self) -> Response {
        let end = self.find(b"\r\n\r\n").await.expect("connection closed before a response");
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let response = Response { status, head, body: String::new() };
        self.chunked = response.header("transfer-encoding") == Some("chunked");
        response
    }

    /// The next response with its body.
    pub(crate) async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        if self.chunked {
            while let Some(chunk) = self.chunk().await {
                response.body += &chunk;
            }
        } else {
            let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
            while self.buffer.len() < length {
                assert!(self.read().await, "body cut off");
            }
            response.body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        }
        response
    }

    /// The next event of a `text/event-stream`, comments skipped; none at its end.
    pub(crate) async fn event(&mut self) -> Option<SseEvent> {
        assert!(self.chunked, "not a stream");
        loop {
            // The server sends whole events in each chunk, several at times; they are split by putting the
            // rest back.
            let chunk = self.chunk().await?;
            let (first, rest) = chunk.split_once("\n\n").unwrap_or_else(|| panic!("no event: {chunk:?}"));
            if !rest.is_empty() {
                let again = format!("{:x}\r\n{rest}\r\n", rest.len());
                self.buffer.splice(..0, again.into_bytes());
            }
            let field = |name: &str| {
                let prefix = format!("{name}:");
                first
                    .lines()
                    .find_map(|line| line.strip_prefix(prefix.as_str()))
                    .map(|value| value.trim().to_owned())
            };
            if let Some(data) = field("data") {
                return Some(SseEvent { id: field("id"), event: field("event").unwrap_or_default(), data });
            }
        }
    }

    async fn chunk(&mut self) -> Option<String> {
        let end = self.find(b"\r\n").await?;
        let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        while self.buffer.len() < length + 2 {
            if !self.read().await {
                return None;
            }
        }
        let chunk = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        self.buffer.drain(..2);
        (length > 0).then_some(chunk)
    }

    async fn find(&mut self, needle: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.buffer.windows(needle.len()).position(|window| window == needle) {
                return Some(at);
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// True until the server closes the connection.
    pub(crate) async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.buffer);
        let read = tokio::time::timeout(PATIENCE, read).await.expect("server is silent");
        read.is_ok_and(|bytes| bytes > 0)
    }

    /// Waits for the server to close the connection, and gives what it said before.
    pub(crate) async fn closed(self) -> String {
        String::from_utf8_lossy(&self.closed_bytes().await).into_owned()
    }

    /// The same where it need not be text.
    pub(crate) async fn closed_bytes(mut self) -> Vec<u8> {
        while self.read().await {}
        self.buffer
    }

    /// The next bytes, of whatever kind.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.read().await, "connection closed after {:?}", self.buffer);
        }
        self.buffer.drain(..count).collect()
    }

    /// Whether a 200 comes, rather than a refusal or nothing at all.
    pub(crate) async fn closed_or_ok(&mut self) -> bool {
        match self.find(b"\r\n").await {
            Some(_) => self.buffer.starts_with(b"HTTP/1.1 200 "),
            None => false,
        }
    }

    /// Gives back the memory of what was read.
    pub(crate) fn forget_buffer(&mut self) {
        assert!(self.buffer.is_empty());
        self.buffer = Vec::new();
    }
}
