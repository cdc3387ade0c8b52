//! A failure the caller can act on: a canonical code, one sentence, and what to do next.

use serde::{Deserialize, Serialize};

/// The canonical codes (google.rpc's names in lower case) and our one addition, `approval_required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// An argument is missing, of the wrong type or outside its limits.
    InvalidArgument,
    /// No token, or one that is not (or no longer) valid.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The thing named does not exist, or is not the caller's to see.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// The state of the table does not allow it now.
    FailedPrecondition,
    /// A limit or rate is used up.
    ResourceExhausted,
    /// The database cannot be reached or written right now; trying again may help.
    Unavailable,
    /// A fault of the server; details are in its log only.
    Internal,
    /// The call is held until a person approves it.
    ApprovalRequired,
}

impl Code {
    /// The word clients see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::FailedPrecondition => "failed_precondition",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::ApprovalRequired => "approval_required",
        }
    }
}

/// A call that was not carried out, in words for the caller. Nothing of it happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// One sentence: what was wrong, what is allowed.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl Refusal {
    /// A refusal from its three parts.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// An argument outside its limits.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message, hint)
    }

    /// The caller may not do this.
    pub fn denied(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, message, hint)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message, hint)
    }

    /// The state does not allow it.
    pub fn precondition(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, message, hint)
    }
}
