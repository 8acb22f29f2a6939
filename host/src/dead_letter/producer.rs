//! The producer of dead letters, and a second one for those that are judged alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use super::letter::Letter;
use super::refusals::{self, RefusalClass};
use crate::config::Config;
use crate::flow::hold::Hold;
use crate::kafka::client::{Role, denial_of};
use crate::kafka::headers;

/// After this the broker counts as silent, and the letter is sent again.
const DELIVERY_TIMEOUT_MS: &str = "30000";
/// The largest message that the producer sends; the broker has its own limit. KAFKA_PROPERTIES may change it.
const MAX_MESSAGE_BYTES: &str = "100000000";
/// librdkafka's own retries of a refused letter, in some 4 seconds. With its endless default,
/// NOT_ENOUGH_REPLICAS or a storage error would look like a silent broker.
const RETRIES: &str = "6";
/// How long librdkafka looks for an unknown topic before it reports that: less than the delivery timeout,
/// which would not mention the topic.
const UNKNOWN_AFTER_MS: &str = "10000";
/// Longest wait for room in librdkafka's queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a broker's denial of this client explains failing letters. While it lasts, librdkafka meets it
/// with each new connection, some seconds apart.
const DENIAL_LASTS: Duration = Duration::from_mins(1);

/// Whether a letter shares its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// In a batch with other letters, which the broker takes or refuses as a whole.
    Any,
    /// In a batch of its own: the broker's answer is about this letter.
    None,
}

/// librdkafka's messages about the connection, besides delivery reports.
#[derive(Debug, Clone, Default)]
pub struct Denials {
    /// Why brokers deny this client, and when one last did.
    denial: Arc<Mutex<Option<(Hold, Instant)>>>,
}

impl Denials {
    fn denial_at(&self, now: Instant) -> Option<Hold> {
        let is_new = |said: Instant| now.saturating_duration_since(said) < DENIAL_LASTS;
        self.denial().as_ref().filter(|(_, said)| is_new(*said)).map(|(hold, _)| hold.clone())
    }

    fn denial(&self) -> MutexGuard<'_, Option<(Hold, Instant)>> {
        // A panic of another thread cannot leave it half changed.
        self.denial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Denials {
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(denial) = denial_of(&error, reason) {
            *self.denial() = Some((denial, Instant::now()));
        }
        tracing::debug!("dead letter producer: {error}: {reason}");
    }
}

type Client = FutureProducer<Denials>;

/// Produces letters, each independently.
pub struct Producer {
    settings: ClientConfig,
    denials: Denials,
    clients: Mutex<Clients>,
}

/// One client for each [`Company`]; the second is created when first needed.
#[derive(Default)]
struct Clients {
    of: [Option<Client>; 2],
    /// How often they were renewed.
    renewed: u64,
}

