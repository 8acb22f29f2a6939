//! librdkafka's settings for the consumer. KAFKA_PROPERTIES win over the defaults here; those that the
//! guarantees depend on are refused there.

use rdkafka::ClientConfig;

use crate::config::Kafka;

/// The share of the memory budget that librdkafka may fill with fetched messages: an eighth. Its own
/// overhead, which it does not count, is as much again for messages of 250 bytes.
const QUEUE_SHARE: usize = 8;
/// Messages in librdkafka's queue at which it stops fetching: the bound for small ones, whose bytes do not
/// fill its share. All partitions share the queue. With records of 190 bytes, half of librdkafka's default
/// takes 25 MB off the peak of memory; throughput changes within the noise of runs.
const MAX_QUEUED_MESSAGES: &str = "50000";
/// The share of one fetch, for all partitions together and for each. Fetched data may be compressed, and then
/// grows several times.
const FETCH_SHARE: usize = 16;
const PARTITION_FETCH_SHARE: usize = 128;
/// librdkafka's own defaults; a larger budget gains nothing from larger fetches.
const MAX_PARTITION_FETCH_BYTES: usize = 1024 * 1024;
const MAX_FETCH_BYTES: usize = 50 * 1024 * 1024;
/// librdkafka's default for one answer of a broker, and for an unpacked batch of records (by any codec but
/// gzip); less if the whole budget is.
const MAX_RECEIVE_BYTES: usize = 100_000_000;
/// Its minimum: a record too large for a small budget must be refused, not stop its partition.
const MIN_RECEIVE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of an answer besides the requested records.
const ANSWER_OVERHEAD_BYTES: usize = 1024 * 1024;
/// librdkafka's maximum for `queued.max.messages.kbytes`.
const MAX_QUEUE_KBYTES: usize = 2_097_151;
/// How long a rebalance waits for a member that does not rejoin, in milliseconds: nobody reads its partitions
/// meanwhile. Longer than the consumer goes unserved; librdkafka's default of five minutes is too long.
const MAX_POLL_INTERVAL_MS: u32 = 120_000;
/// With less, a small budget would fetch message by message.
const MIN_PARTITION_FETCH_BYTES: usize = 64 * 1024;

/// The consumer's settings; librdkafka may fill a part of `budget` bytes.
pub fn consumer(kafka: &Kafka, budget: usize) -> ClientConfig {
    let queue_kbytes = (budget / QUEUE_SHARE / 1024).clamp(1024, MAX_QUEUE_KBYTES);
    let fetch_bytes = (budget / FETCH_SHARE).clamp(MAX_PARTITION_FETCH_BYTES, MAX_FETCH_BYTES);
    let partition_fetch_bytes = (budget / PARTITION_FETCH_SHARE)
        .clamp(MIN_PARTITION_FETCH_BYTES, MAX_PARTITION_FETCH_BYTES);
    let receive_bytes =
        budget.clamp(MIN_RECEIVE_BYTES.max(fetch_bytes + ANSWER_OVERHEAD_BYTES), MAX_RECEIVE_BYTES);
    let mut settings = crate::kafka::client::client(kafka);
    for (key, value) in [
        ("group.id", kafka.group_id.as_str()),
        // The host alone commits offsets, once their records are settled.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // An offset out of range is reported, not skipped: see `Poller::reset`.
        ("auto.offset.reset", "error"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("allow.auto.create.topics", "false"),
        ("isolation.level", "read_committed"),
        // A bit that flips on a broker's disk or on the wire would land as another value. Kafka's Java client
        // checks too, and the cost is lost in the noise of runs (docs/performance.md).
        ("check.crcs", "true"),
        ("queued.min.messages", MAX_QUEUED_MESSAGES),
        ("queued.max.messages.kbytes", &queue_kbytes.to_string()),
        ("fetch.max.bytes", &fetch_bytes.to_string()),
        ("fetch.message.max.bytes", &partition_fetch_bytes.to_string()),
        ("receive.message.max.bytes", &receive_bytes.to_string()),
        // The default of 1 s leaves a fast reader waiting for most of it.
        ("fetch.queue.backoff.ms", "50"),
        ("fetch.min.bytes", "65536"),
        ("fetch.wait.max.ms", "250"),
        ("statistics.interval.ms", "5000"),
    ] {
        settings.set(key, value);
    }
    crate::kafka::client::apply(&mut settings, kafka, crate::kafka::client::Role::Consumer);
    if settings.get("max.poll.interval.ms").is_none() {
        settings.set("max.poll.interval.ms", max_poll_interval_ms(&settings).to_string());
    }
    settings
}

/// At least the session timeout, as librdkafka requires.
fn max_poll_interval_ms(settings: &ClientConfig) -> u32 {
    let session =
        settings.get("session.timeout.ms").and_then(|timeout| timeout.parse::<u32>().ok());
    session.unwrap_or_default().max(MAX_POLL_INTERVAL_MS)
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;
    use crate::config::{Config, Environment};

    /// The consumer's settings of a small host with these variables.
    fn settings(variables: &[(&str, &str)]) -> ClientConfig {
        let needed = [
            ("KAFKA_BROKER", "127.0.0.1:1"),
            ("KAFKA_CONSUMER_GROUP_ID", "g"),
            ("KAFKA_SOURCE_TOPIC", "t"),
            ("KAFKA_DLQ_TOPIC", "d"),
            ("CLICKHOUSE_HOST", "c"),
            ("CLICKHOUSE_TABLE", "t"),
            ("BATCH_MAX_BYTES", "1024"),
        ];
        let environment = Environment::from_pairs(needed.iter().chain(variables).copied());
        let (config, _) = Config::from_env(&environment).unwrap();
        consumer(&config.kafka, config.batch.memory_budget_bytes)
    }

    #[test]
    fn librdkafka_takes_the_smallest_and_the_largest_budget() {
        for budget in ["1048576", "68719476736"] {
            settings(&[("MEMORY_BUDGET_BYTES", budget)]).create::<BaseConsumer>().unwrap();
        }
    }

    #[test]
    fn a_fetch_beyond_what_an_answer_may_take_is_refused_by_both_names() {
        let created = |properties| {
            let settings = settings(&[("KAFKA_PROPERTIES", properties)]);
            settings.create::<BaseConsumer>().map(drop).map_err(|error| error.to_string())
        };
        let text = created("fetch.max.bytes=200000000").unwrap_err();
        assert!(text.contains("`fetch.max.bytes`"), "{text}");
        assert!(text.contains("`receive.message.max.bytes`"), "{text}");
        created("fetch.max.bytes=200000000,receive.message.max.bytes=200001024").unwrap();
    }

    #[test]
    fn the_group_waits_for_a_lost_member_no_longer_than_a_user_says_that_it_may_be_away() {
        for (properties, wanted) in [
            ("", "120000"),
            ("session.timeout.ms=600000", "600000"),
            ("session.timeout.ms=6000", "120000"),
            ("max.poll.interval.ms=300000", "300000"),
        ] {
            let settings = settings(&[("KAFKA_PROPERTIES", properties)]);
            assert_eq!(settings.get("max.poll.interval.ms"), Some(wanted), "{properties}");
            settings.create::<BaseConsumer>().unwrap();
        }
    }
}
