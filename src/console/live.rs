//! Keeps open pages up to date. A page has one event stream; pages that show the same to persons of the same rights share one rendering.
//!
//! ```text
//! t0  an agent's process commits                     the durable log moves
//! t1  the hub tells the channel of each open view     one rendering for each view, for all pages that show it
//! t2  parts whose HTML has changed go to the streams  `event: NAME`, the HTML, `id:` the digests of all parts
//! t3  htmx puts each into the element of that name
//! ```
//!
//! A stream that was cut off names the digests it had last (`Last-Event-ID`) and gets what differs from them now: a page that was
//! asleep, or open while the server was restarted, shows the present.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};
use maud::{Markup, html};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::form::Form;
use super::frame::{self, Ask, PageError, View};
use super::server::Console;
use super::visitor::Visitor;
use super::{
    board, context, decisions, health, members, needs, people, policies, search, tasks, threads, trials,
};
use crate::domain::person::Person;
use crate::domain::refusal::{Code, Refusal};
use crate::storage;

/// The least time between two renderings of one view: a tenth of a second, so that the page follows within two.
const PAUSE: Duration = Duration::from_millis(100);
/// Of the time that a rendering takes, so many times are waited before the next one of any view.
const SHARE: u32 = 4;
/// The longest such wait of other views. A view that takes longer than a quarter of it waits the rest alone.
const OTHERS_WAIT: Duration = Duration::from_millis(100);
/// Pages of one session that are kept up to date at once.
const MAX_PAGES: usize = 32;
/// How often a view is made anew although nothing was committed: presence ends by itself.
const REFRESH: Duration = Duration::from_secs(30);
/// Between comments on an idle stream, and between looks whether its session is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A part of a page that is sent anew when it has changed.
#[derive(Debug, Clone)]
pub(super) struct Region {
    name: &'static str,
    html: Arc<str>,
    /// The beginning of its digest.
    digest: String,
    /// Where the page gets what changes, if that is not at its own address.
    followed_at: Option<String>,
}

impl Region {
    /// A part with its HTML.
    pub(super) fn new(name: &'static str, content: Markup) -> Self {
        let html = content.into_string();
        // The name, too: a page may have other parts later, and two of the same content are not the same part.
        let digest = blake3::hash(format!("{name}\n{html}").as_bytes()).to_hex().chars().take(12).collect();
        Self { name, html: html.into(), digest, followed_at: None }
    }

    /// The same part, on a page that follows another address (below the console) than its own.
    pub(super) fn followed_at(self, address: String) -> Self {
        Self { followed_at: Some(address), ..self }
    }

    /// The part in its element, as a page has it at first. No other element may have this name as its id.
    pub(super) fn element(&self) -> Markup {
        html! { div #(self.name) sse-swap=(self.name) { (maud::PreEscaped(&*self.html)) } }
    }
}

/// The digests of parts, in their order: what a page has.
fn digests(regions: &[Region]) -> String {
    regions.iter().map(|region| region.digest.as_str()).collect::<Vec<_>>().join(".")
}

/// Where a page gets what changes on it.
pub(super) fn stream_address(base: &str, address: &str, regions: &[Region]) -> String {
    let address = regions.iter().find_map(|region| region.followed_at.as_deref()).unwrap_or(address);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("view", address).append_pair("have", &digests(regions));
    format!("{base}/live?{}", query.finish())
}

type Render = fn(&Ask<'_>) -> storage::Result<View>;

/// What shows an address below the console.
fn find(path: &[&str]) -> Option<Render> {
    Some(match path {
        [] | ["needs", _] => needs::view,
        ["members"] => members::view,
        ["board"] => board::view,
        ["tasks", _] => tasks::task,
        ["threads"] => threads::view,
        ["threads", _] => threads::thread,
        ["context"] => context::view,
        ["search"] => search::view,
        ["policies"] => policies::view,
        ["policies", _] => policies::policy,
        ["trials", _] => trials::view,
        ["decisions"] => decisions::view,
        ["decisions", _] => decisions::decision,
        ["health"] => health::view,
        ["people"] => people::view,
        _ => return None,
    })
}

/// Makes a view, with the number of open items.
fn render(ask: &Ask<'_>) -> storage::Result<(View, i64)> {
    let view = find(&ask.path)
        .ok_or_else(|| Refusal::not_found("there is no such page", "choose one of those in the menu"))?;
    ask.complete(view)
}

/// Makes the parts of a view that are sent anew. A view that shows one moment, such as what a search found, is not made again.
fn regions(ask: &Ask<'_>) -> storage::Result<Vec<Region>> {
    let is_still = ask.path == ["search"] || ask.query.get("pause").is_some();
    if is_still {
        return Ok(vec![Region::new("count", frame::count(needs::open(ask)?))]);
    }
    Ok(render(ask)?.0.regions)
}

/// `GET` of every page.
pub(super) async fn page(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    uri: Uri,
) -> Response {
    let address = uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
    let job = {
        let console = console.clone();
        move |tx: &storage::ReadTx<'_>, now| {
            let (view, open) = render(&Ask::new(&console, tx, now, &visitor.person, &address))?;
            Ok(frame::page(&console.options.base, &visitor, &address, open, &view))
        }
    };
    console.read(job).await.into_response()
}

/// A view: its address below the console, and who looks.
type Key = (String, Person);

/// What two pages must have in common to show the same: of a person only the rights count, save where names are shown.
fn key_of(address: String, person: &Person) -> Key {
    let shows_names = address.starts_with("/people");
    let Person { role, agents, .. } = person.clone();
    let rights = || Person { id: 0, name: String::new(), role, agents, created_at: 0, removed_at: None };
    let person = if shows_names { person.clone() } else { rights() };
    (address, person)
}

/// Those who show a view.
struct Channel {
    sender: watch::Sender<Arc<Vec<Region>>>,
    /// Before that it is not made anew.
    rests_until: Instant,
}

/// The views that are open somewhere.
#[derive(Default)]
pub(super) struct Live {
    channels: Mutex<HashMap<Key, Channel>>,
    /// How many streams each session has.
    of_session: Mutex<HashMap<i64, usize>>,
    /// Views are made one after the other; each takes a fifth of a core at most, and so do all quick ones together.
    turn: tokio::sync::Mutex<()>,
    /// Tells of what the console wrote: not all of it moves the durable log.
    wrote: watch::Sender<()>,
}

impl Live {
    /// Has every open view made anew.
    pub(super) fn wrote(&self) {
        self.wrote.send_replace(());
    }

