//! The events of one member, in order and without gap: from the dispatcher, or from the log when the
//! stream is behind the dispatcher. Must not depend on how they are delivered.

use std::sync::Arc;
use std::time::Duration;

use super::{BATCH, Hub, Subscription, blocking};
use crate::auth;
use crate::domain::event::{Event, EventKind};
use crate::storage::{Claim, Db, ReadTx, Result};

/// Pause after a failed look at the log.
const RETRY: Duration = Duration::from_secs(1);

/// The events of one member, from a position in the log on.
pub struct EventStream {
    db: Db,
    subscription: Subscription,
    /// The token the stream was opened with; it ends when that is no longer valid.
    claim: Option<Claim>,
    position: i64,
    gap: bool,
}

impl EventStream {
    /// Follows a member's events after `after`, or from now on; none if its token is no longer valid.
    ///
    /// The token is looked at now and whenever the member's registration changes. That is often enough:
    /// whatever ends a token, in whichever process, writes a `member` event in the same transaction.
    ///
    /// # Errors
    /// Those of storage.
    pub async fn open(
        hub: &Hub,
        member_id: i64,
        token: Option<&str>,
        after: Option<i64>,
    ) -> Result<Option<Self>> {
        let (db, claim) = (hub.inner.db.clone(), token.map(auth::claim));
        let subscription = hub.subscribe(member_id);
        let reader = db.clone();
        // At one moment: what ends the token after it has an event after it.
        let look = move || reader.read(|tx| Ok((tx.last_event()?, is_valid(tx, claim.as_ref(), member_id)?)));
        let (last, valid) = blocking(look).await?;
        // A number from the future could only skip events that are still to come.
        let position = after.unwrap_or(last).clamp(0, last);
        // It comes from another database, or from this one before it was restored.
        let gap = after.is_some_and(|after| after > last);
        Ok(valid.then_some(Self { db, subscription, claim, position, gap }))
    }

    /// The next events, in order; waits for at least one. Empty when the stream is over because its token
    /// is no longer valid. Cancel-safe.
    pub async fn next(&mut self) -> Vec<Arc<Event>> {
        loop {
            match self.look().await {
                Ok((_, false)) => return Vec::new(),
                Ok((mut events, true)) => {
                    if let Some(last) = events.last() {
                        self.position = last.id;
                    }
                    let of_ours = [EventKind::Member, EventKind::Wake].map(EventKind::as_str);
                    events.retain(|event| !of_ours.contains(&event.kind.as_str()));
                    if !events.is_empty() {
                        return events;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "an event stream cannot be read");
                    // The news counts as seen, so no other may come: look again soon.
                    let _ = tokio::time::timeout(RETRY, self.subscription.changed()).await;
                    continue;
                }
            }
            self.subscription.changed().await;
        }
    }

    /// What came after the position, and whether the token is still valid.
    async fn look(&mut self) -> Result<(Vec<Arc<Event>>, bool)> {
        let mut fed = self.subscription.receiver.borrow_and_update().since(self.position);
        let member_changed =
            |events: &[Arc<Event>]| events.iter().any(|event| event.kind == EventKind::Member.as_str());
        if let Some(events) = fed.take_if(|events| !member_changed(events)) {
            return Ok((events, true));
        }
        let (db, claim) = (self.db.clone(), self.claim);
        let (member, position) = (self.subscription.member_id, self.position);
        let read = move |tx: &ReadTx<'_>| {
            let events = match fed {
                Some(events) => events,
                None => tx.events_for(member, position, BATCH)?.into_iter().map(Arc::new).collect(),
            };
            let valid = !member_changed(&events) || is_valid(tx, claim.as_ref(), member)?;
            Ok((events, valid))
        };
        blocking(move || db.read(read)).await
    }

    /// Whether the position asked for is none of this log's, so that what happened since cannot be told.
    #[must_use]
    pub const fn has_gap(&self) -> bool {
        self.gap
    }

    /// The number of the last event delivered or skipped.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.position
    }
}

/// Whether `claim`, if there is one, is a valid token of the member.
fn is_valid(tx: &ReadTx<'_>, claim: Option<&Claim>, member_id: i64) -> Result<bool> {
    let Some(claim) = claim else { return Ok(true) };
    Ok(tx.member_by_token(claim)?.is_some_and(|holder| holder.id == member_id && holder.active))
}
