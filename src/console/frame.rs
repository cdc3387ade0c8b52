//! The frame around every page, the small pages without one, and the page that says why something cannot be shown.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::form::Form;
use super::live::{self, Region};
use super::needs;
use super::server::Console;
use super::visitor::Visitor;
use super::words;
use crate::domain::clock::Millis;
use crate::domain::person::Person;
use crate::domain::refusal::{Code, Refusal};
use crate::storage::{self, ReadTx};
use crate::tools::SlowCall;

/// What a page is asked for, at one moment of the table.
pub(super) struct Ask<'a> {
    pub(super) tx: &'a ReadTx<'a>,
    pub(super) now: Millis,
    pub(super) console: &'a Console,
    pub(super) person: &'a Person,
    /// The parts of the address below the console.
    pub(super) path: Vec<&'a str>,
    /// What stands behind its `?`.
    pub(super) query: Form,
}

/// What a process knows of itself.
pub(super) struct Vitals {
    /// Members with a stream or a waiting call.
    pub(super) waiting: usize,
    /// Open pages.
    pub(super) pages: usize,
    pub(super) slowest: Vec<SlowCall>,
}

/// The parts of an address below the console, without what stands behind its `?`.
pub(super) fn parts(address: &str) -> Vec<&str> {
    let path = address.split('?').next().unwrap_or_default();
    path.split('/').filter(|part| !part.is_empty()).collect()
}

impl<'a> Ask<'a> {
    /// What an address below the console is asked for.
    pub(super) fn new(
        console: &'a Console,
        tx: &'a ReadTx<'a>,
        now: Millis,
        person: &'a Person,
        address: &'a str,
    ) -> Self {
        let query = address.split_once('?').map_or("", |(_, query)| query);
        Self { tx, now, console, person, path: parts(address), query: Form::parse(query.as_bytes()) }
    }

    /// A view with the number of open items, which every page has in its menu.
    pub(super) fn complete(
        &self,
        view: impl FnOnce(&Self) -> storage::Result<View>,
    ) -> storage::Result<(View, i64)> {
        let open = needs::open(self)?;
        let mut view = view(self)?;
        view.regions.push(Region::new("count", count(open)));
        Ok((view, open))
    }

    /// The address of something below the console.
    pub(super) fn at(&self, path: &str) -> String {
        self.console.at(path)
    }

    /// The number in the second part of the address.
    ///
    /// # Errors
    /// `not_found` when it is none.
    pub(super) fn number(&self) -> Result<i64, Refusal> {
        let number = self.path.get(1).and_then(|part| part.parse().ok());
        number.ok_or_else(|| Refusal::not_found("there is no such page", "choose one of those in the menu"))
    }

    /// This page's address with other fields: those of an empty value are left out.
    pub(super) fn with(&self, fields: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        let (path, query) = (self.path.join("/"), query.finish());
        let mark = if query.is_empty() { "" } else { "?" };
        self.at(&format!("/{path}{mark}{query}"))
    }
}

/// A page without its frame.
pub(super) struct View {
    /// Where it is in the menu: the address below the console.
    pub(super) nav: &'static str,
    pub(super) title: String,
    /// Classes of the main part besides `main`.
    pub(super) class: &'static str,
    /// The parts of `body` that are sent anew when they change.
    pub(super) regions: Vec<Region>,
    pub(super) body: Markup,
}

