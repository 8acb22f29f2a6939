//! `sluicegate check`: checks everything that `run` needs, once, and reports what an operator
//! should know. It joins no group, commits nothing and writes nothing.
//!
//! Kafka and ClickHouse are checked independently, so that a fault of one does not hide a fault of
//! the other.

mod admin;
mod aligned_text;
mod clickhouse;
mod kafka;
mod mapping;
mod report;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::{EXIT_CONFIG, Exit};
use crate::cli::run::budget;
use crate::clickhouse::Server;
use crate::config::{Config, Environment, LookupSource};
use crate::dead_letter::DeadLetters;
use crate::kafka::Probe;
use crate::observe::status::Status;
use crate::plugins::hooks::{Hooks, Worker};
use crate::plugins::lookups::Lookups;
use report::{Check, CheckReport};

const CONFIGURATION: &str = "configuration";
const LOOKUPS: &str = "lookups";
const PLUGINS: &str = "plugins";

/// Options of `sluicegate check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes:
  0   all is well
  1   something outside of the configuration is wrong: a broker, a topic, the table
  64  the configuration is wrong; every broken rule is listed")]
pub struct CheckArgs {
    /// Print one JSON object: ok, checks, columns.
    #[arg(long)]
    json: bool,
    /// Longest wait for Kafka, and for ClickHouse beside it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout_s: u64,
}

/// Runs the checks, prints the report, and fails unless all is well.
pub fn run_check(args: &CheckArgs) -> Result<(), Exit> {
    let timeout = Duration::from_secs(args.timeout_s);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the async runtime")?;
    let report = runtime.block_on(look(timeout));
    runtime.shutdown_background();
    report.print(args.json).context("writing to stdout")?;
    let code = match report.is_ok_of(CONFIGURATION) {
        _ if report.is_ok() => return Ok(()),
        true => 1,
        false => EXIT_CONFIG,
    };
    Err(Exit { code, error: anyhow::anyhow!(report.summary()) })
}

async fn look(timeout: Duration) -> CheckReport {
    let mut report = CheckReport::default();
    let config = match Config::from_env(&Environment::read()) {
        Ok((config, warnings)) => {
            report.checks.extend(
                warnings.iter().map(|warning| Check::warning(CONFIGURATION, warning.to_string())),
            );
            config
        }
        Err(errors) => {
            report.checks.extend(errors.problems().iter().map(|problem| {
                let text = format!(
                    "{}: expected {}; found {}; {}",
                    problem.variable, problem.expected, problem.found, problem.hint
                );
                Check::problem(CONFIGURATION, text)
            }));
            return report;
        }
    };
    // Builds what `run` builds at its start, as far as a setting or a file can be refused there.
    let broken = |error: anyhow::Error| Check::problem(CONFIGURATION, format!("{error:#}"));
    let probe =
        Probe::new(&config.kafka, config.batch.memory_budget_bytes, timeout).map_err(broken);
    let server = Server::new(&config.clickhouse).map_err(broken);
    let budget = budget(&config);
    let dead_letters = DeadLetters::new(&config, Arc::new(Status::default()), Arc::clone(&budget));
    let dead_letters = dead_letters.map_err(broken);
    let dead_letters = dead_letters.map_err(|broken| report.checks.push(broken)).ok();
    report.checks.extend(admin::look_at_port(config.admin.address).await);
    let (checks, lookups) = look_up(&config, server.as_ref().ok(), timeout).await;
    report.checks.extend(checks);
    let hooks = match lookups {
        None => Err(Check::not_known(PLUGINS, "a lookup is not there")),
        Some(lookups) => {
            let status = Arc::new(Status::default());
            let (worker, lookups) = (Worker::default(), Arc::new(lookups));
            let loaded = Hooks::load(&config.plugins, worker, lookups, budget, status).await;
            loaded.map_err(broken)
        }
    };
    let hooks = hooks.unwrap_or_else(|check| {
        report.checks.push(check);
        Hooks::default()
    });
    report.checks.extend(hooks.titles().map(|title| {
        Check::ok(PLUGINS, format!("`{title}` is loaded, and takes its configuration"))
    }));
    let (brokers, table) = tokio::join!(
        async {
            let probe = probe?;
            let kafka = config.kafka.clone();
            let looked =
                crate::base::blocking::run_blocking(move || kafka::look_at_brokers(&kafka, &probe))
                    .await;
            let mut checks = looked.checks;
            if let Some(dead_letters) = dead_letters.filter(|_| looked.is_answered) {
                let topic = dead_letters.topic();
                let found = tokio::time::timeout(timeout, topic.look(timeout)).await;
                let found = found.unwrap_or_else(|_| Err("no answer in time".to_owned()));
                checks.extend(kafka::letters(found));
            }
            Ok(checks)
        },
        async { Ok(clickhouse::look_at_table(&config, &server?, &hooks, timeout).await) },
    );
    let mut outside = Vec::new();
    match brokers {
        Ok(checks) => outside.extend(checks),
        Err(broken) => report.checks.push(broken),
    }
    match table {
        Ok((checks, columns)) => {
            outside.extend(checks);
            report.columns = columns;
        }
        Err(broken) => report.checks.push(broken),
    }
    if report.is_ok_of(CONFIGURATION) {
        report.checks.push(Check::ok(CONFIGURATION, "every rule is kept"));
    }
    report.checks.extend(outside);
    report
}

/// Reads each lookup once. Files are part of the configuration, results of a SELECT are not.
async fn look_up(
    config: &Config,
    server: Option<&Server>,
    timeout: Duration,
) -> (Vec<Check>, Option<Lookups>) {
    let lookups = &config.plugins.lookups;
    let (found, loaded) = Lookups::once(lookups, server, timeout).await;
    let checks = lookups.iter().zip(found).map(|(lookup, found)| match (found, &lookup.source) {
        (Ok(text), _) => Check::ok(LOOKUPS, text),
        (Err(hold), LookupSource::File { .. }) => Check::problem(CONFIGURATION, hold.text()),
        (Err(hold), LookupSource::Select(_)) => Check::problem(LOOKUPS, hold.text()),
    });
    (checks.collect(), loaded)
}