    /// Counts a stream of a session, unless it has as many as it may.
    fn enter(&self, session: i64) -> bool {
        let mut all = self.of_session.lock();
        let count = all.entry(session).or_default();
        if *count >= MAX_PAGES {
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, session: i64) {
        let mut all = self.of_session.lock();
        if let Some(count) = all.get_mut(&session) {
            *count -= 1;
            if *count == 0 {
                all.remove(&session);
            }
        }
    }

    /// How many pages are open.
    pub(super) fn pages(&self) -> usize {
        self.channels.lock().values().map(|channel| channel.sender.receiver_count()).sum()
    }
}

/// The channel of a view, which is begun when it is the first of its kind.
fn subscribe(console: &Console, key: &Key) -> watch::Receiver<Arc<Vec<Region>>> {
    let mut channels = console.live.channels.lock();
    if let Some(channel) = channels.get(key) {
        return channel.sender.subscribe();
    }
    let (sender, receiver) = watch::channel(Arc::default());
    channels.insert(key.clone(), Channel { sender, rests_until: Instant::now() });
    drop(channels);
    tokio::spawn(follow(console.clone(), key.clone()));
    receiver
}

/// Makes a view anew, for all pages that show it. Returns how long it should not be made again; `None` when no page shows it any more.
async fn renew(console: &Console, key: &Key) -> Option<Duration> {
    let turn = console.live.turn.lock().await;
    let began = Instant::now();
    let job = {
        let (console, (address, person)) = (console.clone(), key.clone());
        move |tx: &storage::ReadTx<'_>, now| regions(&Ask::new(&console, tx, now, &person, &address))
    };
    match console.read(job).await {
        Ok(regions) => {
            let channels = console.live.channels.lock();
            let channel = channels.get(key)?;
            channel.sender.send_if_modified(|known| {
                let differs = digests(known) != digests(&regions);
                *known = Arc::new(regions);
                differs
            });
        }
        Err(error) => tracing::debug!(?error, "a view is not made anew"),
    }
    let pause = began.elapsed() * SHARE;
    tokio::time::sleep(pause.min(OTHERS_WAIT)).await;
    drop(turn);
    let pause = pause.saturating_sub(OTHERS_WAIT);
    console.live.channels.lock().get_mut(key)?.rests_until = Instant::now() + pause;
    Some(pause)
}

/// Makes a view anew whenever something was committed, for as long as a page shows it.
async fn follow(console: Console, key: Key) {
    let (mut log, mut wrote) = (console.hub.watch_log(), console.live.wrote.subscribe());
    loop {
        let Some(pause) = renew(&console, &key).await else { return };
        tokio::time::sleep(PAUSE.max(pause)).await;
        tokio::select! {
            () = log.changed() => {}
            _ = wrote.changed() => {}
            () = tokio::time::sleep(REFRESH) => {}
        }
        let mut channels = console.live.channels.lock();
        if channels.get(&key).is_none_or(|channel| channel.sender.receiver_count() == 0) {
            channels.remove(&key);
            return;
        }
    }
}

/// One page's stream.
struct Pages {
    console: Console,
    visitor: Visitor,
    receiver: watch::Receiver<Arc<Vec<Region>>>,
    /// The digests of the parts that the page has.
    have: Vec<String>,
    /// [`Hub::persons`](crate::events::Hub::persons) when the session was last looked up, and when that was.
    looked_up: Option<(u64, Instant)>,
    over: bool,
    _place: Place,
}

/// One of the streams that a session may have.
struct Place(Console, i64);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.live.leave(self.1);
    }
}

