//! The only wiring: a configuration becomes a database, policies, events and tools behind a transport, and
//! is taken down again in an order that loses nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::{Config, Transport};
use crate::console::{self, ConsoleOptions, PolicyFiles};
use crate::domain::clock::Clock;
use crate::events::Hub;
use crate::judgement::Judge;
use crate::mcp;
use crate::operator::Policies;
use crate::os::{self, EndSignal, ReloadSignal};
use crate::policy::{HostConfig, Loader, PolicyError, PolicyHost, PolicySet, SetStatus};
use crate::storage::{Db, KEEP_BYTES, OpenError, OpenOptions, POLICY_SET, PolicyChange, ProcessRow};
use crate::tools::{Table, TableOptions};
use crate::wake::{self, Process, Ringing};

/// How often the decision log is looked over for what is too old or too much.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// How often the set in force is compared with the one recorded. A command records its own change long before.
const RECORD_EVERY: Duration = Duration::from_secs(10);

/// Why the server did not start, or stopped with a fault.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The policy engine could not be made.
    #[error("the policy engine cannot start: {0}")]
    Policy(#[from] PolicyError),
    /// The network address cannot be had.
    #[error("cannot listen on {address}: {reason}; choose another with TEAM_TABLE_HOST and TEAM_TABLE_PORT")]
    Listen {
        /// What was asked for.
        address: String,
        /// The operating system's words.
        reason: String,
    },
    /// An allowed origin or host that no client can send.
    #[error("{0}")]
    Names(String),
    /// The certificate or its key cannot be used.
    #[error("{0}; TEAM_TABLE_TLS_CERT and TEAM_TABLE_TLS_KEY name the files")]
    Tls(#[from] mcp::TlsError),
    /// The operating system refused something else.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Opens the database of a configuration.
///
/// # Errors
/// See [`OpenError`].
pub fn open_db(config: &Config) -> Result<Db, OpenError> {
    Db::open(&config.db, OpenOptions { durability: config.durability, ..OpenOptions::default() })
}

/// Opens the database of a configuration for a command that looks at a table: it makes none.
///
/// # Errors
/// See [`OpenError`].
pub fn open_existing_db(config: &Config) -> Result<Db, OpenError> {
    if config.db.exists() {
        open_db(config)
    } else {
        Err(OpenError::Missing { path: config.db.display().to_string() })
    }
}

/// Starts the policies of a configuration, and makes its policy directory; returns before they are loaded.
///
/// # Errors
/// When the engine cannot be made.
pub fn start_policies(config: &Config) -> Result<PolicyHost, PolicyError> {
    // A directory that is not there is watched for in its parent, where the database is written to all the
    // time. One that cannot be made is found missing by the host, which says so where it matters.
    if let Err(error) = os::create_private_folder(&config.policies) {
        tracing::debug!(%error, "the policy directory cannot be made");
    }
    look_at_policies(config)
}

/// As [`start_policies`], for a command that looks at a table: where there is no table yet, nothing is made.
///
/// # Errors
/// When the engine cannot be made.
pub fn look_at_policies(config: &Config) -> Result<PolicyHost, PolicyError> {
    let kept = has_table(config);
    PolicyHost::start(HostConfig {
        dir: config.policies.clone(),
        cache_dir: kept.then(|| config.policy_cache()),
        state_dir: kept.then(|| config.policy_state()),
        clock: Arc::new(|| Clock::System.now()),
    })
}

/// What loads modules for a command that looks at them: where there is no table yet, no compiled code is kept.
///
/// # Errors
/// When the engine cannot be made.
pub fn policy_loader(config: &Config) -> Result<Loader, PolicyError> {
    Loader::new(has_table(config).then(|| config.policy_cache()).as_deref())
}

/// What a person does to the policies of a configuration. Makes the database where there is none, for the record of the
/// change.
///
/// # Errors
/// When the database is not opened, or the engine cannot be made.
pub fn policies(config: &Config) -> Result<Policies, AppError> {
    let loader = Loader::new(Some(&config.policy_cache()))?;
    Ok(Policies::new(config.policies.clone(), config.policy_state(), loader, open_db(config)?))
}

/// As [`policies`], for a command that looks at a table: where there is no table yet, nothing is made.
///
/// # Errors
/// When there is no database, it is not opened, or the engine cannot be made.
pub fn existing_policies(config: &Config) -> Result<Policies, AppError> {
    let db = open_existing_db(config)?;
    Ok(Policies::new(config.policies.clone(), config.policy_state(), policy_loader(config)?, db))
}

/// Whether a table was ever started here.
fn has_table(config: &Config) -> bool {
    config.db.exists() || config.policies.exists()
}

/// Puts a table together on the current tokio runtime.
///
/// # Errors
/// See [`AppError`].
pub fn table(config: &Config) -> Result<Table, AppError> {
    let db = open_db(config)?;
    let policies = Arc::new(start_policies(config)?);
    let hub = Hub::start(db.clone());
    let options = TableOptions { require_tokens: config.require_tokens, clock: Clock::System };
    Ok(Table::new(db, policies, hub, options))
}

/// Serves until the client is gone or a signal says to stop, then commits what is queued.
///
/// # Errors
/// See [`AppError`].
pub async fn serve(config: Config) -> Result<(), AppError> {
    serve_on(config, None).await
}

/// Serves the console alone, on a listener of this machine.
///
/// # Errors
/// See [`AppError`].
pub async fn serve_console(config: Config, listener: std::net::TcpListener) -> Result<(), AppError> {
    serve_on(config, Some(listener)).await
}

async fn serve_on(config: Config, console: Option<std::net::TcpListener>) -> Result<(), AppError> {
    mcp::check_allowed(&config.allowed_origins, &config.allowed_hosts).map_err(AppError::Names)?;
    // Before the database: what is wrong with the files leaves nothing behind.
    let tls = config.tls.as_ref().map(|files| mcp::Tls::load(&files.cert, &files.key)).transpose()?;
    let tls = tls.map(Arc::new);
    // Before the first connection: a SIGHUP without a handler ends the process.
    let reload = ReloadSignal::listen()?;
    let table = table(&config)?;
    let ringing = Ringing::start(table.db().clone(), table.shared_policies(), Clock::System);
    let background = tokio::spawn(look_after(table.clone(), config.policies.clone(), tls.clone(), reload));
    let this = ThisProcess::begin(
        table.db(),
        match (&console, config.transport) {
            (Some(_), _) => "console",
            (None, Transport::Stdio) => "stdio",
            (None, Transport::Network) => "server",
        },
    );
    let served = match (console, config.transport) {
        (Some(listener), _) => serve_console_alone(&table, &config, listener).await,
        (None, Transport::Stdio) => {
            mcp::serve_stdio(table.clone(), config.token, session_keys()).await.map_err(AppError::from)
        }
        (None, Transport::Network) => serve_network(&table, &config, tls).await,
    };
    background.abort();
    ringing.stop().await;
    this.end(table.db());
    let closing = table.clone();
    // Waits for the writer thread: not for an async thread.
    tokio::task::spawn_blocking(move || closing.close()).await.map_err(std::io::Error::other)?;
    served
}

/// A process of those that the console lists.
#[derive(Debug, Clone, Copy)]
pub struct ThisProcess(Option<Process>);

impl ThisProcess {
    /// Notes with the next commit that this process uses the database; `kind` is one of [`ProcessRow`]'s.
    #[must_use]
    pub fn begin(db: &Db, kind: &'static str) -> Self {
        let this = Process::find(std::process::id());
        if let Some(Process { pid, started }) = this {
            let row = ProcessRow {
                pid: pid.into(),
                started,
                kind: kind.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                created_at: db.now(&Clock::System),
            };
            db.write_later(move |tx| tx.note_process(&row));
        }
        Self(this)
    }

    /// Notes that it ends.
    pub fn end(self, db: &Db) {
        if let Some(Process { pid, started }) = self.0 {
            db.write_later(move |tx| tx.forget_process(pid.into(), started));
        }
    }
}

/// What this process shares with the hooks of the client that started it.
fn session_keys() -> Vec<String> {
    Process::parent().map(Process::key).into_iter().collect()
}

/// Wakes those whom the changes of an operator's command concern. Blocks.
///
/// # Errors
/// See [`AppError`].
pub fn ring(config: &Config, db: &Db) -> Result<(), AppError> {
    if db.take_rings() {
        let set = start_policies(config)?.current();
        wake::ring_due(db, &Judge::new(db.clone()), &set, &Clock::System).map_err(std::io::Error::other)?;
    }
    Ok(())
}

/// Registers a session under the name that its hook reserved for it: a call like any other, by the policies. A hook itself
/// loads none.
///
/// # Errors
/// See [`AppError`].
pub async fn sit_down(config: &Config, key: String) -> Result<(), AppError> {
    let table = table(config)?;
    if let Some(reply) = table.sit_down(&[key]).await
        && reply.is_error
    {
        let answer = serde_json::Value::Object(reply.body).to_string();
        return Err(AppError::Io(std::io::Error::other(answer)));
    }
    tokio::task::spawn_blocking(move || table.close()).await.map_err(std::io::Error::other)?;
    Ok(())
}

async fn serve_network(table: &Table, config: &Config, tls: Option<Arc<mcp::Tls>>) -> Result<(), AppError> {
    let listener = tokio::net::TcpListener::bind(config.listen).await.map_err(|error| AppError::Listen {
        address: config.listen.to_string(),
        reason: error.to_string(),
    })?;
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), "serving MCP at /mcp and /sse, events at /events/{{agent}}");
    if tls.is_none() && !address.ip().is_loopback() {
        tracing::warn!(
            "tokens cross the network in the clear: give a certificate (--tls-cert, --tls-key), put a TLS proxy \
             in front, or bind to 127.0.0.1 (--host)"
        );
    }
    let shutdown = stop_signal()?;
    let base = format!("{}/console", config.path_prefix);
    let console = config.console.then(|| console(table, config, base, tls.is_some(), &shutdown));
    let options = mcp::HttpOptions {
        allowed_origins: config.allowed_origins.clone(),
        allowed_hosts: config.allowed_hosts.clone(),
        path_prefix: config.path_prefix.clone(),
        console,
        tls,
        ..mcp::HttpOptions::default()
    };
    mcp::serve_http(table.clone(), listener, options, shutdown).await?;
    Ok(())
}

