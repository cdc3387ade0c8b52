//! The console: the page on which a person sees the table and decides. Pages are made on the server (`maud`, checked at compile
//! time) and work without JavaScript; `assets/console.js` and htmx only keep them live and add keys.
//!
//! | file | what is there |
//! |---|---|
//! | `server` | the routes, what they share, headers of every response, reads and writes off the async threads |
//! | `visitor` | sessions: link, cookie, sign out, list, revoke; who may send a form |
//! | `live` | one event stream for each open page, one rendering for all pages that show the same |
//! | `frame` | the frame around every page, and pages that say why something is not there |
//! | `words` | agents' words as text, times, numbers |
//! | `needs`, `item` | what waits for a person, and deciding it |
//! | `board`, `tasks` | the board, and one task |
//! | `data` | what a command line on another machine shows and decides, as JSON |
//! | the rest | a file for each view |
//!
//! Must not depend on SQL, WebAssembly, MCP and the tools.

mod assets;
mod board;
mod context;
mod data;
mod decisions;
mod form;
mod frame;
mod health;
mod item;
mod live;
mod members;
mod needs;
mod passkeys;
mod people;
mod policies;
mod search;
mod server;
mod settings;
mod tasks;
mod threads;
mod trials;
mod visitor;
mod words;

pub use policies::PolicyFiles;
pub use server::{ConsoleOptions, router};
