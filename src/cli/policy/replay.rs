//! `policy replay`: the recorded decisions, with another module in the place of the policy of its name: which would flip?

use clap::Args;
use serde_json::json;

use super::bar::with_bar;
use super::candidate::ModuleArguments;
use super::{CliError, HookArgument, flips, output, short};
use crate::app;
use crate::cli::listing::Since;
use crate::config::Config;
use crate::operator::{NotReplayed, Replay, ReplayOptions};

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    module: ModuleArguments,
    /// The policy whose place it takes; left out: the one of the module's own name, if there was one
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    from: Since,
    /// Only decisions of this hook
    #[arg(long, value_enum)]
    hook: Option<HookArgument>,
    /// Examples shown of each kind of flip
    #[arg(long, default_value_t = 3, value_name = "N")]
    examples: usize,
    /// Exit with status 1 when a decision would flip
    #[arg(long)]
    fail_on_flip: bool,
}

pub(super) fn run(config: &Config, arguments: &ReplayArguments) -> Result<(), CliError> {
    let candidate = arguments.module.candidate(arguments.name.as_deref())?;
    let options = ReplayOptions {
        since: arguments.from.since.unwrap_or(0),
        hook: arguments.hook.map(Into::into),
        examples: arguments.examples,
    };
    let policies = app::existing_policies(config)?;
    let replay = with_bar(|progress| policies.replay(&candidate, options, progress))?;
    if output::is_json() {
        // A value first: its fields are sorted, as those of every answer.
        output::json(&json!(replay))?;
    } else {
        print(&replay)?;
    }
    if arguments.fail_on_flip && replay.flipped > 0 { Err(CliError::Found) } else { Ok(()) }
}

fn print(replay: &Replay) -> Result<(), CliError> {
    let Replay { policy, digest, replayed, flipped, seconds, per_second_per_core, .. } = replay;
    // Of a few decisions the speed says nothing.
    let speed = if *replayed < 1_000 {
        String::new()
    } else {
        format!(" in {seconds:.1} s, {per_second_per_core:.0} per second and core")
    };
    output::line(&format!(
        "{policy} ({}): {replayed} decisions replayed{speed}; {flipped} would flip",
        short(Some(digest))
    ))?;
    flips::print(&replay.flips)?;
    if replay.own_answer_differs > 0 {
        let count = replay.own_answer_differs;
        output::line(&format!(
            "\n{count} more where {policy} itself answers otherwise and the outcome stays"
        ))?;
    }
    for NotReplayed { why, count } in &replay.not_replayed {
        output::line(&format!("\n{count} not replayed: {why}"))?;
    }
    if *flipped > 0 {
        output::line("\n`team-table policy explain DECISION` shows how one came about")?;
    }
    Ok(())
}
