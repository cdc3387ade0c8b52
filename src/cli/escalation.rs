//! `escalation`: the person's inbox.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::domain::clock::{self, Clock};
use crate::domain::escalation::MAX_REMINDERS;
use crate::domain::refusal::Refusal;
use crate::storage::{Answer, Db, EscalationRow};

/// Messages of a thread shown around the one in question.
const THREAD: i64 = 20;
/// How often `watch` looks.
const WATCH: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum EscalationCommand {
    /// What waits for a person
    List {
        /// Also what was resolved
        #[arg(long)]
        all: bool,
        /// Only this agent's
        #[arg(long)]
        agent: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// One escalation: the thread around it, the policy, its reason and the facts
    Show {
        /// Its number
        number: i64,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Answer a question, or approve or deny a held call
    Resolve(ResolveArguments),
    /// Print escalations as they come, until interrupted
    Watch {
        /// Only this agent's
        #[arg(long)]
        agent: Option<String>,
        /// One JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct ResolveArguments {
    /// Its number
    number: i64,
    /// A question: send this text to who asked, in the agent's name, marked as the person's
    #[arg(long, conflicts_with_all = ["approve", "deny"])]
    reply: Option<String>,
    /// A held call: let it pass, once, within an hour
    #[arg(long, conflicts_with = "deny")]
    approve: bool,
    /// A held call: refuse it and tell the agent
    #[arg(long)]
    deny: bool,
    /// For the record
    #[arg(long)]
    note: Option<String>,
}

pub(super) fn run(config: &Config, command: EscalationCommand) -> Result<(), CliError> {
    let db = app::open_db(config)?;
    match command {
        EscalationCommand::List { all, agent, json } => list(&db, agent.as_deref(), all, json),
        EscalationCommand::Show { number, json } => show(&db, number, json),
        EscalationCommand::Resolve(arguments) => resolve(&db, arguments),
        EscalationCommand::Watch { agent, json } => watch(&db, agent.as_deref(), json),
    }
}

/// The status a person reads: an open one that was announced often enough is overdue.
fn status(row: &EscalationRow) -> &str {
    if row.status == "open" && row.reminders >= MAX_REMINDERS { "overdue" } else { &row.status }
}

fn as_json(row: &EscalationRow) -> Value {
    let mut value = json!(row);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("status".into(), status(row).into());
        fields.insert("created_at".into(), clock::format(row.created_at).into());
        fields.insert("resolved_at".into(), json!(row.resolved_at.map(clock::format)));
        fields.insert("used_at".into(), json!(row.used_at.map(clock::format)));
        for field in ["arguments", "facts"] {
            let text = fields.get(field).and_then(Value::as_str).unwrap_or_default();
            let parsed = serde_json::from_str(text).unwrap_or(Value::Null);
            fields.insert(field.into(), parsed);
        }
    }
    value
}

fn list(db: &Db, agent: Option<&str>, all: bool, json: bool) -> Result<(), CliError> {
    let rows = db.read(|tx| tx.escalations(agent, all, 500))?;
    if json {
        let rows: Vec<Value> = rows.iter().map(as_json).collect();
        return Ok(output::json(&json!({ "escalations": rows }))?);
    }
    let rows = rows.iter().map(|row| {
        let what = if row.hook == "escalation" {
            format!("{} asks", row.asker)
        } else {
            format!("{} wants to call {}", row.asker, row.action)
        };
        let (time, why) = (clock::format(row.created_at), format!("{} ({})", row.message, row.policy));
        [row.id.to_string(), status(row).to_owned(), time, row.agent.clone(), what, why]
    });
    let header = ["N", "STATUS", "SINCE", "FOR", "WHAT", "WHY"];
    Ok(output::table(header, rows, "nothing waits for a person")?)
}

fn find(db: &Db, number: i64) -> Result<EscalationRow, CliError> {
    Ok(db.read(|tx| tx.escalation(number))?.ok_or_else(|| {
        Refusal::not_found(
            format!("there is no escalation {number}"),
            "`team-table escalation list --all` shows them",
        )
    })?)
}

fn show(db: &Db, number: i64, json: bool) -> Result<(), CliError> {
    let row = find(db, number)?;
    let thread = match row.thread_id {
        Some(thread) => db.read(|tx| tx.thread(thread, THREAD))?,
        None => Vec::new(),
    };
    if json {
        let thread: Vec<_> = thread.into_iter().map(|message| message.view(None)).collect();
        return Ok(output::json(&json!({ "escalation": as_json(&row), "thread": thread }))?);
    }
    output::line(&format!(
        "escalation {} for {}: {}, since {}",
        row.id,
        output::visible(&row.agent),
        status(&row),
        clock::format(row.created_at)
    ))?;
    output::line(&format!("policy   {} {}", row.policy, row.module))?;
    output::line(&format!("reason   {}: {}", row.code, output::visible(&row.message)))?;
    if let Some(decision) = row.decision_id {
        output::line(&format!("decision {decision} (team-table policy explain {decision})"))?;
    }
    output::line(&format!("facts    {}", output::visible(&row.facts)))?;
    if row.repeats > 0 {
        output::line(&format!("asked again {} time(s)", row.repeats))?;
    }
    if row.hook == "escalation" {
        output::line("thread")?;
        for message in thread {
            let mark = if Some(message.id) == row.message_id { ">" } else { " " };
            let at = clock::format(message.created_at);
            let text = output::visible(&message.content);
            output::line(&format!(
                "{mark} #{} {at} {} → {}: {text}",
                message.id,
                output::visible(&message.sender),
                output::visible(&message.recipient)
            ))?;
        }
        output::line(&format!("answer with: team-table escalation resolve {} --reply \"…\"", row.id))?;
    } else {
        output::line(&format!("call     {} {}", row.action, output::visible(&row.arguments)))?;
        output::line(&format!(
            "decide with: team-table escalation resolve {} --approve (or --deny)",
            row.id
        ))?;
    }
    Ok(())
}

fn resolve(db: &Db, arguments: ResolveArguments) -> Result<(), CliError> {
    let ResolveArguments { number, reply, approve, deny, note } = arguments;
    find(db, number)?;
    let answer = match (reply, approve, deny) {
        (Some(text), ..) => Answer::Reply(text),
        (None, true, _) => Answer::Approve,
        (None, _, true) => Answer::Deny,
        (None, false, false) => Answer::Close,
    };
    let now = Clock::System.now();
    let said = db.write(move |tx| tx.resolve_escalation(number, &answer, note.as_deref(), now))?;
    Ok(output::line(&format!("escalation {number}: {said}"))?)
}

fn watch(db: &Db, agent: Option<&str>, json: bool) -> Result<(), CliError> {
    let mut known = BTreeSet::new();
    loop {
        let mut rows = db.read(|tx| tx.escalations(agent, false, 500))?;
        rows.reverse();
        for row in rows {
            if !known.insert((row.id, row.reminders)) {
                continue;
            }
            if json {
                output::json_line(&as_json(&row))?;
            } else {
                let reminder =
                    if row.reminders > 0 { format!(" (reminder {})", row.reminders) } else { String::new() };
                let message = output::visible(&row.message);
                output::line(&format!(
                    "{} ⚠ escalation {}{reminder} for {}, from {}: {message} ({}); team-table escalation show {}",
                    clock::format(row.created_at),
                    row.id,
                    output::visible(&row.agent),
                    output::visible(&row.asker),
                    row.policy,
                    row.id
                ))?;
            }
        }
        std::thread::sleep(WATCH);
    }
}
