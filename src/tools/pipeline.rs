//! The one way of a tool call: decode, authenticate, read facts, ask the policies, carry out and record.
//! Nothing reaches a tool but through here, and nothing a tool changes is kept without its decision.

mod refused;
mod targets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant as Deadline;

use super::call::{Body, Call, Context, Look};
use super::delivery::Delivery;
use super::metrics::Metrics;
use super::registry::{self, Parsed, Row};
use super::reply::{Reply, Request, internal, refusal_of};
use crate::auth::{self, Caller, Credential, Rejected};
use crate::domain::clock::{Clock, Millis};
use crate::domain::decision::{Decision, Fact, Hook, Input, Outcome, PrincipalView, SetRecord, ToolCall};
use crate::domain::principal::Principal;
use crate::domain::refusal::{Code, Refusal};
use crate::events::{EventStream, Hub};
use crate::policy::{PolicyHost, PolicySet};
use crate::storage::{self, Db, DecisionRecord, FactScope, ReadTx, WriteTx};
use refused::subject;
use targets::Recipients;

/// How often a call is judged again because the facts moved under it. Each time, somebody else's change was
/// committed, so the table moves on; a caller so unlucky may simply try again.
const MAX_ROUNDS: usize = 200;

/// Calls that may be at work at once. The runtime has 512 threads that may block; the rest are for what calls wait for: the
/// dispatcher of events, health checks, streams.
const MAX_BLOCKING: usize = 384;

/// How long a write that went through answers the readiness probe: anyone may ask, and a commit costs an fsync.
const READY_FOR: Duration = Duration::from_secs(1);

/// How the table is set up.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Whether a call must prove its caller with a token.
    pub require_tokens: bool,
    /// Where the time comes from.
    pub clock: Clock,
}

/// The service behind every transport: the thirteen tools on one database, under one policy set at a time.
#[derive(Clone)]
pub struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    policies: Arc<PolicyHost>,
    hub: Hub,
    options: TableOptions,
    metrics: Metrics,
    /// Places among the threads that block.
    blocking: Semaphore,
    /// When a write last proved that the database can be written.
    proven: Mutex<Option<Instant>>,
    /// Digest of the last policy set that this process has described in the database.
    described: Mutex<String>,
}

/// There is no tool of that name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool {0:?}; tools/list names the thirteen there are")]
pub struct UnknownTool(pub String);

/// Why an event stream was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamRefused {
    /// No token, or one that is not valid.
    #[error("this stream needs the agent's token")]
    Unauthenticated,
    /// Another agent's token.
    #[error("this token is another agent's")]
    Forbidden,
    /// The database cannot be read.
    #[error("the event log cannot be read right now")]
    Unavailable,
}

/// What one attempt at a call came to.
enum Attempt {
    Done(Reply),
    /// Nothing to return yet; wait for what is committed for this member.
    Wait(i64),
    /// The target that the call stood for is not the best any more: look for it again.
    Again,
}

/// What became of a write attempt.
enum Written {
    Done(Body, storage::Unread),
    /// Somebody changed the facts between the judgement and the commit.
    Moved,
}

/// A call on its way: everything known before the policies are asked.
struct Case {
    row: &'static Row,
    call: Arc<dyn Call>,
    credential: Credential,
    name: Option<String>,
    question: ToolCall,
    context: Context,
    scope: FactScope,
    /// Whether the call left its target out and stands for the best.
    implied: bool,
}

impl Case {
    /// Whose unread messages the reply tells of; nobody's where the call itself hands them out.
    fn badge_of(&self) -> Option<i64> {
        self.context.caller_id().filter(|_| !self.row.is_inbox)
    }
}

/// The facts asked for and the state of the log they were read in.
struct Known {
    since: Instant,
    facts: Vec<Fact>,
    version: (i64, i64),
    /// What the policies said to them, where they were asked already.
    decided: Option<Decision>,
}

impl Known {
    fn read(tx: &ReadTx<'_>, set: &PolicySet, scope: &FactScope) -> storage::Result<Self> {
        let since = Instant::now();
        let (facts, version) = tx.facts_at(set.fact_requests(Hook::Authorization), scope)?;
        Ok(Self { since, facts, version, decided: None })
    }
}

