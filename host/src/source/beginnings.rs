//! Where newly assigned partitions begin: at the group's committed offset, or else as configured.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::SourceContext;
use super::fresh::Fresh;
use super::mark::{TopicMark, Worth};
use crate::config::{AutoOffsetReset, Config, Delivery};
use crate::delivery::plans::{self, Beginning, Plan};
use crate::flow::hold::{Fatal, Hold};
use crate::flow::record::TopicPartition;
use crate::kafka::describe::{TopicAnswer, describe_topics, topic_ids};
use crate::kafka::lists::partitions;
use crate::kafka::queue::metadata;
use crate::observe::count;
use crate::observe::status::{Status, Waiter};

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to ask for committed offsets if nothing may be read without them. Below `max.poll.interval.ms`,
/// since the consumer is not served meanwhile.
const PLANS_TIMEOUT: Duration = Duration::from_mins(1);
/// The pause between two tries.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait for the cluster's id, which is known after a broker's first answer.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(1);

/// Where one partition begins.
#[derive(Debug, Default, Clone)]
pub struct Begin {
    /// The first offset to read, if known.
    pub next: Option<i64>,
    /// That offset is to be committed at once, since no commit names it.
    pub is_new: bool,
    /// Kafka's id of the topic and the committed plan; only under exactly once.
    pub planned: Option<(u128, Beginning)>,
    /// Nothing is read until an operator acts.
    pub is_held: bool,
}

/// Where partitions begin, and the ids of their topics.
#[derive(Debug, Default)]
pub struct Begins {
    /// Each partition that is known.
    pub of: HashMap<TopicPartition, Begin>,
    /// Kafka's ids of the topics, or else the ids in their committed offsets' marks.
    pub ids: HashMap<String, u128>,
}

/// Why it is not known where partitions begin.
#[derive(Debug)]
pub enum UnknownBeginning {
    /// The host must end.
    Fatal(Fatal),
    /// Ask again, and read nothing before.
    NotYet(String),
}

/// Finds out where partitions begin.
pub struct Beginnings {
    reset: AutoOffsetReset,
    is_exactly_once: bool,
    fresh: Fresh,
    /// Kafka's id of the cluster, once it is known.
    cluster: Option<String>,
    /// Holds while an owned partition may not be read.
    waiter: Waiter,
    held: Vec<TopicPartition>,
}

/// What is committed for one partition.
struct Committed {
    offset: Option<i64>,
    metadata: String,
}

impl Beginnings {
    pub fn new(config: &Config, status: &Arc<Status>) -> Self {
        Self {
            reset: config.kafka.auto_offset_reset,
            is_exactly_once: config.delivery == Delivery::ExactlyOnce,
            fresh: Fresh::default(),
            cluster: None,
            waiter: status.waiter("plan"),
            held: Vec::new(),
        }
    }

    /// Sets the topics on which the group starts afresh.
    pub fn set_fresh(&mut self, fresh: Fresh) {
        self.fresh = fresh;
    }

    /// Notes that a topic was recreated, so it is no longer fresh.
    pub fn remade(&mut self, topic: &str) {
        self.fresh.forget(topic);
    }

