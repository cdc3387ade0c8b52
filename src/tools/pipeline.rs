//! The one way of a tool call: read its arguments, open its case, have it judged, carry it out, and wait where it may wait.
//! Nothing reaches a tool but through here, and nothing a tool changes is kept without its decision.

mod case;
mod effect;
mod refused;
mod seat;
mod targets;

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::time::Instant as Deadline;

use super::registry::{self, Row};
use super::reply::{Reply, Request, internal, refusal_of};
use super::{Table, UnknownToolError};
use crate::auth::Credential;
use crate::domain::clock::Millis;
use crate::domain::refusal::{Code, Refusal};
use crate::storage;
use case::{Arrived, CallCase};

/// How often the target of a call that leaves it out is looked for again because another call took it.
const MAX_TARGETS: usize = 200;

/// What one attempt at a call came to.
enum Attempt {
    Done(Reply),
    /// Nothing to return yet; wait for what is committed for this member.
    Wait(i64),
    /// The target that the call stood for is not the best any more: look for it again.
    Again,
}

impl Table {
    /// Carries a call out. Dropping the future abandons the wait for the answer, not the work.
    ///
    /// # Errors
    /// Only for a name that is no tool; every other failure is a [`Reply`].
    pub async fn call(&self, request: Request) -> Result<Reply, UnknownToolError> {
        self.call_unconfirmed(request).await.map(Reply::arrived)
    }

    /// As [`call`](Self::call), for a transport that learns later whether the answer has arrived: messages in it are unread
    /// again when the reply's [`Delivery`](super::Delivery) is dropped.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_unconfirmed(&self, request: Request) -> Result<Reply, UnknownToolError> {
        let Some(row) = registry::find(&request.tool) else { return Err(UnknownToolError(request.tool)) };
        let started = Instant::now();
        let proven = request.bearer.is_some() || request.arguments.contains_key("token");
        let from_seat = (!proven && !request.seats.is_empty()).then(|| request.clone());
        let mut reply = self.attempts(row, request).await;
        // Its session may have reserved a name that is not registered yet.
        if let Some(request) = from_seat.filter(|_| reply.code() == Code::Unauthenticated.as_str())
            && self.sit_down(&request.seats).await.is_some_and(|registration| !registration.is_error)
        {
            reply = self.attempts(row, request).await;
        }
        self.inner.metrics.called(row.spec.name, reply.code(), started.elapsed());
        Ok(reply)
    }

    /// Attempts a call until it is done or its waiting time is over.
    async fn attempts(&self, row: &'static Row, request: Request) -> Reply {
        let mut arguments = request.arguments;
        let argument = match arguments.remove("token") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(token),
            Some(_) => {
                return Reply::refused(&Refusal::invalid(
                    "token is not text",
                    "pass the token that register returned",
                ));
            }
        };
        let credential = Credential { argument, ambient: request.bearer, seats: request.seats };
        let parsed = match (row.parse)(arguments.clone(), &row.spec.input_schema) {
            Ok(parsed) => parsed,
            Err(refusal) => return self.unparsed(row, refusal, credential).await,
        };
        let deadline = Deadline::now() + parsed.call().wait();
        let arrived = Arc::new(Arrived {
            row,
            parsed,
            arguments,
            credential,
            transport: request.transport.as_str(),
            require_tokens: self.inner.options.require_tokens,
        });
        let mut subscription = None;
        let mut targets = 0;
        loop {
            let last_look = Deadline::now() >= deadline;
            let (table, of_attempt) = (self.clone(), Arc::clone(&arrived));
            // Never closed, so there is always a permit in the end.
            let place = self.inner.blocking.acquire().await;
            let attempt = tokio::task::spawn_blocking(move || table.attempt(&of_attempt, last_look)).await;
            drop(place);
            match attempt {
                Ok(Attempt::Done(reply)) => return reply,
                Ok(Attempt::Again) if targets < MAX_TARGETS => targets += 1,
                Ok(Attempt::Again) => return Reply::refused(&too_fast()),
                Ok(Attempt::Wait(member)) => match &mut subscription {
                    // What came before the subscription is found by looking once more.
                    None => subscription = Some(self.inner.hub.subscribe(member)),
                    Some(subscription) => {
                        // At the deadline there is one last look.
                        let _ = tokio::time::timeout_at(deadline, subscription.message()).await;
                    }
                },
                Err(panic) => {
                    tracing::error!(%panic, tool = row.spec.name, "a call panicked");
                    return Reply::refused(&internal());
                }
            }
        }
    }

    fn attempt(&self, arrived: &Arc<Arrived>, last_look: bool) -> Attempt {
        let set = self.inner.policies.current();
        // One look at the database for all that is known before the policies are asked.
        let opened = self.inner.db.read_hot(|tx| {
            let now = self.inner.db.now_in(tx, &self.inner.options.clock)?;
            let case = match CallCase::open(tx, arrived, now, last_look)? {
                Ok(case) => case,
                Err(rejected) => return Ok(Err(rejected)),
            };
            if let Some((seat, principal)) = case.sits_down(tx)? {
                self.inner.db.write_later(move |tx| tx.sit(&seat, principal.id, &principal.name, now));
            }
            let checked = case.call.check().map_err(storage::Error::from);
            let candidates = match checked.and_then(|()| case.call.candidates(tx, &case.context)) {
                Ok(candidates) => candidates,
                Err(storage::Error::Refused(refusal)) => return Ok(Ok((case, Err(refusal)))),
                Err(error) => return Err(error),
            };
            let mut case = candidates.first().map(|first| case.standing_for(first)).unwrap_or(case);
            let known = self.inner.judge.read_facts(tx, &case, &set)?;
            case.opened = known.version();
            Ok(Ok((case, Ok((known, candidates)))))
        });
        match opened {
            Ok(Ok((case, Ok((known, candidates))))) => {
                let badge = case.badge_of();
                let judged = self.choose(case, &candidates, &set, known);
                let judged = judged.and_then(|(case, ruling)| self.judge(&case, &set, ruling));
                judged.unwrap_or_else(|error| {
                    Attempt::Done(self.badged(badge, Reply::refused(&refusal_of(error))))
                })
            }
            Ok(Ok((case, Err(refusal)))) => {
                self.touch_later(case.context.caller_id(), case.context.now);
                Attempt::Done(self.badged(case.badge_of(), Reply::refused(&refusal)))
            }
            Ok(Err(rejected)) => {
                let refused = Reply::refused(&rejected.refusal);
                Attempt::Done(Reply { bad_token: rejected.bad_token, ..refused })
            }
            Err(error) => Attempt::Done(Reply::refused(&refusal_of(error))),
        }
    }

    /// Notes with the next commit that a member was there, though its call came to nothing.
    fn touch_later(&self, member: Option<i64>, now: Millis) {
        if let Some(id) = member {
            self.inner.db.write_later(move |tx| tx.touch(id, now));
        }
    }

    /// A reply that tells of a member's unread messages, see [`CallCase::badge_of`].
    fn badged(&self, badge: Option<i64>, reply: Reply) -> Reply {
        match badge {
            Some(id) => reply.with_badge(&self.inner.db.read_hot(|tx| tx.unread(id)).unwrap_or_default()),
            None => reply,
        }
    }
}

fn too_fast() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "the table changed faster than the policies could judge; nothing was changed",
        "try the same call again",
    )
}
