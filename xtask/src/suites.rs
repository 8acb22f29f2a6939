//! The test suites, one after another, with the time that each took.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::{Environment, build, cargo, debian, maven, plugins, pypi, root, set_up_tests};

/// A suite of tests.
struct Suite {
    name: &'static str,
    /// Arguments of `cargo test` in the root. Those that build the host select the whole workspace,
    /// so that no suite builds a dependency anew with other features.
    selection: &'static [&'static str],
    /// Tests at a time; those that mostly wait go beyond the cores.
    threads: Option<&'static str>,
    /// Fetches what this suite alone needs.
    set_up: Option<SetUp>,
    /// Whether it starts the host or the local stack.
    starts_binaries: bool,
}

type SetUp = fn() -> anyhow::Result<Environment>;

const SUITES: &[Suite] = &[
    suite("unit", &["--workspace", "--lib", "--bins"], None, None).pure(),
    suite("sdk", &["--package", "sluicegate-plugin", "--all-features"], None, None).pure(),
    suite("plugins", &["--manifest-path", "plugins/Cargo.toml"], None, None).pure(),
    suite("model", &["--workspace", "--test", "model"], None, None).pure(),
    suite("local", &["--workspace", "--test", "it"], None, None),
    suite("schemas", &["--workspace", "--test", "schemas"], None, Some(schemas)),
    suite("fuzz", &["--workspace", "--test", "fuzz"], None, None).pure(),
    suite("matrix", &["--workspace", "--test", "matrix"], None, None),
    suite("e2e", &["--workspace", "--test", "e2e"], Some("6"), Some(plugins::build)),
    suite("hostile", &["--workspace", "--test", "hostile"], Some("2"), Some(plugins::build)),
    suite("instructions", &["--workspace", "--test", "instructions"], None, Some(valgrind)).pure(),
    suite("deploy", &["--workspace", "--test", "deploy"], None, Some(go)).pure(),
    suite("clients", &["--workspace", "--test", "clients"], None, Some(clients)),
    suite("broker", &["--workspace", "--test", "broker"], Some("4"), Some(kafka)),
    suite("chaos", &["--workspace", "--test", "chaos"], Some("2"), Some(kafka)),
];

const fn suite(
    name: &'static str,
    selection: &'static [&'static str],
    threads: Option<&'static str>,
    set_up: Option<SetUp>,
) -> Suite {
    Suite { name, selection, threads, set_up, starts_binaries: true }
}

impl Suite {
    /// The same, which needs neither the host's binaries nor the engine.
    const fn pure(self) -> Self {
        Self { starts_binaries: false, ..self }
    }
}

fn kafka() -> anyhow::Result<Environment> {
    Ok(vec![("SLUICEGATE_KAFKA_JARS", maven::kafka_jars()?)])
}

fn schemas() -> anyhow::Result<Environment> {
    Ok(vec![("SLUICEGATE_JSON_SCHEMA_SUITE", pypi::json_schema_suite()?)])
}

fn go() -> anyhow::Result<Environment> {
    debian::tool("go", &["golang-go"])?;
    Ok(Environment::new())
}

/// The figures are of one architecture: on another there is nothing to count against.
fn valgrind() -> anyhow::Result<Environment> {
    let is_counted = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    ensure!(is_counted, "instructions are counted on x86-64 with Linux alone");
    debian::tool("valgrind", &["valgrind"])?;
    // What is inlined depends on it.
    Ok(vec![("CARGO_INCREMENTAL", "0".into())])
}

fn clients() -> anyhow::Result<Environment> {
    debian::tool("kcat", &["kcat"])?;
    let mut environment = kafka()?;
    environment.push(("SLUICEGATE_PYTHON", pypi::clickhouse_connect()?));
    Ok(environment)
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Passed,
    Failed,
    NotRun,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotRun => "NOT RUN",
        }
    }
}

/// Fetches what each suite needs, of one as of the others where that fails.
///
/// # Errors
/// A suite would not run.
pub fn set_up_all() -> anyhow::Result<()> {
    let mut without = Vec::new();
    for (suite, set_up) in SUITES.iter().filter_map(|suite| Some((suite, suite.set_up?))) {
        if let Err(error) = set_up() {
            eprintln!("suite {} will not run: {error:#}", suite.name);
            without.push(suite.name);
        }
    }
    ensure!(without.is_empty(), "suites without what they need: {}", without.join(", "));
    Ok(())
}

/// Runs the suite of this name, or all. One that did not pass fails the whole, and so does one
/// that could not be set up.
pub fn run(only: Option<&str>, args: &[String]) -> anyhow::Result<ExitCode> {
    let suites: Vec<_> =
        SUITES.iter().filter(|suite| only.is_none_or(|only| only == suite.name)).collect();
    let names = || SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
    ensure!(!suites.is_empty(), "no suite of this name: there are {}", names());
    let environment = if suites.iter().any(|suite| suite.starts_binaries) {
        let environment = set_up_tests()?;
        build()?;
        environment
    } else {
        Environment::new()
    };
    let mut results = Vec::new();
    for suite in suites {
        let started = Instant::now();
        let verdict = match suite.set_up.map_or(Ok(Environment::new()), |set_up| set_up()) {
            Ok(further) => test(suite, args, environment.iter().chain(&further))?,
            Err(error) => {
                eprintln!("suite {} did not run: {error:#}", suite.name);
                Verdict::NotRun
            }
        };
        results.push((suite.name, verdict, started.elapsed()));
    }
    eprintln!("\nsuite        result   minutes");
    for (name, verdict, took) in &results {
        eprintln!("{name:<13}{:<9}{:>7.1}", verdict.word(), minutes(*took));
    }
    let count = |wanted| results.iter().filter(|(_, verdict, _)| *verdict == wanted).count();
    let (passed, not_run) = (count(Verdict::Passed), count(Verdict::NotRun));
    eprintln!("suites: {passed} passed, {} failed, {not_run} not run", count(Verdict::Failed));
    let all_passed = passed == results.len();
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test<'a>(
    suite: &Suite,
    args: &[String],
    environment: impl Iterator<Item = &'a (&'static str, std::path::PathBuf)>,
) -> anyhow::Result<Verdict> {
    let mut test = cargo();
    test.current_dir(root()?).arg("test").args(suite.selection).arg("--");
    if let Some(threads) = suite.threads {
        test.args(["--test-threads", threads]);
    }
    test.args(args);
    test.envs(environment.map(|(name, value)| (name, value)));
    let passed = test.status().context("running cargo test")?.success();
    Ok(if passed { Verdict::Passed } else { Verdict::Failed })
}

fn minutes(took: Duration) -> f64 {
    took.as_secs_f64() / 60.0
}
