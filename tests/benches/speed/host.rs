//! The host between a mock Kafka and a ClickHouse, each a process of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use sluicegate_instructions::data::DataSet;
use sluicegate_local::LocalStack;
use sluicegate_tests::{Answer, Host, stack_options};
use tokio::time::{Instant, sleep};

use crate::clock;

const DEAD_LETTERS: &str = "dead-letters";
/// How often it is looked whether all rows are there: an answer from a list, which costs the engine
/// nothing.
pub const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_mins(5);

/// A Kafka and a ClickHouse.
pub struct Servers {
    /// Its own ClickHouse is idle.
    pub kafka: LocalStack,
    /// Without Kafka.
    pub clickhouse: LocalStack,
}

/// One run of the host, in seconds for a million records where not said otherwise.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// All of the host, from its start to the last row.
    pub host: f64,
    /// The parts of it, which make up the whole, by name.
    pub stages: Vec<(&'static str, f64)>,
    /// ClickHouse, merges included.
    pub engine: f64,
    /// The mock broker.
    pub broker: f64,
    /// Rows a second, from the assignment to the last INSERT but one: the last batch of all waits
    /// BATCH_LINGER_MS for records that never come.
    pub rows_per_s: f64,
    /// The share of the machine's cores that host, ClickHouse and broker took meanwhile.
    pub busy: f64,
    /// The most memory that the host held.
    pub peak_rss_bytes: f64,
}

/// How far a run has come.
struct Mark {
    /// Rows that are in.
    rows: u64,
    at: Instant,
    /// CPU time of host, ClickHouse and broker until then.
    cpu: Duration,
}

impl Servers {
    /// Starts both.
    pub async fn start() -> anyhow::Result<Self> {
        let kafka = LocalStack::start(stack_options()?).await?;
        let clickhouse = LocalStack::start(stack_options()?.with_brokers(0)).await?;
        kafka.create_topic(DEAD_LETTERS, 16).await?;
        Ok(Self { kafka, clickhouse })
    }

    /// Runs the host over all records of a data set, of which `good` become rows, into a table of its
    /// own, as a group of its own.
    ///
    /// # Errors
    /// Not every record was settled as it should be.
    pub async fn run(
        &self,
        set: &DataSet,
        (records, good): (usize, usize),
        table: &str,
    ) -> anyhow::Result<Run> {
        self.clickhouse.query(&set.create_table(table)).await?;
        let (engine, broker) = (self.engine()?, clock::of_process(self.kafka.pid())?);
        let mut host = Host::start(&self.environment(set, table))?;
        host.wait_for(&["partitions assigned"]).await?;
        let assigned = self.mark(&host, 0)?;
        let last = self.wait_for_rows(table, good, &host).await?;
        let pid = host.pid()?;
        let (host_cpu, threads) = (clock::of_process(pid)?, clock::of_threads(pid)?);
        let metrics = host.admin("GET", "/metrics").await?;
        let peak_rss_bytes = host.peak_memory_bytes()? as f64;
        let ledger = host.stop().await?;
        let (landed, refused) = (good as u64, (records - good) as u64);
        let is_right = ledger.landed == landed && ledger.dead_lettered == refused;
        ensure!(is_right, "{table}: {landed} should land and {refused} not: {ledger:?}");
        let broker = clock::of_process(self.kafka.pid())?.saturating_sub(broker);
        self.wait_for_merges().await?;
        let engine = self.engine()?.saturating_sub(engine);
        self.clickhouse.query(&format!("DROP TABLE {table} SYNC")).await?;
        let million = records as f64 / 1e6;
        let host = host_cpu.as_secs_f64();
        let mut stages = stages(host, &threads, &metrics);
        for (_, seconds) in &mut stages {
            *seconds /= million;
        }
        let took = last.at.duration_since(assigned.at).as_secs_f64();
        let cores = std::thread::available_parallelism()?.get() as f64;
        Ok(Run {
            host: host / million,
            stages,
            engine: engine.as_secs_f64() / million,
            broker: broker.as_secs_f64() / million,
            rows_per_s: last.rows as f64 / took,
            busy: last.cpu.saturating_sub(assigned.cpu).as_secs_f64() / took / cores,
            peak_rss_bytes,
        })
    }

