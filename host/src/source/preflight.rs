//! Before the subscription: are the topics there? Asked until they are, with a text that names
//! the variable to look at.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::context::SourceContext;
use super::topics::Topics;
use crate::config::{Config, SourceTopic};
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
    source: Vec<SourceTopic>,
    dead_letter_topic: String,
    next: Instant,
    is_done: bool,
}

impl Preflight {
    pub fn new(config: &Config) -> Self {
        Self {
            brokers: config.kafka.brokers.clone(),
            source: config.kafka.source.clone(),
            dead_letter_topic: config.kafka.dlq_topic.clone(),
            next: Instant::now(),
            is_done: false,
        }
    }

    /// Whether the subscription was made.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Has the subscription made anew.
    pub fn again(&mut self) {
        self.is_done = false;
    }

    /// The source topics as configured.
    pub fn source(&self) -> String {
        self.names().join(",")
    }

    fn names(&self) -> Vec<&str> {
        self.source.iter().map(SourceTopic::as_str).collect()
    }

    /// Asks for the topics when it is time, and subscribes once they all exist.
    pub fn attempt(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
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
            Err(hold) => waiter.hold(consumer.context().tell(hold)),
            Ok(()) => match consumer.subscribe(&self.names()) {
                Ok(()) => {
                    tracing::debug!("subscribed");
                    self.is_done = true;
                }
                Err(error) => {
                    let text = format!("subscribing to KAFKA_SOURCE_TOPIC: {error}");
                    waiter.hold(Hold::Paused(text));
                }
            },
        }
    }

    fn check(&self, consumer: &BaseConsumer<SourceContext>) -> Result<(), Hold> {
        let topics = Topics::new(consumer, &self.brokers, TIMEOUT);
        for source in &self.source {
            match source {
                SourceTopic::Literal(name) => drop(topics.partitions("KAFKA_SOURCE_TOPIC", name)?),
                SourceTopic::Pattern(pattern) => {
                    let matching = topics.matching(source)?.len();
                    tracing::info!(pattern, matching, "subscribing");
                }
            }
        }
        topics.partitions("KAFKA_DLQ_TOPIC", &self.dead_letter_topic).map(drop)
    }
}
