//! Wake-ups and streams from the durable event log. One dispatcher reads what any process has committed
//! and wakes those it concerns; a waiter costs nothing until then. Knows nothing of HTTP.

mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::watch as signal;

use crate::auth;
use crate::domain::event::{Event, EventKind};
use crate::storage::{Claim, Db, Result};
use watch::FileWatch;

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
    waiters: Mutex<HashMap<i64, signal::Sender<u64>>>,
    /// The set of waiters has become empty or has its first member.
    changed: Notify,
}

/// A place among the waiters of one member.
pub struct Subscription {
    inner: Arc<Inner>,
    member_id: i64,
    receiver: signal::Receiver<u64>,
}

impl Hub {
    /// Starts the dispatcher on the current tokio runtime; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(db: Db) -> Self {
        let inner = Arc::new(Inner { db, waiters: Mutex::default(), changed: Notify::new() });
        tokio::spawn(dispatch(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Joins the waiters of a member. What is committed from now on wakes the subscription; what was
    /// committed before it must be looked for after subscribing.
    #[must_use]
    pub fn subscribe(&self, member_id: i64) -> Subscription {
        let mut waiters = self.inner.waiters.lock();
        let first = waiters.is_empty();
        let receiver = waiters.entry(member_id).or_insert_with(|| signal::channel(0).0).subscribe();
        drop(waiters);
        if first {
            self.inner.changed.notify_one();
        }
        Subscription { inner: Arc::clone(&self.inner), member_id, receiver }
    }

    /// How many members have waiters, for the metrics.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiters.lock().len()
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
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiters = self.inner.waiters.lock();
        // This receiver is still counted.
        if waiters.get(&self.member_id).is_some_and(|sender| sender.receiver_count() <= 1) {
            waiters.remove(&self.member_id);
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
    let wake = Arc::new(Notify::new());
    let watch = FileWatch::start(inner.db.path(), Arc::clone(&wake));
    let pause = if watch.is_some() { SAFETY_NET } else { POLLING };
    let mut commits = inner.db.commits();
    let mut position = last_event(&inner.db).await.unwrap_or(0);
    // Whoever subscribed before the position was read may have missed something: let them look.
    wake_all(&inner);
    while !inner.waiters.lock().is_empty() {
        let written = tokio::select! {
            _ = commits.changed() => false,
            () = wake.notified() => true,
            () = inner.changed.notified() => false,
            () = tokio::time::sleep(pause) => false,
        };
        let mut pauses = AFTER_WRITE.iter().take(if written { AFTER_WRITE.len() } else { 1 });
        while let Some(pause) = pauses.next() {
            let again = tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*pause)) => false,
                () = wake.notified() => true,
            };
            match advance(&inner, position).await {
                Ok(reached) => {
                    // What was seen may be one commit, and the write that woke us another's: from the start.
                    if again || reached != position {
                        pauses = AFTER_WRITE.iter().take(AFTER_WRITE.len());
                    }
                    position = reached;
                }
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

/// Wakes everybody concerned by what was committed after `position`; returns the new position.
async fn advance(inner: &Arc<Inner>, mut position: i64) -> Result<i64> {
    loop {
        let db = inner.db.clone();
        let rows = blocking(move || db.read(|tx| tx.audiences_after(position, BATCH))).await?;
        let waiters = inner.waiters.lock();
        for (_, audience) in &rows {
            match audience {
                Some(0) => waiters.values().for_each(|sender| sender.send_modify(|count| *count += 1)),
                Some(member) => {
                    if let Some(sender) = waiters.get(member) {
                        sender.send_modify(|count| *count += 1);
                    }
                }
                None => {}
            }
        }
        drop(waiters);
        let Some((last, _)) = rows.last() else { return Ok(position) };
        position = *last;
    }
}

fn wake_all(inner: &Inner) {
    inner.waiters.lock().values().for_each(|sender| sender.send_modify(|count| *count += 1));
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or_else(|error| Err(crate::storage::Error::Fault(error.to_string())))
}

/// The events of one member, from a position in the log on.
pub struct EventStream {
    db: Db,
    subscription: Subscription,
    member_id: i64,
    /// The token the stream was opened with; it ends when that is no longer valid.
    claim: Option<Claim>,
    position: i64,
}

impl EventStream {
    /// Follows a member's events after `after`, or from now on. `claim` is looked at again whenever the
    /// member's registration changes.
    ///
    /// # Errors
    /// Trouble with the database.
    pub async fn open(hub: &Hub, member_id: i64, token: Option<&str>, after: Option<i64>) -> Result<Self> {
        let db = hub.inner.db.clone();
        let subscription = hub.subscribe(member_id);
        let last = last_event(&db).await?;
        // A number from the future could only skip events that are still to come.
        let position = after.unwrap_or(last).clamp(0, last);
        Ok(Self { db, subscription, member_id, claim: token.map(auth::claim), position })
    }

    /// The next events, in order; waits for at least one. Empty when the stream is over because its token
    /// is no longer valid. Cancel-safe.
    pub async fn next(&mut self) -> Vec<Event> {
        loop {
            let (db, member, after, claim) = (self.db.clone(), self.member_id, self.position, self.claim);
            let read = blocking(move || {
                db.read(|tx| {
                    let events = tx.events_for(member, after, BATCH)?;
                    let registration = EventKind::Member.as_str();
                    let valid = match claim {
                        Some(claim) if events.iter().any(|event| event.kind == registration) => tx
                            .member_by_token(&claim)?
                            .is_some_and(|holder| holder.id == member && holder.active),
                        _ => true,
                    };
                    Ok((events, valid))
                })
            });
            match read.await {
                Ok((_, false)) => return Vec::new(),
                Ok((mut events, true)) => {
                    if let Some(last) = events.last() {
                        self.position = last.id;
                    }
                    events.retain(|event| event.kind != EventKind::Member.as_str());
                    if !events.is_empty() {
                        return events;
                    }
                }
                Err(error) => tracing::warn!(%error, "an event stream cannot be read"),
            }
            self.subscription.changed().await;
        }
    }

    /// The number of the last event delivered or skipped.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.position
    }
}