/// A picture of the menu, drawn on 16 by 16.
const MENU: [(&str, &str, &str); 10] = [
    ("/", "Needs you", "M2 9h3.5l1 2h3l1-2H14M2 9l2-6h8l2 6v4H2z"),
    ("/members", "Members", "M8 3a2.5 2.5 0 1 0 .01 0zM3 13.5c.5-3 2.5-4 5-4s4.5 1 5 4"),
    ("/board", "Board", "M2.5 3h3v10h-3zM6.5 3h3v6h-3zM10.5 3h3v8h-3z"),
    ("/threads", "Threads", "M2.5 3h11v8H7l-3 2.5V11H2.5z"),
    ("/context", "Context", "M4 2.5h6l2.5 2.5v8.5H4zM6 7h4.5M6 10h4.5"),
    ("/search", "Search", "M7 3a4 4 0 1 0 .01 0zM10 10l3.5 3.5"),
    ("/policies", "Policies", "M8 2 3 4v4c0 3 2 5 5 6 3-1 5-3 5-6V4z"),
    ("/decisions", "Decisions", "M2.5 4h11M2.5 8h11M2.5 12h7"),
    ("/health", "Health", "M2 8.5h3l1.5-4 3 7 1.5-3h3"),
    (
        "/people",
        "People",
        "M6 4a2 2 0 1 0 .01 0zM2 13c.4-2.6 2-3.5 4-3.5s3.600.900 4 3.500M11 5.500a1.500 1.500 0 1 0 .010 0zM11.500 9.500c1.500.200 2.300 1.200 2.500 3",
    ),
];

/// The table from above, with its seats.
const LOGO: PreEscaped<&str> = PreEscaped(
    r#"<svg viewBox="0 0 24 24" aria-hidden="true" fill="currentColor"><circle cx="12" cy="12" r="5.5" fill="none" stroke="currentColor" stroke-width="1.75"/><circle cx="12" cy="2.75" r="1.75"/><circle cx="20" cy="7.4" r="1.75"/><circle cx="20" cy="16.6" r="1.75"/><circle cx="12" cy="21.25" r="1.75"/><circle cx="4" cy="16.6" r="1.75"/><circle cx="4" cy="7.4" r="1.75"/></svg>"#,
);

/// htmx without what the content policy forbids, and without what these pages do not need.
const HTMX_CONFIG: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyEnabled":false}"#;

fn head(base: &str, title: &str, is_live: bool, has_passkeys: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            @if is_live { meta name="htmx-config" content=(HTMX_CONFIG); }
            title { (title) " · Team Table" }
            link rel="stylesheet" href={ (base) (assets::STYLE.path()) };
            link rel="icon" href={ (base) (assets::ICON.path()) };
            @if is_live {
                @for script in [&assets::HTMX, &assets::HTMX_SSE, &assets::SCRIPT] {
                    script defer src={ (base) (script.path()) } {}
                }
            }
            @if has_passkeys { script defer src={ (base) (assets::PASSKEYS.path()) } {} }
        }
    }
}

/// The number of open items in the menu.
pub(super) fn count(open: i64) -> Markup {
    html! { @if open > 0 { span.count { (open) span.sr { " open" } } } }
}

/// A whole page. `address` is where it is below the console, `?` and what follows included.
pub(super) fn page(base: &str, visitor: &Visitor, address: &str, open: i64, view: &View) -> Html<String> {
    let person = &visitor.person;
    let title = if open > 0 { format!("({open}) {}", view.title) } else { view.title.clone() };
    let stream = live::stream_address(base, address, &view.regions);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(base, &title, true, view.nav == "/people"))
            body hx-ext="sse" sse-connect=(stream) data-base=(base) {
                a.skip href="#main" { "Skip to content" }
                header.side {
                    a.brand href={ (base) "/" } { (LOGO) " Team Table" }
                    div.side-scroll {
                        nav.nav aria-label="Console" {
                            @for (path, name, drawing) in MENU {
                                a href={ (base) (path) } aria-current=[(path == view.nav).then_some("page")] {
                                    svg viewBox="0 0 16 16" aria-hidden="true" { path d=(drawing); }
                                    (name)
                                    @if path == "/" { " " span sse-swap="count" { (count(open)) } }
                                }
                            }
                        }
                        div.person {
                            p { b { (words::name(&person.name)) } ", " (person.role.as_str()) }
                            form method="post" action={ (base) "/sign-out" } { button { "Sign out" } }
                        }
                    }
                    p.live role="status" hidden { span.dot {} " " span.word { "live" } }
                }
                main #main .{ "main " (view.class) } tabindex="-1" { (view.body) }
            }
        }
    };
    Html(page.into_string())
}

