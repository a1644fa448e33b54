//! `nlsq-coordinator`: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let filter = std::env::var("NLSQ_LOG").unwrap_or_else(|_| "off".to_string());
    nlsq_coordinator::cli::main(std::env::args_os(), &filter)
}