    /// The variables of a host with its defaults.
    pub fn environment(&self, set: &DataSet, table: &str) -> BTreeMap<String, String> {
        let variables = [
            ("KAFKA_BROKER", self.kafka.kafka()),
            ("KAFKA_CONSUMER_GROUP_ID", table),
            ("KAFKA_PRODUCER_CLIENT_ID", "speed"),
            ("KAFKA_SOURCE_TOPIC", set.name),
            ("KAFKA_DLQ_TOPIC", DEAD_LETTERS),
            ("CLICKHOUSE_HOST", self.clickhouse.clickhouse_url()),
            ("CLICKHOUSE_PASSWORD", self.clickhouse.password()),
            ("CLICKHOUSE_TABLE", table),
            // The local engine has no queue of async inserts.
            ("CLICKHOUSE_ASYNC_INSERT", "0"),
            ("REQUIRED_COLUMNS", set.required),
            ("ADMIN_ADDR", "127.0.0.1:0"),
            ("LOG_FORMAT", "json"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Waits for all rows, and gives how far it was before the last of them came.
    async fn wait_for_rows(&self, table: &str, rows: usize, host: &Host) -> anyhow::Result<Mark> {
        let (deadline, of) = (Instant::now() + PATIENCE, format!("`{table}`"));
        let mut before = self.mark(host, 0)?;
        loop {
            let inserts = self.clickhouse.inserts(&of).await?;
            let seen: u64 = inserts.iter().map(|insert| insert.written_rows).sum();
            if seen >= rows as u64 {
                return if before.rows > 0 { Ok(before) } else { self.mark(host, seen) };
            }
            if seen > before.rows {
                before = self.mark(host, seen)?;
            }
            let is_late = Instant::now() > deadline;
            ensure!(!is_late, "{table}: {seen} rows of {rows}:\n{}", host.log().join("\n"));
            sleep(LOOK).await;
        }
    }

    fn mark(&self, host: &Host, rows: u64) -> anyhow::Result<Mark> {
        let (host, broker) =
            (clock::of_process(host.pid()?)?, clock::of_process(self.kafka.pid())?);
        Ok(Mark { rows, at: Instant::now(), cpu: host + broker + self.engine()? })
    }

    /// CPU time of ClickHouse.
    pub fn engine(&self) -> anyhow::Result<Duration> {
        clock::of_process(self.clickhouse.pid())
    }

    /// Waits until no merge is under way.
    pub async fn wait_for_merges(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.clickhouse.query("SELECT count() FROM system.merges").await?.trim() != "0" {
            ensure!(Instant::now() < deadline, "merges have no end");
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// What the host spent its CPU seconds on. Stages that run as a stretch on one thread count their own;
/// what else the threads of the async runtime do is sending, and being told that rows are in.
fn stages(host: f64, threads: &[(String, f64)], metrics: &Answer) -> Vec<(&'static str, f64)> {
    let of_threads = |prefix: &str| -> f64 {
        let named = threads.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, seconds)| seconds).sum()
    };
    let counted = |stage: &str| {
        let series = format!("sluicegate_stage_cpu_seconds_sum{{stage=\"{stage}\"}}");
        metrics.metric(&series).unwrap_or(0.0)
    };
    let hooks = counted("rows_hooks") + counted("arrow_hooks");
    let (decode, check) = (counted("decode"), counted("check") + counted("user_schema"));
    let (ipc, letters) = (counted("ipc"), counted("dead_letters"));
    let on_runtime = decode + check + hooks + ipc + letters;
    let insert = (of_threads("tokio") - on_runtime).max(0.0);
    let mut stages = vec![
        ("consume: librdkafka", of_threads("rdk:")),
        ("consume: poll thread", of_threads("source")),
        ("decode", decode),
        ("check", check),
        ("hooks", hooks),
        ("ipc", ipc),
        ("insert", insert),
        ("dead letters", letters + of_threads("producer")),
    ];
    let known: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
    stages.push(("other", (host - known).max(0.0)));
    stages
}
