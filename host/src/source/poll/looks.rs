//! Periodic checks: the topics, and how far librdkafka has come with each partition.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::Poller;
use crate::flow::hold::Hold;
use crate::source::failures::unreachable;
use crate::source::stall::{PartitionLook, StallReason};
use crate::source::troubles::Ends;
use crate::source::watch::Change;

/// How long the group may leave this member without its share before the host reports it.
const OUTSIDE: Duration = Duration::from_secs(10);

impl Poller {
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        if let Some(tails) = self.consumer.context().take_tails() {
            let ends = tails.into_iter().map(|(partition, tail)| {
                let end = tail.end(self.builder.next(&partition), self.queue.holds(&partition));
                (partition, end)
            });
            self.progress.learn_ends(ends.collect());
        }
        if let Some(looks) = self.consumer.context().take_looks() {
            self.look_for_stalls(looks, now);
        }
        if !self.troubles.is_empty() {
            self.troubles.rest(now);
            for partition in self.troubles.due(now) {
                self.go_back(&partition);
            }
        }
        self.look_at_group(now);
        if !self.is_stopped && !self.is_rejoining {
            self.look_at_topics(now);
        }
    }

    /// A group reassigns partitions only once each member has joined again or has left.
    fn look_at_group(&mut self, now: Instant) {
        if self.status.is_member() || self.is_stopped {
            self.outside = None;
            self.group.release();
            return;
        }
        let since = *self.outside.get_or_insert(now);
        if now.saturating_duration_since(since) >= OUTSIDE {
            self.group.hold(Hold::Transient(format!(
                "consumer group `{}` (KAFKA_CONSUMER_GROUP_ID) has not given this host its share yet: it waits for \
                 members that were killed until session.timeout.ms, 45 s by default, and for those that do not come \
                 along until max.poll.interval.ms, 2 minutes by default",
                self.group_id
            )));
        }
    }

    fn look_at_topics(&mut self, now: Instant) {
        let read: Vec<String> =
            self.builder.partitions().map(|partition| partition.topic.to_string()).collect();
        let up = self.consumer.context().up();
        for change in self.watch.turn(&self.consumer, &up, read.into_iter(), now) {
            match change {
                Change::Subscription => {
                    let subscription = self.watch.subscription();
                    tracing::info!(topics = subscription.join(","), "subscribing to other topics");
                    if let Err(error) = self.consumer.subscribe(&subscription) {
                        tracing::warn!(%error, "not subscribed to");
                    }
                }
                Change::Remade(topic, id) => self.remade(&topic, id),
                Change::Unchanged(topics) => {
                    let ends = self.latest_ends.iter();
                    let ends = ends
                        .filter(|(partition, _)| topics.iter().any(|of| **of == *partition.topic));
                    self.ends.extend(ends.map(|(partition, end)| (partition.clone(), *end)));
                }
            }
        }
    }

    fn look_for_stalls(&mut self, looks: Vec<PartitionLook>, now: Instant) {
        let ours: Vec<PartitionLook> =
            looks.into_iter().filter(|look| self.builder.owns(&look.partition)).collect();
        self.latest_ends = ours.iter().map(|look| (look.partition.clone(), look.end)).collect();
        match self.transactions.look(&ours, now) {
            // The text would change with each record: its last offset moves.
            Some(hold) => self.open.hold_as("transaction", hold),
            None => self.open.release(),
        }
        let fetched = ours.into_iter().filter(|look| !self.paused.contains(&look.partition));
        let oversized = self.consumer.context().oversized();
        let stalled = self.stalls.look(fetched.collect(), oversized.is_some(), now);
        match unreachable(&stalled.still) {
            Some(hold) => self.unreachable.hold(self.consumer.context().tell(hold)),
            None => self.unreachable.release(),
        }
        for still in stalled.still.iter().filter(|still| still.why == StallReason::Unreadable) {
            let partition = &still.look.partition;
            let hold = still.hold(self.builder.next(partition), oversized.as_deref());
            self.troubles.met(partition, hold, Ends::ByWord, now);
        }
        for partition in &stalled.over {
            if self.troubles.over(partition) {
                self.go_back(partition);
            }
        }
    }
}