async fn serve_console_alone(
    table: &Table,
    config: &Config,
    listener: std::net::TcpListener,
) -> Result<(), AppError> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let shutdown = stop_signal()?;
    let console = Some(console(table, config, "/console".into(), false, &shutdown));
    let options = mcp::HttpOptions { console, only_console: true, ..mcp::HttpOptions::default() };
    mcp::serve_http(table.clone(), listener, options, shutdown).await?;
    Ok(())
}

fn console(
    table: &Table,
    config: &Config,
    base: String,
    secure: bool,
    shutdown: &CancellationToken,
) -> axum::Router {
    let policies = PolicyFiles { dir: config.policies.clone(), state: config.policy_state() };
    let options = ConsoleOptions { base, secure, clock: Clock::System, policies, closing: shutdown.clone() };
    console::router(table, options)
}

/// Is cancelled when a signal says to stop.
fn stop_signal() -> std::io::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let mut end = EndSignal::listen()?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        end.next().await;
        tracing::info!("stopping: calls under way have ten seconds");
        stop.cancel();
    });
    Ok(shutdown)
}

/// What goes on beside the calls: SIGHUP reloads the policies and the certificate, the decision log is kept in
/// bounds.
async fn look_after(table: Table, dir: PathBuf, tls: Option<Arc<mcp::Tls>>, mut reload: ReloadSignal) {
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    let mut record = tokio::time::interval(RECORD_EVERY);
    record.reset();
    let mut recorded = String::new();
    loop {
        tokio::select! {
            () = reload.next() => {
                table.policies().reload();
                if let Some(tls) = tls.clone() {
                    // Only fails when the runtime ends.
                    let _ = tokio::task::spawn_blocking(move || reload_certificate(&tls)).await;
                }
            }
            _ = record.tick() => {
                let Some(status) = table.policies().status().filter(|status| status.digest != recorded) else { continue };
                recorded.clone_from(&status.digest);
                let (db, dir) = (table.db().clone(), dir.clone());
                let done = tokio::task::spawn_blocking(move || record_set(&db, &dir, &status)).await;
                if let Ok(Err(error)) = done {
                    tracing::warn!(%error, "the change of the policy set was not recorded");
                }
            }
            _ = prune.tick() => {
                let (db, set) = (table.db().clone(), table.policies().try_current());
                let now = Clock::System.now();
                db.write_later(move |tx| tx.note_size(now));
                let pruned = tokio::task::spawn_blocking(move || {
                    forget_killed(&db)?;
                    prune_decisions(&db, set.as_deref())
                })
                .await;
                if let Ok(Err(error)) = pruned {
                    tracing::warn!(%error, "the decision log and the list of processes were not pruned");
                }
            }
        }
    }
}

