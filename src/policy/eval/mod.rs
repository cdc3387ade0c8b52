//! From a question to a decision: a fresh instance under limits, one answer of each policy, one outcome.

pub mod combine;
pub(in crate::policy) mod engine;
pub(in crate::policy) mod instance;
pub mod limits;
pub(in crate::policy) mod set;
pub(in crate::policy) mod ticker;
pub(in crate::policy) mod wire;
