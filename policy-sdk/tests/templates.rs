//! What `team-table policy new` begins with are real policies: this compiles them and runs their cases.
#![cfg(feature = "test-kit")]
#![allow(unreachable_pub, reason = "each is the root of an author's crate, and only here a module")]

#[path = "../templates/authorization/policy.rs"]
mod authorization;
#[path = "../templates/both/policy.rs"]
mod both;
#[path = "../templates/escalation/policy.rs"]
mod escalation;
