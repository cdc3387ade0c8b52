//! `escalation`: the person's inbox.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::daemon::payload::{Escalation, approvals, escalation, status, votes};
use crate::domain::clock::Clock;
use crate::domain::message::Message;
use crate::domain::person::Actor;
use crate::domain::refusal::Refusal;
use crate::storage::{self, Answer, Db, EscalationRow, Vote};

/// How often `watch` looks.
const WATCH: Duration = Duration::from_millis(500);
/// Characters of a question in a list.
const LINE: usize = 80;

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
    },
    /// One escalation: the thread around it, the policy, its reason and the facts
    Show {
        /// Its number
        number: i64,
    },
    /// Answer a question, or approve or deny a held call
    Resolve(ResolveArguments),
    /// Print escalations as they come, until interrupted
    Watch {
        /// Only this agent's
        #[arg(long)]
        agent: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct ResolveArguments {
    /// Its number; left out at a terminal: go through all that is open
    number: Option<i64>,
    /// A question: send this text to the asker, in the agent's name, marked as the person's
    #[arg(long, allow_hyphen_values = true, group = "answer")]
    reply: Option<String>,
    /// A held call: let it pass, once, within an hour
    #[arg(long, group = "answer")]
    approve: bool,
    /// A held call: refuse it and tell the agent
    #[arg(long, group = "answer")]
    deny: bool,
    /// A question: close it without an answer and tell the asker
    #[arg(long, group = "answer")]
    dismiss: bool,
    /// For the asker, and for the record
    #[arg(long, allow_hyphen_values = true)]
    note: Option<String>,
}

pub(super) fn run(config: &Config, command: EscalationCommand) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    match command {
        EscalationCommand::List { all, agent } => list(&db, agent.as_deref(), all),
        EscalationCommand::Show { number } => show(&db, number),
        EscalationCommand::Resolve(arguments) => {
            resolve(&db, arguments)?;
            Ok(app::ring(config, &db)?)
        }
        EscalationCommand::Watch { agent } => watch(&db, agent.as_deref()),
    }
}

fn list(db: &Db, agent: Option<&str>, all: bool) -> Result<(), CliError> {
    let rows = db.read(|tx| {
        let rows = tx.escalations(agent, all, 500)?;
        let more = |row: EscalationRow| Ok((tx.waiting_with(&row)?, votes(tx, &row)?, row));
        rows.into_iter().map(more).collect::<Result<Vec<_>, storage::Error>>()
    })?;
    if output::is_json() {
        let rows: Vec<Value> = rows.iter().map(|(waiting, votes, row)| listed(row, waiting, votes)).collect();
        return Ok(output::json(&json!({ "escalations": rows }))?);
    }
    let rows = rows.iter().map(|(waiting, votes, row)| {
        let what = match row.hook.as_str() {
            "escalation" => format!("{} asks: {}", row.asker, question(row)),
            "wake" => format!("messages of {} wait to wake {}", row.asker, row.agent),
            _ => format!("{} wants to call {}", row.asker, row.action),
        };
        let what = if waiting.is_empty() { what } else { format!("{what} (+{} waiting)", waiting.len()) };
        let what = match approvals(row, votes) {
            Some(approvals) => format!("{what} ({approvals})"),
            None => what,
        };
        let (time, why) = (output::local_time(row.created_at), format!("{} ({})", row.message, row.policy));
        [row.id.to_string(), status(row).to_owned(), time, row.agent.clone(), what, why]
    });
    let header = ["N", "STATUS", "SINCE", "FOR", "WHAT", "WHY"];
    Ok(output::table(header, &["FOR", "WHY"], rows, "nothing waits for a person")?)
}

/// The escalation, and the numbers of the messages that wait with it.
fn listed(row: &EscalationRow, waiting: &[Message], votes: &[Vote]) -> Value {
    let mut value = escalation(row, votes);
    if let Some(fields) = value.as_object_mut() {
        let waiting: Vec<_> = waiting.iter().map(|message| message.id).collect();
        fields.insert("waiting".into(), json!(waiting));
    }
    value
}

/// The first line of a question, or as much of it as fits into a list.
fn question(row: &EscalationRow) -> String {
    let asked: Value = serde_json::from_str(&row.arguments).unwrap_or_default();
    output::first_line(asked.get("content").and_then(Value::as_str).unwrap_or_default(), LINE)
}

fn find(db: &Db, number: i64) -> Result<EscalationRow, CliError> {
    Ok(db.read(|tx| tx.escalation(number))?.ok_or_else(|| {
        Refusal::not_found(
            format!("there is no escalation {number}"),
            "`team-table escalation list --all` shows them",
        )
    })?)
}

