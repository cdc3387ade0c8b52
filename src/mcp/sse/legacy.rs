//! The HTTP+SSE transport of MCP 2024-11-05, which clients still register with `--transport sse`: `GET /sse`
//! opens a stream whose first event names where to post, `POST /messages?session_id=…` takes requests, the
//! stream carries the replies. A session is the open `GET` and dies with it; it proves nothing about who
//! posts.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use rmcp::RoleServer;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::{RunningService, TxJsonRpcMessage, serve_directly};
use rmcp::transport::Transport;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frame;
use super::sessions::Session;
use crate::mcp::http::{App, Counted, is_json, refusal};
use crate::mcp::protocol::{Caller, Decoded, Server, decode, decode_value};

/// Posted messages a session holds before its service has looked at them; it looks at once.
const INBOX: usize = 64;

/// Replies a session holds for a client that does not read. One more and the session is closed.
const OUTBOX: usize = 256;

/// `GET /sse`.
pub(crate) async fn open(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Response {
    let (inbox, received) = mpsc::channel(INBOX);
    let session = Session { inbox, bearer: caller.bearer.as_deref().map(hash), last_post: Instant::now() };
    let Some(id) = app.sessions.insert(session, app.options.limits.sse_sessions) else {
        return busy("too many sessions");
    };
    let counted = Counted::new(&app.counters.sse_sessions);
    let (replies, outbox) = mpsc::channel(OUTBOX);
    let stop = app.closing.child_token();
    let transport = SessionTransport { received, replies: Some(replies), stop: stop.clone() };
    let stream = SessionStream {
        first: Some(endpoint(&app.options.path_prefix, &id)),
        outbox,
        stop,
        keep_alive: app.options.limits.keep_alive,
        idle: app.options.limits.sse_idle,
        // Without a handshake: after a restart the TypeScript client reconnects and calls, and never
        // initializes.
        _service: serve_directly(app.sse_server.for_connection(), transport, None),
        _counted: counted,
        id,
        app: Arc::clone(&app),
    };
    frame::response(futures_util::stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((chunk, stream))
    }))
}

fn endpoint(prefix: &str, id: &str) -> Bytes {
    let mut frame = String::new();
    frame::frame(&mut frame, None, "endpoint", &format!("{prefix}/messages?session_id={id}"));
    frame.into()
}

/// The query of `POST /messages`.
#[derive(Deserialize)]
pub(crate) struct Target {
    session_id: Option<String>,
}

/// `POST /messages?session_id=…`.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    target: Result<Query<Target>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(id) = target.ok().and_then(|Query(target)| target.session_id) else {
        return refusal(StatusCode::BAD_REQUEST, "session_id is missing");
    };
    if !is_json(&headers) {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json");
    }
    let mut sessions = app.sessions.lock();
    let Some(session) = sessions.get_mut(&id) else {
        return refusal(StatusCode::NOT_FOUND, "unknown session");
    };
    // The id alone does not authorise a session that was opened with a token: the same token is needed. (blake3's
    // comparison takes constant time.)
    if session.bearer.is_some() && session.bearer != caller.bearer.as_deref().map(hash) {
        return refusal(StatusCode::FORBIDDEN, "this session was opened with another token");
    }
    session.last_post = Instant::now();
    let inbox = session.inbox.clone();
    drop(sessions);
    let read = match decode(&body) {
        Decoded::Batch(items) => items.into_iter().map(decode_value).collect(),
        one => vec![one],
    };
    let (mut messages, mut errors) = (Vec::new(), Vec::new());
    for part in read {
        match part {
            Decoded::Message(message) => messages.push(message),
            Decoded::Refused(error) => errors.push(error),
            Decoded::Nothing | Decoded::Batch(_) => {}
        }
    }
    match inbox.try_reserve_many(messages.len()) {
        Ok(places) => {
            for (place, mut message) in places.zip(messages) {
                message.insert_extension(caller.clone());
                place.send(*message);
            }
        }
        Err(mpsc::error::TrySendError::Full(())) => {
            return busy("this session has too many messages waiting");
        }
        Err(mpsc::error::TrySendError::Closed(())) => {
            return refusal(StatusCode::NOT_FOUND, "unknown session");
        }
    }
    match <[Value; 1]>::try_from(errors) {
        Ok([error]) => (StatusCode::BAD_REQUEST, axum::Json(error)).into_response(),
        Err(none) if none.is_empty() => accepted(),
        Err(errors) => (StatusCode::BAD_REQUEST, axum::Json(errors)).into_response(),
    }
}

fn accepted() -> Response {
    refusal(StatusCode::ACCEPTED, "Accepted")
}

fn busy(line: &'static str) -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, line);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn hash(token: &str) -> blake3::Hash {
    blake3::hash(token.as_bytes())
}

/// The body of the `GET`. Dropping it, which a lost connection does, ends the service and frees the session.
struct SessionStream {
    id: String,
    app: Arc<App>,
    first: Option<Bytes>,
    outbox: mpsc::Receiver<Bytes>,
    stop: CancellationToken,
    keep_alive: Duration,
    idle: Duration,
    _service: RunningService<RoleServer, Server>,
    _counted: Counted,
}

impl SessionStream {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        tokio::select! {
            // Ends when the service has closed its transport: after `stop`, once replies under way are in the
            // outbox.
            chunk = self.outbox.recv() => chunk,
            () = tokio::time::sleep(self.keep_alive) => {
                if self.app.sessions.last_post(&self.id)?.elapsed() >= self.idle {
                    self.stop.cancel();
                }
                Some(frame::COMMENT)
            }
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.app.sessions.lock().remove(&self.id);
    }
}

/// rmcp's view of a session.
struct SessionTransport {
    received: mpsc::Receiver<ClientJsonRpcMessage>,
    replies: Option<mpsc::Sender<Bytes>>,
    stop: CancellationToken,
}

/// A reply could not be handed to the session's stream.
#[derive(Debug, thiserror::Error)]
#[error("the client does not read its replies")]
struct SlowClientError;

impl Transport<RoleServer> for SessionTransport {
    type Error = SlowClientError;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), SlowClientError>> + Send + 'static {
        let (replies, stop) = (self.replies.clone(), self.stop.clone());
        async move {
            let data = serde_json::to_string(&message).map_err(|_| SlowClientError)?;
            let mut frame = String::with_capacity(data.len() + 32);
            frame::frame(&mut frame, None, "message", &data);
            let sent = replies.and_then(|replies| replies.try_send(frame.into()).ok());
            sent.ok_or_else(|| {
                stop.cancel();
                SlowClientError
            })
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            message = self.received.recv() => message,
        }
    }

    async fn close(&mut self) -> Result<(), SlowClientError> {
        self.replies = None;
        Ok(())
    }
}
