//! `cargo xtask chaos`: one run, its report as the last line of stdout.
//!
//! Exit codes: 0 where all promises were kept; 1 where the report says why not; 2 where there is no
//! report, since the harness itself failed; 130 on SIGINT or SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use sluicegate_chaos::options::Options;
use sluicegate_chaos::run;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// Longer than any run may take beside its rounds.
const GRACE: Duration = Duration::from_mins(15);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let (code, folder) = match chaos(&options).await {
        Ok((code, folder)) => (code, folder),
        Err(error) => {
            eprintln!("chaos: {error:#}");
            return ExitCode::from(2);
        }
    };
    if let Some(folder) = folder {
        eprintln!("chaos: the logs are in {}", folder.display());
    }
    code
}

/// The exit code, and where the logs are kept, if the run failed.
async fn chaos(options: &Options) -> anyhow::Result<(ExitCode, Option<PathBuf>)> {
    options.check()?;
    let folder: TempDir = tempfile::Builder::new().prefix("sluicegate-chaos-").tempdir()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let longest = options.duration() * 3 + GRACE;
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(longest, run::run(options, folder.path())) => outcome,
        _ = terminate.recv() => return Ok((ExitCode::from(130), Some(folder.keep()))),
        _ = tokio::signal::ctrl_c() => return Ok((ExitCode::from(130), Some(folder.keep()))),
    };
    let report = match outcome.context("the run does not end").flatten() {
        Ok(report) => report,
        Err(error) => {
            eprintln!("chaos: no report: {error:#}");
            return Ok((ExitCode::from(2), Some(folder.keep())));
        }
    };
    let failures = report.failures(options);
    for failure in &failures {
        eprintln!("chaos: FAILED: {failure}");
    }
    println!("{}", serde_json::to_string(&report)?);
    Ok(match failures.is_empty() {
        true => (ExitCode::SUCCESS, None),
        false => (ExitCode::FAILURE, Some(folder.keep())),
    })
}
