//! A look at the cluster with the consumer's own settings, for `sluicegate check` and for a sample of
//! a topic: it becomes no member of the group, and commits nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::settings;
use super::topics::{Topics, hold_of};
use crate::config::{Kafka, SourceTopic};
use crate::outcome::Hold;

/// Shortest time given to an answer once the time of the whole look is over.
const LAST_WAIT: Duration = Duration::from_millis(200);
/// How often a wait for records looks at the clock.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A consumer that only asks. Its calls block.
pub struct Probe {
    pub(super) consumer: BaseConsumer<Ear>,
    brokers: String,
    source: String,
    timeout: Duration,
    since: Instant,
}

impl Probe {
    /// Makes the consumer; it connects by itself, and may fill a part of `budget` bytes with records.
    /// All of its answers together may take `timeout`.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(kafka: &Kafka, budget: usize, timeout: Duration) -> anyhow::Result<Self> {
        let mut settings = settings::consumer(kafka, budget);
        // The end of a partition answers a read where there is no record.
        settings.set("enable.partition.eof", "true");
        let consumer = settings
            .create_with_context(Ear::default())
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
        self.topics().brokers().map_err(|hold| {
            let known = std::iter::from_fn(|| self.consumer.poll(Duration::ZERO))
                .filter_map(|event| hold_of(&event.err()?, &self.source))
                .find(|hold| matches!(hold, Hold::Paused(_)));
            let text = known.as_ref().unwrap_or(&hold).text();
            match self.consumer.context().last() {
                Some(line) => Hold::Transient(format!("{text} (librdkafka: {line})")),
                None => Hold::Transient(text.to_owned()),
            }
        })
    }

    /// The partitions of a topic that `variable` names.
    ///
    /// # Errors
    /// What an operator must mend.
    pub fn partitions(&self, variable: &str, topic: &str) -> Result<Vec<i32>, Hold> {
        self.topics().partitions(variable, topic)
    }

    /// The topics that a pattern matches as of now, with their partitions.
    ///
    /// # Errors
    /// No broker answers.
    pub fn matching(&self, pattern: &SourceTopic) -> Result<Vec<(String, Vec<i32>)>, Hold> {
        self.topics().matching(pattern)
    }

    /// Reads from the end of a partition until a record or the end answers. Nothing is kept.
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
                // The same answer may hold an error, which comes behind it.
                Some(Err(KafkaError::PartitionEOF(_))) => has_ended = true,
                None if has_ended => break Ok(()),
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

    /// For how many of these partitions the group has committed an offset.
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
        let found = self.consumer.committed_offsets(list, self.left()).map_err(|error| {
            hold_of(&error, &self.source).unwrap_or_else(|| Hold::Transient(error.to_string()))
        })?;
        let is_set = |offset: Offset| matches!(offset, Offset::Offset(_));
        Ok(found.elements().iter().filter(|element| is_set(element.offset())).count())
    }

    fn topics(&self) -> Topics<'_, Ear> {
        Topics::new(&self.consumer, &self.brokers, self.left())
    }

    /// Whether the time is over.
    pub(super) fn is_late(&self) -> bool {
        self.since.elapsed() >= self.timeout
    }

    /// What is left of the time, for one more answer.
    pub(super) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.since.elapsed()).max(LAST_WAIT)
    }
}

/// Keeps what librdkafka said last of an error: its codes alone do not tell a refused connection
/// from a certificate that is not trusted.
#[derive(Default)]
pub(super) struct Ear {
    last: Mutex<Option<String>>,
}

impl Ear {
    fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Emerg, Error};
        if matches!(level, Emerg | Alert | Critical | Error) {
            // Before the text stands the thread: `[thrd:...]: `.
            let text = message.split_once("]: ").map_or(message, |(_, text)| text);
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        }
    }
}

impl ConsumerContext for Ear {}
