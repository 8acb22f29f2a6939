//! Set-up, demo and tests of a fresh checkout: `cargo xtask <command>`.

mod npm;
mod suites;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetch what the demo and the tests need beside Rust.
    Setup,
    /// Show the whole path on this machine; takes the options of `sluicegate demo`.
    Demo {
        /// Options of `sluicegate demo`, such as `--records 100000`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every test suite, or one.
    Test {
        /// Only this suite: unit, local, or e2e.
        #[arg(long)]
        suite: Option<String>,
        /// Arguments for the test binaries, such as a part of a test's name.
        #[arg(last = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => Setup::new().map(|_| ExitCode::SUCCESS),
        Task::Demo { args } => demo(&args),
        Task::Test { suite, args } => suites::run(suite.as_deref(), &args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// What was set up: where the downloads are.
struct Setup {
    engine: Option<PathBuf>,
    datasets: PathBuf,
}

impl Setup {
    fn new() -> anyhow::Result<Self> {
        for tool in ["cc", "c++", "make", "perl"] {
            let found = Command::new(tool).arg("--version").output().is_ok();
            ensure!(found, "{tool} is missing: on Debian, `apt-get install build-essential perl`");
        }
        let engine = npm::ENGINE.map(|package| package.fetch()).transpose()?;
        if engine.is_none() {
            eprintln!(
                "no engine library is pinned for this platform; SLUICEGATE_CHDB_LIB may name one"
            );
        }
        let engine = engine.map(|folder| folder.join("libchdb.so"));
        Ok(Self { engine, datasets: npm::DATASETS.fetch()? })
    }

    /// The variables that tell the demo and the tests what was set up and built.
    fn environment(&self) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
        let built = target_folder()?.join("debug");
        let mut variables = vec![
            ("SLUICEGATE_BIN", built.join("sluicegate")),
            ("SLUICEGATE_LOCAL", built.join("sluicegate-local")),
            ("SLUICEGATE_VEGA", self.datasets.clone()),
        ];
        let named = std::env::var_os("SLUICEGATE_CHDB_LIB").map(PathBuf::from);
        if let Some(engine) = named.or_else(|| self.engine.clone()) {
            variables.push(("SLUICEGATE_CHDB_LIB", engine));
        }
        Ok(variables)
    }
}

fn demo(args: &[String]) -> anyhow::Result<ExitCode> {
    let environment = Setup::new()?.environment()?;
    build()?;
    let binary = target_folder()?.join("debug/sluicegate");
    let status = Command::new(binary).arg("demo").args(args).envs(environment).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds both binaries; cargo prints to stderr.
fn build() -> anyhow::Result<()> {
    let status = cargo().args(["build", "--workspace", "--bins"]).status();
    ensure!(status.context("running cargo")?.success(), "the build failed");
    Ok(())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn target_folder() -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("running cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(folder.context("cargo metadata names no target directory")?.into())
}
