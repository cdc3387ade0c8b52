//! A client of a table on another machine: requests that bring an agent's token, over connections that are kept. Must not depend
//! on what the requests mean.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::mcp::http::read_chain;

/// The largest answer that is read, in bytes. The longest of a tool is far below.
pub(super) const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// How long a connection may take to be opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take besides what the server waits for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is not used for so long is closed. The server closes it after a minute.
const IDLE: Duration = Duration::from_secs(30);
/// A connection on which nothing comes is probed after so long, so that a machine that is gone is found.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Why a table on another machine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address is none.
    #[error(
        "{0:?} is no address of a table: use https://HOST:PORT, or http:// on this machine or a private network"
    )]
    Address(String),
    /// The authority's certificate cannot be used.
    #[error("the certificate {path} cannot be used: {reason}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or one that broke.
    #[error("the table at {address} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// The words of the system or of TLS.
        reason: String,
        /// Nothing was sent.
        unsent: bool,
    },
    /// The token is not valid there.
    #[error(
        "the table at {0} does not know this token: ask its operator for a new one (team-table agent rotate-token NAME)"
    )]
    Token(String),
    /// Another answer than the one asked for.
    #[error("the table at {address} answered {status}: {words}")]
    Refused {
        /// Where it is.
        address: String,
        /// The status.
        status: StatusCode,
        /// The first line of the answer.
        words: String,
    },
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Whether what was asked for was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Whether there is nothing of that name, or it is for others.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(
            self.status,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED
        )
    }

    /// As an error: the status and the first line.
    #[must_use]
    pub fn unexpected(&self, table: &Remote) -> RemoteError {
        table.unexpected(self.status, &self.body)
    }
}

/// A table on another machine, as an agent or a person sees it.
#[derive(Clone)]
pub struct Remote {
    client: Connections,
    address: Arc<str>,
    token: HeaderValue,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Remote {
    /// A client of the table at `address` with an agent's token; connects to nothing yet. `authority`: who vouches for the
    /// server's certificate, in place of the system's authorities, PEM.
    ///
    /// # Errors
    /// An address or certificate that cannot be used.
    pub fn new(address: &str, token: &str, authority: Option<&Path>) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Address(address.to_owned());
        let address = address.trim_end_matches('/');
        let parsed: Uri = address.parse().map_err(|_| wrong())?;
        let scheme = parsed.scheme_str();
        if !matches!(scheme, Some("http" | "https"))
            || parsed.authority().is_none()
            || parsed.query().is_some()
        {
            return Err(wrong());
        }
        let mut token = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| RemoteError::Token(address.to_owned()))?;
        token.set_sensitive(true);
        let client = connections(scheme == Some("https"), authority)?;
        Ok(Self { client, address: address.into(), token })
    }

    /// Where the table is.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks a question of a route that answers with JSON. `waits`: how long the server may wait before it answers.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        question: &Q,
        waits: Duration,
    ) -> Result<A, RemoteError> {
        let body = serde_json::to_vec(question).unwrap_or_default();
        let answer = self.exchange(self.post(path, body.into(), HeaderMap::new()), waits).await?;
        if answer.is_success()
            && let Ok(answer) = serde_json::from_slice(&answer.body)
        {
            return Ok(answer);
        }
        Err(self.refused(answer.status, &answer.body))
    }

    /// Asks with a JSON body, or by `GET` without one; the answer as it came, whatever its status.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn answer(&self, path: &str, body: Option<Vec<u8>>) -> Result<Answer, RemoteError> {
        let request = match body {
            Some(body) => self.send(Method::POST, path, body.into(), HeaderMap::new()),
            None => self.send(Method::GET, path, Bytes::new(), HeaderMap::new()),
        };
        self.exchange(request, Duration::ZERO).await
    }

    async fn exchange(
        &self,
        request: impl Future<Output = Result<Response<Incoming>, RemoteError>>,
        waits: Duration,
    ) -> Result<Answer, RemoteError> {
        let exchange = async {
            let response = request.await?;
            Ok(Answer { status: response.status(), body: self.read(response).await? })
        };
        let silent = |_| RemoteError::Unreachable {
            address: self.address.to_string(),
            reason: "it does not answer".into(),
            unsent: false,
        };
        tokio::time::timeout(waits + ANSWER_TIMEOUT, exchange).await.map_err(silent)?
    }

    pub(super) async fn post(
        &self,
        path: &str,
        body: Bytes,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, RemoteError> {
        self.send(Method::POST, path, body, headers).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, RemoteError> {
        let address = || RemoteError::Address(self.address.to_string());
        let request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        let mut request = request.body(Full::new(body)).map_err(|_| address())?;
        let own = request.headers_mut();
        *own = headers;
        own.insert(AUTHORIZATION, self.token.clone());
        own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        own.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.client.request(request).await.map_err(|error| self.unreachable(&error, error.is_connect()))
    }

    pub(super) async fn read(&self, response: Response<Incoming>) -> Result<Bytes, RemoteError> {
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| self.unreachable(&*error, false))
    }

    pub(super) fn unreachable(&self, error: &dyn std::error::Error, unsent: bool) -> RemoteError {
        let mut reason = deepest(error);
        if reason.contains("invalid peer certificate") {
            reason.push_str("; --ca FILE of team-table setup or person sign-in names who vouches for it");
        }
        RemoteError::Unreachable { address: self.address.to_string(), reason, unsent }
    }

    pub(super) fn refused(&self, status: StatusCode, body: &[u8]) -> RemoteError {
        if status == StatusCode::UNAUTHORIZED {
            return RemoteError::Token(self.address.to_string());
        }
        self.unexpected(status, body)
    }

    fn unexpected(&self, status: StatusCode, body: &[u8]) -> RemoteError {
        let words =
            String::from_utf8_lossy(body).lines().next().unwrap_or_default().chars().take(200).collect();
        RemoteError::Refused { address: self.address.to_string(), status, words }
    }
}

/// The first error says only that a request failed; why, the last of its sources.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

pub(super) type Connections = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections that are kept; none is opened yet. `authority`: as for [`Remote::new`].
pub(super) fn connections(secure: bool, authority: Option<&Path>) -> Result<Connections, RemoteError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEP_ALIVE));
    http.set_keepalive_interval(Some(KEEP_ALIVE / 2));
    http.set_keepalive_retries(Some(3));
    let roots = if secure { roots(authority)? } else { RootCertStore::empty() };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate(Path::new("of the system"), &error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(https))
}

fn certificate(path: &Path, reason: &dyn std::fmt::Display) -> RemoteError {
    RemoteError::Certificate { path: path.display().to_string(), reason: reason.to_string() }
}

fn roots(authority: Option<&Path>) -> Result<RootCertStore, RemoteError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = authority else {
        // A certificate of the system that cannot be read vouches for nobody; the others do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    // The one that was named, and no other.
    for one in read_chain(path).map_err(|reason| certificate(path, &reason))? {
        roots.add(one).map_err(|error| certificate(path, &error))?;
    }
    Ok(roots)
}