/// The answer to a form that had no effect: the page it was on, with what was typed.
pub(super) async fn answer(
    console: &Console,
    visitor: Visitor,
    address: &str,
    view: impl FnOnce(&Ask<'_>) -> storage::Result<View> + Send + 'static,
) -> Response {
    let (there, address) = (console.clone(), address.to_owned());
    let job = move |tx: &ReadTx<'_>, now| {
        let (view, open) = Ask::new(&there, tx, now, &visitor.person, &address).complete(view)?;
        Ok(page(&there.options.base, &visitor, &address, open, &view))
    };
    console.read(job).await.map(|page| (StatusCode::CONFLICT, page)).into_response()
}

/// Why a form had no effect, and what to do; inside a notice.
pub(super) fn not_done(refusal: &Refusal, nothing: &str) -> Markup {
    html! {
        p { b { (words::inline(&refusal.message)) } }
        p { (nothing) "; " (words::inline(&refusal.hint)) "." }
    }
}

/// What a form wanted that had no effect: its fields are kept on the page.
pub(super) struct Kept {
    pub(super) refusal: Refusal,
    pub(super) form: Form,
}

/// The title of the page for those who are not signed in.
pub(super) const SIGN_IN: &str = "Sign in";

/// A page with one card, for those who are not signed in.
pub(super) fn card(base: &str, title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(base, title, false, title == SIGN_IN))
            body {
                main #main .center { div.card.stack { p.brand { (LOGO) " Team Table" } (body) } }
            }
        }
    };
    Html(page.into_string())
}

/// Why a page cannot be shown, or a form had no effect.
#[derive(Debug, Clone)]
pub(super) struct PageError {
    status: StatusCode,
    refusal: Refusal,
}

impl PageError {
    /// A refusal with a status of its own.
    pub(super) const fn refused(status: StatusCode, refusal: Refusal) -> Self {
        Self { status, refusal }
    }

    /// A fault of ours: its words go to the log only.
    pub(super) fn broken(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the console failed");
        let refusal = Refusal::new(Code::Internal, "this failed in the server", "the server's log says why");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, refusal }
    }

    /// The status and the refusal, for those who answer otherwise than by a page.
    pub(super) fn parts(self) -> (StatusCode, Refusal) {
        (self.status, self.refusal)
    }

    /// The code, for those who answer one in their own way.
    pub(super) const fn code(&self) -> Code {
        self.refusal.code
    }

    /// The refusal, if what was asked for is to blame.
    pub(super) fn into_refusal(self) -> Result<Refusal, Self> {
        if self.status.is_client_error() { Ok(self.refusal) } else { Err(self) }
    }

    /// The page.
    pub(super) fn page(&self, base: &str) -> Response {
        let body = html! {
            h1 { (words::inline(&self.refusal.message)) }
            p { (words::inline(&self.refusal.hint)) }
            p.row { a.btn.btn-primary href={ (base) "/" } { "Needs you" } }
        };
        (self.status, card(base, "Not possible", &body)).into_response()
    }
}

impl From<Refusal> for PageError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied | Code::ApprovalRequired => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::FailedPrecondition => StatusCode::CONFLICT,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, refusal }
    }
}

impl From<storage::Error> for PageError {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Refused(refusal) => refusal.into(),
            error => {
                tracing::warn!(%error, "the console could not use the database");
                let hint = "try again in a moment; the server's log says why";
                Refusal::new(Code::Unavailable, "the database is not available now", hint).into()
            }
        }
    }
}

impl IntoResponse for PageError {
    /// The page itself is made where the address of the console is known: see `server::finish`.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
