//! Wake-ups and streams from the durable event log. One dispatcher reads what any process has committed, once
//! for all, and hands it to those it concerns; a waiter costs nothing until then. Must not depend on HTTP.

mod feed;
mod log;
mod stream;

pub use log::LogWatch;
pub use stream::EventStream;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::watch as signal;

use crate::domain::event::{Audience, EventKind};
use crate::storage::{Db, Result, Sign};
use feed::Feed;

/// How often the log is read while somebody waits and no wake-up comes: the net under the file watch.
const SAFETY_NET: Duration = Duration::from_secs(1);
/// The same where no file watch can be had (no inotify instances left): the contract promises 100 ms.
const POLLING: Duration = Duration::from_millis(40);
/// Pauses between looks at the log after its file was written to, in milliseconds. The write is seen before
/// its commit is: in between lies an fsync.
const AFTER_WRITE: [u64; 10] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Events read in one step.
const BATCH: i64 = 500;

/// Wakes waiters when something is committed for them, by whichever process.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    waiters: Mutex<Waiters>,
    /// How far the log and the decisions go, for those who watch all of it.
    log: signal::Sender<log::LogPosition>,
    /// How often somebody was invited or removed, or a session began or ended, since the dispatcher follows the log.
    persons: AtomicU64,
    /// The set of waiters has become empty or has its first member.
    changed: Notify,
}

struct Waiters {
    /// The waiters of each member.
    members: HashMap<i64, Waiting>,
    /// How many watch the whole log.
    watching: usize,
    /// The last event that was dispatched. A subscription made under the same lock gets every later one.
    position: i64,
}

impl Waiters {
    /// Whether nobody waits for anything.
    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.watching == 0
    }
}

/// The waiters of one member.
struct Waiting {
    feed: signal::Sender<Feed>,
    /// How many there are. Not the sender's count of receivers, which falls only after the lock is given up.
    count: usize,
}

/// A place among the waiters of one member.
pub struct Subscription {
    inner: Arc<Inner>,
    member_id: i64,
    receiver: signal::Receiver<Feed>,
    /// The last event that was looked at.
    position: i64,
}

