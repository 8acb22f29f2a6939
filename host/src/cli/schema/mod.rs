//! `sluicegate schema`: the JSON Schema of a table's records.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::run::rules;
use super::{EXIT_CONFIG, Exit};
use crate::config::{Environment, TableConfig, Warning};
use crate::schema::json_schema::json_schema;
use crate::schema::plan::TablePlan;
use crate::schema::table::TableSchema;
use crate::sink::{Server, describe};

const EXIT_CODES: &str = "Exit codes:
  0   done
  1   something outside of the configuration is wrong: the server, the table
  64  the configuration is wrong; every broken rule is listed";

/// Options of `sluicegate schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Longest wait for ClickHouse, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout_s: u64,
}

/// Prints the schema of the table of CLICKHOUSE_TABLE.
pub fn run(args: &Args) -> Result<(), Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the async runtime")?;
    let text = runtime.block_on(of_table(Duration::from_secs(args.timeout_s)));
    runtime.shutdown_background();
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text?.as_bytes()).and_then(|()| stdout.flush());
    Ok(written.context("writing to stdout")?)
}

async fn of_table(timeout: Duration) -> Result<String, Exit> {
    let read = TableConfig::from_env(&Environment::read());
    let (config, warnings) = read.map_err(|errors| misconfigured(errors.into()))?;
    warn(&warnings);
    let plan = plan(&config, timeout).await?;
    let derived = json_schema(&plan).map_err(|underived| {
        misconfigured(anyhow::anyhow!("{underived}: no JSON Schema says what a record may be"))
    });
    let mut schema = derived?;
    if let Value::Object(keywords) = &mut schema {
        let title =
            format!("a record for {}.{}", config.clickhouse.database, config.clickhouse.table);
        keywords.insert("title".to_owned(), title.into());
    }
    Ok(format!("{schema:#}\n"))
}

/// How records become rows of the table as it is now.
async fn plan(config: &TableConfig, timeout: Duration) -> Result<TablePlan, Exit> {
    let (database, table) = (&config.clickhouse.database, &config.clickhouse.table);
    let server = Server::new(&config.clickhouse).map_err(misconfigured)?;
    let described = tokio::time::timeout(timeout, describe(&server, database, table)).await;
    let described = described
        .with_context(|| format!("CLICKHOUSE_HOST {} does not answer in time", server.url()))?
        .map_err(|hold| anyhow::anyhow!(hold.text().to_owned()))?;
    let schema = TableSchema::from_rows(database, table, &described.time_zone, described.columns)
        .with_context(|| format!("table `{database}`.`{table}`"))?;
    TablePlan::new(&schema, &rules(&config.rules, &config.fields)).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("table `{database}`.`{table}`: {}", texts.join("; ")).into()
    })
}

fn misconfigured(error: anyhow::Error) -> Exit {
    Exit { code: EXIT_CONFIG, error }
}

fn warn(warnings: &[Warning]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}
