//! `sluicegate plugin`: an author's loop, from an empty folder to a file that a host loads.

mod bench;
mod build;
mod inspect;
mod lookup;
mod new;
mod run;
mod table;
mod trial;
mod unions;
mod verdict;

use clap::Subcommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a folder with a plugin that builds and passes its own test.
    New(new::Args),
    /// Build a plugin for WebAssembly, and say in the file what it is.
    Build(build::Args),
    /// Say what a plugin's file is, and what it asks for.
    Inspect(inspect::Args),
    /// Put records through a plugin, as a host would, and print a verdict for each.
    Run(run::Args),
    /// Measure what a plugin costs a record.
    Bench(bench::Args),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with a file, or that a plugin did not do what was expected.
pub fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Run(args) => run::run(args),
        Command::Bench(args) => bench::run(args),
    }
}
