//! Dead letters: written, and reported as written, before anything is committed.

mod letter;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use futures_util::future::join_all;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use crate::config::{Config, DlqFormat};
use crate::observe::count::{self, Class, Step};
use crate::observe::status::{Status, Waiter};
use crate::outcome::Hold;
use crate::record::{Batch, Record};
use crate::rejection::Rejection;
use crate::retry::Backoff;
use letter::{Letter, Provenance};

/// How many dead letters wait for their delivery report at a time: enough to fill a produce
/// request, few enough that their copies stay small beside the batch.
const IN_FLIGHT: usize = 1_000;
/// After this the broker's silence is said, and the letter is sent again.
const DELIVERY_TIMEOUT_MS: &str = "30000";
/// The largest message that the producer hands to the broker, which has a limit of its own.
const MAX_MESSAGE_BYTES: &str = "100000000";

/// Writes dead letters to one topic.
pub struct DeadLetters {
    topic: String,
    format: DlqFormat,
    from: Provenance,
    producer: FutureProducer,
    status: Arc<Status>,
}

impl DeadLetters {
    /// Prepares the producer; it connects by itself.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(config: &Config, status: Arc<Status>) -> anyhow::Result<Self> {
        let producer = settings(config)
            .create()
            .context("dead letter producer: look at KAFKA_PROPERTIES and the KAFKA_S* variables")?;
        Ok(Self {
            topic: config.kafka.dlq_topic.clone(),
            format: config.dlq.format,
            from: Provenance {
                group: config.kafka.group_id.clone(),
                table: format!("{}.{}", config.clickhouse.database, config.clickhouse.table),
            },
            producer,
            status,
        })
    }

    /// Writes a letter for each rejection and waits until the broker has reported every one of
    /// them as written. Tries for ever; at least once, so a letter may stand in the topic twice.
    ///
    /// # Cancel safety
    /// Dropped, some letters may be written; none of their records was committed.
    pub async fn send(&self, batch: &Batch, rejections: &[Rejection]) {
        let failed_at_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let waiter = self.status.waiter("dead letters");
        for chunk in rejections.chunks(IN_FLIGHT) {
            let letters = chunk.iter().filter_map(|rejection| {
                let record = batch.record(rejection.origin)?;
                Some(self.deliver(record, rejection, failed_at_ms, &waiter))
            });
            join_all(letters).await;
        }
    }

    async fn deliver(
        &self,
        record: Record<'_>,
        rejection: &Rejection,
        failed_at_ms: u128,
        waiter: &Waiter,
    ) {
        let (mut backoff, mut is_cut) = (Backoff::default(), false);
        loop {
            use RDKafkaErrorCode as Code;
            let mut letter = match self.format {
                DlqFormat::Headers => {
                    letter::with_headers(&record, rejection, &self.from, failed_at_ms)
                }
                DlqFormat::Envelope => {
                    letter::envelope(&record, rejection, &self.from, failed_at_ms)
                }
            };
            if is_cut {
                letter = letter.cut();
            }
            let can_be_cut = letter.can_be_cut();
            let hold = match self.produce(letter).await {
                Ok(report) if report.offset >= 0 => return,
                // No proof: see `settings`.
                Ok(_) => Hold::Transient(format!(
                    "topic `{}` (KAFKA_DLQ_TOPIC): a letter is reported as written, but not where",
                    self.topic
                )),
                Err(error) => match error.rdkafka_error_code() {
                    Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
                        if can_be_cut {
                            is_cut = true;
                            continue;
                        }
                        Hold::Paused(format!(
                            "topic `{}` refuses even a dead letter of at most 64 kB: raise its \
                         max.message.bytes",
                            self.topic
                        ))
                    }
                    Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                        Hold::Paused(format!(
                            "topic `{}` does not exist: create it, or look at KAFKA_DLQ_TOPIC",
                            self.topic
                        ))
                    }
                    Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                        Hold::Paused(format!(
                            "{error}: grant WRITE on topic `{}` (KAFKA_DLQ_TOPIC)",
                            self.topic
                        ))
                    }
                    _ => Hold::Transient(format!(
                        "topic `{}` (KAFKA_DLQ_TOPIC): {error}",
                        self.topic
                    )),
                },
            };
            count::retried(Step::DeadLetter, Class::from(&hold));
            waiter.hold(hold);
            backoff.wait().await;
        }
    }

    async fn produce(&self, letter: Letter<'_>) -> Result<Delivery, KafkaError> {
        let mut record: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(&self.topic).headers(letter.headers);
        if let Some(key) = letter.key {
            record = record.key(key);
        }
        if let Some(payload) = &letter.payload {
            record = record.payload(payload);
        }
        // Its timestamp is now: with the record's own, the topic's retention would count from when the
        // record was produced, and delete the letters of an old backlog as soon as they are written.
        let wait_for_queue = Timeout::After(Duration::from_secs(30));
        self.producer.send(record, wait_for_queue).await.map_err(|(error, _)| error)
    }
}

/// An idempotent producer may not be used: where the topic is deleted and made again, librdkafka 2.12 reports
/// letters as written, without an offset, that are in neither. A letter that stands twice is allowed.
fn settings(config: &Config) -> ClientConfig {
    let mut settings = crate::kafka::client(&config.kafka);
    settings
        .set("client.id", &config.kafka.producer_client_id)
        .set("enable.idempotence", "false")
        .set("acks", "all")
        .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("message.max.bytes", MAX_MESSAGE_BYTES)
        .set("compression.type", "lz4")
        .set("linger.ms", "5");
    crate::kafka::apply(&mut settings, &config.kafka, crate::kafka::Role::Producer);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// A broker test would see it once in some fifty deletions of a topic.
    #[test]
    fn a_report_counts_only_from_a_producer_that_gives_the_offset_of_what_is_written() {
        let environment = Environment::from_pairs([
            ("KAFKA_BROKER", "kafka:9092"),
            ("KAFKA_CONSUMER_GROUP_ID", "trips"),
            ("KAFKA_SOURCE_TOPIC", "trips"),
            ("KAFKA_DLQ_TOPIC", "trips-dlq"),
            ("CLICKHOUSE_HOST", "clickhouse"),
            ("CLICKHOUSE_TABLE", "trips"),
        ]);
        let (config, _) = Config::from_env(&environment).unwrap();
        let settings = settings(&config);
        assert_eq!(settings.get("enable.idempotence"), Some("false"));
        assert_eq!(settings.get("acks"), Some("all"));
    }
}
