//! librdkafka's settings for the consumer. What a user gives in KAFKA_PROPERTIES wins over the
//! defaults here; what the guarantees rest on is refused there.

use rdkafka::ClientConfig;

use crate::config::Config;

/// The share of the memory budget that librdkafka may fill with fetched messages: a quarter.
const QUEUE_SHARE: usize = 4;

/// The consumer's settings.
pub fn consumer(config: &Config) -> ClientConfig {
    let queue_kbytes = (config.batch.memory_budget_bytes / QUEUE_SHARE / 1024).max(1024);
    let mut settings = crate::kafka::client(&config.kafka);
    for (key, value) in [
        ("group.id", config.kafka.group_id.as_str()),
        // Offsets are committed when their records are settled, by us alone.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // An offset out of range is reported, not skipped: see `Poller::reset`.
        ("auto.offset.reset", "error"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("allow.auto.create.topics", "false"),
        ("isolation.level", "read_committed"),
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", &queue_kbytes.to_string()),
        // The default of 1 s leaves a fast reader waiting for most of it.
        ("fetch.queue.backoff.ms", "50"),
        ("fetch.min.bytes", "65536"),
        ("fetch.wait.max.ms", "250"),
        ("statistics.interval.ms", "5000"),
    ] {
        settings.set(key, value);
    }
    crate::kafka::apply(&mut settings, &config.kafka, crate::kafka::Role::Consumer);
    settings
}
