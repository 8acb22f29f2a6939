//! `sluicegate demo`: the main job on a local stack, from records to rows.
//!
//! Nothing is simplified: the host is `sluicegate run` in a process of its own, configured by the
//! environment variables that an operator would set.

mod feed;
mod host;
mod plugins;
mod report;
pub mod telemetry;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use sluicegate_local::{LocalStack, StackOptions};

use super::input::{InputBounds, each_record};
use super::print::{say, say_json, say_lines};
use feed::{Feed, FeedRecords};
use host::DemoHost;
use report::DemoReport;

/// Partitions of the source topic: the mock broker keeps 5 MiB in each.
const PARTITIONS: u32 = 96;
/// Partitions of the dead letter topic, with the same limit.
const DEAD_LETTER_PARTITIONS: u32 = 16;
/// Most bytes of payload waiting in the broker: four fifths of what it keeps, before compression.
const MAX_BACKLOG_BYTES: usize = PARTITIONS as usize * 5 * 1024 * 1024 / 5 * 4;
const TOPIC: &str = "records";
const DEAD_LETTER_TOPIC: &str = "dead-letters";

/// How to run the demo.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// How many records of vehicle telemetry to send; one in a hundred is broken.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    records: u64,
    /// A file of your own instead: a JSON array (.json), or one record a line (.ndjson).
    #[arg(long, value_name = "FILE", requires = "create")]
    input: Option<PathBuf>,
    /// The CREATE TABLE statement for the file's records.
    #[arg(long, value_name = "SQL", requires = "input")]
    create: Option<String>,
    /// Send the records through the plugins `redact` and `enrich` on their way.
    #[arg(long, conflicts_with = "input")]
    plugins: bool,
    /// End with one line of JSON.
    #[arg(long)]
    json: bool,
    /// Keep ClickHouse's data in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Leave ClickHouse running at the end, for queries of your own.
    #[arg(long)]
    serve: bool,
}

/// Runs the demo to its end.
///
/// # Errors
/// Something could not be started, read or settled.
pub fn run_demo(args: &DemoArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args))
}

async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let job = Job::of(args)?;
    let stack = start_stack(args).await?;
    stack.query(&job.create).await.context("creating the table")?;
    stack.create_topic(TOPIC, PARTITIONS).await?;
    stack.create_topic(DEAD_LETTER_TOPIC, DEAD_LETTER_PARTITIONS).await?;

    let progress = progress(job.records.len());
    let mut feed = Feed::new(stack.kafka(), job.records)?;
    progress.set_message("filling the topic");
    feed.fill(MAX_BACKLOG_BYTES, &progress).await?;
    let scratch = tempfile::tempdir()?;
    let further = if args.plugins { plugins::variables(scratch.path())? } else { Vec::new() };
    let mut host = DemoHost::start(&stack, &job.table, job.required, further)?;
    progress.reset();
    progress.set_message("settled");
    while host.settled() < feed.produced() || !feed.is_done() {
        let backlog = feed.bytes_of(feed.produced() - host.settled());
        feed.fill(MAX_BACKLOG_BYTES.saturating_sub(backlog), &ProgressBar::hidden()).await?;
        progress.set_position(host.settled());
        host.check_alive()?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    progress.finish_and_clear();
    let costs = if args.plugins { host.costs().await? } else { Vec::new() };
    let run = host.stop().await?;

    let report = DemoReport::gather(&stack, &job.table, job.questions, run, costs).await?;
    report.print();
    if args.serve {
        let (url, key, table) = (stack.clickhouse_url(), stack.password(), job.table);
        say_lines(format_args!("\nClickHouse answers at {url} until Ctrl-C"));
        say(format_args!(
            "  curl '{url}' --header 'X-ClickHouse-Key: {key}' --data 'SELECT count() FROM {table}'"
        ));
        tokio::signal::ctrl_c().await?;
    }
    stack.stop().await?;
    if args.json {
        say_json(report.json());
    }
    Ok(())
}

/// What is sent, its table, and the queries at the end.
struct Job {
    create: String,
    table: String,
    required: &'static str,
    questions: Vec<String>,
    records: FeedRecords,
}

impl Job {
    fn of(args: &DemoArgs) -> anyhow::Result<Self> {
        if let (Some(file), Some(create)) = (&args.input, &args.create) {
            let table = table_of(create)?;
            return Ok(Self {
                create: create.clone(),
                questions: vec![
                    format!("SELECT count() AS rows FROM {table}"),
                    format!("SELECT * FROM {table} LIMIT 3"),
                ],
                table,
                required: "",
                records: FeedRecords::file(records_of(file)?),
            });
        }
        let mut job = Self {
            create: telemetry::CREATE_TABLE.into(),
            table: telemetry::TABLE.into(),
            required: telemetry::REQUIRED,
            questions: telemetry::QUESTIONS.map(String::from).into(),
            records: FeedRecords::telemetry(args.records, args.plugins),
        };
        if args.plugins {
            job.create = job.create.replacen('(', &format!("(\n    {},", plugins::COLUMN), 1);
            job.questions.push(plugins::QUESTION.into());
        }
        Ok(job)
    }
}

/// The table's name in a CREATE TABLE statement.
fn table_of(create: &str) -> anyhow::Result<String> {
    let mut words = create.split(|c: char| c.is_whitespace() || c == '(').filter(|w| !w.is_empty());
    let starts = [words.next(), words.next()].map(|word| word.map(str::to_ascii_uppercase));
    let is_create = starts == [Some("CREATE".into()), Some("TABLE".into())];
    let mut name = words.next();
    if name.is_some_and(|word| word.eq_ignore_ascii_case("IF")) {
        name = words.nth(2);
    }
    let name =
        name.filter(|_| is_create).context("--create: expected `CREATE TABLE name (...)`")?;
    anyhow::ensure!(
        !name.contains('.'),
        "--create: the demo's table is in the database `default`; leave `{name}` without one"
    );
    Ok(name.trim_matches('`').to_owned())
}

async fn start_stack(args: &DemoArgs) -> anyhow::Result<LocalStack> {
    let binary = match std::env::var_os("SLUICEGATE_LOCAL") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("sluicegate-local"),
    };
    anyhow::ensure!(
        binary.exists(),
        "{} is missing: run `cargo xtask demo`, or set SLUICEGATE_LOCAL",
        binary.display()
    );
    let mut options = StackOptions::new(binary).with_quiet();
    if let Some(folder) = &args.keep {
        options = options.with_data(folder);
    }
    LocalStack::start(options).await
}

fn progress(records: u64) -> ProgressBar {
    let bar = ProgressBar::new(records);
    let template = "{msg:>18} {bar:40} {human_pos:>9} of {human_len}  {per_sec:>14}  {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The records of a file.
fn records_of(file: &Path) -> anyhow::Result<Vec<Box<[u8]>>> {
    let mut records = Vec::new();
    each_record("--input", file, InputBounds::NONE, |_, record| records.push(record.into()))?;
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::table_of;

    #[test]
    fn the_table_is_named_by_its_create_statement() {
        assert_eq!(table_of("CREATE TABLE movies (a String)").unwrap(), "movies");
        assert_eq!(table_of("create table if not exists `m`(a String)").unwrap(), "m");
        assert!(table_of("SELECT 1").is_err());
        assert!(table_of("CREATE TABLE d.m (a String)").is_err());
    }
}
