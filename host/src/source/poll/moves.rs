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
use crate::kafka::describe::{TopicAnswer, describe};
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
    pub(super) fn reset(&mut self, source: &TopicPartition, offset: i64, text: &str) {
        match self.builder.next(source) {
            Some(next) if next == offset => self.out_of_range(source, next, text),
            Some(next) => {
                let why = format!("offset {offset}, not {next}, where it stands: {text}");
                self.read_again(source, &why);
            }
            None if self.reset == AutoOffsetReset::Error => {
                self.end(format!("{source}: {text}; KAFKA_AUTO_OFFSET_RESET is error"));
            }
            None => self.read_again(source, text),
        }
    }

    /// Has a partition read again from where it stands, in a while.
    fn read_again(&mut self, source: &TopicPartition, why: &str) {
        let hold = Hold::Transient(format!("{source}: {why}"));
        self.troubles.met(source, hold, Ends::BySilence, Instant::now());
    }

    /// The broker does not have the next record of a partition: finds out why, and goes on.
    fn out_of_range(&mut self, source: &TopicPartition, next: i64, text: &str) {
        let topic = source.topic.to_string();
        let told = describe(&self.consumer, std::slice::from_ref(&topic), ANSWER_TIMEOUT);
        if let Some(TopicAnswer::There { id: Some(id) }) =
            told.ok().and_then(|mut told| told.remove(&topic))
            && self.watch.ids().judge(&topic, id) == Meaning::Remade
        {
            self.remade(&topic, id);
            return;
        }
        let held = self.consumer.fetch_watermarks(&topic, source.partition, ANSWER_TIMEOUT);
        let (low, high) = match held {
            Ok(held) => held,
            Err(error) => {
                let why = format!("{text}; what it holds is not known: {error}");
                self.read_again(source, &why);
                return;
            }
        };
        if (low..=high).contains(&next) {
            self.read_again(source, &format!("offset {next} is there now: {text}"));
        } else if self.reset == AutoOffsetReset::Error {
            self.end(format!(
                "{source}: {text}; KAFKA_AUTO_OFFSET_RESET is error, so nothing is skipped"
            ));
        } else if next < low {
            count::records_lost();
            tracing::error!(
                %source,
                "records lost before they were read: those from offset {next} to {low}, which Kafka has \
                 deleted; raise the topic's retention.ms"
            );
            self.move_on(source, low);
        } else {
            self.lost_its_end(source, next, low, high);
        }
    }

    /// The partition ends before its next record.
    fn lost_its_end(&mut self, source: &TopicPartition, next: i64, low: i64, high: i64) {
        let text = format!(
            "{source}: the partition ends at offset {high}, before {next}, where the host stands: a broker \
             that was behind became its leader, or the topic was deleted and made again"
        );
        if self.builder.is_by_partition() {
            self.pause(source, format!("{text}. Stop every host of the group, and set its offset"));
            return;
        }
        count::records_lost();
        tracing::error!("{text}; it is read from its beginning, since nothing tells what is new");
        self.begin_again(vec![(source.clone(), low)]);
    }

    /// A topic was deleted and made again, and has this id now.
    pub(super) fn remade(&mut self, topic: &str, id: u128) {
        self.watch.ids().learn(topic, id);
        self.beginnings.remade(topic);
        let ours: Vec<TopicPartition> =
            self.builder.sources().filter(|source| *source.topic == *topic).cloned().collect();
        if ours.is_empty() {
            return;
        }
        let text = format!("topic `{topic}` was deleted and made again while it was read");
        if self.reset == AutoOffsetReset::Error {
            self.end(format!("{text}; KAFKA_AUTO_OFFSET_RESET is error, so nothing is skipped"));
            return;
        }
        if self.builder.is_by_partition() {
            for source in &ours {
                let text =
                    format!("{source}: {text}: stop every host of the group and set its offset");
                self.pause(source, text);
            }
            return;
        }
        let (ours, gone) = self.that_are_left(topic, ours);
        for source in &gone {
            tracing::error!(%source, "{text}: the new one has fewer partitions, and not this one");
            self.leave(source);
        }
        for source in &ours {
            let unread = match (self.builder.next(source), self.ends.get(source)) {
                (Some(next), Some(end)) if next < *end => {
                    count::records_lost();
                    format!("what the old one held from offset {next} to {end} is lost")
                }
                _ => "as far as is known all of the old one was read".to_owned(),
            };
            tracing::error!(%source, "{text}: {unread}; the new one is read from its beginning");
        }
        self.begin_again(ours.into_iter().map(|source| (source, 0)).collect());
    }

    /// Reads nothing more of a partition before an operator has mended something.
    fn pause(&mut self, source: &TopicPartition, text: String) {
        // What is in flight would wait for plans that are committed no more, and keep others waiting.
        self.leave(source);
        self.beginnings.hold(source, text);
    }

    /// Has what is in flight of a partition given up, and takes and fetches nothing more of it.
    fn leave(&mut self, source: &TopicPartition) {
        self.give_up(source);
        self.builder.revoke(source);
        self.queue.forget(source);
        self.troubles.give_up(source);
        self.consumer.context().forget(std::slice::from_ref(source));
        self.stop_fetching(source);
    }

    /// The partitions that a topic has, as far as its brokers tell, and those that it has no more.
    fn that_are_left(
        &self,
        topic: &str,
        of: Vec<TopicPartition>,
    ) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let topics = Topics::new(&self.consumer, "", ANSWER_TIMEOUT);
        match topics.partitions("KAFKA_SOURCE_TOPIC", topic) {
            Ok(left) => of.into_iter().partition(|source| left.contains(&source.partition)),
            Err(_) => (of, Vec::new()),
        }
    }

    pub(super) fn stop_fetching(&mut self, source: &TopicPartition) {
        if self.paused.insert(source.clone())
            && let Err(error) = self.consumer.pause(&list_of(source))
        {
            tracing::debug!(%source, %error, "still fetched, and left alone");
        }
    }

    pub(super) fn fetch_again(&mut self, source: &TopicPartition) {
        if self.paused.remove(source)
            && let Err(error) = self.consumer.resume(&list_of(source))
        {
            tracing::warn!(%source, %error, "not fetched again");
        }
    }

    /// Begins with partitions as if they had just been assigned: what was read of them before counts no
    /// more, and where they begin is committed at once.
    fn begin_again(&mut self, starts: Vec<(TopicPartition, i64)>) {
        let mut assignments = Vec::new();
        for (source, start) in &starts {
            let (source, epoch) = (source.clone(), self.epoch());
            self.builder.assign(&source, epoch, Some(*start), [].into());
            // What librdkafka fetched before the move is of the old topic, or stands behind its start.
            self.builder.shut(&source);
            self.troubles.over(&source);
            self.ends.remove(&source);
            assignments.push(Assignment { source, epoch, start: Some(*start), planned: None });
        }
        self.tell(SourceEvent::Restarted(assignments));
        self.move_all(starts.into_iter().map(|(source, start)| (source, Some(start))).collect());
    }

    /// Moves a partition to an offset behind where it stands.
    fn move_on(&mut self, source: &TopicPartition, to: i64) {
        self.move_all([(source.clone(), Some(to))].into());
    }

    /// Moves a partition back to where it stands, and takes its records again.
    pub(super) fn go_back(&mut self, source: &TopicPartition) {
        if self.builder.owns(source) {
            let next = self.builder.next(source);
            self.move_all([(source.clone(), next)].into());
        }
    }

    /// Moves partitions; `None` is the beginning. One that cannot be moved is tried again.
    fn move_all(&mut self, to: HashMap<TopicPartition, Option<i64>>) {
        for source in to.keys() {
            self.fetch_again(source);
        }
        let outcome = self.try_move(&to);
        // What waits of them was fetched before, too.
        for source in to.keys() {
            self.queue.forget(source);
        }
        for (source, next) in to {
            match &outcome {
                // What was fetched before is outdated by now, and librdkafka drops it.
                Ok(()) => self.builder.move_to(&source, next),
                Err(error) => {
                    self.builder.move_to(&source, next);
                    self.builder.shut(&source);
                    self.read_again(&source, &format!("not moved to {next:?}: {error}"));
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
            let sources: Vec<TopicPartition> = self.builder.sources().cloned().collect();
            for source in sources {
                let next = to.get(&source).copied().unwrap_or_else(|| self.builder.next(&source));
                list.add_partition_offset(&source.topic, source.partition, offset(next))?;
                self.moved.insert(source, now);
            }
            self.consumer.assign(&list)?;
            // The others are fetched again from where they stand, with what waits of them.
            self.builder.sources().for_each(|source| self.queue.forget(source));
            return Ok(());
        }
        let mut without_offsets = TopicPartitionList::new();
        for (source, next) in to {
            without_offsets.add_partition(&source.topic, source.partition);
            list.add_partition_offset(&source.topic, source.partition, offset(*next))?;
            self.moved.insert(source.clone(), now);
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

fn list_of(source: &TopicPartition) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(&source.topic, source.partition);
    list
}
