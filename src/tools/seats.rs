//! The seats of sessions on other machines: the hooks there bring the agent's token, and are answered as those here. What a hook
//! says is no call: it changes nothing that a policy judges, and the message itself is fetched with `get_messages`.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::table::{AccessError, Table, ambient};
use crate::auth::{self, Caller};
use crate::domain::hook::{MAX_WAIT, NewsAnswer, NewsQuestion, Report, Ring, RingQuestion, Said};
use crate::domain::principal::Principal;
use crate::events::Subscription;
use crate::storage;
use crate::wake;

impl Table {
    /// Takes note of an event of a session on another machine; what its client is to be answered.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn seat_event(&self, bearer: Option<&str>, report: Report) -> Result<Said, AccessError> {
        report.check().map_err(AccessError::Invalid)?;
        let member = self.holder(bearer).await?;
        let table = self.clone();
        let session = wake::Session::remote(member, &report);
        self.blocking(move || {
            let inner = &table.inner;
            // Its bell is on its own machine.
            wake::hook(&inner.db, Path::new(""), &inner.options.clock, report.event, &session)
        })
        .await
    }

    /// Whether a session on another machine is rung; waits for it.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn seat_ring(
        &self,
        bearer: Option<&str>,
        question: RingQuestion,
        closing: &CancellationToken,
    ) -> Result<Ring, AccessError> {
        let member = self.holder(bearer).await?;
        let key = wake::remote_key(member.id, &question.session);
        let look = |table: Self, member: Principal| {
            let key = key.clone();
            async move {
                let of_table = table.clone();
                let find = move || of_table.inner.db.read(|tx| tx.seat_of(member.id));
                let seat = table.blocking(find).await?.filter(|seat| seat.key == key);
                let ring = Ring {
                    agent: member.name,
                    here: seat.is_some(),
                    rung_at: seat.and_then(|seat| seat.rung_at),
                };
                let news = !ring.here || ring.rung_at.is_some_and(|at| Some(at) != question.after);
                Ok((ring, news))
            }
        };
        self.wait(bearer, member, question.seconds, closing, look).await
    }

    /// What an agent was not told of yet; waits for it. It counts as announced when a later question says that it was shown.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn news(
        &self,
        bearer: Option<&str>,
        question: NewsQuestion,
        closing: &CancellationToken,
    ) -> Result<NewsAnswer, AccessError> {
        let member = self.holder(bearer).await?;
        let (id, shown) = (member.id, question.shown);
        let table = self.clone();
        self.blocking(move || {
            let inner = &table.inner;
            if shown > 0 {
                let now = inner.db.now(&inner.options.clock);
                return inner.db.write(move |tx| tx.announce_upto(id, shown, now));
            }
            if inner.db.read(|tx| tx.keeps_announced(id))? {
                return Ok(());
            }
            inner.db.write(move |tx| tx.keep_announced(id))
        })
        .await?;
        let look = |table: Self, member: Principal| async move {
            let of_table = table.clone();
            let news = table.blocking(move || of_table.inner.db.read(|tx| tx.news(None, Some(id)))).await?;
            let news = Some(news).filter(|news| !news.first.is_empty());
            Ok((NewsAnswer::new(&member.name, news.as_ref()), news.is_some()))
        };
        self.wait(bearer, member, question.seconds, closing, look).await
    }

    /// Looks, and looks again when something was committed for the member, until there is what is waited for or the time is up. `member`
    /// is the one whose token was just checked; it is checked again before each later look.
    async fn wait<A, F>(
        &self,
        bearer: Option<&str>,
        mut member: Principal,
        seconds: u64,
        closing: &CancellationToken,
        look: impl Fn(Self, Principal) -> F,
    ) -> Result<A, AccessError>
    where
        F: Future<Output = Result<(A, bool), AccessError>>,
    {
        // Before the first look: what is committed after it wakes the subscription.
        let mut subscription: Subscription = self.inner.hub.subscribe(member.id);
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds.min(MAX_WAIT));
        loop {
            let (answer, enough) = look(self.clone(), member).await?;
            if enough {
                return Ok(answer);
            }
            tokio::select! {
                () = closing.cancelled() => return Err(AccessError::Unavailable),
                () = tokio::time::sleep_until(end) => return Ok(answer),
                () = subscription.changed() => {}
            }
            member = self.holder(bearer).await?;
        }
    }

    /// The member whose token it is.
    async fn holder(&self, bearer: Option<&str>) -> Result<Principal, AccessError> {
        let (table, credential) = (self.clone(), ambient(bearer));
        let caller = self.blocking(move || {
            let require_tokens = table.inner.options.require_tokens;
            table.inner.db.read_hot(|tx| auth::authenticate(tx, &credential, None, require_tokens))
        });
        match caller.await? {
            Ok(Caller::Member(member)) => Ok(member),
            Ok(Caller::Anonymous) | Err(_) => Err(AccessError::Unauthenticated),
        }
    }

    /// Runs what blocks, in one of the places that calls have.
    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> storage::Result<T> + Send + 'static,
    ) -> Result<T, AccessError> {
        let _place = self.inner.blocking.acquire().await;
        match tokio::task::spawn_blocking(job).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a seat of another machine cannot be served");
                Err(AccessError::Unavailable)
            }
            Err(_) => Err(AccessError::Unavailable),
        }
    }
}
