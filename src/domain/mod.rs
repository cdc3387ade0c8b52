//! Plain types and rules, no I/O. May use std, serde and time; knows nothing else of ours.

pub mod decision;
pub mod facts;
