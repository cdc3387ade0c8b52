//! `/data`: what a command line on another machine shows and decides, as JSON. The session comes in `Authorization`; a cookie opens
//! nothing here, so that no page of a browser reaches these routes by itself.
//!
//! ```text
//! POST /data/sign-in              the link's code in place of the session; begins a session
//! GET  /data/NAME?…               a view, read as on the machine of the table
//! POST /data/escalations/NUMBER   decides, as the form of the page does
//! POST /data/sign-out             ends the session
//! ```

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::frame::PageError;
use super::needs;
use super::server::Console;
use super::visitor::{self, Visitor};
use crate::domain::refusal::{Code, Refusal};
use crate::operator::views::{
    Board, ContextList, ContextShow, Decision, DecisionDone, EscalationList, EscalationShow, EscalationWatch,
    MAX_LIMIT, MessageList, MessageThread, Search, SessionEnded, SignIn, SignedIn, TaskList, TaskShow, View,
};

/// The routes.
pub(super) fn routes(console: &Console) -> Router<Console> {
    let signed_in = Router::new()
        .route("/escalations/{id}", post(decide))
        .route("/sign-out", post(sign_out))
        .merge(view::<Board>())
        .merge(view::<TaskList>())
        .merge(view::<TaskShow>())
        .merge(view::<MessageList>())
        .merge(view::<MessageThread>())
        .merge(view::<ContextList>())
        .merge(view::<ContextShow>())
        .merge(view::<Search>())
        .merge(view::<EscalationList>())
        .merge(view::<EscalationShow>())
        .merge(view::<EscalationWatch>())
        .fallback(async || {
            refused(Refusal::not_found("this server knows no such view", "update the server").into())
        })
        .layer(from_fn_with_state(console.clone(), admit));
    Router::new().route("/sign-in", post(sign_in)).merge(signed_in)
}

fn view<V: View>() -> Router<Console> {
    Router::new().route(&format!("/{}", V::NAME), get(show::<V>))
}

/// A refusal or fault.
fn refused(error: PageError) -> Response {
    let (status, refusal) = error.parts();
    (status, Json(refusal)).into_response()
}

fn answer<T: Serialize>(done: Result<T, PageError>) -> Response {
    done.map_or_else(refused, |done| Json(done).into_response())
}

/// Lets requests with a session in `Authorization` through.
async fn admit(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let visitor = match visitor::bearer(request.headers()) {
        Some(_) => visitor::look_up(&console, request.headers()).await,
        None => Ok(None),
    };
    match visitor {
        Ok(Some((visitor, _))) => {
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        Ok(None) => {
            let hint = "sign in again with team-table person sign-in; an operator makes the link with \
                        team-table person invite NAME";
            refused(Refusal::new(Code::Unauthenticated, "this session has ended, or never was", hint).into())
        }
        Err(error) => refused(error),
    }
}

/// `GET /data/NAME?…`.
async fn show<V: View>(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    query: Result<Query<V>, QueryRejection>,
) -> Response {
    let view = match query {
        Ok(Query(view)) if view.limit() <= MAX_LIMIT => view,
        Ok(_) => {
            let what = format!("at most {MAX_LIMIT} rows are sent at once");
            return refused(
                Refusal::invalid(what, "ask for fewer with --limit, and for the next page").into(),
            );
        }
        Err(error) => {
            return refused(Refusal::invalid(error.body_text(), "use a team-table of this version").into());
        }
    };
    match read(&console, visitor, view).await {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => refused(error),
    }
}

async fn read<V: View>(console: &Console, visitor: Visitor, view: V) -> Result<Vec<u8>, PageError> {
    let db = console.db.clone();
    let prepare = move || view.prepare(&db).map(|()| view);
    let view = tokio::task::spawn_blocking(prepare).await.map_err(|error| PageError::broken(&error))??;
    let data = console.read(move |tx, now| {
        let data = view.read(tx, &visitor.actor(), now)?;
        Ok(serde_json::to_vec(&data)?)
    });
    data.await
}

/// `POST /data/escalations/{id}`.
async fn decide(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<i64>,
    body: Bytes,
) -> Response {
    let Decision { answer: wanted, note } = match serde_json::from_slice(&body) {
        Ok(decision) => decision,
        Err(error) => {
            let what = format!("the body is no decision: {error}");
            return refused(Refusal::invalid(what, "use a team-table of this version").into());
        }
    };
    let done = needs::resolve(&console, &visitor, id, wanted, note).await;
    answer(done.map(|done| DecisionDone { escalation: id, done }))
}

/// `POST /data/sign-in`: the link's code in `Authorization`.
async fn sign_in(State(console): State<Console>, headers: HeaderMap, body: Bytes) -> Response {
    let machine = serde_json::from_slice(&body).map_or_else(|_| String::new(), |SignIn { machine }| machine);
    let code = visitor::bearer(&headers).unwrap_or_default();
    let opened = visitor::follow_link(&console, code, format!("team-table on {machine}")).await;
    answer(opened.map(|(secret, person)| SignedIn {
        role: person.role.as_str().to_owned(),
        person: person.name,
        session: secret.reveal(),
    }))
}

/// `POST /data/sign-out`.
async fn sign_out(State(console): State<Console>, Extension(visitor): Extension<Visitor>) -> Response {
    let session = visitor.session;
    let ended = console.write(move |tx, now| tx.revoke_session(&visitor.actor(), session, now)).await;
    answer(ended.map(|ended| SessionEnded { person: ended.person }))
}
