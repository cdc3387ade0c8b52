//! Team Table: the one table several AI coding agents sit at.

pub mod auth;
pub mod domain;
pub mod events;
pub mod policy;
pub mod storage;
pub mod tools;
