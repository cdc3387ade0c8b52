//! From the bytes of a module to one that can be asked: checked, configured, compiled or taken from the cache, its cases run.

mod bench;
mod cache;
mod cases;
mod gate;
mod module;
mod workbench;

pub use bench::CaseCost;
pub use cases::{CaseReport, CaseResult, RESULTS_FILE, difference};
pub use gate::{Gated, inspect};
pub use module::{CheckReport, Loader, Module};
pub use team_table_policy_sdk::settings::{Kind as SettingKind, Setting};

pub(super) use cache::{Staged, open_guarded, private_dir, read_private, write_private, write_whole};
