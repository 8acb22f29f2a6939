//! `sluicegate plugin`: an author's commands, from an empty folder to a loadable file.

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
pub enum PluginCommand {
    /// Make a folder with a plugin that builds and passes its own test.
    New(new::PluginNewArgs),
    /// Build a plugin for WebAssembly, and say in the file what it is.
    Build(build::PluginBuildArgs),
    /// Say what a plugin's file is, and what it asks for.
    Inspect(inspect::PluginInspectArgs),
    /// Put records through a plugin, as a host would, and print a verdict for each.
    Run(run::PluginRunArgs),
    /// Measure what a plugin costs a record.
    Bench(bench::PluginBenchArgs),
}

/// Runs the command.
///
/// # Errors
/// A file is faulty, or a plugin did not do what was expected.
pub fn run_plugin_command(command: &PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::New(args) => new::make_plugin(args),
        PluginCommand::Build(args) => build::build_plugin(args),
        PluginCommand::Inspect(args) => inspect::inspect_plugin(args),
        PluginCommand::Run(args) => run::try_plugin(args),
        PluginCommand::Bench(args) => bench::bench_plugin(args),
    }
}
