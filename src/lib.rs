//! Team Table: the one table several AI coding agents sit at.

pub mod domain;
pub mod policy;
