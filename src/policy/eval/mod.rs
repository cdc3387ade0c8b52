//! From a question to a decision: a fresh instance under limits, one answer of each policy, one outcome.

mod combine;
mod engine;
pub(super) mod instance;
mod limits;
mod set;
mod ticker;
mod wire;

pub use combine::{Combined, what_if};
pub use limits::{Limits, MAX_FUEL};
pub use set::{Policy, PolicySet};

pub(super) use engine::{MEMORIES, Meter, Runtime, Slot, restart};
pub(super) use limits::MAX_MODULE_MIB;
pub(super) use wire::{
    AUTHORIZER, AskedFact, CallIn, DescriptionOut, ESCALATOR, Entry, FactIn, METADATA, MessageIn, VERSION,
};
