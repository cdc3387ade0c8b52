//! `policy log` and `policy explain`: what was decided, and making it again.

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, one_line, output};
use crate::app;
use crate::cli::listing::Listing;
use crate::config::Config;
use crate::domain::decision::{Answer, Outcome, Verdict};
use crate::domain::refusal::Refusal;
use crate::policy::{Policy, PolicyEntry, PolicySet, State, find_module};
use crate::storage::{self, Db, DecisionFilter, DecisionRow};

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Only this agent's
    #[arg(long)]
    agent: Option<String>,
    /// Only with this outcome: allow, deny, escalate, error, pass, reply, ignore
    #[arg(long)]
    outcome: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The decision's number, from `policy log` or an agent's refusal
    decision: i64,
}

pub(super) fn log(config: &Config, arguments: LogArguments) -> Result<(), CliError> {
    let filter = DecisionFilter {
        agent: arguments.agent,
        outcome: arguments.outcome,
        since: arguments.listing.from.since,
        before_id: None,
        limit: arguments.listing.limit.into(),
    };
    let rows = app::open_existing_db(config)?.read(|tx| tx.decisions(&filter))?;
    if output::is_json() {
        return Ok(output::json(&json!({ "decisions": rows }))?);
    }
    let rows = rows.into_iter().map(|row| {
        let failed = row.verdicts.iter().find_map(|verdict| match &verdict.answer {
            Answer::Error { detail, .. } => Some(one_line(detail)),
            _ => None,
        });
        let failed = failed.filter(|_| row.outcome == Outcome::Error.as_str());
        let why = [row.policy, row.code, row.message, failed];
        let why = why.into_iter().flatten().collect::<Vec<_>>().join(": ");
        let outcome =
            if row.outcome == "allow" && !row.done { "allow, not done".into() } else { row.outcome };
        [row.id.to_string(), output::local_time(row.at), row.agent, row.action, outcome, why]
    });
    Ok(output::table(["ID", "TIME", "AGENT", "ACTION", "OUTCOME", "WHY"], &[], rows, "no decisions")?)
}

/// One verdict made again.
struct Again {
    then: Verdict,
    /// What the same module says now, or why it could not be asked.
    now: Result<Answer, String>,
}

pub(super) fn explain(config: &Config, arguments: &ExplainArguments) -> Result<(), CliError> {
    let db = app::open_existing_db(config)?;
    let id = arguments.decision;
    let row = db.read(|tx| tx.decision(id))?.ok_or_else(|| {
        Refusal::not_found(
            format!("there is no decision {id}"),
            "`team-table policy log` lists those that are kept",
        )
    })?;
    let verdicts = make_again(config, &db, &row)?;
    let same = verdicts.iter().all(|verdict| verdict.now.as_ref() == Ok(&verdict.then.answer));
    if output::is_json() {
        let verdicts: Vec<Value> = verdicts
            .iter()
            .map(|it| match &it.now {
                Ok(now) => json!({ "then": it.then, "now": now, "same": *now == it.then.answer }),
                Err(why) => json!({ "then": it.then, "not_made_again": why }),
            })
            .collect();
        output::json(&json!({ "decision": row, "verdicts": verdicts, "same": same }))?;
    } else {
        print(&row, &verdicts)?;
    }
    if same { Ok(()) } else { Err(CliError::Found) }
}

fn print(row: &DecisionRow, verdicts: &[Again]) -> Result<(), CliError> {
    output::line(&format!(
        "decision {} of {}: {} by {} came to {}{}",
        row.id,
        output::local_time(row.at),
        row.action,
        if row.agent.is_empty() { "a newcomer".into() } else { output::visible(&row.agent) },
        row.outcome,
        if row.done { "" } else { ", nothing was done" }
    ))?;
    if let Some(message) = &row.message {
        let (policy, code) = (row.policy.as_deref().unwrap_or("-"), row.code.as_deref().unwrap_or("-"));
        output::line(&format!("reason  {policy}, {code}: {}", output::visible(message)))?;
    }
    output::line(&format!("set     {}", row.set_digest))?;
    output::line("input")?;
    output::indented(&json!(row.input))?;
    for fact in &row.facts {
        output::line(&format!("fact    {} {}", fact.request.name, json!(fact.request.params)))?;
        output::indented(&fact.value)?;
    }
    if verdicts.is_empty() {
        output::line(if row.input.is_whole() {
            "no policy was asked"
        } else {
            "arguments, facts and verdicts were not kept: the agent had too much refused that day"
        })?;
    }
    for Again { then, now } in verdicts {
        let module: String = then.module.chars().take(12).collect();
        let again = match now {
            Ok(now) if *now == then.answer => "again: the same".to_owned(),
            Ok(_) => "again: DIFFERS".to_owned(),
            Err(why) => format!("not made again: {}", output::visible(why)),
        };
        output::line(&format!("policy  {} ({module}), {} µs; {again}", then.policy, then.micros))?;
        output::indented(&json!(then.answer))?;
        if let Ok(now) = now
            && *now != then.answer
        {
            output::line("        now")?;
            output::indented(&json!(now))?;
        }
    }
    Ok(())
}

/// Asks the modules, settings and limits of then the question of then.
fn make_again(config: &Config, db: &Db, row: &DecisionRow) -> Result<Vec<Again>, CliError> {
    let loader = app::policy_loader(config)?;
    let state = State::open(&config.policy_state())?;
    let set: Vec<PolicyEntry> = match db.read(|tx| tx.policy_set(&row.set_digest))? {
        Some(set) => serde_json::from_str(&set).map_err(storage::Error::from)?,
        None => Vec::new(),
    };
    let ask = |verdict: &Verdict| -> Result<Answer, String> {
        let entry = set.iter().find(|it| it.name == verdict.policy).ok_or("its set was not kept")?;
        let bytes = find_module(&config.policies, &state, &entry.module)
            .map_err(|error| error.to_string())?
            .ok_or("its module is no longer kept")?;
        let policy = Policy::load(&loader, entry, &bytes).map_err(|error| error.to_string())?;
        let decision = PolicySet::new(&loader, vec![policy], 0).answer(&row.input, &row.facts);
        decision
            .verdicts
            .into_iter()
            .next()
            .map(|verdict| verdict.answer)
            .ok_or_else(|| "it was not asked".into())
    };
    Ok(row.verdicts.iter().map(|then| Again { now: ask(then), then: then.clone() }).collect())
}
