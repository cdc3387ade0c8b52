//! `policy replay`: the recorded decisions, with another module in the place of the policy of its name: which would flip?

use std::collections::BTreeMap;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::candidate::{ModuleArguments, refused};
use super::flips::Flips;
use super::{CliError, HookArgument, history, output, short};
use crate::app;
use crate::cli::listing::Since;
use crate::config::Config;
use crate::domain::decision::{Answer, FactRequest, Mode, Verdict};
use crate::policy::{Policy, PolicyEntry, PolicySet, read_set, what_if};
use crate::storage::DecisionRow;

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

/// What one core has found.
#[derive(Default)]
struct Found {
    replayed: u64,
    flips: Flips,
    /// Its own answer differs from what the policy said then, and the outcome stays.
    hidden: u64,
    /// Decisions that could not be replayed, by what was missing.
    unreplayed: BTreeMap<String, u64>,
}

/// What is asked instead.
struct Replay {
    name: String,
    /// The candidate alone.
    set: PolicySet,
    examples: usize,
}

impl Replay {
    fn look(&self, found: &mut Found, row: &DecisionRow) {
        if !row.input.is_whole() {
            let why = "the agent had so much refused that day that the arguments were not kept".to_owned();
            *found.unreplayed.entry(why).or_default() += 1;
            return;
        }
        let hook = row.input.hook();
        let then =
            row.verdicts.iter().find(|verdict| verdict.policy == self.name && verdict.mode == Mode::Enforce);
        let known = |request: &FactRequest| row.facts.iter().any(|fact| fact.request == *request);
        if let Some(missing) = self.set.fact_requests(hook).iter().find(|request| !known(request)) {
            let why = format!(
                "the fact {} {} was not recorded; installed with --shadow it will be",
                missing.name,
                json!(missing.params)
            );
            *found.unreplayed.entry(why).or_default() += 1;
            return;
        }
        found.replayed += 1;
        // None when it does not answer this hook.
        let now = self.set.answer(&row.input, &row.facts).verdicts.into_iter().next();
        let differs = |now: &Verdict| then.map_or(!is_consent(&now.answer), |then| then.answer != now.answer);
        let differs = now.as_ref().map_or(then.is_some_and(|then| !is_consent(&then.answer)), differs);
        let combined = what_if(hook, &row.verdicts, &[&self.name], now);
        if combined.outcome.as_str() == row.outcome {
            found.hidden += u64::from(differs);
        } else {
            found.flips.note(row, &combined, self.examples);
        }
    }
}

/// Whether an answer changes nothing by itself, as if the policy had not been there.
const fn is_consent(answer: &Answer) -> bool {
    matches!(answer, Answer::Abstain | Answer::Allow | Answer::Pass)
}

pub(super) fn run(config: &Config, arguments: &ReplayArguments) -> Result<(), CliError> {
    let since = arguments.from.since.unwrap_or(0);
    let loader = app::policy_loader(config)?;
    let entries = read_set(&config.policies)?;
    let module = &arguments.module;
    let (entry, bytes) = module.candidate(&loader, arguments.name.as_deref(), &entries)?;
    let entry = PolicyEntry { mode: Mode::Enforce, ..entry };
    let policy = Policy::load(&loader, &entry, &bytes).map_err(|error| refused(&module.file, &error))?;
    let digest = policy.module.digest.clone();
    let replay = Replay {
        name: entry.name,
        set: PolicySet::new(&loader, vec![policy], 0),
        examples: arguments.examples,
    };
    let db = app::open_existing_db(config)?;
    let started = Instant::now();
    let of_hook = |row: &DecisionRow| arguments.hook.is_none_or(|hook| row.input.hook() == hook.into());
    let all = history::walk(&db, since, Found::default, |found, row| {
        if of_hook(&row) {
            replay.look(found, &row);
        }
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let mut found = Found::default();
    for part in all {
        found.replayed += part.replayed;
        found.hidden += part.hidden;
        found.flips.merge(part.flips, arguments.examples);
        for (why, count) in part.unreplayed {
            *found.unreplayed.entry(why).or_default() += count;
        }
    }
    report(&replay, &digest, &found, seconds)?;
    if arguments.fail_on_flip && found.flips.count() > 0 { Err(CliError::Found) } else { Ok(()) }
}

fn report(replay: &Replay, digest: &str, found: &Found, seconds: f64) -> Result<(), CliError> {
    let cores = history::cores();
    #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
    let per_second_per_core = found.replayed as f64 / seconds.max(1e-9) / cores as f64;
    if output::is_json() {
        let unreplayed: Vec<_> =
            found.unreplayed.iter().map(|(why, count)| json!({ "why": why, "count": count })).collect();
        return Ok(output::json(&json!({
            "policy": replay.name,
            "digest": digest,
            "replayed": found.replayed,
            "flipped": found.flips.count(),
            "flips": found.flips.kinds(),
            "own_answer_differs": found.hidden,
            "not_replayed": unreplayed,
            "seconds": seconds,
            "cores": cores,
            "per_second_per_core": per_second_per_core.round(),
        }))?);
    }
    // Of a few decisions the speed says nothing.
    let speed = if found.replayed < 1_000 {
        String::new()
    } else {
        format!(" in {seconds:.1} s, {per_second_per_core:.0} per second and core")
    };
    output::line(&format!(
        "{} ({}): {} decisions replayed{speed}; {} would flip",
        replay.name,
        short(Some(&digest.to_owned())),
        found.replayed,
        found.flips.count()
    ))?;
    found.flips.print()?;
    if found.hidden > 0 {
        let (count, name) = (found.hidden, &replay.name);
        output::line(&format!("\n{count} more where {name} itself answers otherwise and the outcome stays"))?;
    }
    for (why, count) in &found.unreplayed {
        output::line(&format!("\n{count} not replayed: {why}"))?;
    }
    if found.flips.count() > 0 {
        output::line("\n`team-table policy explain DECISION` shows how one came about")?;
    }
    Ok(())
}
