//! Signing in by a passkey, where browsers reach the server by https: `webauthn-rs` makes the challenges and checks the answers.
//!
//! ```text
//! t0  POST /passkeys/begin (signed in)        a challenge; it is kept here for five minutes
//! t1  the browser asks the authenticator       which makes a key pair for this host alone
//! t2  POST /passkeys/finish                    the public key is checked and stored, with the origin it is good for
//! t3  POST /sign-in/begin {name}               a challenge for the keys of that name; for a name without keys, one alike
//! t4  POST /sign-in/finish                     the signature is checked; a session begins as by a link
//! ```
//!
//! The origin is the one that the browser names: what an authenticator signs holds it too, and a key of one host is of no use at
//! another.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{ORIGIN, SET_COOKIE};
use maud::{Markup, html};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Url, Uuid, Webauthn, WebauthnBuilder,
};

use super::frame::{Ask, PageError};
use super::server::Console;
use super::visitor::{self, Visitor, see};
use super::words;
use crate::auth::Secret;
use crate::domain::person::Person;
use crate::domain::refusal::{Code, Refusal};
use crate::storage::{self, PasskeyRow};

/// How long a challenge may be answered.
const LASTS: Duration = Duration::from_mins(5);
/// Challenges that wait for an answer at once: anybody may ask for one.
const WAITING: usize = 1_000;

/// A challenge that waits for its answer.
enum Challenge {
    Register(Box<PasskeyRegistration>),
    SignIn { person: Person, state: Box<PasskeyAuthentication> },
}

/// The challenges of this process.
#[derive(Default)]
pub(super) struct Challenges(Mutex<HashMap<String, (Instant, Challenge)>>);

impl Challenges {
    fn keep(&self, challenge: Challenge) -> Result<String, Refusal> {
        let id = Secret::mint()?.reveal();
        let mut waiting = self.0.lock();
        waiting.retain(|_, (since, _)| since.elapsed() < LASTS);
        // The oldest makes way.
        if waiting.len() >= WAITING
            && let Some(oldest) =
                waiting.iter().min_by_key(|(_, (since, _))| *since).map(|(id, _)| id.clone())
        {
            waiting.remove(&oldest);
        }
        waiting.insert(id.clone(), (Instant::now(), challenge));
        Ok(id)
    }

    /// Takes a challenge: each is answered once.
    fn take(&self, id: &str) -> Option<Challenge> {
        self.0.lock().remove(id).filter(|(since, _)| since.elapsed() < LASTS).map(|(_, challenge)| challenge)
    }
}

/// A passkey with the origin it is good for.
#[derive(Serialize, Deserialize)]
struct Stored {
    origin: String,
    passkey: Passkey,
}

/// An answer to a challenge.
#[derive(Deserialize)]
struct Answer<T> {
    id: String,
    credential: T,
}

/// Whether passkeys can be used: browsers have them for https alone, and for names rather than numbers.
pub(super) fn can_be_used(console: &Console) -> bool {
    console.options.secure
}

/// The origin that the browser names, and the checks for it.
fn relying_party(headers: &HeaderMap) -> Result<(String, Webauthn), Refusal> {
    let impossible = |why: &str| {
        Refusal::precondition(format!("passkeys cannot be used here: {why}"), "sign in by a link")
    };
    let origin = headers
        .get(ORIGIN)
        .and_then(|it| it.to_str().ok())
        .ok_or_else(|| impossible("there is no origin"))?;
    let url = Url::parse(origin).map_err(|_| impossible("the origin is no address"))?;
    if url.scheme() != "https" {
        return Err(impossible("this is not https"));
    }
    let host = url
        .domain()
        .ok_or_else(|| impossible("the server is reached by a number rather than a name"))?
        .to_owned();
    let webauthn = WebauthnBuilder::new(&host, &url)
        .and_then(|builder| builder.rp_name("Team Table").build())
        .map_err(|error| impossible(&error.to_string()))?;
    Ok((origin.to_owned(), webauthn))
}

fn not_accepted(error: &dyn std::fmt::Display) -> Refusal {
    tracing::info!(%error, "a passkey was not accepted");
    Refusal::new(Code::Unauthenticated, "this passkey was not accepted", "try again, or sign in by a link")
}

/// A refusal or fault as JSON, for the script.
fn refused(error: PageError) -> Response {
    let (status, refusal) = error.parts();
    (status, Json(json!({ "error": refusal.message, "hint": refusal.hint }))).into_response()
}

