//! Set-up, demo and tests of a fresh checkout: `cargo xtask <command>`.

mod bench;
mod debian;
#[cfg(test)]
mod dependencies;
mod maven;
mod npm;
mod plugins;
mod pypi;
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
    #[command(disable_help_flag = true)]
    Demo {
        /// Options of `sluicegate demo`, such as `--records 100000`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Faults of every kind against several hosts, then a count of every record; takes the options
    /// of tests/chaos, such as `--minutes 30 --seed 7`.
    #[command(disable_help_flag = true)]
    Chaos {
        /// Options of tests/chaos; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Changed inputs against one of the targets of tests/fuzz; takes the options of it, such as
    /// `--target json --minutes 30`.
    #[command(disable_help_flag = true)]
    Fuzz {
        /// Options of tests/fuzz; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure where the CPU goes, and what hooks and exactly_once cost, each beside its baseline.
    #[command(disable_help_flag = true)]
    Bench {
        /// Only this one: `speed`, `hooks` or `delivery`, with its options behind it. Options without
        /// a name are those of `speed`, such as `--quick --json FILE`; nothing at all runs all three.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every test suite, or one.
    Test {
        /// Only this suite, such as unit or e2e; a name that is none lists them all.
        #[arg(long)]
        suite: Option<String>,
        /// Arguments for the test binaries, such as a part of a test's name.
        #[arg(last = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => set_up(),
        Task::Demo { args } => demo(&args),
        Task::Chaos { args } => chaos(&args),
        Task::Fuzz { args } => fuzz(&args),
        Task::Bench { args } => bench::run(&args),
        Task::Test { suite, args } => suites::run(suite.as_deref(), &args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The variables that tell a process where its needs were put.
type Environment = Vec<(&'static str, PathBuf)>;

/// Fetches what the demo needs: the engine, and tools to build with, which are only looked for.
fn set_up_demo() -> anyhow::Result<Environment> {
    for tool in ["cc", "c++", "make", "perl"] {
        debian::tool(tool, &["build-essential", "perl"])?;
    }
    let built = target_folder()?.join("debug");
    let mut environment = vec![
        ("SLUICEGATE_BIN", built.join("sluicegate")),
        ("SLUICEGATE_LOCAL", built.join("sluicegate-local")),
    ];
    if let Some(named) = std::env::var_os("SLUICEGATE_CHDB_LIB") {
        environment.push(("SLUICEGATE_CHDB_LIB", named.into()));
    } else if let Some(package) = npm::ENGINE {
        environment.push(("SLUICEGATE_CHDB_LIB", package.fetch()?.join("libchdb.so")));
    } else {
        eprintln!(
            "no engine library is pinned for this platform; SLUICEGATE_CHDB_LIB may name one"
        );
    }
    Ok(environment)
}

/// Fetches what every test needs: the same, and real data.
fn set_up_tests() -> anyhow::Result<Environment> {
    let mut environment = set_up_demo()?;
    environment.push(("SLUICEGATE_VEGA", npm::DATASETS.fetch()?));
    Ok(environment)
}

/// Fetches everything.
fn set_up() -> anyhow::Result<ExitCode> {
    set_up_tests()?;
    suites::set_up_all()?;
    Ok(ExitCode::SUCCESS)
}

fn demo(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut environment = set_up_demo()?;
    if args.iter().any(|arg| arg == "--plugins") {
        environment.extend(plugins::build()?);
    }
    build()?;
    let binary = target_folder()?.join("debug/sluicegate");
    let status = Command::new(binary).arg("demo").args(args).envs(environment).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chaos(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut environment = set_up_demo()?;
    environment.push(("SLUICEGATE_KAFKA_JARS", maven::kafka_jars()?));
    // Builds the binaries too.
    environment.extend(plugins::build()?);
    let binary = target_folder()?.join("debug/sluicegate-chaos");
    let status = Command::new(binary).args(args).envs(environment).status();
    let status = status.context("running sluicegate-chaos")?;
    // 1: a promise was broken; 2: there is no report.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn fuzz(args: &[String]) -> anyhow::Result<ExitCode> {
    build()?;
    let binary = target_folder()?.join("debug/sluicegate-fuzz");
    let status = Command::new(binary).args(args).status().context("running sluicegate-fuzz")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds every binary; cargo prints to stderr.
fn build() -> anyhow::Result<()> {
    let status = cargo().args(["build", "--workspace", "--bins"]).status();
    ensure!(status.context("running cargo")?.success(), "the build failed");
    Ok(())
}

/// Cargo without what a surrounding `cargo run` tells of the package of this program: build scripts that read
/// it, such as ring's, would run anew each time that `cargo xtask` follows `cargo`, and what depends on them with them.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_of_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_package))
    {
        cargo.env_remove(name);
    }
    cargo
}

fn target_folder() -> anyhow::Result<PathBuf> {
    folder("target_directory")
}

/// The root of the repository.
fn root() -> anyhow::Result<PathBuf> {
    folder("workspace_root")
}

fn folder(key: &str) -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("running cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let folder = metadata.get(key).and_then(serde_json::Value::as_str);
    Ok(folder.with_context(|| format!("cargo metadata names no {key}"))?.into())
}

/// The folder that downloads are kept in: `SLUICEGATE_CACHE_DIR`, else `sluicegate` in the
/// user's cache folder.
pub fn cache() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("SLUICEGATE_CACHE_DIR") {
        return Ok(folder.into());
    }
    let user = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither SLUICEGATE_CACHE_DIR, XDG_CACHE_HOME nor HOME is set")?;
    Ok(user.join("sluicegate"))
}
