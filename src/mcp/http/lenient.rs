//! What clients and proxies send that rmcp's service would not take, made into what it takes: paths with a prefix or a
//! trailing slash, `Accept` with wildcards, batches, half of a surrogate pair. And its refusals made into JSON-RPC
//! errors. Must not depend on what a request asks for.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::Value;

use super::state::refusal;
use crate::mcp::protocol::{Decoded, decode, decode_value, without_lone_surrogates};

/// The two kinds of answer that a request to `/mcp` can get.
const BOTH: &str = "application/json, text/event-stream";

/// The last revision with batches.
const BATCHES_UNTIL: &str = "2025-03-26";

/// A request as if it had come without the prefix and without a slash at its end.
pub(super) fn plain_path<B>(mut request: http::Request<B>, prefix: &str) -> http::Request<B> {
    let path = request.uri().path();
    let inner =
        path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
    let plain = match inner.trim_end_matches('/') {
        "" => "/",
        plain => plain,
    };
    if plain != path {
        let whole = match request.uri().query() {
            Some(query) => format!("{plain}?{query}"),
            None => plain.to_owned(),
        };
        let mut parts = request.uri().clone().into_parts();
        if let Ok(whole) = whole.parse() {
            parts.path_and_query = Some(whole);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

/// The layer around rmcp's service; `guard` has taken the body in.
pub(super) async fn front(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if takes_both(&parts.headers) {
        parts.headers.insert(ACCEPT, HeaderValue::from_static(BOTH));
    }
    // It is in memory already.
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return refusal(StatusCode::BAD_REQUEST, "the body is broken");
    };
    let mut response = next.clone().run(with_body(parts.clone(), body.clone())).await;
    if is_stream(&response) {
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    match response.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE if is_json(&parts.headers) => untaken(parts, &body, next).await,
        // rmcp's own words quote our parser and our types.
        status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            refusal(status, "a POST is one JSON-RPC message in application/json")
        }
        status @ StatusCode::INTERNAL_SERVER_ERROR => refusal(status, "internal error"),
        _ => response,
    }
}

/// Answers a body that rmcp could not read as a message.
async fn untaken(parts: Parts, body: &Bytes, next: Next) -> Response {
    match decode(body) {
        Decoded::Message(_) => match without_lone_surrogates(body) {
            Some(text) => next.run(with_body(parts, text.into())).await,
            None => refusal(StatusCode::BAD_REQUEST, "this message cannot be read"),
        },
        Decoded::Nothing => StatusCode::ACCEPTED.into_response(),
        Decoded::Refused(error) => (StatusCode::BAD_REQUEST, axum::Json(error)).into_response(),
        Decoded::Batch(items) => batch(parts, items, next).await,
    }
}

/// One after the other, as a client that sends them in this order would see them done.
async fn batch(parts: Parts, items: Vec<Value>, next: Next) -> Response {
    let version = parts.headers.get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    if version.is_some_and(|version| version > BATCHES_UNTIL) {
        let error = crate::mcp::protocol::no_batches();
        return (StatusCode::BAD_REQUEST, axum::Json(error)).into_response();
    }
    let mut answers = Vec::new();
    for item in items {
        match decode_value(item) {
            Decoded::Message(message) => {
                let Ok(text) = serde_json::to_vec(&message) else { continue };
                let response = next.clone().run(with_body(parts.clone(), text.into())).await;
                answers.extend(answer_in(response).await);
            }
            Decoded::Refused(error) => answers.push(error),
            Decoded::Nothing | Decoded::Batch(_) => {}
        }
    }
    if answers.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    axum::Json(answers).into_response()
}

/// The JSON-RPC answer in a response of rmcp's: its body, or the last event of a stream that told progress first.
async fn answer_in(response: Response) -> Option<Value> {
    let streamed = is_stream(&response);
    let body = response.into_body().collect().await.ok()?.to_bytes();
    if !streamed {
        return serde_json::from_slice(&body).ok();
    }
    let data = std::str::from_utf8(&body).ok()?.lines().rev().find_map(|line| line.strip_prefix("data:"))?;
    serde_json::from_str(data).ok()
}

fn is_stream(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}

fn with_body(mut parts: Parts, body: Bytes) -> Request {
    parts.headers.remove(CONTENT_LENGTH);
    Request::from_parts(parts, Body::from(body))
}

/// Whether a client takes both kinds of answer, by name or by wildcard; one that says nothing takes anything.
fn takes_both(headers: &HeaderMap) -> bool {
    let ranges: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .collect();
    let takes = |kind: &str, of: &str| {
        ranges.iter().any(|range| ["*/*", kind, of].iter().any(|taken| range.eq_ignore_ascii_case(taken)))
    };
    ranges.is_empty() || (takes("application/json", "application/*") && takes("text/event-stream", "text/*"))
}

/// Whether a body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_and_a_slash_at_the_end_are_left_out_and_nothing_else() {
        let plain = |uri: &str, prefix: &str| {
            plain_path(http::Request::get(uri).body(()).unwrap(), prefix).uri().to_string()
        };
        assert_eq!(plain("/team/mcp", "/team"), "/mcp");
        assert_eq!(plain("/team/messages/?session_id=a", "/team"), "/messages?session_id=a");
        assert_eq!(plain("/mcp/", ""), "/mcp");
        assert_eq!(plain("/team", "/team"), "/");
        assert_eq!(plain("/teams/mcp", "/team"), "/teams/mcp", "another path that begins alike");
        assert_eq!(plain("/mcp?a=/", "/team"), "/mcp?a=/");
        assert_eq!(plain("http://localhost/team/events/bob/", "/team"), "http://localhost/events/bob");
    }

    #[test]
    fn wildcards_name_both_kinds_of_answer() {
        let both = |accept: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            takes_both(&headers)
        };
        for accept in
            [&[][..], &["*/*"], &["application/*, text/*"], &["application/json", "*/*;q=0.1"], &[BOTH]]
        {
            assert!(both(accept), "{accept:?}");
        }
        for accept in [&["application/json"][..], &["text/*"], &["image/png"]] {
            assert!(!both(accept), "{accept:?}");
        }
    }
}
