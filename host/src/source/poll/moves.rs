//! Partitions that are moved to another offset: back to where they stand after a failure, to what is
//! left where the broker no longer has the next record, and to the beginning of a topic that was made
//! again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::Poller;
use crate::config::AutoOffsetReset;
use crate::flow::hold::{Fatal, Hold};
use crate::flow::record::TopicPartition;
use crate::kafka::describe::{TopicAnswer, describe_topics};
use crate::kafka::topics::Topics;
use crate::observe::count;
use crate::source::ids::Meaning;
use crate::source::troubles::Ends;
use crate::source::{Assignment, SourceEvent};

/// Longest wait for one answer about a partition whose next offset is out of range.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

impl Poller {
    /// librdkafka asks where a partition is to go on. It names the offset that the broker does not have,
    /// which may be one from before the partition was moved, or from before it went away and came back.
    pub(super) fn reset(&mut self, partition: &TopicPartition, offset: i64, text: &str) {
        match self.builder.next(partition) {
            Some(next) if next == offset => self.out_of_range(partition, next, text),
            Some(next) => {
                let why = format!("offset {offset}, not {next}, where it stands: {text}");
                self.read_again(partition, &why);
            }
            None if self.reset == AutoOffsetReset::Error => {
                self.end(format!("{partition}: {text}; KAFKA_AUTO_OFFSET_RESET is error"));
            }
            None => self.read_again(partition, text),
        }
    }

    /// Has a partition read again from where it stands, in a while.
    fn read_again(&mut self, partition: &TopicPartition, why: &str) {
        let hold = Hold::Transient(format!("{partition}: {why}"));
        self.troubles.met(partition, hold, Ends::BySilence, Instant::now());
    }

    /// The broker does not have the next record of a partition: finds out why, and goes on.
    fn out_of_range(&mut self, partition: &TopicPartition, next: i64, text: &str) {
        let topic = partition.topic.to_string();
        let told = describe_topics(&self.consumer, std::slice::from_ref(&topic), ANSWER_TIMEOUT);
        if let Some(TopicAnswer::There { id: Some(id) }) =
            told.ok().and_then(|mut told| told.remove(&topic))
            && self.watch.ids().judge(&topic, id) == Meaning::Remade
        {
            self.remade(&topic, id);
            return;
        }
        let held = self.consumer.fetch_watermarks(&topic, partition.partition, ANSWER_TIMEOUT);
        let (low, high) = match held {
            Ok(held) => held,
            Err(error) => {
                let why = format!("{text}; what it holds is not known: {error}");
                self.read_again(partition, &why);
                return;
            }
        };
        if (low..=high).contains(&next) {
            self.read_again(partition, &format!("offset {next} is there now: {text}"));
        } else if self.reset == AutoOffsetReset::Error {
            self.end(format!(
                "{partition}: {text}; KAFKA_AUTO_OFFSET_RESET is error, so nothing is skipped"
            ));
        } else if next < low {
            count::records_lost();
            tracing::error!(
                %partition,
                "records lost before they were read: those from offset {next} to {low}, which Kafka has \
                 deleted; raise the topic's retention.ms"
            );
            self.move_on(partition, low);
        } else {
            self.lost_its_end(partition, next, low, high);
        }
    }

    /// The partition ends before its next record.
    fn lost_its_end(&mut self, partition: &TopicPartition, next: i64, low: i64, high: i64) {
        let text = format!(
            "{partition}: the partition ends at offset {high}, before {next}, where the host stands: a broker \
             that was behind became its leader, or the topic was deleted and made again"
        );
        if self.builder.is_by_partition() {
            self.pause(
                partition,
                format!("{text}. Stop every host of the group, and set its offset"),
            );
            return;
        }
        count::records_lost();
        tracing::error!("{text}; it is read from its beginning, since nothing tells what is new");
        self.begin_again(vec![(partition.clone(), low)]);
    }

    /// A topic was deleted and made again, and has this id now.
    pub(super) fn remade(&mut self, topic: &str, id: u128) {
        self.watch.ids().learn(topic, id);
        self.beginnings.remade(topic);
        let ours: Vec<TopicPartition> = self
            .builder
            .partitions()
            .filter(|partition| *partition.topic == *topic)
            .cloned()
            .collect();
        if ours.is_empty() {
            return;
        }
        let text = format!("topic `{topic}` was deleted and made again while it was read");
        if self.reset == AutoOffsetReset::Error {
            self.end(format!("{text}; KAFKA_AUTO_OFFSET_RESET is error, so nothing is skipped"));
            return;
        }
        if self.builder.is_by_partition() {
            for partition in &ours {
                let text =
                    format!("{partition}: {text}: stop every host of the group and set its offset");
                self.pause(partition, text);
            }
            return;
        }
        let (ours, gone) = self.that_are_left(topic, ours);
        for partition in &gone {
            tracing::error!(%partition, "{text}: the new one has fewer partitions, and not this one");
            self.leave(partition);
        }
        for partition in &ours {
            let unread = match (self.builder.next(partition), self.ends.get(partition)) {
                (Some(next), Some(end)) if next < *end => {
                    count::records_lost();
                    format!("what the old one held from offset {next} to {end} is lost")
                }
                _ => "as far as is known all of the old one was read".to_owned(),
            };
            tracing::error!(%partition, "{text}: {unread}; the new one is read from its beginning");
        }
        self.begin_again(ours.into_iter().map(|partition| (partition, 0)).collect());
    }