/// `GET /live?view=ADDRESS&have=DIGESTS`: the parts of a page as they change.
pub(super) async fn stream(
    State(console): State<Console>,
    axum::Extension(visitor): axum::Extension<Visitor>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let address = query.get("view").unwrap_or("/").to_owned();
    if find(&frame::parts(&address)).is_none() {
        return PageError::from(Refusal::not_found("there is no such page", "open a page of the menu"))
            .into_response();
    }
    if !console.live.enter(visitor.session) {
        let why = format!("{MAX_PAGES} pages of this session are open already");
        return PageError::from(Refusal::new(Code::ResourceExhausted, why, "close some of them"))
            .into_response();
    }
    let place = Place(console.clone(), visitor.session);
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let have = last.or(query.get("have")).unwrap_or_default();
    let have = have.split('.').map(str::to_owned).collect();
    let key = key_of(address, &visitor.person);
    let receiver = subscribe(&console, &key);
    // What the channel has may be older than the page. What takes long follows in its turn.
    let rests =
        console.live.channels.lock().get(&key).is_some_and(|channel| channel.rests_until > Instant::now());
    if !rests {
        renew(&console, &key).await;
    }
    let pages = Pages { console, visitor, receiver, have, looked_up: None, over: false, _place: place };
    let body = stream::unfold((pages, true), |(mut pages, first)| async move {
        let chunk = pages.next(first).await?;
        Some((Ok::<_, Infallible>(chunk), (pages, false)))
    });
    ([(CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(body)).into_response()
}

impl Pages {
    /// What is to be sent next; `None` at the end.
    async fn next(&mut self, first: bool) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let closing = self.console.options.closing.clone();
        // At once: a proxy that waits for the first byte of the body would hold the head back.
        let changed = if first {
            true
        } else {
            tokio::select! {
                changed = self.receiver.changed() => changed.is_ok(),
                () = tokio::time::sleep(KEEP_ALIVE) => false,
                () = closing.cancelled() => return None,
            }
        };
        if !self.is_signed_in().await {
            self.over = true;
            return Some(Bytes::from_static(b"event: ended\ndata: \n\n"));
        }
        let mut out = String::new();
        if changed {
            let regions = Arc::clone(&self.receiver.borrow_and_update());
            self.differences(&regions, &mut out);
        }
        if out.is_empty() {
            out.push_str(": \n\n");
        }
        Some(out.into())
    }

    /// The parts that the page does not have as they are now.
    fn differences(&mut self, regions: &[Region], out: &mut String) {
        if regions.is_empty() {
            return;
        }
        self.have.resize(regions.len(), String::new());
        for (index, region) in regions.iter().enumerate() {
            let Some(have) = self.have.get_mut(index).filter(|have| **have != region.digest) else {
                continue;
            };
            have.clone_from(&region.digest);
            out.push_str("event: ");
            out.push_str(region.name);
            out.push_str("\nid: ");
            out.push_str(&self.have.join("."));
            for line in region.html.split(['\n', '\r']) {
                out.push_str("\ndata: ");
                out.push_str(line);
            }
            out.push_str("\n\n");
        }
    }

    /// Whether the session is still there, and its person what they were.
    async fn is_signed_in(&mut self) -> bool {
        // Whatever ends a session writes an event of its own.
        let persons = self.console.hub.persons();
        if self.looked_up.is_some_and(|(known, at)| known == persons && at.elapsed() < KEEP_ALIVE) {
            return true;
        }
        self.looked_up = Some((persons, Instant::now()));
        let secret = self.visitor.secret;
        let found = self.console.read(move |tx, now| tx.person_by_session(&secret, now)).await;
        // A database that cannot be read now ends nothing.
        found.map_or(true, |found| found.is_some_and(|(person, _)| person == self.visitor.person))
    }
}
