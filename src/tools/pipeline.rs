//! The one way of a tool call: read its arguments, open its case, have it judged, carry it out, and wait where it may wait.
//! Nothing reaches a tool but through here, and nothing a tool changes is kept without its decision.

mod case;
mod refused;
mod targets;

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::time::Instant as Deadline;

use super::call::{Body, Context, Look};
use super::delivery::Delivery;
use super::registry::{self, Row};
use super::reply::{Reply, Request, internal, refusal_of};
use super::{Table, UnknownTool};
use crate::auth::{self, Credential};
use crate::domain::clock::Millis;
use crate::domain::decision::Outcome;
use crate::domain::refusal::{Code, Refusal};
use crate::judgement::{Known, Ruling, Settled};
use crate::policy::PolicySet;
use crate::storage;
use case::{Arrived, CallCase};
use targets::Recipients;

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
    pub async fn call(&self, request: Request) -> Result<Reply, UnknownTool> {
        self.call_unconfirmed(request).await.map(Reply::arrived)
    }

    /// As [`call`](Self::call), for a transport that learns later whether the answer has arrived: messages in it are unread
    /// again when the reply's [`Delivery`](super::Delivery) is dropped.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_unconfirmed(&self, request: Request) -> Result<Reply, UnknownTool> {
        let Some(row) = registry::find(&request.tool) else { return Err(UnknownTool(request.tool)) };
        let started = Instant::now();
        let reply = self.attempts(row, request).await;
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
        let credential = Credential { argument, ambient: request.bearer };
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
        let opened = self.inner.db.glance(|tx| {
            let now = self.inner.db.now_in(tx, &self.inner.options.clock)?;
            let case = match CallCase::open(tx, arrived, now, last_look)? {
                Ok(case) => case,
                Err(rejected) => return Ok(Err(rejected)),
            };
            let checked = case.call.check().map_err(storage::Error::from);
            let candidates = match checked.and_then(|()| case.call.candidates(tx, &case.context)) {
                Ok(candidates) => candidates,
                Err(storage::Error::Refused(refusal)) => return Ok(Ok((case, Err(refusal)))),
                Err(error) => return Err(error),
            };
            let mut case = candidates.first().map(|first| case.standing_for(first)).unwrap_or(case);
            let known = Known::read(tx, &set, &case)?;
            case.opened = known.version();
            Ok(Ok((case, Ok((known, candidates)))))
        });
        match opened {
            Ok(Ok((case, Ok((known, candidates))))) => {
                let context = case.context.clone();
                let judged = self.choose(case, &candidates, &set, known);
                let judged = judged.and_then(|(case, ruling)| self.judge(&case, &set, ruling));
                judged.unwrap_or_else(|error| {
                    let is_inbox = arrived.row.is_inbox;
                    Attempt::Done(self.told(&context, is_inbox, Reply::refused(&refusal_of(error))))
                })
            }
            Ok(Ok((case, Err(refusal)))) => {
                self.seen(case.context.caller_id(), case.context.now);
                Attempt::Done(self.badged(&case, Reply::refused(&refusal)))
            }
            Ok(Err(rejected)) => {
                let refused = Reply::refused(&rejected.refusal);
                Attempt::Done(Reply { bad_token: rejected.bad_token, ..refused })
            }
            Err(error) => Attempt::Done(Reply::refused(&refusal_of(error))),
        }
    }

    /// Does what the policies allow; they are asked again while the facts move, for a target that was left out after another
    /// look for the best.
    fn judge(&self, case: &CallCase, set: &Arc<PolicySet>, ruling: Ruling) -> storage::Result<Attempt> {
        let judge = &self.inner.judge;
        let mut first = Some(ruling);
        let settled = judge.until_settled(|| {
            let ruling = first.take().map_or_else(|| judge.ask(case, set), Ok)?;
            let attempt = self.round(case, set, &ruling)?;
            Ok(attempt.or_else(|| case.implied.then_some(Attempt::Again)))
        });
        settled?.ok_or_else(|| too_fast().into())
    }

    fn round(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
    ) -> storage::Result<Option<Attempt>> {
        let done = |reply: Option<Reply>| reply.map(Attempt::Done);
        let approval = match ruling.decision.outcome {
            Outcome::Allow => None,
            Outcome::Escalate => match self.approval(case)? {
                Some(approval) => Some(approval),
                None => return self.hold(case, set, ruling).map(done),
            },
            _ => return self.refuse(case, set, ruling).map(done),
        };
        let approved = approval.is_some();
        let recipients = match self.allowed_recipients(case, set, approved)? {
            Recipients::All => None,
            Recipients::Some(names) => Some(names),
            Recipients::None(decision) => {
                let ruling = ruling.with(decision);
                return match ruling.decision.outcome {
                    Outcome::Escalate => self.hold(case, set, &ruling).map(done),
                    _ => self.refuse(case, set, &ruling).map(done),
                };
            }
        };
        let carried_out = self.look(case, set, ruling, approved).and_then(|looked| match looked {
            Some(attempt) => Ok(Some(attempt)),
            None => self.carry_out(&case.with_approval(approval), set, ruling, recipients),
        });
        match carried_out {
            Err(error @ storage::Error::Refused(_)) => self.failed(case, set, ruling, error),
            other => other,
        }
    }

    /// Answers a call that needs no change; `None` where one is needed.
    fn look(
        &self,
        case: &CallCase,
        set: &PolicySet,
        ruling: &Ruling,
        approved: bool,
    ) -> storage::Result<Option<Attempt>> {
        if !case.row.looks {
            return Ok(None);
        }
        let (look, unread) = self.inner.db.glance(|tx| {
            let look = case.call.look(tx, &case.context)?;
            let badge = case.badge_of().filter(|_| matches!(look, Look::Answer(_)));
            Ok((look, badge.map(|id| tx.unread(id)).transpose()?))
        })?;
        match look {
            // An approval is used up, and a counted call counted, in the transaction of the answer.
            Look::Answer(body) if !approved && !case.is_counted(set) => {
                let body = self.readable(case, set, approved, body)?;
                self.inner.judge.record_later(case, ruling, true, case.context.now);
                Ok(Some(Attempt::Done(finish(case, body, &unread.unwrap_or_default()))))
            }
            Look::Wait => Ok(Some(match &case.context.principal {
                Some(principal) => Attempt::Wait(principal.id),
                None => Attempt::Done(Reply::refused(&internal())),
            })),
            Look::Answer(_) | Look::Change => Ok(None),
        }
    }

    fn carry_out(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
        recipients: Option<Vec<String>>,
    ) -> storage::Result<Option<Attempt>> {
        let (of_tx, badge) = (case.clone(), case.badge_of());
        let settled = self.inner.judge.settle(of_tx, set, ruling, true, move |tx, case, _| {
            let context = Context { recipients, ..case.context.clone() };
            // First: what the call returns already knows that its caller was seen.
            context.caller_id().map_or(Ok(()), |id| tx.touch(id, context.now))?;
            let body = case.call.run(tx, &context)?;
            let unread = badge.map(|id| tx.unread(id)).transpose()?;
            Ok((body, unread.unwrap_or_default()))
        })?;
        let Settled::Done(_, (body, unread)) = settled else { return Ok(None) };
        let body = self.readable(case, set, case.approval.is_some(), body)?;
        // From here on it is dropped wherever the caller is gone.
        let delivery = case.context.caller_id().and_then(|member| {
            let ids = case.call.handed_out(&body);
            (!ids.is_empty()).then(|| Delivery::new(self.inner.db.clone(), member, ids))
        });
        Ok(Some(Attempt::Done(Reply { delivery, ..finish(case, body, &unread) })))
    }

    /// A call that was allowed, and then refused by the server's own rules.
    fn failed(
        &self,
        case: &CallCase,
        set: &Arc<PolicySet>,
        ruling: &Ruling,
        error: storage::Error,
    ) -> storage::Result<Option<Attempt>> {
        if !case.is_counted(set) {
            self.inner.judge.record_later(case, ruling, false, case.context.now);
            return Err(error);
        }
        // A policy counts it: the next call must find it counted.
        match self.settle_undone(case, set, ruling)? {
            Settled::Done(..) => Err(error),
            Settled::Moved | Settled::Gone => Ok(None),
        }
    }

    /// Notes with the next commit that a member was there, though its call came to nothing.
    fn seen(&self, member: Option<i64>, now: Millis) {
        if let Some(id) = member {
            self.inner.db.write_later(move |tx| tx.touch(id, now));
        }
    }

    /// Arguments that cannot be read: the caller is told, and, if known, of the messages that wait.
    async fn unparsed(&self, row: &Row, refusal: Refusal, credential: Credential) -> Reply {
        let table = self.clone();
        let (reply, is_inbox) = (Reply::refused(&refusal), row.is_inbox);
        let badge = tokio::task::spawn_blocking(move || {
            let known = table.inner.db.glance(|tx| {
                let caller = auth::authenticate(tx, &credential, None, table.inner.options.require_tokens)?;
                let bad_token = caller.as_ref().is_err_and(|rejected| rejected.bad_token);
                let caller = caller.ok().and_then(|caller| caller.principal().map(|principal| principal.id));
                Ok((bad_token, caller, caller.map(|id| tx.unread(id)).transpose()?))
            });
            let (bad_token, caller, unread) = known.ok()?;
            table.seen(caller, table.inner.db.now(&table.inner.options.clock));
            Some((bad_token, unread.filter(|_| !is_inbox)))
        });
        match badge.await {
            Ok(Some((bad_token, unread))) => {
                Reply { bad_token, ..reply }.with_badge(&unread.unwrap_or_default())
            }
            _ => reply,
        }
    }

    fn badged(&self, case: &CallCase, reply: Reply) -> Reply {
        self.told(&case.context, case.row.is_inbox, reply)
    }

    /// A reply with the caller's unread messages, unless the call is about them.
    fn told(&self, context: &Context, is_inbox: bool, reply: Reply) -> Reply {
        match context.caller_id().filter(|_| !is_inbox) {
            Some(id) => reply.with_badge(&self.inner.db.glance(|tx| tx.unread(id)).unwrap_or_default()),
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

fn finish(case: &CallCase, body: Body, unread: &storage::Unread) -> Reply {
    let reply = Reply::done(body);
    if case.row.is_inbox { reply } else { reply.with_badge(unread) }
}
