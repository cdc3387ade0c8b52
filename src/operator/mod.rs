//! What a person does to a table, whether on the command line or in the console: the same checks, the same audit rows. A person
//! asks no policy. Must not depend on printing, HTML, MCP.
//!
//! [`Policies`] is the handle: it changes the set (`policies`), with a module that a person brings (`candidate`), and answers
//! what a change would have come to (`replay`, `shadow`, both over `walk`, in terms of `flips`), how one decision came about
//! (`explain`), who changed what (`changes`), and how settings are a form (`describe`). [`views`] is what a person looks at in the terminal.

mod candidate;
mod changes;
mod describe;
mod error;
mod explain;
mod flips;
mod policies;
mod replay;
mod shadow;
pub mod views;
mod walk;

pub use candidate::{Candidate, Source};
pub use changes::{PolicyStanding, RecordedChange, WhatWas};
pub use describe::{Described, Field, FieldError, FieldKind};
pub use error::OperatorError;
pub use explain::{Again, Explanation, MadeAgain};
pub use flips::{Flip, FlipKind};
pub use policies::{Change, Changed, Policies};
pub use replay::{NotReplayed, Replay, ReplayOptions};
pub use shadow::{ShadowOptions, ShadowReport};
pub use walk::{Progress, cores};
