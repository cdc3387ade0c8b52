//! One document from an address that the user names, such as the `release.json` of `upgrade --check`. Must not depend on what is in it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, LOCATION};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::mcp::client::{connections, deepest};

/// How long it may take in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Hosts of releases redirect to where they keep their files.
const MAX_REDIRECTS: usize = 5;

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("{0:?} is no address: use https://… or http://…")]
    Address(String),
    /// No connection, or one that broke.
    #[error("it cannot be fetched: {0}")]
    Unreachable(String),
    /// The server has another answer.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// It redirects to where it must not lead.
    #[error("it redirects {0}")]
    Redirect(String),
    /// More than was wanted.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
}

/// The body behind an address, of at most so many bytes. Sends nothing of the user's.
///
/// # Errors
/// See [`FetchError`].
pub async fn fetch_document(address: &str, most: usize) -> Result<Bytes, FetchError> {
    let silent = |_| FetchError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, follow(address, most)).await.map_err(silent)?
}

async fn follow(address: &str, most: usize) -> Result<Bytes, FetchError> {
    let mut place = parse(address)?;
    for _ in 0..=MAX_REDIRECTS {
        let response = get(&place).await?;
        if !response.status().is_redirection() {
            return read(response, most).await;
        }
        let next = next(&place, &response)?;
        if place.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
            return Err(FetchError::Redirect(format!("from https to {next}")));
        }
        place = next;
    }
    Err(FetchError::Redirect(format!("more than {MAX_REDIRECTS} times")))
}

async fn get(place: &Uri) -> Result<Response<Incoming>, FetchError> {
    let unreachable = |error: &dyn std::error::Error| FetchError::Unreachable(deepest(error));
    let client =
        connections(place.scheme_str() == Some("https"), None).map_err(|error| unreachable(&error))?;
    let request = Request::get(place).header(ACCEPT, "application/json, */*").body(Full::default());
    let request = request.map_err(|_| FetchError::Address(place.to_string()))?;
    client.request(request).await.map_err(|error| unreachable(&error))
}

async fn read(response: Response<Incoming>, most: usize) -> Result<Bytes, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    match Limited::new(response.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong(most)),
        Err(error) => Err(FetchError::Unreachable(deepest(&*error))),
    }
}

/// Where a redirect leads: to another address, or to another path of the same server.
fn next(place: &Uri, response: &Response<Incoming>) -> Result<Uri, FetchError> {
    let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let target = target.ok_or_else(|| FetchError::Redirect("without saying where to".into()))?;
    match (place.scheme_str(), place.authority()) {
        (Some(scheme), Some(authority)) if target.starts_with('/') && !target.starts_with("//") => {
            parse(&format!("{scheme}://{authority}{target}"))
        }
        _ => parse(target),
    }
}

fn parse(address: &str) -> Result<Uri, FetchError> {
    let parsed = address.parse::<Uri>().ok();
    let web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
    parsed.filter(web).ok_or_else(|| FetchError::Address(address.to_owned()))
}
