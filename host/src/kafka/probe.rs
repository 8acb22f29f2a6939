//! Asks the cluster with the consumer's own settings, for `sluicegate check` and for a sample of a topic. It
//! does not join the group, and commits nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::consumer;
use super::topics::{Topics, hold_of, mismatch_of};
use crate::config::{Kafka, SourceTopic};
use crate::flow::hold::Hold;
use crate::kafka::client::denial_of;

/// Shortest time for an answer once the whole time is used up.
const LAST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait for brokers before librdkafka's own events are served.
const STEP: Duration = Duration::from_secs(1);
/// How long to keep trying after a broker denied this client.
const DENIED_AFTER: Duration = Duration::from_secs(3);
/// How often a wait for records checks the clock.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A consumer that only asks questions. Its calls block.
pub struct Probe {
    pub(super) consumer: BaseConsumer<LastError>,
    brokers: String,
    source: String,
    timeout: Duration,
    since: Instant,
}

impl Probe {
    /// Creates the consumer; it connects by itself, and may fill a part of `budget` bytes with records. All
    /// its answers together may take `timeout`.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(kafka: &Kafka, budget: usize, timeout: Duration) -> anyhow::Result<Self> {
        let mut settings = consumer::consumer(kafka, budget);
        // The end of a partition then answers a read instead of a record.
        settings.set("enable.partition.eof", "true");
        let consumer = settings
            .create_with_context(LastError::default())
            .context("kafka consumer: look at KAFKA_PROPERTIES and the KAFKA_S* variables")?;
        let names: Vec<&str> = kafka.source.iter().map(SourceTopic::as_str).collect();
        let (brokers, source) = (kafka.brokers.clone(), names.join(","));
        Ok(Self { consumer, brokers, source, timeout, since: Instant::now() })
    }

    /// How many brokers the cluster has.
    ///
    /// # Errors
    /// Why none answers, as far as librdkafka knows.
    pub fn brokers(&self) -> Result<usize, Hold> {
        let began = Instant::now();
        loop {
            let step = self.left().min(STEP);
            let hold = match Topics::new(&self.consumer, &self.brokers, step).brokers() {
                Ok(brokers) => return Ok(brokers),
                Err(hold) => hold,
            };
            self.listen();
            match self.consumer.context().heard() {
                // Another broker of the list may still accept this client.
                (Some(denial), _) if began.elapsed() >= DENIED_AFTER => return Err(denial),
                (Some(denial), _) if self.is_late() => return Err(denial),
                (None, Some(reason)) if self.is_late() => {
                    return Err(Hold::Transient(format!("{} (librdkafka: {reason})", hold.text())));
                }
                (None, None) if self.is_late() => return Err(hold),
                _ => {}
            }
        }
    }

    /// Serves librdkafka's events; statistics and errors come in any order.
    fn listen(&self) {
        let until = Instant::now() + POLL_INTERVAL;
        while Instant::now() < until {
            // Other events are kept by [`LastError`].
            if let Some(Err(error)) = self.consumer.poll(POLL_INTERVAL / 10) {
                self.is_of_group(&error);
            }
        }
    }

    /// The partitions of the topic in `variable`.
    ///
    /// # Errors
    /// What an operator has to mend.
    pub fn partitions(&self, variable: &str, topic: &str) -> Result<Vec<i32>, Hold> {
        self.topics().partitions(variable, topic)
    }

    /// The topics that a pattern matches now, with their partitions.
    ///
    /// # Errors
    /// No broker answers.
    pub fn matching(&self, pattern: &SourceTopic) -> Result<Vec<(String, Vec<i32>)>, Hold> {
        self.topics().matching(pattern)
    }

    /// Reads at the end of a partition until a record or the end answers. Keeps nothing.
    ///
    /// # Errors
    /// The topic may not be read, or does not answer in time.
    pub fn read(&self, topic: &str, partition: i32) -> Result<(), Hold> {
        let failed = |error: &KafkaError| {
            Hold::Transient(format!("reading topic `{topic}`, partition {partition}: {error}"))
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::End)
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| failed(&error))?;
        let ends = Instant::now() + self.left();
        let mut has_ended = false;
        let outcome = loop {
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(_)) => break Ok(()),
                // An error may follow in the same answer.
                Some(Err(KafkaError::PartitionEOF(_))) => has_ended = true,
                None if has_ended => break Ok(()),
                Some(Err(error)) if self.is_of_group(&error) => {}
                Some(Err(error)) => match hold_of(&error, &self.source) {
                    Some(Hold::Paused(text)) => {
                        break Err(Hold::Paused(format!("topic `{topic}`: {text}")));
                    }
                    Some(Hold::Transient(_)) => {}
                    None => break Err(failed(&error)),
                },
                None => {}
            }
            if Instant::now() >= ends {
                let text = format!("topic `{topic}`, partition {partition}: no answer to a read");
                break Err(Hold::Transient(text));
            }
        };
        let _unassigned = self.consumer.unassign();
        outcome
    }

    /// How many of these partitions have a committed offset of the group.
    ///
    /// # Errors
    /// The group may not be read, or its coordinator does not answer in time.
    pub fn committed<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
    ) -> Result<usize, Hold> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            list.add_partition(topic, partition);
        }
        let denied = || self.consumer.context().lock().of_group.clone();
        if let Some(denied) = denied() {
            return Err(denied);
        }
        let found = self.consumer.committed_offsets(list, self.left()).map_err(|error| {
            // A denial of the group comes as an error of the consumer, not as the answer.
            self.listen();
            if let Some(denied) = denied() {
                return denied;
            }
            let waited_s = self.timeout.as_secs();
            hold_of(&error, &self.source).unwrap_or_else(|| match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::OperationTimedOut) => Hold::Transient(format!(
                    "its coordinator did not answer within the {waited_s} s of --timeout-s: it may be missing, \
                     or READ on the group; a new cluster takes a while to make the topic of offsets"
                )),
                _ => Hold::Transient(error.to_string()),
            })
        })?;
        let is_set = |offset: Offset| matches!(offset, Offset::Offset(_));
        Ok(found.elements().iter().filter(|element| is_set(element.offset())).count())
    }

    /// Whether the group is denied, an error kept for [`Probe::committed`].
    fn is_of_group(&self, error: &KafkaError) -> bool {
        let is_denied =
            error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed);
        if is_denied {
            self.consumer.context().lock().of_group = hold_of(error, &self.source);
        }
        is_denied
    }

    fn topics(&self) -> Topics<'_, LastError> {
        Topics::new(&self.consumer, &self.brokers, self.left())
    }

    /// Whether the time is used up.
    pub(super) fn is_late(&self) -> bool {
        self.since.elapsed() >= self.timeout
    }

    /// The time left, for one more answer.
    pub(super) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.since.elapsed()).max(LAST_WAIT)
    }
}

/// Keeps librdkafka's error texts: its codes alone do not tell a refused connection from an untrusted
/// certificate.
#[derive(Default)]
pub(super) struct LastError {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// Set if a broker denied this client.
    denial: Option<Hold>,
    /// Set if the group is denied.
    of_group: Option<Hold>,
    /// The last text about a broker.
    reason: Option<String>,
}

impl LastError {
    /// The denial, and the last text about a broker.
    fn heard(&self) -> (Option<Hold>, Option<String>) {
        let heard = self.lock();
        (heard.denial.clone(), heard.reason.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for LastError {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Emerg, Error};
        if matches!(level, Emerg | Alert | Critical | Error) {
            // The thread's name precedes the text: `[thrd:...]: `.
            let text = message.split_once("]: ").map_or(message, |(_, text)| text);
            self.lock().reason = Some(text.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(denial) = denial_of(&error, reason).or_else(|| mismatch_of(reason)) {
            self.lock().denial = Some(denial);
        }
    }
}

impl ConsumerContext for LastError {}