fn parse<T: for<'a> Deserialize<'a>>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("this is no answer of a browser: {error}"), "try again"))
}

fn stored(rows: &[PasskeyRow], origin: &str) -> Vec<Passkey> {
    let read = |row: &PasskeyRow| serde_json::from_str::<Stored>(&row.credential).ok();
    rows.iter()
        .filter_map(read)
        .filter(|stored| stored.origin == origin)
        .map(|stored| stored.passkey)
        .collect()
}

/// `POST /passkeys/begin`: a challenge for a new passkey of the person who is signed in.
pub(super) async fn begin(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    begin_register(&console, visitor.person, &headers)
        .await
        .map_or_else(refused, |json| Json(json).into_response())
}

async fn begin_register(console: &Console, person: Person, headers: &HeaderMap) -> Result<Value, PageError> {
    let (origin, webauthn) = relying_party(headers)?;
    let of = person.clone();
    let rows = console.read(move |tx, _| tx.passkeys(&of)).await?;
    let known = stored(&rows, &origin).iter().map(|passkey| passkey.cred_id().clone()).collect();
    // The same person of the same table has the same number at an authenticator; it tells nothing else.
    let digest = blake3::derive_key(
        "team-table 2026 person of a passkey",
        format!("{} {}", console.cookie, person.id).as_bytes(),
    );
    let mut number = [0; 16];
    number.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    let (options, state) = webauthn
        .start_passkey_registration(Uuid::from_bytes(number), &person.name, &person.name, Some(known))
        .map_err(|error| not_accepted(&error))?;
    let id = console.challenges.keep(Challenge::Register(Box::new(state)))?;
    Ok(json!({ "id": id, "options": options }))
}

/// `POST /passkeys/finish`: stores the new passkey.
pub(super) async fn finish(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    finish_register(&console, visitor.person, &headers, &body)
        .await
        .map_or_else(refused, |()| Json(json!({ "to": console.at("/people") })).into_response())
}

async fn finish_register(
    console: &Console,
    person: Person,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), PageError> {
    let (origin, webauthn) = relying_party(headers)?;
    let answer: Answer<RegisterPublicKeyCredential> = parse(body)?;
    let Some(Challenge::Register(state)) = console.challenges.take(&answer.id) else {
        return Err(not_accepted(&"the challenge is too old").into());
    };
    let passkey = webauthn
        .finish_passkey_registration(&answer.credential, &state)
        .map_err(|error| not_accepted(&error))?;
    let id = Vec::from(passkey.cred_id().as_slice());
    let credential = serde_json::to_string(&Stored { origin, passkey }).map_err(storage::Error::from)?;
    console.write(move |tx, now| tx.add_passkey(&person, &id, &credential, now)).await
}

/// `POST /passkeys/{id}/remove`.
pub(super) async fn remove(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    Path(id): Path<String>,
) -> Response {
    let id = URL_SAFE_NO_PAD.decode(id).unwrap_or_default();
    match console.write(move |tx, now| tx.remove_passkey(&visitor.person, &id, now)).await {
        Ok(()) => see(&console, "/people"),
        Err(error) => error.into_response(),
    }
}

/// `POST /sign-in/begin`, `{"name": …}`: a challenge for the keys of a person.
pub(super) async fn begin_sign_in(
    State(console): State<Console>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    challenge(&console, &headers, &body).await.map_or_else(refused, |json| Json(json).into_response())
}

async fn challenge(console: &Console, headers: &HeaderMap, body: &Bytes) -> Result<Value, PageError> {
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let (origin, webauthn) = relying_party(headers)?;
    let Name { name } = parse(body)?;
    let wanted = name.clone();
    let found = console
        .read(move |tx, _| {
            let person = tx.person(&wanted)?;
            person.map(|person| Ok((tx.passkeys(&person)?, person))).transpose()
        })
        .await?;
    let found =
        found.map(|(rows, person)| (stored(&rows, &origin), person)).filter(|(keys, _)| !keys.is_empty());
    let Some((keys, person)) = found else {
        // What a person with one key gets: who asks does not learn which names there are.
        // No challenge is kept: a stranger who asks for many pushes nobody's out, and every answer to this one is refused.
        let id = Secret::mint()?.reveal();
        let key = console.read(move |tx, _| tx.made_up_passkey(&name)).await?;
        let challenge = Secret::mint()?.hash();
        let options = json!({ "publicKey": {
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "timeout": LASTS.as_millis(),
            "rpId": Url::parse(&origin).ok().and_then(|url| url.domain().map(str::to_owned)),
            "allowCredentials": [{ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(key) }],
            "userVerification": "required",
        }});
        return Ok(json!({ "id": id, "options": options }));
    };
    let (options, state) =
        webauthn.start_passkey_authentication(&keys).map_err(|error| not_accepted(&error))?;
    let id = console.challenges.keep(Challenge::SignIn { person, state: Box::new(state) })?;
    Ok(json!({ "id": id, "options": options }))
}

