//! The `sluicegate` binary: reads the command, and turns its outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sluicegate::cli::Cli;

fn main() -> ExitCode {
    sluicegate::allocator::share_arenas();
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            // Printed once, here, with every cause.
            eprintln!("sluicegate: {exit}");
            ExitCode::from(exit.code)
        }
    }
}
