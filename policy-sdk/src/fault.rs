//! Why an evaluation could not come to an answer.

use std::fmt;

/// The evaluation failed: the input did not have the documented form. In the component this is a trap; the host records it
/// as an error, refuses the call (`policy_error`) or hands the message to a person, and so nothing passes by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The host gave no such fact; most likely the policy did not ask for it.
    MissingFact(String),
    /// The fact's value has another form than its type.
    MalformedFact {
        /// The fact's name.
        name: String,
        /// What did not fit.
        error: String,
    },
    /// The arguments of the call have another form than was asked for.
    Arguments(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFact(name) => {
                write!(f, "fact {name} is missing: does facts() ask for it?")
            }
            Self::MalformedFact { name, error } => write!(f, "fact {name} is malformed: {error}"),
            Self::Arguments(error) => write!(f, "arguments are malformed: {error}"),
        }
    }
}

impl std::error::Error for Fault {}
