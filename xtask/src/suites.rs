//! The test suites, one after another, with the time that each took.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::{Environment, build, cargo, set_up_tests};

/// A suite: its name, and the arguments of `cargo test`. Each selects the whole workspace, so that
/// no suite builds a dependency anew with other features.
const SUITES: &[(&str, &[&str])] = &[
    ("unit", &["--workspace", "--lib", "--bins"]),
    ("local", &["--workspace", "--test", "it"]),
    ("e2e", &["--workspace", "--test", "e2e"]),
];

/// Runs the suite of this name, or all.
pub fn run(only: Option<&str>, args: &[String]) -> anyhow::Result<ExitCode> {
    let suites: Vec<_> =
        SUITES.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    ensure!(!suites.is_empty(), "no suite of this name: there are unit, local and e2e");
    let environment = set_up_tests()?;
    build()?;
    let mut results = Vec::new();
    for (name, selection) in suites {
        let started = Instant::now();
        let passed = test(selection, args, &environment)?;
        results.push((*name, passed, started.elapsed()));
    }
    eprintln!("\nsuite      result   minutes");
    for (name, passed, took) in &results {
        eprintln!("{name:<11}{:<9}{:>7.1}", verdict(*passed), minutes(*took));
    }
    let all_passed = results.iter().all(|(_, passed, _)| *passed);
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(selection: &[&str], args: &[String], environment: &Environment) -> anyhow::Result<bool> {
    let mut test = cargo();
    test.arg("test").args(selection).arg("--").args(args);
    test.envs(environment.iter().map(|(name, value)| (name, value)));
    Ok(test.status().context("running cargo test")?.success())
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

fn minutes(took: Duration) -> f64 {
    took.as_secs_f64() / 60.0
}
