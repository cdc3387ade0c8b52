//! The arguments of commands that list what happened, newest first.

use clap::Args;

use crate::domain::clock::{self, Clock, Millis};

#[derive(Debug, Args)]
pub(super) struct Since {
    /// Only since then: 90s, 30m, 12h, 7d, a date 2026-11-22 (UTC) or a time 2026-11-22T09:30:00+01:00
    #[arg(long, value_name = "TIME", value_parser = parse)]
    pub(super) since: Option<Millis>,
}

#[derive(Debug, Args)]
pub(super) struct Listing {
    #[command(flatten)]
    pub(super) from: Since,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct Before {
    /// Only those before this number; a list that is cut off names it
    #[arg(long, value_name = "N")]
    pub(super) before: Option<i64>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
}

fn parse(text: &str) -> Result<Millis, String> {
    clock::parse_since(text, Clock::System.now())
        .ok_or_else(|| "use 90s, 30m, 12h, 7d, a date 2026-11-22 or a time 2026-11-22T09:30:00+01:00".into())
}
