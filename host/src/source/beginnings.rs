//! Where newly assigned partitions begin: what the group committed for them, and what is configured
//! where it committed nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::SourceContext;
use super::describe::topic_ids;
use super::lists::partitions;
use super::queue::metadata;
use crate::config::{AutoOffsetReset, Config, Delivery};
use crate::observe::status::{Status, Waiter};
use crate::outcome::{Fatal, Hold};
use crate::plans::{self, Beginning, Plan};
use crate::record::TopicPartition;

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the committed offsets are asked for where nothing may be read without them. Below
/// `max.poll.interval.ms`, since the consumer is not served meanwhile.
const PLANS_TIMEOUT: Duration = Duration::from_mins(1);
/// The pause between two tries.
const RETRY: Duration = Duration::from_secs(1);

/// Where one partition begins.
#[derive(Debug, Default, Clone)]
pub struct Begin {
    /// The committed offset.
    pub committed: Option<i64>,
    /// Kafka's id of the topic and what is planned, where each record is to land exactly once.
    pub planned: Option<(u128, Beginning)>,
}

/// Asks for it.
pub struct Beginnings {
    reset: AutoOffsetReset,
    is_exactly_once: bool,
    /// Holds for as long as a partition is ours that may not be read.
    waiter: Waiter,
    held: Vec<TopicPartition>,
}

impl Beginnings {
    pub fn new(config: &Config, status: &Arc<Status>) -> Self {
        Self {
            reset: config.kafka.auto_offset_reset,
            is_exactly_once: config.delivery == Delivery::ExactlyOnce,
            waiter: status.waiter("plan"),
            held: Vec::new(),
        }
    }

    /// Where the partitions of a list begin. Puts the start of each without a committed offset as
    /// configured, so that an offset that librdkafka then finds out of range is known to be lost data;
    /// and takes out those that may not be read.
    ///
    /// # Errors
    /// A partition without an offset where none is configured; offsets or plans that cannot be read
    /// where nothing may be read without them.
    pub fn read(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        list: &mut TopicPartitionList,
    ) -> Result<HashMap<TopicPartition, Begin>, Fatal> {
        if list.count() == 0 {
            return Ok(HashMap::new());
        }
        let until = Instant::now() + PLANS_TIMEOUT;
        loop {
            match self.attempt(consumer, list) {
                Ok(begin) => return begin,
                Err(text) if !self.is_exactly_once => {
                    let text = format!("{text}; librdkafka reads the committed offsets itself");
                    tracing::warn!("{text}");
                    return Ok(HashMap::new());
                }
                Err(text) if Instant::now() >= until => return Err(Fatal(text)),
                Err(text) => {
                    tracing::warn!("{text}");
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// One try. The outer error is worth another.
    fn attempt(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        list: &mut TopicPartitionList,
    ) -> Result<Result<HashMap<TopicPartition, Begin>, Fatal>, String> {
        let committed = consumer
            .committed_offsets(list.clone(), ANSWER_TIMEOUT)
            .map_err(|error| format!("committed offsets not read: {error}"))?;
        let ids = if self.is_exactly_once { ids(consumer, list)? } else { HashMap::new() };
        let mut found = HashMap::new();
        let told = committed.elements().into_iter().zip(metadata(&committed));
        for ((element, metadata), source) in told.zip(partitions(&committed)) {
            if let Err(error) = element.error() {
                // Not known is not "none".
                let text = format!("committed offset of {source} not read: {error}");
                if self.is_exactly_once {
                    return Err(text);
                }
                tracing::warn!("{text}");
                continue;
            }
            let committed = element.offset().to_raw().filter(|offset| *offset >= 0);
            let id = ids.get(&*source.topic).copied();
            let begin = plans::begin(committed.map(|offset| (offset, &*metadata)), id.unwrap_or(0));
            if committed.is_none() {
                let start = match self.reset {
                    AutoOffsetReset::Earliest => Offset::Beginning,
                    AutoOffsetReset::Latest => Offset::End,
                    AutoOffsetReset::Error => {
                        return Ok(Err(Fatal(format!(
                            "{source} has no committed offset and KAFKA_AUTO_OFFSET_RESET is error"
                        ))));
                    }
                };
                let set = list.set_partition_offset(&source.topic, source.partition, start);
                set.map_err(|error| format!("start offset of {source} not set: {error}"))?;
            }
            let planned = id.map(|id| (id, begin));
            match &planned {
                None => warn_of_plan(&source, &metadata),
                Some((_, begin)) => self.tell(&source, begin, &metadata, list)?,
            }
            found.insert(source, Begin { committed, planned });
        }
        Ok(Ok(found))
    }

    /// Says what is found, and has a partition that may not be read begin behind everything.
    fn tell(
        &mut self,
        source: &TopicPartition,
        begin: &Beginning,
        metadata: &str,
        list: &mut TopicPartitionList,
    ) -> Result<(), String> {
        let text = match begin {
            Beginning::Anew => return Ok(()),
            Beginning::Planned(plan) => {
                let (from, ranges) = (plan.low, plan.planned.len());
                tracing::info!(%source, from, ranges, "plan found; its ranges are read again");
                return Ok(());
            }
            Beginning::Unplanned(offset) => {
                if !metadata.is_empty() {
                    tracing::warn!(%source, offset, "metadata beside the committed offset is no \
                        plan for it, and is passed over");
                }
                return Ok(());
            }
            Beginning::OfAnotherTopic => format!(
                "{source}: the committed offset is of another topic of this name, which was deleted \
                 and made again, or copied: stop every host of the group and set its offset"
            ),
            Beginning::Unreadable => format!(
                "{source}: the plan beside the committed offset was written by a later version: run \
                 that version, or stop every host of the group and set its offset"
            ),
        };
        list.set_partition_offset(&source.topic, source.partition, Offset::End)
            .map_err(|error| format!("start offset of {source} not set: {error}"))?;
        self.waiter.hold(Hold::Paused(text));
        self.held.push(source.clone());
        Ok(())
    }

    /// Partitions that are no longer ours hold nothing up.
    pub fn forget(&mut self, revoked: &[TopicPartition]) {
        let before = self.held.len();
        self.held.retain(|source| !revoked.contains(source));
        if self.held.is_empty() && before > 0 {
            self.waiter.release();
        }
    }
}

/// A host that keeps to no plan ends one with its next commit.
fn warn_of_plan(source: &TopicPartition, metadata: &str) {
    if Plan::parse(metadata).is_some_and(|plan| !plan.planned.is_empty()) {
        tracing::warn!(%source, "a plan of DELIVERY=exactly_once is open: what it names may have landed, \
            and lands again with DELIVERY=at_least_once");
    }
}

fn ids(
    consumer: &BaseConsumer<SourceContext>,
    list: &TopicPartitionList,
) -> Result<HashMap<String, u128>, String> {
    let mut topics: Vec<String> =
        partitions(list).into_iter().map(|source| source.topic.to_string()).collect();
    topics.sort_unstable();
    topics.dedup();
    topic_ids(consumer, &topics, ANSWER_TIMEOUT)
        .map_err(|text| format!("ids of the topics not read: {text}"))
}
