//! The service behind every transport: what a process does with one database under one policy set at a time. Calls go
//! through `pipeline`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::metrics::{Metrics, SlowCall};
use crate::auth::{self, Caller, Credential};
use crate::domain::clock::Clock;
use crate::domain::refusal::{Code, Refusal};
use crate::events::{EventStream, Hub};
use crate::judgement::Judge;
use crate::policy::PolicyHost;
use crate::storage::{self, Db};

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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) db: Db,
    pub(super) policies: Arc<PolicyHost>,
    pub(super) judge: Judge,
    pub(super) hub: Hub,
    pub(super) options: TableOptions,
    pub(super) metrics: Metrics,
    /// Places among the threads that block.
    pub(super) blocking: Semaphore,
    /// When a write last proved that the database can be written.
    proven: Mutex<Option<Instant>>,
}

/// There is no tool of that name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool {0:?}; tools/list names the thirteen there are")]
pub struct UnknownToolError(pub String);

/// Why a request that is no call was not served: an event stream, or a seat on another machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No token, or one that is not valid.
    #[error("this needs the agent's token")]
    Unauthenticated,
    /// Another agent's token.
    #[error("this token is another agent's")]
    Forbidden,
    /// The request is not what it should be.
    #[error("{}; {}", .0.message, .0.hint)]
    Invalid(Refusal),
    /// The database cannot be read or written.
    #[error("the database is not available now")]
    Unavailable,
}

impl Table {
    /// Puts the parts together.
    #[must_use]
    pub fn new(db: Db, policies: Arc<PolicyHost>, hub: Hub, options: TableOptions) -> Self {
        let metrics = Metrics::new(db.clone(), Arc::clone(&policies), hub.clone(), options.clock.clone());
        Self {
            inner: Arc::new(Inner {
                judge: Judge::new(db.clone()),
                db,
                policies,
                hub,
                options,
                metrics,
                blocking: Semaphore::new(MAX_BLOCKING),
                proven: Mutex::default(),
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

    /// The wake-ups.
    #[must_use]
    pub fn hub(&self) -> Hub {
        self.inner.hub.clone()
    }

    /// The policies, for what runs beside the calls.
    #[must_use]
    pub fn shared_policies(&self) -> Arc<PolicyHost> {
        Arc::clone(&self.inner.policies)
    }

    /// Whether a token is a member's, be it one who left: such a token is good for coming back.
    pub async fn knows_token(&self, token: &str) -> bool {
        let (table, claim) = (self.clone(), auth::claim(token));
        let known = tokio::task::spawn_blocking(move || {
            table
                .inner
                .db
                .read_hot(|tx| Ok::<_, crate::storage::Error>(tx.member_by_token(&claim)?.is_some()))
        });
        matches!(known.await, Ok(Ok(true)))
    }

    /// Opens the event stream of an agent, after the event `after` or from now on.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn event_stream(
        &self,
        bearer: Option<&str>,
        agent: &str,
        after: Option<i64>,
    ) -> Result<EventStream, AccessError> {
        let (table, credential, name) = (self.clone(), ambient(bearer), agent.to_owned());
        let caller = tokio::task::spawn_blocking(move || {
            let require_tokens = table.inner.options.require_tokens;
            table.inner.db.read_hot(|tx| auth::authenticate(tx, &credential, Some(&name), require_tokens))
        });
        let principal = match caller.await {
            Ok(Ok(Ok(Caller::Member(principal)))) => principal,
            Ok(Ok(Err(rejected))) if rejected.refusal.code == Code::PermissionDenied => {
                return Err(AccessError::Forbidden);
            }
            Ok(Ok(_)) => return Err(AccessError::Unauthenticated),
            Ok(Err(_)) | Err(_) => return Err(AccessError::Unavailable),
        };
        match EventStream::open(&self.inner.hub, principal.id, bearer, after).await {
            Ok(Some(stream)) => Ok(stream),
            // It ended between the two looks.
            Ok(None) => Err(AccessError::Unauthenticated),
            Err(_) => Err(AccessError::Unavailable),
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

    /// The slowest calls of this process in the last hour, the slowest first; at most ten.
    #[must_use]
    pub fn slowest(&self) -> Vec<SlowCall> {
        self.inner.metrics.slowest()
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

pub(super) fn ambient(token: Option<&str>) -> Credential {
    Credential { ambient: token.map(str::to_owned), ..Credential::default() }
}