fn show(db: &Db, number: i64) -> Result<(), CliError> {
    let row = find(db, number)?;
    let escalation = db.read(|tx| Escalation::read(tx, row))?;
    if output::is_json() {
        return Ok(output::json(&escalation.payload())?);
    }
    let Escalation { row, thread, waiting, votes } = escalation;
    output::line(&format!(
        "escalation {} for {}: {}, since {}",
        row.id,
        output::visible(&row.agent),
        status(&row),
        output::local_time(row.created_at)
    ))?;
    output::line(&format!("policy   {} {}", row.policy, row.module))?;
    output::line(&format!("reason   {}: {}", row.code, output::visible(&row.message)))?;
    if let Some(decision) = row.decision_id {
        output::line(&format!("decision {decision} (team-table policy explain {decision})"))?;
    }
    output::line("facts")?;
    output::indented(&serde_json::from_str::<Value>(&row.facts).unwrap_or_default())?;
    if row.repeats > 0 {
        output::line(&format!("asked again {} time(s)", row.repeats))?;
    }
    if row.hook == "escalation" {
        output::line("thread")?;
        for message in &thread {
            message_line(if Some(message.id) == row.message_id { ">" } else { " " }, message)?;
        }
        // Those of the thread are shown above.
        let elsewhere: Vec<_> =
            waiting.iter().filter(|message| Some(message.thread_id) != row.thread_id).collect();
        if !elsewhere.is_empty() {
            output::line("waiting with it")?;
        }
        for message in elsewhere {
            message_line(" ", message)?;
        }
        output::line(&format!("answer with: team-table escalation resolve {} --reply \"…\"", row.id))?;
    } else {
        if let Some(approvals) = approvals(&row, &votes) {
            output::line(&approvals)?;
        }
        output::line(&format!("call     {}", row.action))?;
        output::indented(&serde_json::from_str::<Value>(&row.arguments).unwrap_or_default())?;
        output::line(&format!(
            "decide with: team-table escalation resolve {} --approve (or --deny)",
            row.id
        ))?;
    }
    Ok(())
}

fn message_line(mark: &str, message: &Message) -> std::io::Result<()> {
    let Message { id, sender, recipient, content, created_at, .. } = message;
    let [sender, recipient, content] = [sender, recipient, content].map(|text| output::visible(text));
    output::line(&format!(
        "{mark} #{id} {} {sender} → {recipient}: {content}",
        output::local_time(*created_at)
    ))
}

fn resolve(db: &Db, arguments: ResolveArguments) -> Result<(), CliError> {
    let ResolveArguments { number, reply, approve, deny, dismiss, note } = arguments;
    let answer = match (reply, approve, deny, dismiss) {
        (Some(text), ..) => Some(Answer::Reply(text)),
        (None, true, ..) => Some(Answer::Approve),
        (None, _, true, _) => Some(Answer::Deny),
        (None, _, _, true) => Some(Answer::Dismiss),
        (None, false, false, false) => None,
    };
    match (number, answer) {
        (Some(number), Some(answer)) => {
            find(db, number)?;
            decide(db, number, answer, note)
        }
        (None, None) if std::io::stdin().is_terminal() && !output::is_json() => walk(db),
        (Some(number), None) => {
            let row = find(db, number)?;
            let answers =
                if row.hook == "escalation" { "--reply \"…\" or --dismiss" } else { "--approve or --deny" };
            Err(Refusal::precondition(
                format!("escalation {number} needs a decision"),
                format!("add {answers}"),
            )
            .into())
        }
        (None, _) => Err(CliError::Usage(
            "name an escalation and a decision: NUMBER with --reply, --approve, --deny or --dismiss; \
             team-table escalation list shows what is open"
                .into(),
        )),
    }
}

fn decide(db: &Db, number: i64, answer: Answer, note: Option<String>) -> Result<(), CliError> {
    let now = db.now(&Clock::System);
    let said =
        db.write(move |tx| tx.resolve_escalation(&Actor::Operator, number, &answer, note.as_deref(), now))?;
    Ok(output::done(&json!({ "escalation": number, "done": said }), &format!("escalation {number}: {said}"))?)
}

/// Goes through what is open, oldest first, and asks for each.
fn walk(db: &Db) -> Result<(), CliError> {
    let mut open = db.read(|tx| tx.escalations(None, false, 500))?;
    open.reverse();
    if open.is_empty() {
        return Ok(output::line("nothing waits for a person")?);
    }
    for row in open {
        show(db, row.id)?;
        let is_question = row.hook == "escalation";
        let choices = if is_question { "[r]eply, [x] dismiss" } else { "[a]pprove, [d]eny" };
        loop {
            let answer = match (ask(&format!("{choices}, [s]kip, [q]uit? "))?.as_deref(), is_question) {
                (None | Some("q"), _) => return Ok(()),
                (Some("s"), _) => break,
                (Some("r"), true) => match ask("reply: ")?.filter(|text| !text.is_empty()) {
                    Some(text) => Answer::Reply(text),
                    None => continue,
                },
                (Some("x"), true) => Answer::Dismiss,
                (Some("a"), false) => Answer::Approve,
                (Some("d"), false) => Answer::Deny,
                _ => continue,
            };
            let note = match answer {
                Answer::Reply(_) => None,
                _ => ask("note (empty for none): ")?.filter(|note| !note.is_empty()),
            };
            decide(db, row.id, answer, note)?;
            break;
        }
    }
    Ok(())
}

/// One line from the person; `None` at the end of the input.
pub(super) fn ask(question: &str) -> std::io::Result<Option<String>> {
    let mut out = std::io::stderr();
    out.write_all(question.as_bytes())?;
    out.flush()?;
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim().to_owned()))
}

fn watch(db: &Db, agent: Option<&str>) -> Result<(), CliError> {
    let mut known = BTreeSet::new();
    loop {
        let mut rows = db.read(|tx| {
            let rows = tx.escalations(agent, false, 500)?;
            rows.into_iter()
                .map(|row| Ok((votes(tx, &row)?, row)))
                .collect::<Result<Vec<_>, storage::Error>>()
        })?;
        rows.reverse();
        for (votes, row) in rows {
            if !known.insert((row.id, row.reminders)) {
                continue;
            }
            if output::is_json() {
                output::json_line(&escalation(&row, &votes))?;
            } else {
                let reminder =
                    if row.reminders > 0 { format!(" (reminder {})", row.reminders) } else { String::new() };
                let message = output::visible(&row.message);
                output::line(&format!(
                    "{} ⚠ escalation {}{reminder} for {}, from {}: {message} ({}); team-table escalation show {}",
                    output::local_time(row.created_at),
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