    /// Where the listed partitions begin. Puts each start into the list, so that a later out-of-range error
    /// means lost data, and moves partitions that may not be read to their end.
    ///
    /// # Errors
    /// A partition without an offset and a configured start; a required answer that cannot be read.
    pub fn read(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        list: &mut TopicPartitionList,
    ) -> Result<Begins, UnknownBeginning> {
        if list.count() == 0 {
            return Ok(Begins::default());
        }
        let until = Instant::now() + PLANS_TIMEOUT;
        // With `earliest`, librdkafka may find the start by itself.
        let is_needed = self.is_exactly_once || self.reset == AutoOffsetReset::Latest;
        loop {
            match self.attempt(consumer, list) {
                Ok(begins) => return begins.map_err(UnknownBeginning::Fatal),
                Err(text) if !is_needed => {
                    let text = format!("{text}; librdkafka reads the committed offsets itself");
                    tracing::warn!("{text}");
                    return Ok(Begins::default());
                }
                Err(text) if Instant::now() >= until => return Err(UnknownBeginning::NotYet(text)),
                Err(text) => {
                    tracing::warn!("{text}");
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// One try. The outer error may be retried.
    fn attempt(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        list: &mut TopicPartitionList,
    ) -> Result<Result<Begins, Fatal>, String> {
        let committed = self.committed(consumer, list)?;
        let mut ids = self.ids(consumer, list)?;
        let starts = match self.reset {
            AutoOffsetReset::Latest => self.starts(consumer, &committed)?,
            _ => HashMap::new(),
        };
        let mut begins = Begins::default();
        for (partition, committed) in committed {
            let id = ids.get(&*partition.topic).copied();
            let begin = match &committed {
                Committed { offset: None, .. } => self.begin_anew(&partition, id, &starts, list)?,
                Committed { offset: Some(offset), metadata } => {
                    Ok(self.go_on(&partition, *offset, metadata, id, list, &mut ids)?)
                }
            };
            match begin {
                Ok(begin) => drop(begins.of.insert(partition, begin)),
                Err(fatal) => return Ok(Err(fatal)),
            }
        }
        begins.ids = ids;
        Ok(Ok(begins))
    }

    /// What is committed for each partition whose commit could be read.
    fn committed(
        &self,
        consumer: &BaseConsumer<SourceContext>,
        list: &TopicPartitionList,
    ) -> Result<Vec<(TopicPartition, Committed)>, String> {
        let committed = consumer
            .committed_offsets(list.clone(), ANSWER_TIMEOUT)
            .map_err(|error| format!("committed offsets not read: {error}"))?;
        let mut found = Vec::new();
        let told = committed.elements().into_iter().zip(metadata(&committed));
        for ((element, metadata), partition) in told.zip(partitions(&committed)) {
            if let Err(error) = element.error() {
                // Unknown does not mean "none".
                let text = format!("committed offset of {partition} not read: {error}");
                if self.is_exactly_once || self.reset == AutoOffsetReset::Latest {
                    return Err(text);
                }
                tracing::warn!("{text}");
                continue;
            }
            let offset = element.offset().to_raw().filter(|offset| *offset >= 0);
            found.push((partition, Committed { offset, metadata }));
        }
        Ok(found)
    }

    /// Kafka's ids of the topics; at least once does without those that are not answered.
    fn ids(
        &mut self,
        consumer: &BaseConsumer<SourceContext>,
        list: &TopicPartitionList,
    ) -> Result<HashMap<String, u128>, String> {
        let topics: BTreeSet<String> =
            partitions(list).into_iter().map(|partition| partition.topic.to_string()).collect();
        let topics: Vec<String> = topics.into_iter().collect();
        let not_read = |text| format!("ids of the topics not read: {text}");
        if self.is_exactly_once {
            return topic_ids(consumer, &topics, ANSWER_TIMEOUT).map_err(not_read);
        }
        if self.cluster.is_none() {
            self.cluster = consumer.client().fetch_cluster_id(CLUSTER_TIMEOUT);
        }
        let told = describe_topics(consumer, &topics, ANSWER_TIMEOUT).unwrap_or_else(|text| {
            tracing::warn!("{}; they are asked for again", not_read(text));
            HashMap::new()
        });
        let id = |(topic, told)| match told {
            TopicAnswer::There { id: Some(id) } => Some((topic, id)),
            _ => None,
        };
        Ok(told.into_iter().filter_map(id).collect())
    }

    /// With `latest`: the current start of each partition without a committed offset.
    fn starts(
        &self,
        consumer: &BaseConsumer<SourceContext>,
        committed: &[(TopicPartition, Committed)],
    ) -> Result<HashMap<TopicPartition, i64>, String> {
        let mut list = TopicPartitionList::new();
        for (partition, _) in committed.iter().filter(|(_, committed)| committed.offset.is_none()) {
            let TopicPartition { topic, partition: number } = partition;
            // librdkafka also takes these two in the place of a timestamp.
            let at = match self.fresh.begins_at_its_end(topic, *number) {
                true => Offset::End,
                false => Offset::Beginning,
            };
            list.add_partition_offset(topic, *number, at)
                .map_err(|error| format!("start offset of {partition} not asked for: {error}"))?;
        }
        if list.count() == 0 {
            return Ok(HashMap::new());
        }
        let found = consumer
            .offsets_for_times(list, ANSWER_TIMEOUT)
            .map_err(|error| format!("start offsets not read: {error}"))?;
        let elements = found.elements().into_iter().zip(partitions(&found));
        let starts = elements.map(|(element, partition)| match element.offset() {
            Offset::Offset(offset) => Ok((partition, offset)),
            other => Err(format!("start offset of {partition} not read: got {other:?}")),
        });
        starts.collect()
    }

    /// Where a partition without a committed offset begins.
    fn begin_anew(
        &self,
        partition: &TopicPartition,
        id: Option<u128>,
        starts: &HashMap<TopicPartition, i64>,
        list: &mut TopicPartitionList,
    ) -> Result<Result<Begin, Fatal>, String> {
        let start = starts.get(partition).copied();
        if self.reset == AutoOffsetReset::Error {
            return Ok(Err(Fatal(format!(
                "{partition} has no committed offset and KAFKA_AUTO_OFFSET_RESET is error"
            ))));
        }
        set_start(list, partition, start.map_or(Offset::Beginning, Offset::Offset))?;
        let planned = id.filter(|_| self.is_exactly_once).map(|id| {
            // A known start need not wait for the first commit.
            (id, start.map_or(Beginning::Anew, Beginning::Unplanned))
        });
        Ok(Ok(Begin { next: start, is_new: start.is_some(), planned, is_held: false }))
    }

    /// Where a partition with a committed offset goes on.
    fn go_on(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        metadata: &str,
        id: Option<u128>,
        list: &mut TopicPartitionList,
        ids: &mut HashMap<String, u128>,
    ) -> Result<Begin, String> {
        let mark = TopicMark::parse(metadata);
        let cluster = self.cluster.as_deref().unwrap_or_default();
        let is_of_another = match (&mark, id) {
            // Under exactly once the host does not ask for the cluster's id.
            (Some(mark), Some(id)) if self.is_exactly_once => {
                mark.judge(offset, id, &mark.cluster) == Worth::OfAnotherTopic
            }
            (Some(mark), Some(id)) => mark.judge(offset, id, cluster) == Worth::OfAnotherTopic,
            _ => false,
        };
        if self.is_exactly_once {
            let id = id.unwrap_or_default();
            let begin = match mark {
                Some(_) if is_of_another => Beginning::OfAnotherTopic,
                Some(_) => Beginning::Unplanned(offset),
                None => plans::decide_beginning(Some((offset, metadata)), id),
            };
            let metadata = if mark.is_some() { "" } else { metadata };
            // Otherwise librdkafka would ask again, and might get another offset.
            set_start(list, partition, Offset::Offset(offset))?;
            let is_held = self.tell(partition, &begin, metadata, list)?;
            return Ok(Begin {
                next: Some(offset),
                is_new: false,
                planned: Some((id, begin)),
                is_held,
            });
        }
        warn_of_plan(partition, metadata);
        if is_of_another {
            return begin_with_the_new(partition, offset, list);
        }
        if let (Some(mark), None) = (mark, id) {
            // Compared once the brokers answer with the topic's id.
            ids.entry(partition.topic.to_string()).or_insert(mark.topic);
        }
        set_start(list, partition, Offset::Offset(offset))?;
        Ok(Begin { next: Some(offset), ..Begin::default() })
    }

    /// Logs what was found, and starts a partition that may not be read at its end. Returns whether that is
    /// so.
    fn tell(
        &mut self,
        partition: &TopicPartition,
        begin: &Beginning,
        metadata: &str,
        list: &mut TopicPartitionList,
    ) -> Result<bool, String> {
        let text = match begin {
            Beginning::Anew => return Ok(false),
            Beginning::Planned(plan) => {
                let (from, ranges) = (plan.low, plan.planned.len());
                tracing::info!(%partition, from, ranges, "plan found; its ranges are read again");
                return Ok(false);
            }
            Beginning::Unplanned(offset) => {
                if !metadata.is_empty() {
                    tracing::warn!(%partition, offset, "metadata beside the committed offset is no \
                        plan for it, and is passed over");
                }
                return Ok(false);
            }
            Beginning::OfAnotherTopic => format!(
                "{partition}: the committed offset is of another topic of this name, which was deleted \
                 and made again, or copied: stop every host of the group and set its offset"
            ),
            Beginning::Unreadable => format!(
                "{partition}: the plan beside the committed offset was written by a later version: run \
                 that version, or stop every host of the group and set its offset"
            ),
        };
        set_start(list, partition, Offset::End)?;
        self.hold(partition, text);
        Ok(true)
    }

    /// Holds a partition unread until an operator acts.
    pub fn hold(&mut self, partition: &TopicPartition, text: String) {
        self.waiter.hold(Hold::Paused(text));
        self.held.push(partition.clone());
    }

    /// The mark to commit beside an offset of this topic.
    pub fn mark(&self, topic: u128, offset: i64) -> TopicMark {
        TopicMark { topic, offset, cluster: self.cluster.clone().unwrap_or_default() }
    }

    /// Releases the holds of partitions that are no longer ours.
    pub fn forget(&mut self, revoked: &[TopicPartition]) {
        let before = self.held.len();
        self.held.retain(|partition| !revoked.contains(partition));
        if self.held.is_empty() && before > 0 {
            self.waiter.give_up();
        }
    }
}

/// Begins a recreated topic at offset 0, since the committed offset is of the deleted one.
fn begin_with_the_new(
    partition: &TopicPartition,
    offset: i64,
    list: &mut TopicPartitionList,
) -> Result<Begin, String> {
    count::records_lost();
    tracing::error!(
        %partition,
        "the topic was deleted and made again since offset {offset} was committed: what the old one held \
         behind it is lost, if it held any; the new one is read from its beginning"
    );
    set_start(list, partition, Offset::Offset(0))?;
    Ok(Begin { next: Some(0), is_new: true, ..Begin::default() })
}

fn set_start(
    list: &mut TopicPartitionList,
    partition: &TopicPartition,
    start: Offset,
) -> Result<(), String> {
    list.set_partition_offset(&partition.topic, partition.partition, start)
        .map_err(|error| format!("start offset of {partition} not set: {error}"))
}

/// Warns of an open plan, which an at-least-once host overwrites with its next commit.
fn warn_of_plan(partition: &TopicPartition, metadata: &str) {
    if Plan::parse(metadata).is_some_and(|plan| !plan.planned.is_empty()) {
        tracing::warn!(%partition, "a plan of DELIVERY=exactly_once is open: what it names may have landed, \
            and lands again with DELIVERY=at_least_once");
    }
}
