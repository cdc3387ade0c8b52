//! Parses the command line, sets up logging, and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    team_table::cli::main()
}
