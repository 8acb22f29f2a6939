//! `cargo xtask fuzz`: one target, for as long as one likes, or one input again.
//!
//! Exit codes: 0 where every input kept the properties; 1 where one did not, which is written to a file; 2
//! where there was no run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use sluicegate_fuzz::corpus;
use sluicegate_fuzz::engine::{Engine, Failure, run};
use sluicegate_fuzz::targets::{ALL, Target, outcome_of};

/// How often the run says how far it is.
const REPORT: Duration = Duration::from_secs(30);

/// Changed inputs against one target.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz")]
struct Options {
    /// What is fuzzed.
    #[arg(long, value_parser = PossibleValuesParser::new(ALL.iter().map(|target| target.name)))]
    target: String,
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Chooses the inputs; another one for each run unless it is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Tries this file alone.
    #[arg(long)]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    match fuzz(&Options::parse()) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(failure)) => {
            eprintln!("fuzz: FAILED: {failure}");
            match keep(&failure) {
                Ok(path) => eprintln!(
                    "fuzz: try it again: cargo xtask fuzz --target {} --input {}",
                    failure.target,
                    path.display()
                ),
                Err(error) => eprintln!("fuzz: {error:#}"),
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn fuzz(options: &Options) -> anyhow::Result<Option<Failure>> {
    let target =
        ALL.iter().find(|target| target.name == options.target).context("no such target")?;
    if let Some(path) = &options.input {
        let input = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let failed = run(target, &input).err();
        return Ok(failed.map(|what| Failure { target: target.name, input, what }));
    }
    let seconds = Duration::try_from_secs_f64(options.minutes * 60.0).context("--minutes")?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("fuzz: target {}, seed {seed}", target.name);
    Ok(fuzz_for(target, seed, seconds)?.err())
}

fn fuzz_for(target: &Target, seed: u64, time: Duration) -> anyhow::Result<Result<(), Failure>> {
    let mut engine = match Engine::new(target, seed, corpus::seeds(target.name)?) {
        Ok(engine) => engine,
        Err(failure) => return Ok(Err(failure)),
    };
    let started = Instant::now();
    let mut reported = started;
    while started.elapsed() < time {
        if let Err(failure) = engine.step() {
            return Ok(Err(failure));
        }
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            report(&engine);
        }
    }
    report(&engine);
    Ok(Ok(()))
}

fn report(engine: &Engine<'_>) {
    let (took, input) = &engine.slowest;
    eprintln!(
        "fuzz: {} cases, {} outcomes; the slowest took {took:.1?}, {} bytes",
        engine.cases,
        engine.outcomes(),
        input.len()
    );
}

fn keep(failure: &Failure) -> anyhow::Result<PathBuf> {
    let name = format!("sluicegate-fuzz-{}-{:016x}", failure.target, outcome_of(&failure.input));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, &failure.input).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
