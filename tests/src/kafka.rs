//! The test's own ends of Kafka: what it produces, what it finds in the dead letter topic, and
//! how far the group has committed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A record to produce.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Message {
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub timestamp_ms: Option<i64>,
}

impl<T: AsRef<[u8]>> From<T> for Message {
    fn from(payload: T) -> Self {
        Self { payload: Some(payload.as_ref().to_vec()), ..Self::default() }
    }
}

/// A record of the dead letter topic.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct DeadLetter {
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
    pub timestamp_ms: Option<i64>,
}

impl DeadLetter {
    /// The failure of a plugin that it tells: its kind and text.
    pub fn failure(&self) -> &str {
        let message = self.header("__connect.errors.exception.message");
        message.split_once(", got ").map_or("", |(_, got)| got)
    }

    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The reason code.
    pub fn reason(&self) -> &str {
        self.header("failure_reason")
    }
}

/// Produces records to one partition of a topic and waits for each report.
pub async fn produce(
    brokers: &str,
    topic: &str,
    partition: i32,
    messages: &[Message],
) -> anyhow::Result<()> {
    produce_with(brokers, topic, partition, messages, &[("compression.type", "lz4")]).await
}

/// Produces records as one batch, compressed in this way.
pub async fn produce_batch(
    brokers: &str,
    topic: &str,
    partition: i32,
    messages: &[Message],
    compression: &str,
) -> anyhow::Result<()> {
    let count = messages.len().to_string();
    let properties = [
        ("compression.type", compression),
        ("batch.num.messages", &count),
        ("batch.size", "20000000"),
        ("linger.ms", "10000"),
    ];
    produce_with(brokers, topic, partition, messages, &properties).await
}

async fn produce_with(
    brokers: &str,
    topic: &str,
    partition: i32,
    messages: &[Message],
    properties: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "5")
        .set("message.max.bytes", "20000000");
    for (name, value) in properties {
        settings.set(*name, *value);
    }
    let producer: FutureProducer = settings.create()?;
    for chunk in messages.chunks(10_000) {
        let sent = chunk.iter().map(|message| {
            let mut record: FutureRecord<'_, [u8], [u8]> =
                FutureRecord::to(topic).partition(partition);
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            if let Some(payload) = &message.payload {
                record = record.payload(payload);
            }
            if let Some(timestamp_ms) = message.timestamp_ms {
                record = record.timestamp(timestamp_ms);
            }
            let mut headers = OwnedHeaders::new();
            for (name, value) in &message.headers {
                headers = headers.insert(Header { key: name, value: Some(value) });
            }
            let sent = producer.send(record.headers(headers), Timeout::After(TIMEOUT));
            async move { sent.await.map_err(|(error, _)| error) }
        });
        try_join_all(sent).await.context("producing")?;
    }
    Ok(())
}

/// All that is in a topic now.
pub fn read_all(brokers: &str, topic: &str) -> anyhow::Result<Vec<DeadLetter>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader-of-dead-letters")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .set("receive.message.max.bytes", "200000000")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let topic_metadata = metadata.topics().first().context("the topic is unknown")?;
    let (mut list, mut expected) = (TopicPartitionList::new(), 0);
    for partition in topic_metadata.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        list.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
        expected += usize::try_from(high - low)?;
    }
    consumer.assign(&list)?;
    let mut found = Vec::with_capacity(expected);
    while found.len() < expected {
        let message = consumer.poll(TIMEOUT).context("a dead letter was announced, not read")??;
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| {
                let value = String::from_utf8_lossy(header.value.unwrap_or_default());
                (header.key.to_owned(), value.into_owned())
            })
        });
        found.push(DeadLetter {
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers.into_iter().flatten().collect(),
            timestamp_ms: message.timestamp().to_millis(),
        });
    }
    Ok(found)
}

/// Fails if the broker has dropped records that it took. Of each partition the mock cluster keeps
/// the last 5 MB only (`max_size` in librdkafka's `rdkafka_mock.c`).
pub fn ensure_whole(brokers: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    for partition in 0..partitions {
        let (low, _) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
        anyhow::ensure!(low == 0, "the broker dropped {low} records of `{topic}` {partition}");
    }
    Ok(())
}

/// The offset behind the last record of a partition.
pub fn end_offset(brokers: &str, topic: &str, partition: i32) -> anyhow::Result<i64> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    Ok(consumer.fetch_watermarks(topic, partition, TIMEOUT)?.1)
}

/// When the record at a place was produced, in milliseconds since 1970.
pub fn produced_at_ms(
    brokers: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) -> anyhow::Result<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader-of-one-record")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&list)?;
    let message = consumer.poll(TIMEOUT).context("no record there")??;
    message.timestamp().to_millis().context("a record without a timestamp")
}

/// Commits offsets for a group as its operator would, one for each partition from 0.
///
/// # Errors
/// The group has members, among others: then only they may commit.
pub fn commit(brokers: &str, group: &str, topic: &str, offsets: &[i64]) -> anyhow::Result<()> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(offsets) {
        list.add_partition_offset(topic, partition, Offset::Offset(*offset))?;
    }
    Ok(consumer.commit(&list, CommitMode::Sync)?)
}

/// Commits an offset for the first partition of a topic, with something beside it.
pub fn commit_with(
    brokers: &str,
    group: &str,
    topic: &str,
    offset: i64,
    metadata: &str,
) -> anyhow::Result<()> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(topic, 0);
    element.set_offset(Offset::Offset(offset))?;
    element.set_metadata(metadata);
    Ok(consumer.commit(&list, CommitMode::Sync)?)
}

/// What stands beside the offset that a group has committed for the first partition of a topic.
pub fn committed_metadata(brokers: &str, group: &str, topic: &str) -> anyhow::Result<String> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let committed = consumer.committed_offsets(list, TIMEOUT)?;
    let elements = committed.elements();
    Ok(elements.first().map(|element| element.metadata().to_owned()).unwrap_or_default())
}

/// The offsets that a group has committed for the partitions of a topic; 0 where none is.
pub fn committed(
    brokers: &str,
    group: &str,
    topic: &str,
    partitions: i32,
) -> anyhow::Result<Vec<i64>> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let committed = consumer.committed_offsets(list, TIMEOUT)?;
    Ok(committed
        .elements()
        .iter()
        .map(|element| element.offset().to_raw().unwrap_or(0).max(0))
        .collect())
}
