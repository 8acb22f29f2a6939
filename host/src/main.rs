//! The `sluicegate` binary: reads the command, and turns its outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sluicegate::cli::Cli;
use sluicegate::observe::log;

/// Writes the last log lines when dropped.
struct FinishLog;

impl Drop for FinishLog {
    fn drop(&mut self) {
        log::finish();
    }
}

fn main() -> ExitCode {
    sluicegate::base::allocator::share_arenas();
    // Drops after a panic, too.
    let _log = FinishLog;
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            // Printed once, here, with every cause.
            log::last_word(&format!("sluicegate: {exit}"));
            ExitCode::from(exit.code)
        }
    }
}
