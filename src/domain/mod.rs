//! Plain types and rules, no I/O. May use std and serde; knows nothing else of ours.

pub mod agent;
pub mod clock;
pub mod context_entry;
pub mod decision;
pub mod escalation;
pub mod event;
pub mod facts;
pub mod hook;
pub mod message;
pub mod origin;
pub mod person;
pub mod principal;
pub mod refusal;
pub mod seat;
pub mod task;
pub mod text;