impl Hub {
    /// Starts the dispatcher on the current tokio runtime; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(db: Db) -> Self {
        let waiters = Mutex::new(Waiters { members: HashMap::new(), watching: 0, position: 0 });
        let log = signal::channel(log::LogPosition::default()).0;
        let inner = Arc::new(Inner { db, waiters, log, persons: AtomicU64::new(0), changed: Notify::new() });
        tokio::spawn(dispatch(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Joins the waiters of a member. What is committed from now on wakes the subscription; what was
    /// committed before it must be looked for after subscribing.
    #[must_use]
    pub fn subscribe(&self, member_id: i64) -> Subscription {
        let mut guard = self.inner.waiters.lock();
        let first = guard.is_empty();
        let Waiters { members, position, .. } = &mut *guard;
        let waiting = members
            .entry(member_id)
            .or_insert_with(|| Waiting { feed: signal::channel(Feed::after(*position)).0, count: 0 });
        waiting.count += 1;
        let (receiver, position) = (waiting.feed.subscribe(), *position);
        drop(guard);
        if first {
            self.inner.changed.notify_one();
        }
        Subscription { inner: Arc::clone(&self.inner), member_id, receiver, position }
    }

    /// How many members have waiters, for the metrics.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiters.lock().members.len()
    }
}

impl Subscription {
    /// Waits until something was committed for the member. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The hub is gone: the process is ending, and there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until a message came for the member, or its registration changed. What happens on the task board and
    /// in the shared context wakes no one who waits for messages. Cancel-safe.
    pub async fn message(&mut self) {
        let concerns = [EventKind::Message, EventKind::Broadcast, EventKind::Member].map(EventKind::as_str);
        loop {
            self.changed().await;
            let feed = self.receiver.borrow_and_update();
            let events = feed.since(self.position);
            self.position = feed.last();
            // Where events are missing from the feed, the caller must look itself.
            if events.is_none_or(|events| events.iter().any(|event| concerns.contains(&event.kind.as_str())))
            {
                return;
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiters = self.inner.waiters.lock();
        if let Entry::Occupied(mut waiting) = waiters.members.entry(self.member_id) {
            waiting.get_mut().count -= 1;
            if waiting.get().count == 0 {
                waiting.remove();
            }
        }
        let last = waiters.is_empty();
        drop(waiters);
        if last {
            self.inner.changed.notify_one();
        }
    }
}

/// Follows the log for as long as anybody waits.
async fn dispatch(hub: Weak<Inner>) {
    loop {
        let Some(inner) = hub.upgrade() else { return };
        if inner.waiters.lock().is_empty() {
            let idle = Arc::downgrade(&inner);
            drop(inner);
            if !wait_for_waiters(&idle).await {
                return;
            }
            continue;
        }
        follow(inner).await;
    }
}

/// False when the hub is gone.
async fn wait_for_waiters(hub: &Weak<Inner>) -> bool {
    // Holding the hub while asleep would keep it alive for ever: look at it now and then instead.
    while let Some(inner) = hub.upgrade() {
        if !inner.waiters.lock().is_empty() {
            return true;
        }
        let woken = tokio::time::timeout(Duration::from_mins(1), inner.changed.notified()).await;
        if woken.is_ok() {
            return true;
        }
    }
    false
}

async fn follow(inner: Arc<Inner>) {
    let mut changes = inner.db.changes();
    let pause = if changes.sees_others() { SAFETY_NET } else { POLLING };
    let position = last_event(&inner.db).await.unwrap_or(0);
    start_from(&inner, position);
    while !inner.waiters.lock().is_empty() {
        let written = tokio::select! {
            sign = changes.next() => sign == Sign::Written,
            () = inner.changed.notified() => false,
            () = tokio::time::sleep(pause) => false,
        };
        let mut pauses = AFTER_WRITE.iter().take(if written { AFTER_WRITE.len() } else { 1 });
        while let Some(pause) = pauses.next() {
            let again = tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*pause)) => false,
                () = changes.written() => true,
            };
            match advance(&inner).await {
                // What was seen may be one commit, and the write that woke us another's: from the start.
                Ok(moved) if again || moved => pauses = AFTER_WRITE.iter().take(AFTER_WRITE.len()),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the event log cannot be read"),
            }
            if inner.waiters.lock().is_empty() {
                break;
            }
        }
    }
}

async fn last_event(db: &Db) -> Result<i64> {
    let db = db.clone();
    blocking(move || db.read(|tx| tx.last_event())).await
}

/// Hands what was committed after the position to everybody it concerns; true if there was anything.
async fn advance(inner: &Inner) -> Result<bool> {
    let mut moved = false;
    loop {
        let position = inner.waiters.lock().position;
        let db = inner.db.clone();
        let rows = blocking(move || db.read(|tx| tx.events_after(position, BATCH))).await?;
        if rows.is_empty() {
            // Last: who is told that the log has moved finds the rest noted.
            return Ok(log::advance(inner).await? || moved);
        }
        moved = true;
        let mut waiters = inner.waiters.lock();
        for (event, audience, actor) in rows {
            waiters.position = event.id;
            if event.kind == EventKind::Person.as_str() {
                inner.persons.fetch_add(1, Ordering::Release);
            }
            let event = Arc::new(event);
            match audience {
                Audience::Everyone => {
                    let others = waiters.members.iter().filter(|(member, _)| Some(**member) != actor);
                    others.for_each(|(_, it)| it.feed.send_modify(|feed| feed.push(Arc::clone(&event))));
                }
                Audience::Member(member) => {
                    if let Some(it) = waiters.members.get(&member) {
                        it.feed.send_modify(|feed| feed.push(event));
                    }
                }
                Audience::Nobody => {}
            }
        }
    }
}

/// Dispatches what comes after `position`. A subscription made before `position` was read may have missed an event: it is
/// woken and looks into the log.
fn start_from(inner: &Inner, position: i64) {
    let mut waiters = inner.waiters.lock();
    waiters.position = position;
    waiters.members.values().for_each(|it| it.feed.send_modify(|feed| *feed = Feed::after(position)));
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or_else(|error| Err(crate::storage::Error::Fault(error.to_string())))
}
