//! `policy`: what decides, and changing it; and the author's workbench, from an empty folder to what a candidate would have
//! decided. An operator is never asked by a policy.

mod bar;
mod bench;
mod build;
mod candidate;
mod change;
mod changes;
mod check;
mod decisions;
mod flips;
mod list;
mod replay;
mod scaffold;
mod sdk_copy;
mod shadow;
mod test;

use std::time::Duration;

pub(super) use list::not_deciding;

use clap::{Subcommand, ValueEnum};

use super::listing::Listing;
use super::{CliError, output};
use crate::config::Config;
use crate::domain::decision::Hook;
use crate::operator::OperatorError;

/// Longest wait for a set to load: compiling the largest module allowed takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// What decides now, and why the last change was refused if it was
    List,
    /// Begin a policy: a crate with one rule, settings and test cases
    New(scaffold::NewArguments),
    /// Build the policy of a crate into a component
    Build(build::BuildArguments),
    /// Run a crate's cases natively and as a component; both must hold and agree
    Test(test::TestArguments),
    /// Put a module through everything the host checks before it activates one
    Check(check::CheckArguments),
    /// What a module's cases cost, beside the built-in policies
    Bench(bench::BenchArguments),
    /// Ask a module about the recorded decisions: which would it flip?
    Replay(replay::ReplayArguments),
    /// Check a module, copy it into the policy directory, pin its digest and put it into the set; a policy of that name
    /// keeps its limits, and the settings that are not given anew
    Install(change::InstallArguments),
    /// How a shadow policy agreed with the live ones
    ShadowReport(shadow::ReportArguments),
    /// Let a shadow policy decide
    Promote(change::PromoteArguments),
    /// Take a policy out of the set
    Remove {
        /// Name in the set
        name: String,
    },
    /// Let a policy decide (again)
    Enable {
        /// Name in the set
        name: String,
    },
    /// Keep a policy in the set without asking it
    Disable {
        /// Name in the set
        name: String,
    },
    /// Go back to the module that was in force before
    Rollback {
        /// Name in the set
        name: String,
    },
    /// Who changed the policies, newest first
    History(Listing),
    /// Decisions, newest first
    Log(decisions::LogArguments),
    /// Make a recorded decision again and compare each policy's verdict
    Explain(decisions::ExplainArguments),
}

pub(crate) fn run(config: &Config, command: PolicyCommand) -> Result<(), CliError> {
    match command {
        PolicyCommand::List => list::run(config),
        PolicyCommand::New(arguments) => scaffold::run(&arguments),
        PolicyCommand::Build(arguments) => build::run(config, &arguments),
        PolicyCommand::Test(arguments) => test::run(config, &arguments),
        PolicyCommand::Check(arguments) => check::run(config, &arguments),
        PolicyCommand::Bench(arguments) => bench::run(config, &arguments),
        PolicyCommand::Replay(arguments) => replay::run(config, &arguments),
        PolicyCommand::Install(arguments) => change::install(config, &arguments),
        PolicyCommand::ShadowReport(arguments) => shadow::run(config, &arguments),
        PolicyCommand::Promote(arguments) => change::promote(config, &arguments),
        PolicyCommand::Remove { name } => change::remove(config, &name),
        PolicyCommand::Enable { name } => change::enable(config, &name),
        PolicyCommand::Disable { name } => change::disable(config, &name),
        PolicyCommand::Rollback { name } => change::rollback(config, &name),
        PolicyCommand::History(listing) => changes::run(config, &listing),
        PolicyCommand::Log(arguments) => decisions::log(config, arguments),
        PolicyCommand::Explain(arguments) => decisions::explain(config, &arguments),
    }
}

/// One of the questions, on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum HookArgument {
    Authorization,
    Escalation,
    Wake,
}

impl From<HookArgument> for Hook {
    fn from(hook: HookArgument) -> Self {
        match hook {
            HookArgument::Authorization => Self::Authorization,
            HookArgument::Escalation => Self::Review,
            HookArgument::Wake => Self::Wake,
        }
    }
}

impl From<OperatorError> for CliError {
    /// What was wrong with the arguments ends with status 2, as for clap's own errors, and names their flags.
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Refused(refusal) => Self::Refused(refusal),
            OperatorError::Policy(error) => Self::Policy(error),
            OperatorError::Storage(error) => Self::Storage(error),
            OperatorError::Name(_) => Self::Usage(format!("{error} (--name)")),
            OperatorError::Decides(name) => Self::Usage(format!(
                "{name} decides; to try another version in its shadow give that a name of its own: --name {name}-next"
            )),
            OperatorError::Limits(problem) => Self::Usage(format!("--limit: {problem}")),
            OperatorError::Module { .. } | OperatorError::NoBuiltin(_) | OperatorError::Unreadable { .. } => {
                Self::Usage(one_line(&error))
            }
            OperatorError::Cases(_)
            | OperatorError::Slow
            | OperatorError::Unfinished { .. }
            | OperatorError::Stopped
            | OperatorError::Thread => Self::Broken(one_line(&error)),
        }
    }
}

fn short(digest: Option<&String>) -> String {
    digest.map_or_else(|| "-".into(), |digest| digest.chars().take(12).collect())
}

fn hooks(hooks: &[Hook]) -> String {
    hooks.iter().map(|hook| hook.as_str()).collect::<Vec<_>>().join(", ")
}

/// An error may hold a module's own words, or a back trace: one line, and harmless for a terminal.
fn one_line(error: &impl ToString) -> String {
    output::visible(&error.to_string())
}
