//! MCP on standard input and output for a table on another machine: each message of the client is one POST, and what the server
//! answers is written as it comes. Keeps nothing but the version that was negotiated.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use rmcp::transport::{Transport, stdio_pipes};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::lines::{LineTransport, Output};
use super::serve::cancel_on_signal_or_parent_exit;
use crate::mcp::client::{MAX_ANSWER, Remote, RemoteError};

/// How long calls under way may go on after the end of the input.
const DRAIN: Duration = Duration::from_secs(2);
/// Pauses before a message is sent again that could not be sent at all, as while the server is started anew.
const AGAIN: [u64; 6] = [100, 200, 400, 800, 1_600, 3_200];
/// The first revision whose requests name their method and tool in headers too.
const NAMED_SINCE: &str = "2026-07-28";
const INTERNAL_ERROR: i32 = -32_603;

/// Serves one client on standard input and output as [`serve_stdio`](crate::mcp::serve_stdio) does, from a table on another
/// machine. **The caller must end the process right after.**
///
/// # Errors
/// If the signal handlers cannot be installed. A server that cannot be reached is told to the client, call by call.
pub async fn serve_remote(remote: Remote) -> io::Result<()> {
    let stop = CancellationToken::new();
    cancel_on_signal_or_parent_exit(stop.clone())?;
    let (input, output) = stdio_pipes();
    serve(remote, input, output, stop).await;
    Ok(())
}

async fn serve<R, W>(remote: Remote, input: R, output: W, stop: CancellationToken)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let mut lines = LineTransport::new(input, output, stop, || tokio::spawn(async {}));
    let bridge = Arc::new(Bridge { remote, output: lines.output(), version: Mutex::default() });
    let (mut under_way, mut by_id) = (JoinSet::new(), HashMap::<String, AbortHandle>::new());
    while let Some(message) = lines.receive().await {
        while under_way.try_join_next().is_some() {}
        by_id.retain(|_, task| !task.is_finished());
        let Ok(message) = serde_json::to_value(&message) else { continue };
        if message.get("method").is_some_and(|method| method == "notifications/cancelled") {
            let id = message.pointer("/params/requestId").map(Value::to_string).unwrap_or_default();
            if let Some(task) = by_id.remove(&id) {
                // Closes its connection, which the server takes for the cancellation that it is.
                task.abort();
            }
            continue;
        }
        let id = message.get("id").map(Value::to_string);
        let task = under_way.spawn(Arc::clone(&bridge).pass_on(message));
        by_id.extend(id.map(|id| (id, task)));
    }
    let drained = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

struct Bridge<W> {
    remote: Remote,
    output: Output<W>,
    /// The revision of MCP that the server has chosen.
    version: Mutex<Option<HeaderValue>>,
}

impl<W: AsyncWrite + Unpin + Send + 'static> Bridge<W> {
    /// Sends one message and writes what answers it.
    async fn pass_on(self: Arc<Self>, message: Value) {
        if let Err(error) = self.exchange(&message).await {
            tracing::warn!(%error, "a message was not answered");
            let Some(id) = message.get("id").filter(|_| message.get("method").is_some()) else { return };
            let next = match error {
                RemoteError::Unreachable { unsent: true, .. } => {
                    "; it was not sent: try again later, or tell your user"
                }
                RemoteError::Unreachable { .. } => {
                    "; whether it was done is not known: look first, or repeat it with the same idempotency_key"
                }
                _ => "",
            };
            let words = format!("{error}{next}");
            let error = json!({ "code": INTERNAL_ERROR, "message": words });
            self.write(json!({ "jsonrpc": "2.0", "id": id, "error": error })).await;
        }
    }

    async fn exchange(self: &Arc<Self>, message: &Value) -> Result<(), RemoteError> {
        let body = Bytes::from(message.to_string());
        let headers = self.headers(message);
        let mut pauses = AGAIN.iter();
        let response = loop {
            match (self.remote.post("/mcp", body.clone(), headers.clone()).await, pauses.next()) {
                (Err(RemoteError::Unreachable { unsent: true, .. }), Some(pause)) => {
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                }
                (answered, _) => break answered?,
            }
        };
        // In a task of its own: what the server has answered is written whole, though the client cancels the call just then.
        let (bridge, is_request) = (Arc::clone(self), message.get("id").is_some());
        let delivered = tokio::spawn(async move { bridge.deliver(response, is_request).await });
        delivered.await.unwrap_or(Ok(()))
    }

    /// Writes what a response holds.
    async fn deliver(&self, response: Response<Incoming>, is_request: bool) -> Result<(), RemoteError> {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if kind.starts_with(b"text/event-stream") {
            return self.events(response.into_body()).await;
        }
        let status = response.status();
        let body = self.remote.read(response).await?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(answer) if answer.get("jsonrpc").is_some() => {
                self.note_version(&answer);
                self.write(answer).await;
                Ok(())
            }
            _ if status.is_success() && !is_request => Ok(()),
            _ => Err(self.remote.refused(status, &body)),
        }
    }

    /// Writes the messages of an event stream as they come: progress, then the answer.
    async fn events(&self, mut body: Incoming) -> Result<(), RemoteError> {
        let mut buffer = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.remote.unreachable(&error, false))?;
            let Some(data) = frame.data_ref() else { continue };
            buffer.extend_from_slice(data);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                if let Some(Ok(message)) = line.strip_prefix(b"data:").map(serde_json::from_slice::<Value>) {
                    self.write(message).await;
                }
            }
            if buffer.len() > MAX_ANSWER {
                return Err(RemoteError::Unreachable {
                    address: self.remote.address().to_owned(),
                    reason: "the answer is too long".into(),
                    unsent: false,
                });
            }
        }
        Ok(())
    }

    /// What HTTP wants to know of a message besides its body.
    fn headers(&self, message: &Value) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let text = |at: &str| message.pointer(at).and_then(Value::as_str);
        let of_request = text("/params/_meta/io.modelcontextprotocol~1protocolVersion");
        let version = of_request.and_then(|version| HeaderValue::from_str(version).ok());
        let Some(version) = version.or_else(|| self.version.lock().clone()) else { return headers };
        if version.to_str().is_ok_and(|version| version >= NAMED_SINCE) {
            let named =
                [("mcp-method", text("/method")), ("mcp-name", text("/params/name").or(text("/params/uri")))];
            for (header, value) in named {
                if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                    headers.insert(HeaderName::from_static(header), value);
                }
            }
        }
        headers.insert(HeaderName::from_static("mcp-protocol-version"), version);
        headers
    }

    fn note_version(&self, answer: &Value) {
        let version = answer.pointer("/result/protocolVersion").and_then(Value::as_str);
        if let Some(Ok(version)) = version.map(HeaderValue::from_str) {
            *self.version.lock() = Some(version);
        }
    }

    async fn write(&self, message: Value) {
        // A client that is gone is found by the reading side.
        let _ = self.output.clone().write(message).await;
    }
}