/// What one judgement rests on.
struct Evidence {
    facts: Vec<Fact>,
    /// The log's numbers when the facts were read,
    version: (i64, i64),
    /// and when the caller was authenticated, which is not done again with every judgement.
    opened: (i64, i64),
    micros: i64,
    new_set: Option<SetRecord>,
}

impl Table {
    /// Puts the parts together.
    #[must_use]
    pub fn new(db: Db, policies: Arc<PolicyHost>, hub: Hub, options: TableOptions) -> Self {
        let metrics = Metrics::new(db.clone(), Arc::clone(&policies), hub.clone(), options.clock.clone());
        Self {
            inner: Arc::new(Inner {
                db,
                policies,
                hub,
                options,
                metrics,
                blocking: Semaphore::new(MAX_BLOCKING),
                proven: Mutex::default(),
                described: Mutex::default(),
            }),
        }
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// The policies.
    #[must_use]
    pub fn policies(&self) -> &PolicyHost {
        &self.inner.policies
    }

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
        let parsed = match (row.parse)(arguments.clone(), &row.spec.input_schema) {
            Ok(parsed) => parsed,
            Err(refusal) => return self.unparsed(row, refusal, argument, request.bearer).await,
        };
        let parsed = Arc::new(parsed);
        let deadline = Deadline::now() + parsed.call().wait();
        let credential = Credential { argument, ambient: request.bearer };
        let mut subscription = None;
        let mut rounds = 0;
        loop {
            let last_look = Deadline::now() >= deadline;
            let (table, parsed) = (self.clone(), Arc::clone(&parsed));
            let (arguments, credential) = (arguments.clone(), credential.clone());
            // Never closed, so there is always a permit in the end.
            let place = self.inner.blocking.acquire().await;
            let attempt = tokio::task::spawn_blocking(move || {
                table.attempt(row, &parsed, arguments, credential, request.transport.as_str(), last_look)
            });
            let attempt = attempt.await;
            drop(place);
            match attempt {
                Ok(Attempt::Done(reply)) => return reply,
                Ok(Attempt::Again) if rounds < MAX_ROUNDS => rounds += 1,
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

    /// Notes with the next commit that a member was there, though its call came to nothing.
    fn seen(&self, member: Option<i64>, now: Millis) {
        if let Some(id) = member {
            self.inner.db.write_later(move |tx| tx.touch(id, now));
        }
    }

    /// Arguments that cannot be read: the caller is told, and, if known, of the messages that wait.
    async fn unparsed(
        &self,
        row: &Row,
        refusal: Refusal,
        argument: Option<String>,
        ambient: Option<String>,
    ) -> Reply {
        let table = self.clone();
        let credential = Credential { argument, ambient };
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

    fn attempt(
        &self,
        row: &'static Row,
        parsed: &Parsed,
        arguments: Map<String, Value>,
        credential: Credential,
        transport: &str,
        last_look: bool,
    ) -> Attempt {
        let set = self.inner.policies.current();
        // One look at the database for all that is known before the policies are asked.
        let opened = self.inner.db.glance(|tx| {
            let now = self.inner.db.now_in(tx, &self.inner.options.clock)?;
            let opened = self.open_case(tx, row, parsed, arguments, credential, transport, now, last_look)?;
            let case = match opened {
                Ok(case) => case,
                Err(rejected) => return Ok(Err(rejected)),
            };
            if let Err(refusal) = case.call.check() {
                return Ok(Ok((case, Err(refusal))));
            }
            let candidates = match case.call.candidates(tx, &case.context) {
                Ok(candidates) => candidates,
                Err(storage::Error::Refused(refusal)) => return Ok(Ok((case, Err(refusal)))),
                Err(error) => return Err(error),
            };
            let case = candidates.first().map(|first| case.standing_for(first)).unwrap_or(case);
            let known = Known::read(tx, &set, &case.scope)?;
            Ok(Ok((case, Ok((known, candidates)))))
        });
        let (case, known) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(rejected)) => {
                return Attempt::Done(Reply {
                    bad_token: rejected.bad_token,
                    ..Reply::refused(&rejected.refusal)
                });
            }
            Err(error) => return Attempt::Done(Reply::refused(&refusal_of(error))),
        };
        let (known, candidates) = match known {
            Ok(known) => known,
            Err(refusal) => {
                self.seen(case.context.caller_id(), case.context.now);
                return Attempt::Done(self.refused(&case, &refusal));
            }
        };
        let judged = (|| {
            let (opened, mut known) = (known.version, known);
            match self.choose(&case, &candidates, &set, &mut known)? {
                Some((case, known)) => self.judge(&case, &set, known, opened),
                None => self.judge(&case, &set, known, opened),
            }
        })();
        match judged {
            Ok(attempt) => attempt,
            Err(error) => Attempt::Done(self.refused(&case, &refusal_of(error))),
        }
    }

    /// Who calls, and what about.
    #[expect(clippy::too_many_arguments, reason = "the parts of one call, each used once")]
    fn open_case(
        &self,
        tx: &ReadTx<'_>,
        row: &'static Row,
        parsed: &Parsed,
        arguments: Map<String, Value>,
        credential: Credential,
        transport: &str,
        now: Millis,
        last_look: bool,
    ) -> storage::Result<Result<Case, Rejected>> {
        let call = parsed.call();
        let name = call.name().map(str::to_owned);
        let require_tokens = self.inner.options.require_tokens;
        let (principal, proof, view) = match parsed {
            Parsed::Register(register) => {
                let (wanted, role, capabilities) = register.wanted();
                let proof = auth::prove_registration(tx, &credential, wanted)?;
                let proof = match proof {
                    Ok(proof) => proof,
                    Err(rejected) => return Ok(Err(rejected)),
                };
                let view = PrincipalView {
                    name: if proof.is_some() { wanted.to_owned() } else { String::new() },
                    role: role.to_owned(),
                    capabilities: capabilities.to_vec(),
                    authenticated: proof.is_some(),
                };
                (None, proof, view)
            }
            Parsed::Call(_) => {
                let caller = auth::authenticate(tx, &credential, name.as_deref(), require_tokens)?;
                let principal = match caller {
                    Ok(Caller::Member(principal)) => Some(principal),
                    Ok(Caller::Anonymous) => None,
                    Err(rejected) => return Ok(Err(rejected)),
                };
                let view = principal.as_ref().map_or_else(nobody, Principal::view);
                (principal, None, view)
            }
        };
        let argued = credential.argument.as_deref().is_some_and(|token| !token.trim().is_empty());
        let kept_token = credential.ambient.clone().filter(|_| proof.is_some() && !argued);
        let context = Context { principal, now, proof, kept_token, recipients: None, last_look };
        let mut scope = FactScope {
            now,
            principal: context.caller_id().map(|id| (id, view.name.clone())),
            ..FactScope::default()
        };
        call.target(&mut scope);
        let question = ToolCall {
            tool: row.spec.name.to_owned(),
            principal: view,
            arguments: Value::Object(arguments),
            transport: transport.to_owned(),
            now,
        };
        Ok(Ok(Case { row, call, credential, name, question, context, scope, implied: false }))
    }

    /// Asks the policies, and does what they allow. When the facts have moved by the time of the commit,
    /// nothing has happened, and they are asked again.
    fn judge(
        &self,
        case: &Case,
        set: &Arc<PolicySet>,
        known: Known,
        opened: (i64, i64),
    ) -> storage::Result<Attempt> {
        let mut known = Some(known);
        for _ in 0..MAX_ROUNDS {
            let Known { since, facts, version, decided } = match known.take() {
                Some(known) => known,
                None => self.inner.db.glance(|tx| Known::read(tx, set, &case.scope))?,
            };
            let decision = decided.unwrap_or_else(|| set.authorize(&case.question, &facts));
            let micros = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
            let evidence = Evidence { facts, version, opened, micros, new_set: self.undescribed(set) };
            let approval = match decision.outcome {
                Outcome::Allow => None,
                Outcome::Escalate => {
                    let subject = subject(case);
                    let caller = case.context.caller_id();
                    match self.inner.db.glance(|tx| tx.approval(caller, &subject, case.context.now))? {
                        Some(approval) => Some(approval),
                        None => return Ok(Attempt::Done(self.hold(case, &decision, &evidence, subject))),
                    }
                }
                _ => return Ok(Attempt::Done(self.refuse(case, decision, &evidence))),
            };
            let allowed = match self.allowed_recipients(case, set, approval.is_some())? {
                Recipients::All => None,
                Recipients::Some(names) => Some(names),
                Recipients::None(decision) if decision.outcome == Outcome::Escalate => {
                    return Ok(Attempt::Done(self.hold(case, &decision, &evidence, subject(case))));
                }
                Recipients::None(decision) => {
                    return Ok(Attempt::Done(self.refuse(case, decision, &evidence)));
                }
            };
            if case.row.looks {
                let looked = self.inner.db.glance(|tx| {
                    let look = case.call.look(tx, &case.context)?;
                    let badge = case.badge_of().filter(|_| matches!(look, Look::Answer(_)));
                    Ok((look, badge.map(|id| tx.unread(id)).transpose()?))
                });
                match looked {
                    // An approval is used up, and a counted call counted, in the transaction of the answer.
                    Ok((Look::Answer(body), unread)) if approval.is_none() && !counted(set, case) => {
                        let body = self.readable(case, set, approval.is_some(), body)?;
                        self.record_later(case, decision, &evidence, true);
                        return Ok(Attempt::Done(finish(case, body, &unread.unwrap_or_default())));
                    }
                    Ok((Look::Wait, _)) => return Ok(wait(case)),
                    Ok((Look::Answer(_) | Look::Change, _)) => {}
                    Err(error) => return Err(self.failed(case, set, decision, &evidence, error)),
                }
            }
            match self.carry_out(case, set, decision.clone(), &evidence, approval, allowed) {
                Ok(Written::Done(body, unread)) => {
                    let body = self.readable(case, set, approval.is_some(), body)?;
                    self.described(&evidence, set.digest());
                    // From here on it is dropped wherever the caller is gone.
                    let delivery = case.context.caller_id().and_then(|member| {
                        let ids = case.call.handed_out(&body);
                        (!ids.is_empty()).then(|| Delivery::new(self.inner.db.clone(), member, ids))
                    });
                    return Ok(Attempt::Done(Reply { delivery, ..finish(case, body, &unread) }));
                }
                Ok(Written::Moved) if case.implied => return Ok(Attempt::Again),
                Ok(Written::Moved) => {}
                Err(error) => return Err(self.failed(case, set, decision, &evidence, error)),
            }
        }
        Err(too_fast().into())
    }

    /// The one write transaction: the facts still hold, then decision, effect, event and audit together.
    fn carry_out(
        &self,
        case: &Case,
        set: &Arc<PolicySet>,
        decision: Decision,
        evidence: &Evidence,
        approval: Option<i64>,
        recipients: Option<Vec<String>>,
    ) -> storage::Result<Written> {
        let mut context = Context { recipients, ..case.context.clone() };
        let (call, scope) = (Arc::clone(&case.call), case.scope.clone());
        let (credential, name, set) = (case.credential.clone(), case.name.clone(), Arc::clone(set));
        let (opened, version) = (evidence.opened, evidence.version);
        let (facts, badge) = (evidence.facts.clone(), case.badge_of());
        let record = record(case, decision, evidence, true);
        let require_tokens = self.inner.options.require_tokens;
        self.inner.db.write(move |tx| {
            // Where the log has not moved, all that was looked up is still as it was.
            let at = tx.facts_version()?;
            if at != opened {
                context.now = tx.not_before(context.now)?;
                check_still_valid(tx, &context, &credential, name.as_deref(), require_tokens)?;
            }
            if at != version && tx.facts(set.fact_requests(Hook::Authorization), &scope)? != facts {
                return Ok(Written::Moved);
            }
            if !call.is_still_best(tx, &context)? {
                return Ok(Written::Moved);
            }
            if let Some(approval) = approval
                && !tx.use_approval(approval, context.now)?
            {
                return Ok(Written::Moved);
            }
            tx.record_decision(&record)?;
            let caller = context.caller_id();
            // First: what the call returns already knows that its caller was seen.
            caller.map_or(Ok(()), |id| tx.touch(id, context.now))?;
            let body = call.run(tx, &context)?;
            let unread = badge.map(|id| tx.unread(id)).transpose()?;
            Ok(Written::Done(body, unread.unwrap_or_default()))
        })
    }

    /// A call that was allowed and then not done: the server's own rules, or trouble with the database.
    fn failed(
        &self,
        case: &Case,
        set: &PolicySet,
        decision: Decision,
        evidence: &Evidence,
        error: storage::Error,
    ) -> storage::Error {
        if !matches!(error, storage::Error::Refused(_)) {
            return error;
        }
        if !counted(set, case) {
            self.record_later(case, decision, evidence, false);
            return error;
        }
        // A policy counts it: the next call must find it counted.
        let record = record(case, decision, evidence, false);
        let (caller, now) = (case.context.caller_id(), case.context.now);
        let written = self.inner.db.write(move |tx| {
            tx.record_decision(&record)?;
            caller.map_or(Ok(()), |id| tx.touch(id, now))
        });
        written.err().unwrap_or(error)
    }

    /// A call that changed nothing: its decision joins the next commit.
    fn record_later(&self, case: &Case, decision: Decision, evidence: &Evidence, done: bool) {
        let record = record(case, decision, evidence, done);
        let (caller, now) = (case.context.caller_id(), case.context.now);
        self.inner.db.write_later(move |tx| {
            tx.record_decision(&record)?;
            caller.map_or(Ok(()), |id| tx.touch(id, now))
        });
    }

    /// The set's description, unless this process knows it to be in the database.
    fn undescribed(&self, set: &PolicySet) -> Option<SetRecord> {
        if *self.inner.described.lock() == set.digest() {
            return None;
        }
        set.record()
    }

    /// The description was committed with a decision.
    fn described(&self, evidence: &Evidence, digest: &str) {
        if evidence.new_set.is_some() {
            digest.clone_into(&mut self.inner.described.lock());
        }
    }

    fn refused(&self, case: &Case, refusal: &Refusal) -> Reply {
        self.badged(case, Reply::refused(refusal))
    }

    fn badged(&self, case: &Case, reply: Reply) -> Reply {
        match case.badge_of() {
            Some(id) => reply.with_badge(&self.inner.db.glance(|tx| tx.unread(id)).unwrap_or_default()),
            None => reply,
        }
    }

    /// Whether a token is a member's, be it one who left: such a token is good for coming back.
    pub async fn knows_token(&self, token: &str) -> bool {
        let (table, claim) = (self.clone(), auth::claim(token));
        let known = tokio::task::spawn_blocking(move || {
            table.inner.db.glance(|tx| Ok::<_, crate::storage::Error>(tx.member_by_token(&claim)?.is_some()))
        });
        matches!(known.await, Ok(Ok(true)))
    }

    /// Opens the event stream of an agent, after the event `after` or from now on.
    ///
    /// # Errors
    /// See [`StreamRefused`].
    pub async fn event_stream(
        &self,
        bearer: Option<&str>,
        agent: &str,
        after: Option<i64>,
    ) -> Result<EventStream, StreamRefused> {
        let (table, credential, name) = (self.clone(), ambient(bearer), agent.to_owned());
        let caller = tokio::task::spawn_blocking(move || {
            let require_tokens = table.inner.options.require_tokens;
            table.inner.db.glance(|tx| auth::authenticate(tx, &credential, Some(&name), require_tokens))
        });
        let principal = match caller.await {
            Ok(Ok(Ok(Caller::Member(principal)))) => principal,
            Ok(Ok(Err(rejected))) if rejected.refusal.code == Code::PermissionDenied => {
                return Err(StreamRefused::Forbidden);
            }
            Ok(Ok(_)) => return Err(StreamRefused::Unauthenticated),
            Ok(Err(_)) | Err(_) => return Err(StreamRefused::Unavailable),
        };
        match EventStream::open(&self.inner.hub, principal.id, bearer, after).await {
            Ok(Some(stream)) => Ok(stream),
            // It ended between the two looks.
            Ok(None) => Err(StreamRefused::Unauthenticated),
            Err(_) => Err(StreamRefused::Unavailable),
        }
    }

    /// Whether the database can be written.
    ///
    /// # Errors
    /// What keeps it from being written, for the operator.
    pub async fn ready(&self) -> Result<(), String> {
        let table = self.clone();
        let probe = tokio::task::spawn_blocking(move || {
            table.inner.db.check_place()?;
            // Held meanwhile: of many that ask at once, one writes.
            let mut proven = table.inner.proven.lock();
            if proven.is_none_or(|at| at.elapsed() > READY_FOR) {
                *proven = None;
                table.inner.db.write(|tx| tx.probe())?;
                *proven = Some(Instant::now());
            }
            Ok::<_, storage::Error>(())
        });
        match probe.await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// All numbers in the text form of `OpenMetrics`. Reads the database: not for async threads.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.inner.metrics.text()
    }

    /// Lets a transport show numbers of its own among those of [`Self::metrics`], under the same prefix.
    pub fn register_metrics<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        self.inner.metrics.extend(register)
    }

    /// Commits what is queued and closes the database. Calls that come later are `unavailable`.
    pub fn close(&self) {
        self.inner.db.close();
    }
}

fn too_fast() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "the table changed faster than the policies could judge; nothing was changed",
        "try the same call again",
    )
}

