//! `sluicegate schema`: the JSON Schema of a table's records; `infer`: a table for records.

mod against;
mod infer;
mod sample;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::Value;

use super::print::note;
use super::{EXIT_CONFIG, Exit};
use crate::clickhouse::{Server, describe_table};
use crate::config::{ConfigErrors, Environment, TableConfig, Warning};
use crate::schema::json_schema::json_schema;
use crate::schema::plan::TablePlan;
use crate::schema::table::TableSchema;
use crate::words::plain::{Json, PlainLines};

const EXIT_CODES: &str = "Exit codes:
  0   done
  1   something outside of the configuration is wrong: the server, the table
  64  the configuration is wrong; every broken rule is listed";

/// Options of `sluicegate schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
pub struct SchemaArgs {
    #[command(subcommand)]
    command: Option<SchemaCommand>,
    /// Longest wait for ClickHouse, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout_s: u64,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Infer a CREATE TABLE from records, or say what of them does not fit the table.
    Infer(infer::InferArgs),
}

/// Prints the schema of the table of CLICKHOUSE_TABLE.
pub fn run_schema(args: &SchemaArgs) -> Result<(), Exit> {
    match &args.command {
        Some(SchemaCommand::Infer(args)) => infer::infer_schema(args),
        None => print(&of_table(Duration::from_secs(args.timeout_s))?),
    }
}

fn print(text: &str) -> Result<(), Exit> {
    let mut stdout = std::io::stdout().lock();
    let written = write!(stdout, "{}", PlainLines(text)).and_then(|()| stdout.flush());
    Ok(written.context("writing to stdout")?)
}

fn of_table(timeout: Duration) -> Result<String, Exit> {
    let (config, warnings) = read(TableConfig::from_env)?;
    warn(&warnings);
    let (_, plan) = table(&config, timeout)?;
    let derived = json_schema(&plan).map_err(|underived| {
        misconfigured(anyhow::anyhow!("{underived}: no JSON Schema says what a record may be"))
    });
    let mut schema = derived?;
    if let Value::Object(keywords) = &mut schema {
        let title =
            format!("a record for {}.{}", config.clickhouse.database, config.clickhouse.table);
        keywords.insert("title".to_owned(), title.into());
    }
    Ok(format!("{}\n", Json(format_args!("{schema:#}"))))
}

/// Reads a part of the variables.
fn read<T>(from_env: fn(&Environment) -> Result<T, ConfigErrors>) -> Result<T, Exit> {
    from_env(&Environment::read()).map_err(|errors| misconfigured(errors.into()))
}

/// The current table, and the plan that turns records into its rows.
fn table(config: &TableConfig, timeout: Duration) -> Result<(TableSchema, TablePlan), Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the async runtime")?;
    let table = runtime.block_on(read_table(config, timeout));
    runtime.shutdown_background();
    table
}

async fn read_table(
    config: &TableConfig,
    timeout: Duration,
) -> Result<(TableSchema, TablePlan), Exit> {
    let (database, table) = (&config.clickhouse.database, &config.clickhouse.table);
    let server = Server::new(&config.clickhouse).map_err(misconfigured)?;
    let described = tokio::time::timeout(timeout, describe_table(&server, database, table)).await;
    let described = described
        .with_context(|| format!("CLICKHOUSE_HOST {} does not answer in time", server.url()))?
        .map_err(|hold| anyhow::anyhow!(hold.text().to_owned()))?;
    let schema = TableSchema::from_rows(database, table, &described.time_zone, described.columns)
        .with_context(|| format!("table `{database}`.`{table}`"))?;
    let plan = TablePlan::new(&schema, &config.rules).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("table `{database}`.`{table}`: {}", texts.join("; "))
    })?;
    Ok((schema, plan))
}

fn misconfigured(error: anyhow::Error) -> Exit {
    Exit { code: EXIT_CONFIG, error }
}

fn warn(warnings: &[Warning]) {
    for warning in warnings {
        note(format_args!("warning: {warning}"));
    }
}
