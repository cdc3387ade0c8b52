//! Team Table: the one table several AI coding agents sit at.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod events;
pub mod mcp;
pub mod policy;
pub mod storage;
pub mod tools;
