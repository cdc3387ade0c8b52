//! Server-sent events as bytes, and the response that carries them. Must not depend on what the events mean.

use std::convert::Infallible;
use std::fmt::Write;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// A comment line: keeps proxies and clients from taking silence for death.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Appends one event to `out`. `data` must be one line, which serialized JSON is.
pub(super) fn frame(out: &mut String, id: Option<i64>, event: &str, data: &str) {
    if let Some(id) = id {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "id: {id}");
    }
    let _ = write!(out, "event: {event}\ndata: {data}\n\n");
}

/// A `text/event-stream` response that no proxy buffers or caches.
pub(super) fn response(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    use futures_util::StreamExt;
    let mut response = Response::new(Body::from_stream(chunks.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_framed_with_and_without_a_number() {
        let mut out = String::new();
        frame(&mut out, Some(7), "message", "{}");
        frame(&mut out, None, "endpoint", "/x");
        assert_eq!(out, "id: 7\nevent: message\ndata: {}\n\nevent: endpoint\ndata: /x\n\n");
    }
}
