//! The poll thread: serves the consumer, reads while the budget allows, hands batches over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use super::beginnings::Beginnings;
use super::build::{Bounds, Builder};
use super::context::{Rebalance, SourceContext, assign, failed, unassign};
use super::lists::{list_of, partitions, topics};
use super::preflight::Preflight;
use super::queue::DataQueue;
use super::topics::hold_of;
use super::{Assignment, Command, DRAIN_TIMEOUT, SourceEvent, settings};
use crate::budget::Budget;
use crate::config::{AutoOffsetReset, Config, Delivery};
use crate::observe::Observed;
use crate::observe::count;
use crate::observe::cpu::{CpuOf, Laps};
use crate::observe::status::{Status, Waiter};
use crate::offsets::Commit;
use crate::outcome::Fatal;
use crate::plans::Beginning;
use crate::record::TopicPartition;

/// Most messages read in one call: large enough to spread the call's cost, small enough that what the call
/// touched of each is still in the cache when it is copied.
const MAX_MESSAGES: usize = 500;
/// Longest wait for messages: how late a command or a rebalance may be noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Longest wait for a partition to be moved to another offset.
const MOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The thread's state. Dropping it leaves the group.
pub struct Poller {
    /// First, so that it goes before the consumer.
    queue: DataQueue<SourceContext>,
    consumer: Arc<BaseConsumer<SourceContext>>,
    preflight: Preflight,
    builder: Builder,
    budget: Arc<Budget>,
    status: Arc<Status>,
    waiter: Arc<Waiter>,
    events: UnboundedSender<SourceEvent>,
    commands: Receiver<Command>,
    beginnings: Beginnings,
    reset: AutoOffsetReset,
    next_epoch: u64,
    /// Where each partition was last known to be committed, to tell lost data from a fresh start.
    committed: HashMap<TopicPartition, i64>,
    /// Partitions that were moved to another offset, and have given nothing since.
    moved: HashSet<TopicPartition>,
    is_stopped: bool,
    /// The group was left, to join it again once nothing is assigned.
    is_rejoining: bool,
    laps: Laps,
}

impl Poller {
    pub fn new(
        config: &Config,
        observed: &Observed,
        events: UnboundedSender<SourceEvent>,
        commands: Receiver<Command>,
    ) -> anyhow::Result<Self> {
        let waiter = Arc::new(observed.status.waiter("kafka"));
        let progress = Arc::clone(&observed.progress);
        let commit_waiter = observed.status.waiter("commit");
        let context =
            SourceContext::new(events.clone(), Arc::clone(&waiter), commit_waiter, progress);
        let consumer: BaseConsumer<SourceContext> =
            settings::consumer(&config.kafka, config.batch.memory_budget_bytes)
                .create_with_context(context)
                .context("kafka consumer: look at KAFKA_PROPERTIES and the KAFKA_S* variables")?;
        let consumer = Arc::new(consumer);
        let queue = DataQueue::new(&consumer, MAX_MESSAGES)
            .context("librdkafka gave no queue to read from")?;
        let bounds = Bounds {
            max_records: config.batch.max_records,
            max_records_with_lag: config.batch.max_records_with_lag,
            max_bytes: config.batch.max_bytes,
            linger: config.batch.linger,
        };
        Ok(Self {
            queue,
            consumer,
            preflight: Preflight::new(config),
            builder: Builder::new(bounds, config.delivery == Delivery::ExactlyOnce),
            budget: Arc::clone(&observed.budget),
            status: Arc::clone(&observed.status),
            waiter,
            events,
            commands,
            beginnings: Beginnings::new(config, &observed.status),
            reset: config.kafka.auto_offset_reset,
            next_epoch: 1,
            committed: HashMap::new(),
            moved: HashSet::new(),
            is_stopped: false,
            is_rejoining: false,
            laps: Laps::default(),
        })
    }

    /// Runs until told to close, or until the pipeline is gone.
    pub fn run(mut self) {
        let closed = loop {
            self.status.polled();
            match self.commands.try_recv() {
                Ok(Command::Commit(commits)) => self.commit(commits, CommitMode::Async),
                Ok(Command::Rejoin) => self.rejoin(),
                Ok(Command::Stop) => {
                    self.is_stopped = true;
                    self.hand_over_rest();
                    let _gone = self.events.send(SourceEvent::Stopped);
                }
                Ok(Command::Close(commits, done)) => {
                    self.commit(commits, CommitMode::Sync);
                    break Some(done);
                }
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => self.turn(),
            }
        };
        self.consumer.context().close();
        drop(self);
        if let Some(done) = closed {
            let _gone = done.send(());
        }
    }

