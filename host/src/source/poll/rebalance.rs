//! Assigns and revokes partitions.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};

use super::Poller;
use crate::delivery::offsets::Commit;
use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;
use crate::kafka::lists::{partitions, topics};
use crate::source::beginnings::{Begins, UnknownBeginning};
use crate::source::context::{assign, unassign};
use crate::source::ids::Meaning;
use crate::source::{Assignment, DRAIN_TIMEOUT, SourceEvent};

impl Poller {
    pub(super) fn assign(&mut self, list: &TopicPartitionList) -> anyhow::Result<()> {
        let mut list = list.clone();
        let (begins, is_known) = match self.beginnings.read(&self.consumer, &mut list) {
            Ok(begins) => (begins, true),
            Err(UnknownBeginning::Fatal(fatal)) => {
                self.tell(SourceEvent::Failed(fatal));
                (Begins::default(), true)
            }
            Err(UnknownBeginning::NotYet(text)) => {
                self.waiter.hold(Hold::Transient(format!("{text}; nothing is read before")));
                (Begins::default(), false)
            }
        };
        self.learn_ids(&begins);
        let mut assigned = Vec::new();
        for partition in partitions(&list) {
            self.queue.forward(&partition);
            // Messages from an earlier assignment would leave a gap before them.
            self.queue.forget(&partition);
            let begin = begins.of.get(&partition).cloned().unwrap_or_default();
            if begin.is_held || !is_known {
                continue;
            }
            let epoch = self.epoch();
            let ends = begin.planned.iter().flat_map(|(_, begin)| begin.ends()).collect();
            self.builder.assign(&partition, epoch, begin.next, ends);
            let start = begin.next.filter(|_| begin.is_new);
            assigned.push(Assignment { partition, epoch, start, planned: begin.planned });
        }
        assign(&self.consumer, &list)?;
        if !is_known {
            self.rejoin();
            return Ok(());
        }
        tracing::info!(partitions = assigned.len(), of = %topics(&list), "partitions assigned");
        // An empty share counts too: there may be more members than partitions.
        self.status.set_member(true);
        self.waiter.release();
        if !assigned.is_empty() {
            self.tell(SourceEvent::Assigned(assigned));
        }
        Ok(())
    }

    /// Learns the topics' ids, except of a topic that we already read under another id: that one was
    /// recreated, which the watch handles.
    fn learn_ids(&mut self, begins: &Begins) {
        for (topic, id) in &begins.ids {
            let is_read = self.builder.partitions().any(|partition| *partition.topic == **topic);
            if is_read && self.watch.ids().judge(topic, *id) != Meaning::Same {
                self.watch.soon(Instant::now());
            } else {
                self.watch.ids().learn(topic, *id);
            }
        }
    }

    pub(super) fn epoch(&mut self) -> u64 {
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        epoch
    }

    pub(super) fn revoke(&mut self, list: &TopicPartitionList) -> anyhow::Result<()> {
        let is_lost = self.is_rejoining || self.consumer.assignment_lost();
        let revoked = partitions(list);
        tracing::info!(partitions = revoked.len(), is_lost, "partitions revoked");
        if is_lost {
            self.status.set_member(false);
        }
        if !self.builder.is_by_partition() {
            self.hand_over_rest();
        }
        if !revoked.is_empty() {
            let (reply, replied) = sync_channel(1);
            let commits = self.await_drained(&revoked, is_lost, reply, &replied);
            if !is_lost {
                self.commit(commits, CommitMode::Sync);
            }
        }
        for partition in &revoked {
            self.builder.revoke(partition);
            self.queue.forget(partition);
            self.moved.remove(partition);
            self.troubles.give_up(partition);
            self.fetch_again(partition);
            self.ends.remove(partition);
            self.queue.release(partition);
        }
        self.beginnings.forget(&revoked);
        // A host that rejoins because its commits fail keeps reporting them.
        if !self.is_rejoining {
            self.consumer.context().forget(&revoked);
        }
        Ok(unassign(&self.consumer, list)?)
    }

    /// Gives up a partition's batches in flight.
    pub(super) fn give_up(&self, partition: &TopicPartition) {
        let (reply, replied) = sync_channel(1);
        self.await_drained(std::slice::from_ref(partition), true, reply, &replied);
    }

    fn await_drained(
        &self,
        revoked: &[TopicPartition],
        is_lost: bool,
        reply: SyncSender<Vec<Commit>>,
        replied: &Receiver<Vec<Commit>>,
    ) -> Vec<Commit> {
        let event = SourceEvent::Revoked { partitions: revoked.to_vec(), is_lost, reply };
        if self.events.send(event).is_err() {
            return Vec::new();
        }
        // The pipeline keeps the deadline; twice of it is for one that died meanwhile.
        replied.recv_timeout(DRAIN_TIMEOUT * 2).unwrap_or_default()
    }

    /// Leaves the group, and joins it again once all partitions are given back.
    pub(super) fn rejoin(&mut self) {
        if !self.is_stopped && !std::mem::replace(&mut self.is_rejoining, true) {
            tracing::warn!("leaving the group to join it again");
            self.consumer.unsubscribe();
        }
    }
}
