//! Records in the mock broker, and what it costs to consume and drop them.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sluicegate::flow::record::TopicPartition;
use sluicegate::kafka::DataQueue;
use sluicegate_instructions::data::DataSet;
use sluicegate_tests::ensure_whole;

use crate::clock;

/// Records of one batch of the producer.
const BATCH: usize = 500;
/// Messages that are asked for at a time.
const MESSAGES: usize = 10_000;
const PATIENCE: Duration = Duration::from_mins(2);

/// Produces records of a data set, one in a hundred broken, in lz4 batches, partition by partition in
/// turn; returns how many are good.
///
/// # Errors
/// The broker did not keep all of them.
pub fn produce(brokers: &str, set: &DataSet, records: usize) -> anyhow::Result<usize> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "lz4")
        .set("batch.num.messages", BATCH.to_string())
        .set("batch.size", "10000000")
        .set("linger.ms", "20")
        .create()?;
    let (mut write, mut record, mut good) = (set.writer(0.01), Vec::new(), 0);
    let partitions = usize::try_from(set.partitions)?;
    for number in 0..records {
        record.clear();
        good += usize::from(write(&mut record).is_none());
        let partition = i32::try_from(number / BATCH % partitions)?;
        let mut sending = BaseRecord::<(), _>::to(set.name).partition(partition).payload(&record);
        while let Err((error, back)) = producer.send(sending) {
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            ensure!(is_full, "producing: {error}");
            producer.poll(Duration::from_millis(10));
            sending = back;
        }
    }
    producer.flush(PATIENCE).context("producing")?;
    ensure_whole(brokers, set.name, set.partitions)?;
    Ok(good)
}

/// What the process of [`floor`] is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Floor {
    #[arg(long, hide = true, default_value = "")]
    floor_brokers: String,
    #[arg(long, hide = true, default_value = "")]
    floor_topic: String,
    #[arg(long, hide = true, default_value_t = 0)]
    floor_partitions: i32,
    #[arg(long, hide = true, default_value_t = 0)]
    floor_records: usize,
}

impl Floor {
    /// Whether this process is that of [`floor`].
    pub fn is_asked(&self) -> bool {
        !self.floor_brokers.is_empty()
    }
}

/// CPU seconds for a million records that are consumed and dropped, by this binary as a process of
/// its own.
pub async fn floor(brokers: &str, set: &DataSet, records: usize) -> anyhow::Result<f64> {
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["--floor-brokers", brokers, "--floor-topic", set.name])
        .args(["--floor-partitions", &set.partitions.to_string()])
        .args(["--floor-records", &records.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.context("consume and drop")??;
    ensure!(output.status.success(), "consume and drop: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Consumes with the settings of the host at its default budget, as the host does, and prints what a
/// million records cost.
pub fn consume_and_drop(floor: &Floor) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &floor.floor_brokers)
        .set("group.id", "floor")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("queued.min.messages", "50000")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.max.bytes", "8388608")
        .set("fetch.queue.backoff.ms", "50")
        .set("fetch.min.bytes", "65536")
        .set("fetch.wait.max.ms", "250")
        .create()?;
    let consumer = Arc::new(consumer);
    let mut queue = DataQueue::new(&consumer, MESSAGES).context("no queue")?;
    let mut list = TopicPartitionList::new();
    for partition in 0..floor.floor_partitions {
        list.add_partition_offset(&floor.floor_topic, partition, Offset::Beginning)?;
        queue.forward(&TopicPartition { topic: floor.floor_topic.as_str().into(), partition });
    }
    let before = clock::of_process(std::process::id())?;
    consumer.assign(&list)?;
    let (mut seen, mut bytes, mut idle) = (0, 0, 0);
    while seen < floor.floor_records {
        let mut failed = None;
        let count = queue.consume(Duration::from_millis(100), MESSAGES, |message| {
            match message.error() {
                Some((code, _)) => failed = Some(KafkaError::MessageConsumption(code)),
                None => bytes += message.payload().map_or(0, <[u8]>::len),
            }
            true
        });
        consumer.poll(Duration::ZERO).transpose()?;
        failed.map_or(Ok(()), Err)?;
        idle = if count == 0 { idle + 1 } else { 0 };
        ensure!(idle < 300, "{seen} records came, {bytes} bytes, and then nothing");
        seen += count;
    }
    let took = clock::of_process(std::process::id())?.saturating_sub(before);
    println!("{}", took.as_secs_f64() * 1e6 / seen as f64);
    Ok(())
}
