//! Parses the command line, sets up logging, and hands over.

use std::process::ExitCode;

/// A call allocates hundreds of small pieces on one thread and frees many of them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    team_table::cli::main()
}
