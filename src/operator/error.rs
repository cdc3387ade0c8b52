//! Why something that a person wanted done to the policies was not done.

use thiserror::Error;

use crate::domain::refusal::Refusal;
use crate::policy::{CheckReport, PolicyError};
use crate::storage;

/// Why it was not done; nothing of it has happened, unless a variant says otherwise.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// The person may not do it, or what is named is not there.
    #[error("{}; {}", .0.message, .0.hint)]
    Refused(#[from] Refusal),
    /// Not a name that a policy may have in a set.
    #[error("{0:?} is not a policy name: use lower-case letters, digits and '-'")]
    Name(String),
    /// What was to be tried in the shadow has the name of a policy that decides.
    #[error("{0} decides; to try another version in its shadow give that a name of its own: {0}-next")]
    Decides(String),
    /// No policy of this name comes with the binary.
    #[error("there is no built-in policy {0:?}")]
    NoBuiltin(String),
    /// The limits given are none that a policy may have.
    #[error("{0}")]
    Limits(String),
    /// The file of a module cannot be read.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The host does not take the module with these settings.
    #[error("{module} is refused: {source}")]
    Module {
        /// What the module is called: a file, a built-in policy or a policy of the set.
        module: String,
        /// Why.
        #[source]
        source: PolicyError,
    },
    /// Some of the module's own cases do not hold.
    #[error("{} of the cases of {} failed", failed(.0), .0.name)]
    Cases(Box<CheckReport>),
    /// The set takes too long to load. A change that was asked for has been made.
    #[error("the policies take longer than two minutes to load")]
    Slow,
    /// The change is in the set file, but a module that was rolled back once is still kept out of force.
    #[error("{policy} was changed in the set file, but may still be kept out of force: {source}")]
    Unfinished {
        /// The policy.
        policy: String,
        /// Why.
        source: PolicyError,
    },
    /// The walk over the decisions was told to stop.
    #[error("stopped before the end")]
    Stopped,
    /// A fault of the machine.
    #[error("a thread of the walk over the decisions failed")]
    Thread,
    /// The set file, a module in it, or the engine.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The database.
    #[error("{0}")]
    Storage(storage::Error),
}

fn failed(report: &CheckReport) -> usize {
    report.cases.iter().filter(|case| !case.result.passed).count()
}

impl From<storage::Error> for OperatorError {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Refused(refusal) => Self::Refused(refusal),
            other => Self::Storage(other),
        }
    }
}