fn ambient(token: Option<&str>) -> Credential {
    Credential { argument: None, ambient: token.map(str::to_owned) }
}

fn nobody() -> PrincipalView {
    PrincipalView { name: String::new(), role: String::new(), capabilities: Vec::new(), authenticated: false }
}

/// Whether a policy counts calls of this tool: then even a call that changes nothing is recorded before it
/// is answered, so that the count is exact.
fn counted(set: &PolicySet, case: &Case) -> bool {
    set.fact_requests(Hook::Authorization).iter().filter(|request| request.name.starts_with("calls.")).any(
        |request| {
            let tools: Option<Vec<String>> =
                request.params.get("tools").and_then(|text| serde_json::from_str(text).ok());
            tools.is_none_or(|tools| tools.is_empty() || tools.iter().any(|tool| tool == case.row.spec.name))
        },
    )
}

fn record(case: &Case, decision: Decision, evidence: &Evidence, done: bool) -> DecisionRecord {
    DecisionRecord {
        at: case.context.now,
        agent_id: case.context.caller_id(),
        input: Input::Authorization(case.question.clone()),
        facts: evidence.facts.clone(),
        decision,
        done,
        micros: evidence.micros,
        new_set: evidence.new_set.clone(),
    }
}

/// A token may have been revoked, or a name lost, since the call was authenticated.
fn check_still_valid(
    tx: &WriteTx<'_>,
    context: &Context,
    credential: &Credential,
    name: Option<&str>,
    require_tokens: bool,
) -> storage::Result<()> {
    let same = if let Some(principal) = &context.principal {
        auth::authenticate(tx, credential, name, require_tokens)?.map(|caller| {
            caller.principal().is_some_and(|now| now.id == principal.id && now.role == principal.role)
        })
    } else if context.proof.is_some() {
        let proof = auth::prove_registration(tx, credential, name.unwrap_or_default())?;
        proof.map(|proof| proof == context.proof)
    } else {
        Ok(true)
    };
    match same {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::new(
            Code::Unavailable,
            "your registration changed while the call was judged; nothing was changed",
            "try the same call again",
        )
        .into()),
        Err(rejected) => Err(rejected.refusal.into()),
    }
}

fn wait(case: &Case) -> Attempt {
    match &case.context.principal {
        Some(principal) => Attempt::Wait(principal.id),
        None => Attempt::Done(Reply::refused(&internal())),
    }
}

fn finish(case: &Case, body: Body, unread: &storage::Unread) -> Reply {
    let reply = Reply::done(body);
    if case.row.is_inbox { reply } else { reply.with_badge(unread) }
}