    /// Reads nothing more of a partition before an operator has mended something.
    fn pause(&mut self, partition: &TopicPartition, text: String) {
        // What is in flight would wait for plans that are committed no more, and keep others waiting.
        self.leave(partition);
        self.beginnings.hold(partition, text);
    }

    /// Has what is in flight of a partition given up, and takes and fetches nothing more of it.
    fn leave(&mut self, partition: &TopicPartition) {
        self.give_up(partition);
        self.builder.revoke(partition);
        self.queue.forget(partition);
        self.troubles.give_up(partition);
        self.consumer.context().forget(std::slice::from_ref(partition));
        self.stop_fetching(partition);
    }

    /// The partitions that a topic has, as far as its brokers tell, and those that it has no more.
    fn that_are_left(
        &self,
        topic: &str,
        of: Vec<TopicPartition>,
    ) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let topics = Topics::new(&self.consumer, "", ANSWER_TIMEOUT);
        match topics.partitions("KAFKA_SOURCE_TOPIC", topic) {
            Ok(left) => of.into_iter().partition(|partition| left.contains(&partition.partition)),
            Err(_) => (of, Vec::new()),
        }
    }

    pub(super) fn stop_fetching(&mut self, partition: &TopicPartition) {
        if self.paused.insert(partition.clone())
            && let Err(error) = self.consumer.pause(&list_of(partition))
        {
            tracing::debug!(%partition, %error, "still fetched, and left alone");
        }
    }

    pub(super) fn fetch_again(&mut self, partition: &TopicPartition) {
        if self.paused.remove(partition)
            && let Err(error) = self.consumer.resume(&list_of(partition))
        {
            tracing::warn!(%partition, %error, "not fetched again");
        }
    }

    /// Begins with partitions as if they had just been assigned: what was read of them before counts no
    /// more, and where they begin is committed at once.
    fn begin_again(&mut self, starts: Vec<(TopicPartition, i64)>) {
        let mut assignments = Vec::new();
        for (partition, start) in &starts {
            let (partition, epoch) = (partition.clone(), self.epoch());
            self.builder.assign(&partition, epoch, Some(*start), [].into());
            // What librdkafka fetched before the move is of the old topic, or stands behind its start.
            self.builder.shut(&partition);
            self.troubles.over(&partition);
            self.ends.remove(&partition);
            assignments.push(Assignment { partition, epoch, start: Some(*start), planned: None });
        }
        self.tell(SourceEvent::Restarted(assignments));
        self.move_all(
            starts.into_iter().map(|(partition, start)| (partition, Some(start))).collect(),
        );
    }

    /// Moves a partition to an offset behind where it stands.
    fn move_on(&mut self, partition: &TopicPartition, to: i64) {
        self.move_all([(partition.clone(), Some(to))].into());
    }

    /// Moves a partition back to where it stands, and takes its records again.
    pub(super) fn go_back(&mut self, partition: &TopicPartition) {
        if self.builder.owns(partition) {
            let next = self.builder.next(partition);
            self.move_all([(partition.clone(), next)].into());
        }
    }

    /// Moves partitions; `None` is the beginning. One that cannot be moved is tried again.
    fn move_all(&mut self, to: HashMap<TopicPartition, Option<i64>>) {
        for partition in to.keys() {
            self.fetch_again(partition);
        }
        let outcome = self.try_move(&to);
        // What waits of them was fetched before, too.
        for partition in to.keys() {
            self.queue.forget(partition);
        }
        for (partition, next) in to {
            match &outcome {
                // What was fetched before is outdated by now, and librdkafka drops it.
                Ok(()) => self.builder.move_to(&partition, next),
                Err(error) => {
                    self.builder.move_to(&partition, next);
                    self.builder.shut(&partition);
                    self.read_again(&partition, &format!("not moved to {next:?}: {error}"));
                }
            }
        }
    }

    fn try_move(&mut self, to: &HashMap<TopicPartition, Option<i64>>) -> KafkaResult<()> {
        let now = Instant::now();
        let is_eager =
            !matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let offset = |next: Option<i64>| next.map_or(Offset::Beginning, Offset::Offset);
        let mut list = TopicPartitionList::new();
        if is_eager {
            // Such a group takes the assignment as a whole only: the others go on where they stand.
            let partitions: Vec<TopicPartition> = self.builder.partitions().cloned().collect();
            for partition in partitions {
                let next =
                    to.get(&partition).copied().unwrap_or_else(|| self.builder.next(&partition));
                list.add_partition_offset(&partition.topic, partition.partition, offset(next))?;
                self.moved.insert(partition, now);
            }
            self.consumer.assign(&list)?;
            // The others are fetched again from where they stand, with what waits of them.
            self.builder.partitions().for_each(|partition| self.queue.forget(partition));
            return Ok(());
        }
        let mut without_offsets = TopicPartitionList::new();
        for (partition, next) in to {
            without_offsets.add_partition(&partition.topic, partition.partition);
            list.add_partition_offset(&partition.topic, partition.partition, offset(*next))?;
            self.moved.insert(partition.clone(), now);
        }
        // One that was taken out by an earlier try, and not put in again, cannot be taken out.
        let taken_out = self.consumer.incremental_unassign(&without_offsets);
        self.consumer.incremental_assign(&list).map_err(|error| taken_out.err().unwrap_or(error))
    }

    /// The host may not go on.
    fn end(&self, text: String) {
        self.tell(SourceEvent::Failed(Fatal(text)));
    }
}

fn list_of(partition: &TopicPartition) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.partition);
    list
}
