//! One job: a topic, a table, a dead letter topic, and the variables that tie them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use sluicegate_local::{LocalStack, StackOptions};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::broker::Broker;
use crate::host::{Host, Ledger, PATIENCE};
use crate::kafka::{self, DeadLetter, Message};

/// The source topic.
pub const TOPIC: &str = "records";
/// The dead letter topic.
pub const DEAD_LETTERS: &str = "dead-letters";
/// The table.
pub const TABLE: &str = "t";
/// The consumer group.
pub const GROUP: &str = "sluicegate-test";

/// The mock broker answers an empty fetch only after its whole wait, and starts a new generation
/// of a group only when a session would have timed out.
const PROPERTIES: &str = "fetch.wait.max.ms=20,session.timeout.ms=3000,heartbeat.interval.ms=500";

/// A job on a stack of its own.
pub struct Job {
    /// ClickHouse, and Kafka where there is no real broker.
    pub stack: LocalStack,
    /// The real broker, if the job has one.
    pub broker: Option<Broker>,
    /// The variables that the host is started with.
    pub environment: BTreeMap<String, String>,
    options: StackOptions,
    /// ClickHouse's data, kept while it is restarted.
    _data: Option<TempDir>,
    produced: Vec<i64>,
}

impl Job {
    /// Starts the stack, creates both topics, and the table `t` by `CREATE TABLE t ...`.
    pub async fn new(create_table: &str) -> anyhow::Result<Self> {
        Self::with_partitions(create_table, 1).await
    }

    /// The same with a number of source partitions.
    pub async fn with_partitions(create_table: &str, partitions: u32) -> anyhow::Result<Self> {
        Self::on(crate::stack_options()?, create_table, partitions).await
    }

    /// The same on a stack of one's own making.
    pub async fn on(
        options: StackOptions,
        create_table: &str,
        partitions: u32,
    ) -> anyhow::Result<Self> {
        let stack = LocalStack::start(options.clone()).await?;
        stack.create_topic(TOPIC, partitions).await?;
        stack.create_topic(DEAD_LETTERS, 1).await?;
        Self::between(None, stack, options, None, create_table, partitions).await
    }

    /// The same on a real broker, with a ClickHouse that can be killed and restarted.
    pub async fn on_broker(
        broker: Broker,
        create_table: &str,
        partitions: u32,
    ) -> anyhow::Result<Self> {
        Self::on_broker_with(broker, crate::stack_options()?, create_table, partitions).await
    }

