//! Moves partitions to another offset: back to where they stand after a failure, to the first offset left if
//! the next record is gone, and to the start of a recreated topic.

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
    /// Handles an offset that the broker does not have. librdkafka may report an old one, from before the
    /// partition was moved or reassigned.
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

    /// Schedules a partition to be read again from where it stands.
    fn read_again(&mut self, partition: &TopicPartition, why: &str) {
        let hold = Hold::Transient(format!("{partition}: {why}"));
        self.troubles.met(partition, hold, Ends::BySilence, Instant::now());
    }

    /// Finds out why the broker lacks the next record of a partition, and goes on.
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

    /// Handles a partition that ends before its next record.
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

    /// Handles a topic that was deleted and recreated under this id.
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

    /// Stops reading a partition until an operator acts.
    fn pause(&mut self, partition: &TopicPartition, text: String) {
        // Batches in flight would wait for plans that are no longer committed, and block others.
        self.leave(partition);
        self.beginnings.hold(partition, text);
    }

    /// Gives up a partition's batches in flight, and takes and fetches nothing more of it.
    fn leave(&mut self, partition: &TopicPartition) {
        self.give_up(partition);
        self.builder.revoke(partition);
        self.queue.forget(partition);
        self.troubles.give_up(partition);
        self.consumer.context().forget(std::slice::from_ref(partition));
        self.stop_fetching(partition);
    }

    /// Splits partitions into those that the topic still has, as far as its brokers tell, and the others.
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

    /// Restarts partitions as if newly assigned: their earlier records no longer count, and their start is
    /// committed at once.
    fn begin_again(&mut self, starts: Vec<(TopicPartition, i64)>) {
        let mut assignments = Vec::new();
        for (partition, start) in &starts {
            let (partition, epoch) = (partition.clone(), self.epoch());
            self.builder.assign(&partition, epoch, Some(*start), [].into());
            // Messages fetched before the move are of the old topic, or lie after the new start.
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

    /// Moves a partition to a later offset.
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

    /// Moves partitions; `None` is the start. One that cannot be moved is tried again.
    fn move_all(&mut self, to: HashMap<TopicPartition, Option<i64>>) {
        for partition in to.keys() {
            self.fetch_again(partition);
        }
        let outcome = self.try_move(&to);
        // Their waiting messages were fetched before the move, too.
        for partition in to.keys() {
            self.queue.forget(partition);
        }
        for (partition, next) in to {
            match &outcome {
                // librdkafka drops messages fetched before the move as outdated.
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
            // Such a group assigns only as a whole: the other partitions continue where they stand.
            let partitions: Vec<TopicPartition> = self.builder.partitions().cloned().collect();
            for partition in partitions {
                let next =
                    to.get(&partition).copied().unwrap_or_else(|| self.builder.next(&partition));
                list.add_partition_offset(&partition.topic, partition.partition, offset(next))?;
                self.moved.insert(partition, now);
            }
            self.consumer.assign(&list)?;
            // The others are fetched again from where they stand, waiting messages included.
            self.builder.partitions().for_each(|partition| self.queue.forget(partition));
            return Ok(());
        }
        let mut without_offsets = TopicPartitionList::new();
        for (partition, next) in to {
            without_offsets.add_partition(&partition.topic, partition.partition);
            list.add_partition_offset(&partition.topic, partition.partition, offset(*next))?;
            self.moved.insert(partition.clone(), now);
        }
        // Fails for a partition that an earlier try removed but did not add again.
        let taken_out = self.consumer.incremental_unassign(&without_offsets);
        self.consumer.incremental_assign(&list).map_err(|error| taken_out.err().unwrap_or(error))
    }

    /// Ends the host with this reason.
    fn end(&self, text: String) {
        self.tell(SourceEvent::Failed(Fatal(text)));
    }
}

fn list_of(partition: &TopicPartition) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.partition);
    list
}
