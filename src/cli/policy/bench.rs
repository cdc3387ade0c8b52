//! `policy bench`: what a module's cases cost, beside the built-in policies.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::candidate::{ModuleArguments, refused};
use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::policy::{BUILTINS, CaseCost};

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    module: ModuleArguments,
}

pub(super) fn run(config: &Config, arguments: &BenchArguments) -> Result<(), CliError> {
    let loader = app::policy_loader(config)?;
    let (bytes, limits) = arguments.module.read()?;
    let costs =
        loader.bench(&bytes, limits, true).map_err(|error| refused(&arguments.module.file, &error))?;
    let mut built_in = Vec::with_capacity(BUILTINS.len());
    for builtin in BUILTINS {
        built_in.push((builtin.name, median(loader.bench(builtin.bytes, builtin.limits, false)?)));
    }
    if output::is_json() {
        let built_in: Vec<_> =
            built_in.iter().map(|(name, cost)| json!({ "policy": name, "median_case": cost })).collect();
        return Ok(output::json(&json!({ "cases": costs, "built_in": built_in }))?);
    }
    let header = ["CASE", "FUEL", "KIB", "P50 µs", "P99 µs"];
    output::table(header, &[], costs.iter().map(row), "it carries no cases that ask something")?;
    output::line("\nbeside it, the median case of each built-in policy:")?;
    let rows = built_in.into_iter().filter_map(|(name, cost)| {
        let [_, rest @ ..] = row(&cost?);
        let [fuel, kib, p50, p99] = rest;
        Some([name.to_owned(), fuel, kib, p50, p99])
    });
    Ok(output::table(["POLICY", "FUEL", "KIB", "P50 µs", "P99 µs"], &[], rows, "none")?)
}

fn row(cost: &CaseCost) -> [String; 5] {
    let micros = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6);
    let kib = (cost.memory / 1024).to_string();
    [cost.name.clone(), cost.fuel.to_string(), kib, micros(cost.p50), micros(cost.p99)]
}

/// The case in the middle, by time.
fn median(mut costs: Vec<CaseCost>) -> Option<CaseCost> {
    costs.sort_by_key(|cost| cost.p50);
    let middle = costs.len() / 2;
    (!costs.is_empty()).then(|| costs.swap_remove(middle))
}
