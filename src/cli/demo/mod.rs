//! `demo`: the whole story in a temporary folder, played by two real MCP clients, a network server and a
//! poll daemon. Every step is checked; the first that does not happen ends it with status 1.

mod client;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CliError, output};
use crate::app;
use crate::config::{Config, Transport};
use crate::daemon::{Daemon, Note, PollOptions};
use crate::domain::clock::Clock;
use crate::domain::decision::Mode;
use crate::domain::person::Actor;
use crate::events::Hub;
use crate::mcp::{HttpOptions, serve_http};
use crate::policy::{PolicyEntry, SetEditor};
use crate::storage::{Answer, ChainReport};
use crate::tools::Table;
use client::Client;

/// Longest wait for any one thing to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays the story.
pub(super) fn run(config: &Config) -> Result<(), CliError> {
    let folder = tempfile::Builder::new().prefix("team-table-demo-").tempdir()?;
    let config = Config {
        db: folder.path().join("team_table.db"),
        policies: folder.path().join("policies"),
        transport: Transport::Network,
        listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        require_tokens: true,
        token: None,
        kept: None,
        ..config.clone()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let started = Instant::now();
    let told = runtime.block_on(tell(&config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    told?;
    folder.close()?;
    Ok(output::line(&format!(
        "\nThat was the whole story, in {:.1} s. Everything in it is real.\nTo seat your own agents: team-table setup",
        started.elapsed().as_secs_f64()
    ))?)
}

fn say(line: &str) -> Result<(), CliError> {
    Ok(output::line(line)?)
}

fn broken(what: impl std::fmt::Display) -> CliError {
    CliError::Broken(format!("the story broke off: {what}"))
}

/// An agent with its MCP client.
struct Agent {
    name: &'static str,
    client: Client,
    token: String,
}

impl Agent {
    async fn join(server: SocketAddr, name: &'static str, role: &str) -> Result<Self, CliError> {
        let client = Client::connect(server).await.map_err(broken)?;
        let mut agent = Self { name, client, token: String::new() };
        let joined = agent.call("register", json!({ "name": name, "role": role })).await?;
        let token = joined.get("token").and_then(Value::as_str).ok_or_else(|| broken("no token"))?;
        token.clone_into(&mut agent.token);
        say(&format!("{name:>7} │ joins as {role}"))?;
        Ok(agent)
    }

    async fn try_call(&self, tool: &'static str, arguments: Value) -> Result<(bool, Value), CliError> {
        let mut arguments = arguments.as_object().cloned().unwrap_or_default();
        if !self.token.is_empty() {
            arguments.insert("token".into(), self.token.as_str().into());
        }
        self.client.call(tool, arguments).await.map_err(broken)
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> Result<Value, CliError> {
        match self.try_call(tool, arguments).await? {
            (false, result) => Ok(result),
            (true, error) => Err(broken(format!("{tool} by {} failed: {error}", self.name))),
        }
    }

    /// Waits for the next message.
    async fn hear(&self) -> Result<String, CliError> {
        let inbox = self
            .call("get_messages", json!({ "agent_name": self.name, "wait_seconds": 20, "limit": 1 }))
            .await?;
        let text = inbox.pointer("/messages/0/content").and_then(Value::as_str);
        let text = text.ok_or_else(|| broken(format!("no message for {}", self.name)))?;
        let mut lines = text.lines();
        say(&format!("{:>7} │ ← {}", self.name, lines.next().unwrap_or_default()))?;
        for line in lines {
            say(&format!("        │   {line}"))?;
        }
        Ok(text.to_owned())
    }

    async fn tell(&self, recipient: &str, content: &str) -> Result<(), CliError> {
        say(&format!("{:>7} │ → {recipient}: {content}", self.name))?;
        self.call("send_message", json!({ "sender": self.name, "recipient": recipient, "content": content }))
            .await?;
        Ok(())
    }
}

async fn tell(config: &Config) -> Result<(), CliError> {
    say("  table │ opens: a fresh database, the built-in policies, MCP over HTTP")?;
    let table = app::table(config)?;
    let listener = TcpListener::bind(config.listen).await?;
    let server = listener.local_addr()?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_http(table.clone(), listener, HttpOptions::default(), stop.clone()));

    refuse_a_stranger(server).await?;
    let ada = Agent::join(server, "ada", "coder").await?;
    let ben = Agent::join(server, "ben", "reviewer").await?;
    work_together(&ada, &ben).await?;
    swap_a_policy(&table, &config.policies, &ben).await?;
    let escalated = answer_while_away(config, &ada, &stop).await?;

    let now = table.db().now(&Clock::System);
    table.db().write(move |tx| {
        let answer = Answer::Reply("PostgreSQL. We run it already.".into());
        tx.resolve_escalation(&Actor::Operator, escalated, &answer, None, now)
    })?;
    say(&format!(
        " person │ team-table escalation resolve {escalated} --reply \"PostgreSQL. We run it already.\""
    ))?;
    if ada.hear().await? != "PostgreSQL. We run it already." {
        return Err(broken("the person's answer did not arrive"));
    }
    stop.cancel();
    serving.await.map_err(broken)??;
    let db = table.db().clone();
    match db.read(|tx| tx.verify_audit())? {
        ChainReport::Intact { rows } => {
            say(&format!("  table │ closes; its audit chain is whole: {rows} rows"))?;
        }
        ChainReport::Broken { id, .. } => return Err(broken(format!("the audit chain breaks at row {id}"))),
    }
    table.close();
    Ok(())
}

/// A role the policies do not know may not join.
async fn refuse_a_stranger(server: SocketAddr) -> Result<(), CliError> {
    let client = Client::connect(server).await.map_err(broken)?;
    let stranger = Agent { name: "eve", client, token: String::new() };
    let (failed, result) = stranger.try_call("register", json!({ "name": "eve", "role": "boss" })).await?;
    if !failed || result.get("reason") != Some(&json!("unknown_role")) {
        return Err(broken(format!("a stranger was let in: {result}")));
    }
    let error = result.get("error").map(Value::to_string).unwrap_or_default();
    say(&format!("    eve │ wants to join as boss and is refused by tool-authorization: {error}"))
}

/// A task is posted, claimed and finished.
async fn work_together(ada: &Agent, ben: &Agent) -> Result<(), CliError> {
    let task = ada
        .call("create_task", json!({ "creator": "ada", "title": "Review the parser", "priority": "high" }))
        .await?;
    say("    ada │ posts the task \"Review the parser\"")?;
    let claimed = ben.call("claim_task", json!({ "agent_name": "ben" })).await?;
    if claimed.get("id") != task.get("id") || claimed.get("status") != Some(&json!("in_progress")) {
        return Err(broken(format!("ben claimed {claimed}")));
    }
    say("    ben │ claims the best ready task")?;
    let done = json!({ "agent_name": "ben", "task_id": task.get("id"), "status": "done", "result": "two bugs, both fixed" });
    ben.call("update_task", done).await?;
    say("    ben │ finishes it: two bugs, both fixed")?;
    // The table tells who posted it.
    ada.hear().await?;
    ben.tell("ada", "The parser is reviewed.").await?;
    ada.hear().await?;
    Ok(())
}

/// What is allowed becomes refused between two calls, without a restart.
async fn swap_a_policy(table: &Table, policies: &Path, ben: &Agent) -> Result<(), CliError> {
    let broadcast = || json!({ "sender": "ben", "content": "Lunch." });
    ben.call("broadcast", broadcast()).await?;
    say("    ben │ broadcasts \"Lunch.\": allowed")?;
    let before = table.policies().status().map_or(0, |status| status.generation);
    let mut editor = SetEditor::open(policies)?;
    let mut entry = PolicyEntry::new("tool-authorization", "builtin:tool-authorization");
    entry.mode = Mode::Enforce;
    if let Value::Object(settings) = json!({ "roles": { "reviewer": { "deny": ["broadcast"] } } }) {
        entry.settings = settings;
    }
    editor.put(&entry)?;
    editor.save()?;
    say("  table │ policy-set.toml changes: reviewers may no longer broadcast")?;
    let swapped = Instant::now();
    let watched = table.clone();
    let followed = tokio::task::spawn_blocking(move || {
        watched.policies().wait_for(PATIENCE, |status| status.generation > before)
    });
    if followed.await.map_err(broken)?.is_none() {
        return Err(broken("the new policy set was not taken up"));
    }
    say(&format!("  table │ follows after {} ms, without a restart", swapped.elapsed().as_millis()))?;
    let (failed, result) = ben.try_call("broadcast", broadcast()).await?;
    if !failed || result.get("reason") != Some(&json!("tool_not_allowed")) {
        return Err(broken(format!("the broadcast was not refused: {result}")));
    }
    let part = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    say(&format!("    ben │ broadcasts again: refused by {}: {}", part("policy"), part("error")))
}

/// Ben's daemon answers; a question goes to the person. Gives the escalation's number.
async fn answer_while_away(config: &Config, ada: &Agent, stop: &CancellationToken) -> Result<i64, CliError> {
    ada.hear().await?;
    let db = app::open_db(config)?;
    let policies = Arc::new(app::start_policies(config)?);
    let hub = Hub::start(db.clone());
    let options = PollOptions {
        agent: "ben".into(),
        register: false,
        interval: Duration::from_secs(30),
        max_messages: 13,
        once: false,
        on_escalation: None,
        exit_on_escalation: false,
        remind: Duration::from_mins(30),
    };
    let (sender, mut escalations) = tokio::sync::mpsc::unbounded_channel();
    let daemon = Daemon::new(db, policies, options, Clock::System, move |note| {
        if let Note::Escalated { escalation, policy, .. } = note {
            // The story may have ended.
            let _ = sender.send((*escalation, policy.clone()));
        }
    })
    .map_err(broken)?;
    let stop = stop.clone();
    tokio::spawn(async move { daemon.run(&hub, &stop).await });
    say("    ben │ goes away; his poll daemon takes over")?;
    ada.tell("ben", "The build is green.").await?;
    if !ada.hear().await?.starts_with("Acknowledged:") {
        return Err(broken("the daemon did not acknowledge"));
    }
    ada.tell("ben", "Should we store it in SQLite or PostgreSQL?").await?;
    if !ada.hear().await?.starts_with("[AUTO] This looks like it needs a human decision.") {
        return Err(broken("the question was not escalated"));
    }
    let escalated = tokio::time::timeout(PATIENCE, escalations.recv()).await.ok().flatten();
    let (number, policy) = escalated.ok_or_else(|| broken("no escalation was announced"))?;
    say(&format!(" person │ is asked: escalation {number}, because of {policy}"))?;
    Ok(number)
}
