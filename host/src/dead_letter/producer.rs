//! The producer of dead letters, and a second one for those that are to be judged alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use super::letter::Letter;
use crate::config::Config;
use crate::kafka::{Role, denial_of, headers};
use crate::outcome::Hold;

/// After this the broker's silence is said, and the letter is sent again.
const DELIVERY_TIMEOUT_MS: &str = "30000";
/// The largest message that the producer hands to the broker, which has a limit of its own.
const MAX_MESSAGE_BYTES: &str = "100000000";
/// How often librdkafka itself tries again what a broker refuses, in some 4 seconds. With its default, which
/// is without end, NOT_ENOUGH_REPLICAS or a storage error would be told as a broker's silence.
const RETRIES: &str = "6";
/// How long librdkafka asks for a topic that the brokers do not know before it says so: sooner than the
/// letter is given up, which would say nothing of the topic.
const UNKNOWN_AFTER_MS: &str = "10000";
/// Longest wait for room in librdkafka's queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// In whose company a letter is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// In one batch with other letters, which the broker takes or refuses as a whole.
    Any,
    /// In a batch of its own: what the broker says is of this letter.
    None,
}

/// What librdkafka has to say of the connection, beside the reports.
#[derive(Debug, Clone, Default)]
pub struct Ear {
    denial: Arc<Mutex<Option<Hold>>>,
}

impl Ear {
    fn denial(&self) -> MutexGuard<'_, Option<Hold>> {
        // A panic of another thread cannot leave it half changed.
        self.denial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Ear {
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(denial) = denial_of(&error, reason) {
            *self.denial() = Some(denial);
        }
        tracing::debug!("dead letter producer: {error}: {reason}");
    }
}

type Client = FutureProducer<Ear>;

/// Produces letters, each in its own time.
pub struct Producer {
    settings: ClientConfig,
    ear: Ear,
    /// For each [`Company`]; the second is made when it is first needed.
    clients: Mutex<[Option<Client>; 2]>,
}

impl Producer {
    /// Prepares it; it connects by itself.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let (settings, ear) = (settings(config), Ear::default());
        let client = settings
            .create_with_context(ear.clone())
            .context("dead letter producer: look at KAFKA_PROPERTIES and the KAFKA_S* variables")?;
        Ok(Self { settings, ear, clients: Mutex::new([Some(client), None]) })
    }

    /// The settings, for whoever looks at the topic with this user's rights.
    pub fn settings(&self) -> &ClientConfig {
        &self.settings
    }

    /// The largest message that librdkafka takes, in bytes, where KAFKA_PROPERTIES says so.
    pub fn own_limit_bytes(&self) -> Option<usize> {
        let limit =
            self.settings.get("message.max.bytes").filter(|limit| *limit != MAX_MESSAGE_BYTES);
        limit?.parse().ok()
    }

    /// Sends a letter and waits for its report, which says where it stands.
    ///
    /// # Errors
    /// Why it is not known to be written.
    pub async fn produce(
        &self,
        topic: &str,
        letter: &Letter<'_>,
        company: Company,
    ) -> Result<Delivery, KafkaError> {
        let of_letter = letter.headers.iter().map(|(name, value)| (*name, value.as_deref()));
        let mut record: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(topic).headers(headers::owned(of_letter));
        if let Some(key) = letter.key {
            record = record.key(key);
        }
        if let Some(payload) = &letter.payload {
            record = record.payload(payload);
        }
        // Its timestamp is now: with the record's own, the topic's retention would count from when the
        // record was produced, and delete the letters of an old backlog as soon as they are written.
        let client = self.client(company)?;
        let written = client.send(record, Timeout::After(QUEUE_TIMEOUT)).await;
        if written.is_ok() {
            *self.ear.denial() = None;
        }
        written.map_err(|(error, _)| error)
    }

    /// Why no broker takes this client, if one has said so and none has taken a letter since.
    pub fn denial(&self) -> Option<Hold> {
        self.ear.denial().clone()
    }

    /// Puts new clients in the place of those that can write no more.
    pub fn renew(&self) {
        *self.clients() = [None, None];
    }

    fn client(&self, company: Company) -> Result<Client, KafkaError> {
        let mut clients = self.clients();
        let [any, alone] = &mut *clients;
        let (client, settings) = match company {
            Company::Any => (any, self.settings.clone()),
            Company::None => {
                let mut settings = self.settings.clone();
                settings.set("batch.num.messages", "1");
                (alone, settings)
            }
        };
        if client.is_none() {
            *client = Some(settings.create_with_context(self.ear.clone())?);
        }
        client.clone().ok_or(KafkaError::Canceled)
    }

    fn clients(&self) -> MutexGuard<'_, [Option<Client>; 2]> {
        // A panic of another thread cannot leave them half changed.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
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
        .set("message.send.max.retries", RETRIES)
        .set("topic.metadata.propagation.max.ms", UNKNOWN_AFTER_MS)
        .set("compression.type", "lz4")
        .set("linger.ms", "5");
    crate::kafka::apply(&mut settings, &config.kafka, Role::Producer);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn config(properties: &str) -> Config {
        let environment = Environment::from_pairs([
            ("KAFKA_BROKER", "kafka:9092"),
            ("KAFKA_CONSUMER_GROUP_ID", "trips"),
            ("KAFKA_SOURCE_TOPIC", "trips"),
            ("KAFKA_DLQ_TOPIC", "trips-dlq"),
            ("KAFKA_PROPERTIES", properties),
            ("CLICKHOUSE_HOST", "clickhouse"),
            ("CLICKHOUSE_TABLE", "trips"),
        ]);
        Config::from_env(&environment).unwrap().0
    }

    /// A broker test would see it once in some fifty deletions of a topic.
    #[test]
    fn a_report_counts_only_from_a_producer_that_gives_the_offset_of_what_is_written() {
        let settings = settings(&config(""));
        assert_eq!(settings.get("enable.idempotence"), Some("false"));
        assert_eq!(settings.get("acks"), Some("all"));
    }

    #[test]
    fn a_limit_of_librdkafkas_own_is_told_where_it_is_the_users() {
        assert_eq!(Producer::new(&config("")).unwrap().own_limit_bytes(), None);
        let producer = Producer::new(&config("producer.message.max.bytes=2000")).unwrap();
        assert_eq!(producer.own_limit_bytes(), Some(2_000));
    }
}
