//! What a policy's evaluations cost: each of its own cases is evaluated repeatedly, exactly as in production, in a fresh
//! instance that starts from the snapshot. Must not depend on policy sets and on the output format.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use team_table_policy_sdk::cases::Case;

use super::cases;
use super::gate;
use super::module::{Loader, Module};
use super::workbench::Workbench;
use crate::policy::PolicyError;
use crate::policy::eval::Limits;

/// Most evaluations of one case, enough for a 99th percentile.
const MOST_ROUNDS: usize = 1_000;
/// How long one case is asked; a slow policy gets fewer rounds.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one case costs.
#[derive(Debug, Clone, Serialize)]
pub struct CaseCost {
    /// The case's name.
    pub name: String,
    /// Fuel of one evaluation, the same every time.
    pub fuel: u64,
    /// The most linear memory the instance had, in bytes.
    pub memory: usize,
    /// Evaluations timed.
    pub rounds: usize,
    /// Half of them took at most so long.
    #[serde(rename = "p50_micros", serialize_with = "as_micros")]
    pub p50: Duration,
    /// 99 of 100 took at most so long.
    #[serde(rename = "p99_micros", serialize_with = "as_micros")]
    pub p99: Duration,
}

fn as_micros<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e6)
}

impl Loader {
    /// Times the embedded cases that ask something, each with its own settings: all of them, or only those whose settings are
    /// the default ones, which need to be compiled once.
    ///
    /// # Errors
    /// What keeps the module from being asked.
    pub fn bench(
        &self,
        bytes: &[u8],
        limits: Limits,
        all_settings: bool,
    ) -> Result<Vec<CaseCost>, PolicyError> {
        let gated = gate::inspect(bytes, limits)?;
        let workbench = Workbench::open(self.runtime(), &gated, limits)?;
        let mut all = gated.cases.as_deref().map_or_else(|| Ok(Vec::new()), cases::parse)?;
        all.retain(|case| case.call.is_some() || case.message.is_some());
        all.retain(|case| all_settings || case.settings.is_empty());
        // Each of the settings is compiled once.
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        let mut costs = Vec::with_capacity(all.len());
        for case in &all {
            let settings = case.settings_json();
            if !modules.contains_key(&settings) {
                let value = serde_json::Value::Object(case.settings.clone());
                modules.insert(settings.clone(), self.prepare(&workbench, &gated, &value, limits)?);
            }
            costs.extend(modules.get(&settings).and_then(|module| self.cost(module, case)));
        }
        Ok(costs)
    }

    /// `None` when the case does not fit the policy, which running the cases says in words.
    fn cost(&self, module: &Module, case: &Case) -> Option<CaseCost> {
        let facts = case.facts_for(&cases::requests(&module.facts)).ok()?;
        cases::put(case, &module.asked, &module.facts, &facts, |question, facts| {
            let ask = || module.evaluate(self.runtime(), question, facts);
            let first = ask();
            let (begin, mut times) = (Instant::now(), Vec::with_capacity(MOST_ROUNDS));
            while times.len() < MOST_ROUNDS && begin.elapsed() < PATIENCE {
                let start = Instant::now();
                ask();
                times.push(start.elapsed());
            }
            times.sort_unstable();
            let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
            CaseCost {
                name: case.name.clone(),
                fuel: first.fuel,
                memory: first.memory,
                rounds: times.len(),
                p50: at(50),
                p99: at(99),
            }
        })
    }
}
