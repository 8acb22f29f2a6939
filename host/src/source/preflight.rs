//! Before the subscription: waits until at least one source topic and the dead letter topic exist, with texts
//! that name the variable to look at. The watch looks for missing topics afterwards.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::SourceContext;
use super::fresh::{Fresh, TopicAtStart};
use super::watch::Watch;
use crate::config::{AutoOffsetReset, Config, SourceTopic};
use crate::flow::hold::Hold;
use crate::kafka::topics::{Topics, hold_of};
use crate::observe::status::Waiter;

/// How often to look for the topics until they exist.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Subscribes once a topic exists.
#[derive(Debug)]
pub struct Preflight {
    brokers: String,
    source: Vec<SourceTopic>,
    dead_letter_topic: String,
    /// Whether the fresh topics are still to be found.
    is_latest: bool,
    fresh: Option<Fresh>,
    next: Instant,
    is_done: bool,
}

impl Preflight {
    pub fn new(config: &Config) -> Self {
        Self {
            brokers: config.kafka.brokers.clone(),
            source: config.kafka.source.clone(),
            dead_letter_topic: config.kafka.dlq_topic.clone(),
            is_latest: config.kafka.auto_offset_reset == AutoOffsetReset::Latest,
            fresh: None,
            next: Instant::now(),
            is_done: false,
        }
    }

    /// Whether the subscription was made.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Requests a new subscription.
    pub fn again(&mut self) {
        self.is_done = false;
    }

    /// Takes the topics on which the group starts afresh, as first found.
    pub fn take_fresh(&mut self) -> Option<Fresh> {
        self.fresh.take()
    }

    /// The source topics as configured.
    pub fn source(&self) -> String {
        self.source.iter().map(SourceTopic::as_str).collect::<Vec<_>>().join(",")
    }

    /// Looks for the topics when it is time, and subscribes to those that exist.
    pub fn attempt(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        watch: &mut Watch,
        waiter: &Waiter,
        wait: Duration,
    ) {
        // Without a subscription, polls yield only client errors; the metadata calls below report the same
        // and name a variable.
        let _served = consumer.poll(wait);
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + RETRY;
        if let Err(hold) = self.check(consumer, watch) {
            waiter.hold(consumer.context().tell(hold));
            return;
        }
        // The watch reports each missing topic.
        waiter.release();
        let subscription = watch.subscription();
        if subscription.is_empty() {
            return;
        }
        match consumer.subscribe(&subscription) {
            Ok(()) => {
                tracing::debug!("subscribed");
                self.is_done = true;
            }
            Err(error) => {
                let text = format!("subscribing to KAFKA_SOURCE_TOPIC: {error}");
                waiter.hold(Hold::Paused(text));
            }
        }
    }

    fn check(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        watch: &mut Watch,
    ) -> Result<(), Hold> {
        let topics = Topics::new(consumer, &self.brokers, TIMEOUT);
        let mut found = Vec::new();
        for source in &self.source {
            match source {
                SourceTopic::Literal(name) => match topics.partitions("KAFKA_SOURCE_TOPIC", name) {
                    Ok(partitions) => {
                        watch.is_there(name);
                        found.push((name.clone(), partitions));
                    }
                    Err(hold @ Hold::Paused(_)) => watch.is_absent(name, hold),
                    Err(hold) => return Err(hold),
                },
                SourceTopic::Pattern(pattern) => {
                    let matching = topics.matching(source)?;
                    tracing::info!(pattern, matching = matching.len(), "subscribing");
                    found.extend(matching);
                }
            }
        }
        topics.partitions("KAFKA_DLQ_TOPIC", &self.dead_letter_topic)?;
        if std::mem::take(&mut self.is_latest) {
            match self.find_fresh(consumer, found) {
                Ok(fresh) => self.fresh = Some(fresh),
                Err(hold) => {
                    self.is_latest = true;
                    return Err(hold);
                }
            }
        }
        Ok(())
    }

    /// Finds the existing topics on which the group starts afresh.
    fn find_fresh(
        &self,
        consumer: &BaseConsumer<SourceContext>,
        mut found: Vec<(String, Vec<i32>)>,
    ) -> Result<Fresh, Hold> {
        // A topic may be both named and matched.
        found.sort();
        found.dedup();
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in &found {
            for partition in partitions {
                list.add_partition(topic, *partition);
            }
        }
        let mut read = HashSet::new();
        if list.count() > 0 {
            let committed = consumer.committed_offsets(list, TIMEOUT).map_err(|error| {
                let text =
                    format!("committed offsets of KAFKA_CONSUMER_GROUP_ID not read: {error}");
                hold_of(&error, &self.source()).unwrap_or(Hold::Transient(text))
            })?;
            let is_set = |offset: Offset| matches!(offset, Offset::Offset(_));
            let elements = committed.elements();
            let set = elements.iter().filter(|element| is_set(element.offset()));
            read = set.map(|element| element.topic().to_owned()).collect();
        }
        let seen = found.into_iter().map(|(topic, partitions)| {
            let is_read = read.contains(&topic);
            TopicAtStart { topic, partitions, is_read }
        });
        Ok(Fresh::among(&seen.collect::<Vec<_>>(), &self.source))
    }
}