    /// One turn: serve the consumer, then read if there is room.
    fn turn(&mut self) {
        if !self.preflight.is_done() {
            self.preflight.attempt(&self.consumer, &self.waiter, POLL_INTERVAL);
            return;
        }
        self.serve();
        // Moving a partition stops it, which ends its forwarding at some later moment: librdkafka
        // does it on a thread of its own (`rd_kafka_toppar_fetch_stop`). What comes meanwhile waits.
        self.moved.iter().for_each(|source| self.queue.forward(source));
        while self.budget.has_slot()
            && let Some(batch) = self.builder.due()
        {
            self.send(batch);
        }
        let is_full = self.builder.has_full() || !self.budget.has_bytes(self.builder.size_bytes());
        if self.is_stopped || is_full {
            // Backpressure: the data queue is left alone, the consumer is served all the same.
            std::thread::sleep(POLL_INTERVAL);
            return;
        }
        // What is due goes when there is a slot, for which nobody waits here.
        let due_in = self.builder.due_in().filter(|due_in| !due_in.is_zero());
        let wait = due_in.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL);
        self.read(wait);
    }

    /// Serves the consumer's own queue: rebalances, commits, errors.
    fn serve(&mut self) {
        // A rebalance or a commit ends a poll with `None` too, so nothing follows from it.
        match self.consumer.poll(Duration::ZERO) {
            Some(Err(error)) => self.judge(&error),
            Some(Ok(message)) => {
                // Forwarding before assigning leaves nothing here; were it otherwise, the record
                // would have to be read again.
                use rdkafka::Message as _;
                let at = (message.topic(), message.partition(), message.offset());
                let text = format!("record {at:?} came outside of the data queue");
                let _gone = self.events.send(SourceEvent::Failed(Fatal(text)));
            }
            None => {}
        }
        if self.is_rejoining && self.builder.is_idle() {
            self.is_rejoining = false;
            self.preflight.again();
        }
        for rebalance in self.consumer.context().take_rebalances() {
            let outcome = match &rebalance {
                Rebalance::Assign(list) => self.assign(list),
                Rebalance::Revoke(list) => self.revoke(list),
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "rebalance not carried out; the group will try again");
            }
        }
    }

    fn read(&mut self, wait: Duration) {
        let (builder, moved) = (&mut self.builder, &mut self.moved);
        let mut errors = Vec::new();
        let room = builder.room(MAX_MESSAGES);
        let count = self.queue.consume(wait, room, |message| match message.error() {
            Some((code, text)) => errors.push((message.source(), code, text)),
            None => {
                if !moved.is_empty() {
                    moved.remove(&message.source());
                }
                builder.take(message);
            }
        });
        if count > errors.len() {
            self.waiter.release();
        }
        for (source, code, text) in errors {
            if code == RDKafkaErrorCode::AutoOffsetReset {
                self.reset(&source, &text);
            } else {
                self.judge(&KafkaError::MessageConsumption(code));
            }
        }
    }

    fn hand_over_rest(&mut self) {
        for batch in self.builder.rest() {
            self.send(batch);
        }
    }

    /// Leaves the group, and joins it again once the partitions are given back.
    fn rejoin(&mut self) {
        if !self.is_stopped && !std::mem::replace(&mut self.is_rejoining, true) {
            tracing::warn!("leaving the group to join it again");
            self.consumer.unsubscribe();
        }
    }

    fn send(&mut self, batch: crate::record::Batch) {
        self.laps.count(CpuOf::Consume);
        let lease = self.budget.lease(batch.size_bytes());
        let _gone = self.events.send(SourceEvent::Batch(batch, lease));
    }

    fn assign(&mut self, list: &TopicPartitionList) -> anyhow::Result<()> {
        let mut list = list.clone();
        let begin = self.beginnings.read(&self.consumer, &mut list);
        let begin = begin.unwrap_or_else(|fatal| {
            let _gone = self.events.send(SourceEvent::Failed(fatal));
            HashMap::new()
        });
        let mut assigned = Vec::new();
        for source in partitions(&list) {
            self.queue.forward(&source);
            let epoch = self.next_epoch;
            self.next_epoch += 1;
            let begin = begin.get(&source);
            if let Some(committed) = begin.and_then(|begin| begin.committed) {
                self.committed.insert(source.clone(), committed);
            }
            let planned = begin.and_then(|begin| begin.planned.clone());
            if matches!(planned, Some((_, Beginning::OfAnotherTopic | Beginning::Unreadable))) {
                continue;
            }
            let ends = planned.iter().flat_map(|(_, begin)| begin.ends()).collect();
            self.builder.assign(source.clone(), epoch, ends);
            assigned.push(Assignment { source, epoch, planned });
        }
        assign(&self.consumer, &list)?;
        tracing::info!(partitions = assigned.len(), of = %topics(&list), "partitions assigned");
        // A share of nothing is a share: there are more members than partitions.
        self.status.set_member(true);
        self.waiter.release();
        if !assigned.is_empty() {
            let _gone = self.events.send(SourceEvent::Assigned(assigned));
        }
        Ok(())
    }

    fn revoke(&mut self, list: &TopicPartitionList) -> anyhow::Result<()> {
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
        for source in &revoked {
            self.builder.revoke(source);
            self.committed.remove(source);
            self.moved.remove(source);
            self.queue.release(source);
        }
        self.beginnings.forget(&revoked);
        Ok(unassign(&self.consumer, list)?)
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
        // The pipeline keeps the deadline; twice of it is for a pipeline that died meanwhile.
        replied.recv_timeout(DRAIN_TIMEOUT * 2).unwrap_or_default()
    }

    /// Commits what is still ours: a command may come after the revocation whose offsets, newer
    /// than its own, are stored already.
    fn commit(&mut self, mut commits: Vec<Commit>, mode: CommitMode) {
        commits.retain(|commit| self.builder.owns(&commit.source) && !self.is_rejoining);
        if commits.is_empty() {
            return;
        }
        for commit in &commits {
            self.committed.insert(commit.source.clone(), commit.offset);
        }
        let outcome = list_of(&commits).and_then(|list| match mode {
            CommitMode::Async => self.queue.commit(&list),
            CommitMode::Sync => self.consumer.commit(&list, mode),
        });
        match outcome {
            Err(error) => {
                let of = commits.into_iter().map(|commit| commit.source).collect();
                let _gone = self.events.send(failed(&error, of));
            }
            // The event that answers comes through `poll`.
            Ok(()) if matches!(mode, CommitMode::Async) => {}
            Ok(()) => {
                tracing::info!(partitions = commits.len(), "offsets committed");
                let _gone = self.events.send(SourceEvent::Committed(commits));
            }
        }
    }

    /// A partition whose next offset the broker no longer has: records are lost unless nothing
    /// was committed yet. Said loudly, then read on as configured.
    fn reset(&mut self, source: &TopicPartition, text: &str) {
        let start = match self.reset {
            AutoOffsetReset::Earliest => Offset::Beginning,
            AutoOffsetReset::Latest => Offset::End,
            AutoOffsetReset::Error => {
                let text = format!(
                    "{source}: {text}; KAFKA_AUTO_OFFSET_RESET is error, so nothing is skipped"
                );
                let _gone = self.events.send(SourceEvent::Failed(Fatal(text)));
                return;
            }
        };
        if let Some(committed) = self.committed.get(source) {
            count::records_lost();
            tracing::error!(
                %source,
                committed,
                "records lost before they were read: {text}; raise the topic's retention.ms"
            );
        }
        self.moved.insert(source.clone());
        let mut list = TopicPartitionList::new();
        list.add_partition(&source.topic, source.partition);
        let moved = list
            .set_partition_offset(&source.topic, source.partition, start)
            .and_then(|()| self.consumer.incremental_unassign(&list))
            .and_then(|()| self.consumer.incremental_assign(&list))
            .or_else(|_| self.consumer.seek(&source.topic, source.partition, start, MOVE_TIMEOUT));
        if let Err(error) = moved {
            let text = format!("{source}: {text}; moving to {start:?} failed: {error}");
            let _gone = self.events.send(SourceEvent::Failed(Fatal(text)));
        }
    }

    /// What a client error means for the operator.
    fn judge(&self, error: &KafkaError) {
        if let KafkaError::MessageConsumptionFatal(code) = error {
            let text = format!("kafka consumer: {code}; the group has fenced this member off");
            let _gone = self.events.send(SourceEvent::Failed(Fatal(text)));
            return;
        }
        match hold_of(error, &self.preflight.source()) {
            Some(hold) => self.waiter.hold(self.consumer.context().tell(hold)),
            None => tracing::warn!(%error, "kafka consumer"),
        }
    }
}