/// Leaves an audit row about the set that decides, if it is not the one recorded last.
fn record_set(db: &Db, dir: &Path, status: &SetStatus) -> crate::storage::Result<()> {
    let modules: Vec<_> = status
        .deciding
        .iter()
        .map(|policy| {
            serde_json::json!({
                "name": policy.name,
                "mode": policy.mode,
                "module": policy.digest,
                "settings": policy.settings_digest,
                "rolled_back": policy.rolled_back,
            })
        })
        .collect();
    let change = PolicyChange {
        at: db.now(&Clock::System),
        by: "host".into(),
        action: POLICY_SET.into(),
        policy: dir.display().to_string(),
        details: serde_json::json!({ "to": status.digest, "policies": modules }),
    };
    db.write(move |tx| tx.record_policy_set(&change))
}

fn reload_certificate(tls: &mcp::Tls) {
    if let Err(error) = tls.reload() {
        tracing::error!(%error, "the TLS certificate was not replaced: the one from before stays in use");
    }
}

/// Takes processes that were killed off the list. The kernel is asked before the transaction: it holds up no writer.
fn forget_killed(db: &Db) -> crate::storage::Result<()> {
    let mut killed = db.read(|tx| tx.processes())?;
    killed.retain(|row| !Process::runs(row.pid, row.started));
    if killed.is_empty() {
        return Ok(());
    }
    db.write(move |tx| killed.iter().try_for_each(|row| tx.forget_process(row.pid, row.started)))
}

/// Says which set this process runs under, and removes the decisions that no set counts any more.
fn prune_decisions(db: &Db, set: Option<&PolicySet>) -> crate::storage::Result<()> {
    let now = db.now(&Clock::System);
    if let Some(set) = set.and_then(PolicySet::record) {
        db.write(move |tx| tx.note_policy_set(&set, now))?;
    }
    if !db.read(|tx| tx.decisions_overdue(now, KEEP_BYTES))? {
        return Ok(());
    }
    while db.write(move |tx| tx.prune_decisions(now, KEEP_BYTES))? {}
    Ok(())
}
