//! The commands, and the exit codes that scripts may rely on.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `run`: told to stop, drained and committed; for `check`: all is well |
//! | 1 | the command failed; for `check`: something outside of the configuration is wrong |
//! | 3 | for `schema infer --against-table`: some records would be rejected |
//! | 4 | for the same: all would land, and some fields have no column |
//! | 64 | the configuration is wrong; every broken rule is listed |
//! | 70 | a bug, a membership that is fenced off, or a partition without a start offset under `KAFKA_AUTO_OFFSET_RESET=error`; what was settled is committed |

mod check;
#[cfg(feature = "demo")]
mod demo;
mod input;
#[cfg(feature = "hooks")]
mod plugin;
mod print;
mod run;
mod schema;

use std::fmt;

use clap::{Parser, Subcommand};

use crate::config::ConfigErrors;
use crate::words::plain::{Plain, PlainLines};

#[cfg(feature = "demo")]
pub use demo::telemetry;

/// The configuration is wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_CONFIG: u8 = 64;
/// A bug (`EX_SOFTWARE` of sysexits.h).
pub const EXIT_FATAL: u8 = 70;

/// Kafka in, ClickHouse out, your sandboxed code in between.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Consume, insert, dead-letter; configured by environment variables.
    Run,
    /// Look at everything that `run` needs, once: configuration, topics, table, columns.
    Check(check::CheckArgs),
    /// Print the JSON Schema of the records that the table takes, or infer a table from records.
    Schema(schema::SchemaArgs),
    /// Show the whole path on this machine: vehicle telemetry, or a file of your own.
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Make, build, look at and try a plugin.
    #[cfg(feature = "hooks")]
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// What a host starts for itself, to load a plugin: a question on stdin, the answer on stdout.
    #[cfg(feature = "hooks")]
    #[command(hide = true)]
    PluginWorker {
        /// What is asked.
        task: String,
        /// Most CPU time, in seconds.
        cpu_seconds: u64,
        /// Most memory, in bytes.
        data_bytes: u64,
    },
}

/// Why a command ended early.
#[derive(Debug)]
pub struct Exit {
    /// The process's exit code.
    pub code: u8,
    /// What happened, with its causes.
    pub error: anyhow::Error,
}

impl fmt::Display for Exit {
    /// One line, unless the lines are our own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:#}", self.error);
        match self.error.is::<ConfigErrors>() || self.error.is::<PlainLines<String>>() {
            true => PlainLines(text).fmt(f),
            false => Plain(text).fmt(f),
        }
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        Self { code: 1, error }
    }
}

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// [`Exit`] with the code and what to print.
    pub fn execute(self) -> Result<(), Exit> {
        match self.command {
            Command::Run => run::run_host(),
            Command::Check(args) => check::run_check(&args),
            Command::Schema(args) => schema::run_schema(&args),
            #[cfg(feature = "demo")]
            Command::Demo(args) => Ok(demo::run_demo(&args)?),
            #[cfg(feature = "hooks")]
            Command::Plugin(command) => Ok(plugin::run_plugin_command(&command)?),
            #[cfg(feature = "hooks")]
            Command::PluginWorker { task, cpu_seconds, data_bytes } => {
                Ok(crate::plugins::hooks::answer_question(&task, cpu_seconds, data_bytes)?)
            }
        }
    }
}

#[cfg(all(test, feature = "hooks"))]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::plugins::hooks::{Worker, WorkerTask};

    #[test]
    fn a_worker_understands_its_command_line_and_help_does_not_show_it() {
        for task in WorkerTask::ALL {
            let arguments = Worker::default().arguments(task);
            let parsed =
                Cli::try_parse_from(["sluicegate".to_owned()].into_iter().chain(arguments));
            let Command::PluginWorker { task: word, .. } = parsed.unwrap().command else {
                panic!("another command than the worker's");
            };
            assert_eq!(word, task.as_str());
        }
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("plugin") && !help.contains("worker"), "{help}");
    }
}
