//! `policy log` and `policy explain`: what was decided, and making it again.

use clap::Args;
use serde_json::json;

use super::{CliError, one_line, output};
use crate::app;
use crate::cli::listing::Listing;
use crate::config::Config;
use crate::domain::decision::{Answer, Outcome};
use crate::operator::{Again, Explanation, MadeAgain};
use crate::storage::DecisionFilter;

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Only this agent's
    #[arg(long)]
    agent: Option<String>,
    /// Only with this outcome: allow, deny, escalate, error, pass, reply, ignore
    #[arg(long)]
    outcome: Option<String>,
    /// Only of this tool; `review` for messages in an inbox, `wake` for waking
    #[arg(long)]
    action: Option<String>,
    /// Only those whose outcome this policy determined
    #[arg(long)]
    policy: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The decision's number, from `policy log` or an agent's refusal
    decision: i64,
}

pub(super) fn log(config: &Config, arguments: LogArguments) -> Result<(), CliError> {
    let mut filter = DecisionFilter {
        agent: arguments.agent,
        outcome: arguments.outcome,
        action: arguments.action,
        policy: arguments.policy,
        since: arguments.listing.from.since,
        limit: arguments.listing.limit.into(),
        ..DecisionFilter::default()
    };
    let (db, mut rows) = (app::open_existing_db(config)?, Vec::new());
    loop {
        let page = db.read(|tx| tx.decisions(&filter))?;
        filter.limit -= i64::try_from(page.rows.len()).unwrap_or(i64::MAX);
        filter.before_id = page.next;
        rows.extend(page.rows);
        if page.next.is_none() || filter.limit <= 0 {
            break;
        }
    }
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

pub(super) fn explain(config: &Config, arguments: &ExplainArguments) -> Result<(), CliError> {
    let explanation = app::existing_policies(config)?.explain(arguments.decision)?;
    if output::is_json() {
        output::json(&json!(explanation))?;
    } else {
        print(&explanation)?;
    }
    if explanation.same { Ok(()) } else { Err(CliError::Found) }
}

fn print(Explanation { decision: row, verdicts, not_asked, .. }: &Explanation) -> Result<(), CliError> {
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
    for Again { then, again } in verdicts {
        let module: String = then.module.chars().take(12).collect();
        let outcome = match again {
            MadeAgain::Made { same: true, .. } => "again: the same".to_owned(),
            MadeAgain::Made { same: false, .. } => "again: DIFFERS".to_owned(),
            MadeAgain::Not { not_made_again } => {
                format!("not made again: {}", output::visible(not_made_again))
            }
        };
        output::line(&format!("policy  {} ({module}), {} µs; {outcome}", then.policy, then.micros))?;
        output::indented(&json!(then.answer))?;
        if let MadeAgain::Made { now, same: false } = again {
            output::line("        now")?;
            output::indented(&json!(now))?;
        }
    }
    for policy in not_asked {
        output::line(&format!("policy  {policy} was not asked: it judges calls of other tools"))?;
    }
    Ok(())
}
