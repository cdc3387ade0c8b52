//! `escalation`: the person's inbox.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::view_source::ViewSource;
use super::{CliError, output};
use crate::domain::message::MessageView;
use crate::domain::refusal::Refusal;
use crate::mcp::RemoteError;
use crate::operator::views::{
    Decision, EscalationList, EscalationListData, EscalationShow, EscalationShowData, EscalationView,
    EscalationWatch, EscalationWatchData,
};
use crate::storage::Answer;

/// How often `watch` looks into the database, and how often it asks a table on another machine.
const WATCH: Duration = Duration::from_millis(500);
const WATCH_REMOTE: Duration = Duration::from_secs(1);
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

pub(super) fn run(source: &ViewSource<'_>, command: EscalationCommand) -> Result<(), CliError> {
    match command {
        EscalationCommand::List { all, agent } => list(source, &EscalationList { all, agent }),
        EscalationCommand::Show { number } => show(source, number),
        EscalationCommand::Resolve(arguments) => resolve(source, arguments),
        EscalationCommand::Watch { agent } => watch(source, &EscalationWatch { agent }),
    }
}

fn list(source: &ViewSource<'_>, query: &EscalationList) -> Result<(), CliError> {
    let list = source.view(query)?;
    if output::is_json() {
        return Ok(output::json(&json!(list))?);
    }
    let EscalationListData { escalations } = list;
    let rows = escalations.into_iter().map(|listed| {
        let (waiting, row) = (listed.waiting, listed.escalation);
        let what = match row.hook.as_str() {
            "escalation" => format!("{} asks: {}", row.asker, question(&row)),
            "wake" => format!("messages of {} wait to wake {}", row.asker, row.agent),
            _ => format!("{} wants to call {}", row.asker, row.action),
        };
        let what = if waiting.is_empty() { what } else { format!("{what} (+{} waiting)", waiting.len()) };
        let what = match row.approved() {
            Some(approved) => format!("{what} ({approved})"),
            None => what,
        };
        let (time, why) = (output::local(&row.created_at), format!("{} ({})", row.message, row.policy));
        [row.id.to_string(), row.status, time, row.agent, what, why]
    });
    let header = ["N", "STATUS", "SINCE", "FOR", "WHAT", "WHY"];
    Ok(output::table(header, &["FOR", "WHY"], rows, "nothing waits for a person")?)
}

/// The first line of a question, or as much of it as fits into a list.
fn question(row: &EscalationView) -> String {
    output::first_line(row.arguments.get("content").and_then(Value::as_str).unwrap_or_default(), LINE)
}

fn show(source: &ViewSource<'_>, number: i64) -> Result<(), CliError> {
    let shown = source.view(&EscalationShow { number })?;
    if output::is_json() {
        return Ok(output::json(&json!(shown))?);
    }
    let EscalationShowData { escalation: row, thread, waiting } = shown;
    let [agent, status, policy, module, code, message, action] =
        [&row.agent, &row.status, &row.policy, &row.module, &row.code, &row.message, &row.action]
            .map(|text| output::visible(text));
    let since = output::local(&row.created_at);
    output::line(&format!("escalation {} for {agent}: {status}, since {since}", row.id))?;
    output::line(&format!("policy   {policy} {module}"))?;
    output::line(&format!("reason   {code}: {message}"))?;
    if let Some(decision) = row.decision_id {
        output::line(&format!("decision {decision} (team-table policy explain {decision})"))?;
    }
    output::line("facts")?;
    output::indented(&row.facts)?;
    if row.repeats > 0 {
        output::line(&format!("asked again {} time(s)", row.repeats))?;
    }
    if row.is_question() {
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
        if let Some(approved) = row.approved() {
            output::line(&output::visible(&approved))?;
        }
        output::line(&format!("call     {action}"))?;
        output::indented(&row.arguments)?;
        output::line(&format!(
            "decide with: team-table escalation resolve {} --approve (or --deny)",
            row.id
        ))?;
    }
    Ok(())
}

fn message_line(mark: &str, message: &MessageView) -> std::io::Result<()> {
    let MessageView { id, sender, recipient, content, created_at, .. } = message;
    let [sender, recipient, content] = [sender, recipient, content].map(|text| output::visible(text));
    output::line(&format!("{mark} #{id} {} {sender} → {recipient}: {content}", output::local(created_at)))
}

fn resolve(source: &ViewSource<'_>, arguments: ResolveArguments) -> Result<(), CliError> {
    let ResolveArguments { number, reply, approve, deny, dismiss, note } = arguments;
    let answer = match (reply, approve, deny, dismiss) {
        (Some(text), ..) => Some(Answer::Reply(text)),
        (None, true, ..) => Some(Answer::Approve),
        (None, _, true, _) => Some(Answer::Deny),
        (None, _, _, true) => Some(Answer::Dismiss),
        (None, false, false, false) => None,
    };
    match (number, answer) {
        (Some(number), Some(answer)) => decide(source, number, answer, note),
        (None, None) if std::io::stdin().is_terminal() && !output::is_json() => walk(source),
        (Some(number), None) => {
            let row = source.view(&EscalationShow { number })?.escalation;
            let answers =
                if row.is_question() { "--reply \"…\" or --dismiss" } else { "--approve or --deny" };
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

fn decide(
    source: &ViewSource<'_>,
    number: i64,
    answer: Answer,
    note: Option<String>,
) -> Result<(), CliError> {
    let done = source.decide(number, Decision { answer, note })?;
    let text = format!("escalation {number}: {}", output::visible(&done.done));
    Ok(output::done(&json!(done), &text)?)
}

/// Goes through what is open, oldest first, and asks for each.
fn walk(source: &ViewSource<'_>) -> Result<(), CliError> {
    let EscalationWatchData { open } = source.view(&EscalationWatch::default())?;
    if open.is_empty() {
        return Ok(output::line("nothing waits for a person")?);
    }
    for row in open.iter().rev() {
        show(source, row.id)?;
        let is_question = row.is_question();
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
            decide(source, row.id, answer, note)?;
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

fn watch(source: &ViewSource<'_>, query: &EscalationWatch) -> Result<(), CliError> {
    let pause = if source.is_remote() { WATCH_REMOTE } else { WATCH };
    let (mut known, mut reached) = (BTreeSet::new(), false);
    loop {
        match source.view(query) {
            Ok(EscalationWatchData { open }) => {
                reached = true;
                for row in open.iter().rev().filter(|row| known.insert((row.id, row.reminders))) {
                    announce(row)?;
                }
            }
            // Its server is started anew.
            Err(CliError::Remote(RemoteError::Unreachable { .. } | RemoteError::Refused { .. }))
                if reached => {}
            Err(error) => return Err(error),
        }
        std::thread::sleep(pause);
    }
}

fn announce(row: &EscalationView) -> std::io::Result<()> {
    if output::is_json() {
        return output::json_line(&json!(row));
    }
    let reminder = if row.reminders > 0 { format!(" (reminder {})", row.reminders) } else { String::new() };
    let [agent, asker, message, policy] =
        [&row.agent, &row.asker, &row.message, &row.policy].map(|text| output::visible(text));
    output::line(&format!(
        "{} ⚠ escalation {}{reminder} for {agent}, from {asker}: {message} ({policy}); team-table escalation show {}",
        output::local(&row.created_at),
        row.id,
        row.id
    ))
}