    /// The same with a ClickHouse of one's own making.
    pub async fn on_broker_with(
        broker: Broker,
        options: StackOptions,
        create_table: &str,
        partitions: u32,
    ) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let options = options.with_brokers(0).with_data(data.path());
        let stack = LocalStack::start(options.clone()).await?;
        let url = stack.clickhouse_url();
        let port = url.rsplit(':').next().unwrap_or_default().parse()?;
        let options = options.with_clickhouse_port(port);
        broker.create_topic(TOPIC, partitions).await?;
        broker.create_topic(DEAD_LETTERS, 1).await?;
        Self::between(Some(broker), stack, options, Some(data), create_table, partitions).await
    }

    async fn between(
        broker: Option<Broker>,
        stack: LocalStack,
        options: StackOptions,
        data: Option<TempDir>,
        create_table: &str,
        partitions: u32,
    ) -> anyhow::Result<Self> {
        stack.query(create_table).await?;
        let kafka = broker.as_ref().map_or(stack.kafka(), Broker::address);
        let environment = [
            ("KAFKA_BROKER", kafka),
            ("KAFKA_CONSUMER_GROUP_ID", GROUP),
            ("KAFKA_PRODUCER_CLIENT_ID", "sluicegate-test-dead-letters"),
            ("KAFKA_SOURCE_TOPIC", TOPIC),
            ("KAFKA_DLQ_TOPIC", DEAD_LETTERS),
            ("KAFKA_PROPERTIES", PROPERTIES),
            ("CLICKHOUSE_HOST", stack.clickhouse_url()),
            ("CLICKHOUSE_USER", stack.user()),
            ("CLICKHOUSE_PASSWORD", stack.password()),
            ("CLICKHOUSE_TABLE", TABLE),
            // A port of its own for each host, told in the log.
            ("ADMIN_ADDR", "127.0.0.1:0"),
            ("BATCH_LINGER_MS", "200"),
            ("LOG_FORMAT", "json"),
            ("LOG_LEVEL", "debug,rdkafka=info,hyper_util=info"),
        ];
        let mut environment: BTreeMap<String, String> =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        // A plugin is compiled once for all tests; a checkout may lie where others may write.
        let cache = format!("sluicegate-tests-{}", nix::unistd::Uid::effective());
        let cache = std::env::temp_dir().join(cache).display().to_string();
        environment.insert("PLUGIN_CACHE_DIR".to_owned(), cache);
        let produced = vec![0; usize::try_from(partitions)?];
        Ok(Self { stack, broker, environment, options, _data: data, produced })
    }

    /// The bootstrap servers, without encryption.
    pub fn kafka(&self) -> &str {
        self.broker.as_ref().map_or(self.stack.kafka(), Broker::address)
    }

    /// The real broker.
    pub fn broker(&mut self) -> anyhow::Result<&mut Broker> {
        self.broker.as_mut().context("this job has no real broker")
    }

    /// How many partitions the source topic has.
    pub fn partitions(&self) -> i32 {
        i32::try_from(self.produced.len()).unwrap_or(i32::MAX)
    }

    /// Ends ClickHouse without warning, waits, and starts it again on its data and its port.
    pub async fn kill_clickhouse_for(&mut self, away: Duration) -> anyhow::Result<()> {
        self.end_clickhouse(Signal::SIGKILL).await?;
        sleep(away).await;
        self.restart_clickhouse().await
    }

    /// Ends ClickHouse by a signal; its data stays.
    pub async fn end_clickhouse(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.stack.end_by(signal).await.map(drop)
    }

    /// Starts ClickHouse again on its data and its port, without the faults it was shown.
    pub async fn restart_clickhouse(&mut self) -> anyhow::Result<()> {
        self.stack = LocalStack::start(self.options.clone()).await?;
        Ok(())
    }

    /// Counts records that were produced by other means than [`Job::produce`].
    pub fn count_produced(&mut self, partition: i32, count: i64) {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        if let Some(produced) = self.produced.get_mut(index) {
            *produced += count;
        }
    }

    /// Sets a variable of the host.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Has each record land exactly once, with a table that remembers this many tokens.
    pub async fn exactly_once(self, window: u64) -> anyhow::Result<Self> {
        let setting = format!("non_replicated_deduplication_window = {window}");
        self.stack.query(&format!("ALTER TABLE {TABLE} MODIFY SETTING {setting}")).await?;
        Ok(self.with("DELIVERY", "exactly_once"))
    }

    /// Whether each record is to land exactly once.
    pub fn is_exactly_once(&self) -> bool {
        self.environment.get("DELIVERY").is_some_and(|delivery| delivery == "exactly_once")
    }

    /// Produces records, spread over the partitions in runs.
    pub async fn produce<M: Into<Message>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
    ) -> anyhow::Result<()> {
        let messages: Vec<Message> = messages.into_iter().map(Into::into).collect();
        let broker = self.kafka().to_owned();
        let share = messages.len().div_ceil(self.produced.len()).max(1);
        for ((partition, produced), run) in
            (0..).zip(&mut self.produced).zip(messages.chunks(share))
        {
            kafka::produce(&broker, TOPIC, partition, run).await?;
            *produced += i64::try_from(run.len())?;
        }
        Ok(())
    }

    /// Starts the host.
    pub fn start(&self) -> anyhow::Result<Host> {
        Host::start(&self.environment)
    }

    /// Waits until the group has committed all that was produced.
    pub async fn wait_until_committed(&self, host: &Host) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A group that is new or whose broker is just back may have no coordinator yet.
            let committed = self.committed();
            if committed.as_ref().is_ok_and(|committed| *committed == self.produced) {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "committed {committed:?} of {:?}:\n{}",
                self.produced,
                host.log().join("\n")
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs the host until all that was produced is committed, then stops it.
    pub async fn run_to_the_end(&self) -> anyhow::Result<Ledger> {
        let host = self.start()?;
        self.wait_until_committed(&host).await?;
        host.stop().await
    }

    /// The dead letters written so far.
    pub fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        kafka::read_all(self.kafka(), DEAD_LETTERS)
    }

    /// The offsets committed so far.
    pub fn committed(&self) -> anyhow::Result<Vec<i64>> {
        kafka::committed(self.kafka(), GROUP, TOPIC, self.partitions())
    }

    /// What stands beside the offset that is committed for the first partition.
    pub fn committed_metadata(&self) -> anyhow::Result<String> {
        kafka::committed_metadata(self.kafka(), GROUP, TOPIC)
    }

    /// Commits an offset for the first partition in the group's stead, with something beside it.
    pub fn commit_with(&self, offset: i64, metadata: &str) -> anyhow::Result<()> {
        kafka::commit_with(self.kafka(), GROUP, TOPIC, offset, metadata)
    }

    /// The answer to a query, without the last line break.
    pub async fn query(&self, sql: &str) -> anyhow::Result<String> {
        Ok(self.stack.query(sql).await?.trim_end().to_owned())
    }
}