impl Producer {
    /// Prepares it; it connects by itself.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let (settings, denials) = (settings(config), Denials::default());
        let client = settings
            .create_with_context(denials.clone())
            .context("dead letter producer: look at KAFKA_PROPERTIES and the KAFKA_S* variables")?;
        let clients = Mutex::new(Clients { of: [Some(client), None], renewed: 0 });
        Ok(Self { settings, denials, clients })
    }

    /// Its settings, for checking the topic with this user's rights.
    pub fn settings(&self) -> &ClientConfig {
        &self.settings
    }

    /// The largest message that librdkafka takes, in bytes.
    pub fn own_limit_bytes(&self) -> Option<usize> {
        self.settings.get("message.max.bytes")?.parse().ok()
    }

    /// Sends a letter and waits for its delivery report, which names its position. Replaces a client that can
    /// write no more, for the next try.
    ///
    /// # Errors
    /// Why it may not be written.
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
        // The timestamp is now: with the record's own, the topic's retention would count from when the record
        // was produced, and delete the letters of an old backlog as soon as they are written.
        let (client, renewed) = self.client(company)?;
        let written = client.send(record, Timeout::After(QUEUE_TIMEOUT)).await;
        let error = match written {
            Ok(delivery) => {
                *self.denials.denial() = None;
                return Ok(delivery);
            }
            Err((error, _)) => error,
        };
        if error.rdkafka_error_code().map(refusals::class_of) == Some(RefusalClass::Producer) {
            self.renew(renewed);
        }
        Err(error)
    }

    /// Why brokers deny this client, if one did recently and none has taken a letter since.
    pub fn denial(&self) -> Option<Hold> {
        self.denials.denial_at(Instant::now())
    }

    /// Replaces clients that can write no more, unless another letter has done so: all letters of such a
    /// client are refused together.
    fn renew(&self, renewed: u64) {
        let mut clients = self.clients();
        if clients.renewed != renewed {
            return;
        }
        let old =
            std::mem::replace(&mut *clients, Clients { renewed: renewed + 1, of: [None, None] });
        // Closing them takes a while.
        drop(clients);
        drop(old);
    }

    /// The client, and how often clients were replaced before.
    fn client(&self, company: Company) -> Result<(Client, u64), KafkaError> {
        let mut clients = self.clients();
        let renewed = clients.renewed;
        let [any, alone] = &mut clients.of;
        let (client, settings) = match company {
            Company::Any => (any, self.settings.clone()),
            Company::None => {
                let mut settings = self.settings.clone();
                settings.set("batch.num.messages", "1");
                (alone, settings)
            }
        };
        if client.is_none() {
            *client = Some(settings.create_with_context(self.denials.clone())?);
        }
        Ok((client.clone().ok_or(KafkaError::Canceled)?, renewed))
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        // A panic of another thread cannot leave them half changed.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not an idempotent producer: if the topic is deleted and recreated, librdkafka 2.12 reports letters as
/// written, without an offset, that are in neither. A duplicate letter is allowed.
fn settings(config: &Config) -> ClientConfig {
    let mut settings = crate::kafka::client::client(&config.kafka);
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
    crate::kafka::client::apply(&mut settings, &config.kafka, Role::Producer);
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

    /// A broker test would see it only in one of some fifty deletions of a topic.
    #[test]
    fn a_report_counts_only_from_a_producer_that_gives_the_offset_of_what_is_written() {
        let settings = settings(&config(""));
        assert_eq!(settings.get("enable.idempotence"), Some("false"));
        assert_eq!(settings.get("acks"), Some("all"));
    }

    #[test]
    fn what_a_broker_said_long_ago_explains_nothing() {
        let (denials, now) = (Denials::default(), Instant::now());
        let denial = KafkaError::Global(rdkafka::error::RDKafkaErrorCode::Authentication);
        denials.error(denial, "wrong password (after 3ms in state AUTH_REQ)");
        assert!(
            denials
                .denial_at(now)
                .unwrap()
                .text()
                .starts_with("wrong password: look at KAFKA_SASL")
        );
        assert_eq!(denials.denial_at(Instant::now() + DENIAL_LASTS), None);
    }

    #[test]
    fn clients_that_many_letters_found_dead_are_renewed_once() {
        let producer = Producer::new(&config("")).unwrap();
        let renewed = |company| producer.client(company).unwrap().1;
        assert_eq!((renewed(Company::Any), renewed(Company::None)), (0, 0));
        for _ in 0..50 {
            producer.renew(0);
        }
        assert_eq!((renewed(Company::Any), renewed(Company::None)), (1, 1));
        assert!(producer.clients().of.iter().all(Option::is_some), "those that are new stay");
        producer.renew(0);
        assert!(producer.clients().of.iter().all(Option::is_some));
    }

    #[test]
    fn the_limit_of_librdkafkas_own_is_told() {
        assert_eq!(Producer::new(&config("")).unwrap().own_limit_bytes(), Some(100_000_000));
        let producer = Producer::new(&config("producer.message.max.bytes=2000")).unwrap();
        assert_eq!(producer.own_limit_bytes(), Some(2_000));
    }
}
