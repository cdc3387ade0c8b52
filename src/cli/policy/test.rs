//! `policy test`: the cases of a crate, natively by its own `cargo test` and as a component in the real host. Both must hold, and
//! both must say the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde::Serialize;

use super::build::{build, no_cargo, package};
use super::candidate::refused;
use super::{CliError, output};
use crate::app;
use crate::config::Config;
use crate::policy::{CaseResult, Limits, RESULTS_FILE};

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// The policy's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// Both runs of one case.
#[derive(Debug, Serialize)]
struct Pair {
    name: String,
    /// Both hold and say the same.
    passed: bool,
    expected: String,
    native: String,
    component: String,
    agree: bool,
    facts: Vec<String>,
}

pub(super) fn run(config: &Config, arguments: &TestArguments) -> Result<(), CliError> {
    let name = package(&arguments.dir)?;
    let (_, bytes) = build(config, &arguments.dir, true)?;
    let (native, tests_passed) = run_native(&arguments.dir, &name)?;
    let loader = app::policy_loader(config)?;
    let component = loader.run_cases(&bytes, Limits::default());
    let component = component.map_err(|error| refused(Path::new(&format!("{name}.wasm")), &error))?;
    if native.len() != component.len() {
        return Err(CliError::Usage(format!(
            "{name} ran {} cases natively and carries {}: its test_cases! and its export_policy! are not of the same policy",
            native.len(),
            component.len()
        )));
    }
    let pairs: Vec<_> =
        native.into_iter().zip(component).map(|(native, it)| pair(native, it.result)).collect();
    let passed = tests_passed && pairs.iter().all(|pair| pair.passed);
    if output::is_json() {
        output::json(&serde_json::json!({ "policy": name, "passed": passed, "cases": pairs }))?;
    } else {
        print(&pairs, tests_passed)?;
    }
    if passed { Ok(()) } else { Err(CliError::Found) }
}

fn pair(native: CaseResult, component: CaseResult) -> Pair {
    let agree = native.agrees(&component);
    Pair {
        passed: agree && native.passed && component.passed,
        name: native.name,
        expected: native.expected,
        native: native.got,
        component: component.got,
        agree,
        facts: native.facts,
    }
}

/// Runs the crate's tests; its cases' results, and whether everything passed.
fn run_native(dir: &Path, name: &str) -> Result<(Vec<CaseResult>, bool), CliError> {
    let results = tempfile::NamedTempFile::new()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(dir).args(["test", "--quiet"]).env(RESULTS_FILE, results.path());
    let done = cargo.output().map_err(no_cargo)?;
    let text = std::fs::read_to_string(results.path())?;
    if text.is_empty() {
        let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
        output::complain(said.trim());
        return Err(CliError::Usage(format!(
            "cargo test ran no cases of {name}: a test needs team_table_policy_sdk::test_cases!(…) and the SDK's feature test-kit"
        )));
    }
    let results = serde_json::from_str(&text).map_err(|error| {
        CliError::Usage(format!("{name} reports its cases in another form than this program's: {error}"))
    })?;
    Ok((results, done.status.success()))
}

fn print(pairs: &[Pair], tests_passed: bool) -> Result<(), CliError> {
    for pair in pairs {
        let visible = output::visible;
        output::line(&format!("{} {}", if pair.passed { "ok  " } else { "FAIL" }, visible(&pair.name)))?;
        if !pair.passed {
            output::line(&format!("       expected   {}", visible(&pair.expected)))?;
            output::line(&format!("       native     {}", visible(&pair.native)))?;
            let differs = if pair.agree { "" } else { "   DIFFERS" };
            output::line(&format!("       component  {}{differs}", visible(&pair.component)))?;
            for fact in &pair.facts {
                output::line(&format!("       fact       {}", visible(fact)))?;
            }
        }
    }
    let failed = pairs.iter().filter(|pair| !pair.passed).count();
    let agree = pairs.iter().filter(|pair| pair.agree).count();
    output::line(&format!(
        "{} cases, {failed} failed; {agree} answered the same natively and as a component",
        pairs.len()
    ))?;
    if !tests_passed && failed == 0 {
        output::line("another test of the crate failed: run cargo test")?;
    }
    Ok(())
}
