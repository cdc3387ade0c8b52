//! Who looks at a page: the session behind the cookie, how it begins and how it ends.
//!
//! ```text
//! t0  an operator runs `team-table person invite anna …`    a link; its code is stored as a hash, for 15 minutes
//! t1  anna opens the link (GET)                              nothing changes: programs that look at links use none up
//! t2  anna presses the button (POST)                         the link is used up, a new secret goes into the cookie
//! t3  every page                                             the secret's hash is looked up; 30 days after the last use it ends
//! ```

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, COOKIE, LOCATION, ORIGIN, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::html;

use super::form::Form;
use super::frame::{self, PageError};
use super::passkeys;
use super::server::Console;
use super::words;
use crate::auth::{Secret, secret_hash};
use crate::domain::clock::{DAY, Millis};
use crate::domain::person::{Actor, Person, SEEN_EVERY, SESSION_LASTS};
use crate::domain::refusal::{Code, Refusal};

/// The cookie's age in seconds: as long as the session behind it.
const COOKIE_AGE: Millis = SESSION_LASTS / DAY * 86_400;

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// Who.
    pub(super) person: Person,
    /// The session's number.
    pub(super) session: i64,
    /// The secret's hash: what a stream looks up again.
    pub(super) secret: [u8; 32],
}

impl Visitor {
    /// The actor that this visitor is.
    pub(super) fn actor(&self) -> Actor {
        Actor::Person(self.person.clone())
    }
}

