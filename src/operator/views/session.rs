//! How a command line on another machine begins and ends its session.

use serde::{Deserialize, Serialize};

/// Who follows a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// The name of the machine, for the list of sessions.
    pub machine: String,
}

/// A session that has begun.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// Whose.
    pub person: String,
    /// What they may do.
    pub role: String,
    /// The session's secret.
    pub session: String,
}

/// A session that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionEnded {
    /// Whose.
    pub person: String,
}