/// `POST /sign-in/finish`: begins a session.
pub(super) async fn finish_sign_in(
    State(console): State<Console>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match sign_in(&console, &headers, &body).await {
        Ok(cookie) => {
            let mut response = Json(json!({ "to": console.at("/") })).into_response();
            response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
            response
        }
        Err(error) => refused(error),
    }
}

async fn sign_in(
    console: &Console,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Option<http::HeaderValue>, PageError> {
    let (origin, webauthn) = relying_party(headers)?;
    let answer: Answer<PublicKeyCredential> = parse(body)?;
    let Some(Challenge::SignIn { person, state }) = console.challenges.take(&answer.id) else {
        return Err(not_accepted(&"there is no such challenge").into());
    };
    let result = webauthn
        .finish_passkey_authentication(&answer.credential, &state)
        .map_err(|error| not_accepted(&error))?;
    let secret = Secret::mint()?;
    let (hash, device) = (secret.hash(), visitor::device(headers));
    let begun = console.write(move |tx, now| {
        // Removed meanwhile, or the key was.
        let person = tx.person(&person.name)?.filter(|now| now.id == person.id);
        let refusal = || storage::Error::from(not_accepted(&"the person or the key was removed"));
        let person = person.ok_or_else(refusal)?;
        let row = tx
            .passkeys(&person)?
            .into_iter()
            .find(|row| row.id == result.cred_id().as_slice())
            .ok_or_else(refusal)?;
        let mut known: Stored = serde_json::from_str(&row.credential)?;
        if known.origin != origin {
            return Err(refusal());
        }
        known.passkey.update_credential(&result);
        tx.use_passkey(&row.id, &serde_json::to_string(&known)?, now)?;
        tx.begin_session(&person, &hash, &device, "passkey", now)
    });
    begun.await?;
    visitor::end_session_of_before(console, headers).await;
    Ok(visitor::session_cookie(console, headers, &secret.reveal()))
}

/// The form of the page for those who are not signed in; the script shows it where the browser has passkeys.
pub(super) fn sign_in_form(console: &Console) -> Markup {
    html! {
        @if can_be_used(console) {
            form.stack.stack-s #passkey-sign-in hidden data-base=(console.options.base) {
                div.field { label for="name" { "Your name" } input #name name="name" autocomplete="username webauthn" required; }
                button.btn.btn-primary.wide { "Sign in with a passkey" }
                p.notice.bad hidden role="alert" {}
            }
        }
    }
}

/// One's own passkeys.
///
/// # Errors
/// Those of storage.
pub(super) fn section(ask: &Ask<'_>) -> storage::Result<Markup> {
    if !can_be_used(ask.console) {
        return Ok(html! {});
    }
    let rows = ask.tx.passkeys(ask.person)?;
    Ok(html! {
        section.stack.stack-s aria-labelledby="h-passkeys" {
            h2 #h-passkeys { "Your passkeys" }
            @if rows.is_empty() { p.meta { "None yet. With one you sign in without a link." } } @else {
                table.table {
                    caption.sr { "Your passkeys" }
                    thead { tr { th scope="col" { "Added" } th scope="col" { "Last used" } th scope="col" { "Good for" } th scope="col" { "Action" } } }
                    tbody { @for row in &rows { tr {
                        th scope="row" { (words::ago(row.created_at, ask.now)) }
                        td data-label="Last used" { @match row.used_at { Some(at) => { (words::ago(at, ask.now)) } None => { "never" } } }
                        td data-label="Good for" { (serde_json::from_str::<Stored>(&row.credential).map(|stored| stored.origin).unwrap_or_default()) }
                        td data-label="Action" {
                            form method="post" action=(ask.at(&format!("/passkeys/{}/remove", URL_SAFE_NO_PAD.encode(&row.id)))) {
                                button.btn.btn-small.btn-danger { "Remove" span.sr { " this passkey" } }
                            }
                        }
                    } } }
                }
            }
            form #passkey-add hidden { button.btn { "Add a passkey" } p.notice.bad hidden role="alert" {} }
        }
    })
}