/// The session that a request brings in `Authorization`, as command lines do.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// The session's cookie, and whether it came under the name that only this host can set. That one counts before the plain one,
/// which pages of other ports and names can set, too; where browsers come by TLS the plain one does not count at all.
fn cookie_of<'a>(console: &Console, headers: &'a HeaderMap) -> Option<(bool, &'a str)> {
    let find = |wanted: &str| {
        let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let host_only = find(&format!("__Host-{}", console.cookie)).map(|value| (true, value));
    let plain = || find(&console.cookie).map(|value| (false, value));
    host_only.or_else(|| if console.options.secure { None } else { plain() })
}

fn hash_of(console: &Console, headers: &HeaderMap) -> Option<[u8; 32]> {
    bearer(headers).or_else(|| cookie_of(console, headers).map(|(_, secret)| secret)).map(secret_hash)
}

/// Lets requests with a session through, with their [`Visitor`]; others get the page that says how to sign in.
pub(super) async fn admit(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    match look_up(&console, request.headers()).await {
        Ok(Some((visitor, renew))) => {
            let cookie = renew.then(|| renewed(&console, request.headers())).flatten();
            request.extensions_mut().insert(visitor);
            let mut response = next.run(request).await;
            if let Some(cookie) = cookie {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Ok(None) => signed_out(&console),
        Err(error) => error.into_response(),
    }
}

/// The visitor, and whether the session was not used for so long that its time was written anew.
pub(super) async fn look_up(
    console: &Console,
    headers: &HeaderMap,
) -> Result<Option<(Visitor, bool)>, PageError> {
    let Some(secret) = hash_of(console, headers) else { return Ok(None) };
    let found = console
        .read(move |tx, now| Ok(tx.person_by_session(&secret, now)?.map(|found| (found, now))))
        .await?;
    let Some(((person, session), now)) = found else { return Ok(None) };
    let old = session.seen_at <= now - SEEN_EVERY;
    if old {
        console.write(move |tx, now| tx.touch_session(session.id, now)).await?;
    }
    Ok(Some((Visitor { person, session: session.id, secret }, old)))
}

/// The same cookie again, for another 30 days.
fn renewed(console: &Console, headers: &HeaderMap) -> Option<HeaderValue> {
    // Under the name it came by: a request that only looks does not say by which way the browser came.
    let (host_only, secret) = cookie_of(console, headers)?;
    cookie(console, host_only, secret, COOKIE_AGE)
}

/// Whether the browser came by TLS. Behind a proxy only it knows: what it says of itself in `Origin` concerns its own cookie.
fn is_secure(console: &Console, headers: &HeaderMap) -> bool {
    let by_proxy = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    console.options.secure || by_proxy
}

fn cookie(console: &Console, secure: bool, secret: &str, age: Millis) -> Option<HeaderValue> {
    let name = &console.cookie;
    let base = &console.options.base;
    // `__Host-` promises the browser that no other host has set it; it demands the path `/`.
    let text = if secure {
        format!("__Host-{name}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict; Secure")
    } else {
        format!("{name}={secret}; Path={base}; Max-Age={age}; HttpOnly; SameSite=Strict")
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The page for those without a session.
fn signed_out(console: &Console) -> Response {
    let page = frame::card(
        &console.options.base,
        "Sign in",
        &html! {
            h1 { "Sign in" }
            (passkeys::sign_in_form(console))
            p { "You need a link that works once. On the machine of the table, this command opens one:" }
            pre.code { "team-table console" }
            p { "Elsewhere, an operator of the table makes one for you:" }
            pre.code { "team-table person invite NAME --role approver --agents AGENT" }
        },
    );
    (StatusCode::UNAUTHORIZED, page).into_response()
}

fn no_such_link(console: &Console) -> Response {
    let page = frame::card(
        &console.options.base,
        "Link not valid",
        &html! {
            h1 { "This link is not valid (any more)" }
            p { "A link works once, within 15 minutes. Ask for another one, or make it on the machine of the table:" }
            pre.code { "team-table console" }
        },
    );
    (StatusCode::NOT_FOUND, page).into_response()
}

/// `GET /join/{code}`: shows who the link is for. Uses nothing up.
pub(super) async fn invited(State(console): State<Console>, Path(code): Path<String>) -> Response {
    let link = secret_hash(&code);
    let person = match console.read(move |tx, now| tx.person_by_link(&link, now)).await {
        Ok(Some(person)) => person,
        Ok(None) => return no_such_link(&console),
        Err(error) => return error.into_response(),
    };
    frame::card(
        &console.options.base,
        "Sign in",
        &html! {
            h1 { "Sign in as " (words::name(&person.name)) }
            p { "This link works once, within 15 minutes of when it was made." }
            form method="post" action=(console.at("/join")) {
                input type="hidden" name="code" value=(code);
                button.btn.btn-primary.wide autofocus { "Sign in as " (words::name(&person.name)) }
            }
            p.meta { "Role: " (person.role.as_str()) ". The session lasts until 30 days after it was last used." }
        },
    )
    .into_response()
}

/// `POST /join`: follows the link. The secret is always a new one: what somebody put into the browser before is of no use.
pub(super) async fn join(State(console): State<Console>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::from(body);
    let code = form.get("code").unwrap_or_default();
    let (secret, _) = match follow_link(&console, code, device(&headers)).await {
        Ok(opened) => opened,
        Err(error) if error.code() == Code::Unauthenticated => return no_such_link(&console),
        Err(error) => return error.into_response(),
    };
    end_session_of_before(&console, &headers).await;
    let cookie = session_cookie(&console, &headers, &secret.reveal());
    redirect(&console.at("/"), cookie)
}

/// Uses a link up and begins a session; its secret, and whose it is.
///
/// # Errors
/// `unauthenticated`, in the same words whether the link never was, was used or is too old.
pub(super) async fn follow_link(
    console: &Console,
    code: &str,
    device: String,
) -> Result<(Secret, Person), PageError> {
    let link = secret_hash(code);
    // A look first: what is no link at all takes no place among the writers.
    console.read(move |tx, now| tx.check_link(&link, now)).await?;
    let secret = Secret::mint()?;
    let hash = secret.hash();
    let person = console.write(move |tx, now| tx.open_session(&link, &hash, &device, now)).await?;
    Ok((secret, person))
}

/// Ends the browser's session of before, if it has one: its cookie is about to be replaced.
pub(super) async fn end_session_of_before(console: &Console, headers: &HeaderMap) {
    if let Ok(Some((before, _))) = look_up(console, headers).await {
        let ended =
            console.write(move |tx, now| tx.revoke_session(&before.actor(), before.session, now)).await;
        if let Err(error) = ended {
            tracing::warn!(?error, "the session of before was not ended");
        }
    }
}

/// The cookie of a session that has begun.
pub(super) fn session_cookie(console: &Console, headers: &HeaderMap, secret: &str) -> Option<HeaderValue> {
    cookie(console, is_secure(console, headers), secret, COOKIE_AGE)
}

/// What a browser calls itself, for the list of sessions.
pub(super) fn device(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()).unwrap_or_default()
}

/// `POST /sign-out`.
pub(super) async fn sign_out(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    let ended = console.write(move |tx, now| tx.revoke_session(&visitor.actor(), visitor.session, now)).await;
    if let Err(error) = ended {
        return error.into_response();
    }
    let cookie = cookie(&console, is_secure(&console, &headers), "", 0);
    let page = frame::card(
        &console.options.base,
        "Signed out",
        &html! { h1 { "Signed out" } p { "This session has ended. " code.mono { "team-table console" } " begins another." } },
    );
    let mut response = page.into_response();
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// `303 See Other`, to an address of our own.
pub(super) fn redirect(to: &str, cookie: Option<HeaderValue>) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return PageError::from(Refusal::invalid("no such address", "go back")).into_response();
    };
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response();
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// Where a form leads when it is done.
pub(super) fn see(console: &Console, path: &str) -> Response {
    redirect(&console.at(path), None)
}
