//! Before the subscription: are the topics there? Asked until they are, with a text that names
//! the variable to look at.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::Config;
use crate::observe::status::Waiter;
use crate::outcome::Hold;

/// How often the topics are asked for until they exist.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The subscription that is made once every topic exists.
#[derive(Debug)]
pub struct Preflight {
    brokers: String,
    source: Vec<String>,
    dead_letter_topic: String,
    next: Instant,
    is_done: bool,
}

impl Preflight {
    pub fn new(config: &Config) -> Self {
        Self {
            brokers: config.kafka.brokers.clone(),
            source: config.kafka.source.iter().map(|topic| topic.as_str().to_owned()).collect(),
            dead_letter_topic: config.kafka.dlq_topic.clone(),
            next: Instant::now(),
            is_done: false,
        }
    }

    /// Whether the subscription was made.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The source topics as configured.
    pub fn source(&self) -> String {
        self.source.join(",")
    }

    /// Asks for the topics when it is time, and subscribes once they all exist.
    pub fn attempt<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        waiter: &Waiter,
        wait: Duration,
    ) {
        // Before a subscription there are no messages, only client errors; the metadata calls
        // below report the same in words that name a variable.
        let _served = consumer.poll(wait);
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + RETRY;
        match self.check(consumer) {
            Err(hold) => waiter.hold(hold),
            Ok(()) => {
                let topics: Vec<&str> = self.source.iter().map(String::as_str).collect();
                match consumer.subscribe(&topics) {
                    Ok(()) => self.is_done = true,
                    Err(error) => waiter
                        .hold(Hold::Paused(format!("subscribing to KAFKA_SOURCE_TOPIC: {error}"))),
                }
            }
        }
    }

    fn check<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) -> Result<(), Hold> {
        let literal = self.source.iter().filter(|topic| !topic.starts_with('^'));
        let named = literal.map(|topic| ("KAFKA_SOURCE_TOPIC", topic));
        for (variable, topic) in named.chain([("KAFKA_DLQ_TOPIC", &self.dead_letter_topic)]) {
            self.exists(consumer, variable, topic)?;
        }
        if self.source.iter().any(|topic| topic.starts_with('^')) {
            self.matches_any(consumer)?;
        }
        Ok(())
    }

    fn exists<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        variable: &str,
        topic: &str,
    ) -> Result<(), Hold> {
        let metadata = consumer
            .fetch_metadata(Some(topic), TIMEOUT)
            .map_err(|error| self.unreachable(&error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let missing = || {
            Hold::Paused(format!(
                "topic `{topic}` does not exist at {}: create it, or look at {variable}",
                self.brokers
            ))
        };
        let found = found.ok_or_else(missing)?;
        match found.error().map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Err(missing())
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Err(Hold::Paused(format!(
                "topic `{topic}` ({variable}) may not be described: grant DESCRIBE on it"
            ))),
            Some(code) => Err(Hold::Transient(format!("topic `{topic}` ({variable}): {code}"))),
            None if found.partitions().is_empty() => Err(missing()),
            None => Ok(()),
        }
    }

    fn matches_any<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) -> Result<(), Hold> {
        // A pattern without a match yet is no error: topics may come. It is worth a word.
        let metadata =
            consumer.fetch_metadata(None, TIMEOUT).map_err(|error| self.unreachable(&error))?;
        tracing::info!(topics = metadata.topics().len(), pattern = %self.source(), "subscribing");
        Ok(())
    }

    fn unreachable(&self, error: &KafkaError) -> Hold {
        Hold::Transient(format!(
            "no broker of KAFKA_BROKER ({}) answers: {error}; look at KAFKA_BROKER and the \
             KAFKA_SECURITY_PROTOCOL family",
            self.brokers
        ))
    }
}
