//! The routes of the console, what they share, and what every response carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::frame::{PageError, Vitals};
use super::live::{self, Live};
use super::passkeys::{self, Challenges};
use super::policies::{self, PolicyFiles};
use super::trials::{self, Trials};
use super::visitor::Visitor;
use super::{assets, board, data, health, needs, people, search, tasks, threads, visitor};
use crate::domain::clock::{Clock, Millis};
use crate::domain::origin;
use crate::domain::person::Actor;
use crate::domain::refusal::{Code, Refusal};
use crate::events::Hub;
use crate::storage::{self, Db, ReadTx, WriteTx};
use crate::tools::Table;

/// What a page may load, and who may frame it: only our own files, nobody. There is no inline script or style.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                              form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Of the four connections that read, the pages take two at most.
const READS: usize = 2;

/// How the console is served.
#[derive(Debug, Clone)]
pub struct ConsoleOptions {
    /// What stands before every address of the console, such as `/console` or `/team/console`.
    pub base: String,
    /// Whether browsers reach it by TLS.
    pub secure: bool,
    /// Where the time comes from.
    pub clock: Clock,
    /// The policies, for changing them.
    pub policies: PolicyFiles,
    /// Ends the event streams when the server stops.
    pub closing: CancellationToken,
}

/// What the routes share.
#[derive(Clone)]
pub(super) struct Console {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) db: Db,
    pub(super) hub: Hub,
    pub(super) table: Table,
    pub(super) options: ConsoleOptions,
    /// Reads at once, so that the pages leave connections to the agents' calls.
    reading: Semaphore,
    /// The name of the session's cookie: cookies are kept by host and not by port, and two tables may be served on one.
    pub(super) cookie: String,
    pub(super) live: Live,
    pub(super) trials: Trials,
    /// Challenges to authenticators that wait for an answer.
    pub(super) challenges: Challenges,
}

impl std::ops::Deref for Console {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Console {
    /// The address of something below the console.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.options.base)
    }

    /// What this process knows of itself.
    pub(super) fn vitals(&self) -> Vitals {
        Vitals { waiting: self.hub.waiting(), pages: self.live.pages(), slowest: self.table.slowest() }
    }

    /// Reads at one moment, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&ReadTx<'_>, Millis) -> storage::Result<T> + Send + 'static,
    ) -> Result<T, PageError> {
        // Never closed, so there is always a permit in the end.
        let _place = self.reading.acquire().await;
        let console = self.clone();
        let read = move || console.db.read(|tx| job(tx, console.db.now_in(tx, &console.options.clock)?));
        Ok(tokio::task::spawn_blocking(read).await.map_err(|error| PageError::broken(&error))??)
    }

    /// Makes one change as a person, who is looked up again in the transaction that makes it: a session that has ended meanwhile,
    /// and a role that was taken away, change nothing.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        visitor: &Visitor,
        job: impl FnOnce(&WriteTx<'_>, &Actor, Millis) -> storage::Result<T> + Send + 'static,
    ) -> Result<T, PageError> {
        let secret = visitor.secret;
        self.write(move |tx, now| {
            let (person, _) = tx.person_by_session(&secret, now)?.ok_or_else(|| {
                Refusal::new(
                    Code::Unauthenticated,
                    "your session has ended; nothing was changed",
                    "sign in again",
                )
            })?;
            job(tx, &Actor::Person(person), now)
        })
        .await
    }

    /// Makes one change, on a thread that may block.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTx<'_>, Millis) -> storage::Result<T> + Send + 'static,
    ) -> Result<T, PageError> {
        let console = self.clone();
        let write = move || {
            let now = console.db.now(&console.options.clock);
            console.db.write(move |tx| job(tx, now))
        };
        let written =
            tokio::task::spawn_blocking(write).await.map_err(|error| PageError::broken(&error))??;
        self.live.wrote();
        Ok(written)
    }
}

/// The console of one table, to be served at `options.base`.
pub fn router(table: &Table, options: ConsoleOptions) -> Router {
    let (table, db, hub) = (table.clone(), table.db().clone(), table.hub());
    let place = std::path::absolute(db.path()).unwrap_or_else(|_| db.path().to_owned());
    let digest = blake3::hash(place.as_os_str().as_encoded_bytes()).to_hex();
    let cookie = format!("tt-{}", digest.chars().take(8).collect::<String>());
    let console = Console {
        inner: Arc::new(Inner {
            live: Live::default(),
            challenges: Challenges::default(),
            reading: Semaphore::new(READS),
            trials: Trials::default(),
            db,
            hub,
            table,
            options,
            cookie,
        }),
    };
    let signed_in = Router::new()
        .route("/", get(live::page))
        .route("/needs/{id}", get(live::page).post(needs::decide))
        .route("/needs", post(needs::decide_several))
        .route("/tasks", post(board::create))
        .route("/tasks/{id}/{what}", post(tasks::change))
        .route("/messages", post(threads::write))
        .route("/health/verify", post(health::verify))
        .route("/policies/{name}/{action}", post(policies::act))
        .route("/trials/{id}/stop", post(trials::stop))
        .route("/search", get(search::page))
        .route("/passkeys/begin", post(passkeys::begin))
        .route("/passkeys/finish", post(passkeys::finish))
        .route("/passkeys/{id}/remove", post(passkeys::remove))
        .route("/people/sessions/{id}/revoke", post(people::revoke))
        .route("/sign-out", post(visitor::sign_out))
        .route("/live", get(live::stream))
        .fallback(get(live::page))
        .layer(from_fn_with_state(console.clone(), visitor::admit));
    let open = Router::new()
        .route("/join/{code}", get(visitor::invited))
        .route("/join", post(visitor::join))
        .route("/sign-in/begin", post(passkeys::begin_sign_in))
        .route("/sign-in/finish", post(passkeys::finish_sign_in))
        .route("/assets/{digest}/{name}", get(assets::asset))
        .nest("/data", data::routes(&console));
    open.merge(signed_in)
        .layer(DefaultBodyLimit::max(1 << 20))
        .layer(from_fn(same_origin))
        .layer(from_fn_with_state(console.clone(), finish))
        .with_state(console)
}

/// Refuses what a page of another site sends (CSRF): a request that may change something carries the `Origin` that is this
/// server's own, or a session in `Authorization`, which no page can send by itself. Cookies alone are sent by any page of
/// this host, whatever its port.
async fn same_origin(request: Request, next: Next) -> Response {
    let safe = request.method().is_safe();
    if safe || visitor::bearer(request.headers()).is_some() || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    PageError::refused(
        StatusCode::FORBIDDEN,
        Refusal::new(
            Code::PermissionDenied,
            "this form was sent by another page",
            "open the console itself and send it from there",
        ),
    )
    .into_response()
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = text("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let (Some(origin), Some(host)) = (text("origin"), text("host")) else { return false };
    !foreign && origin::is_own(origin, host)
}

/// The headers of every response, and the page for errors that know no console.
async fn finish(State(console): State<Console>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<PageError>() {
        response = error.page(&console.options.base);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
