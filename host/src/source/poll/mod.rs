//! The poll thread: serves the consumer, reads within the budget, hands batches over.

mod commits;
mod looks;
mod moves;
mod rebalance;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc::UnboundedSender;

use super::beginnings::Beginnings;
use super::build::{BatchBounds, BatchBuilder};
use super::context::{Rebalance, SourceContext};
use super::failures::ReadFailure;
use super::open::OpenTransactions;
use super::preflight::Preflight;
use super::stall::Stalls;
use super::troubles::{Ends, Troubles};
use super::watch::Watch;
use super::{SourceCommand, SourceEvent};
use crate::config::{AutoOffsetReset, Config, Delivery};
use crate::flow::hold::Fatal;
use crate::flow::record::TopicPartition;
use crate::kafka::consumer;
use crate::kafka::queue::DataQueue;
use crate::kafka::topics::hold_of;
use crate::limits::budget::Budget;
use crate::observe::Observed;
use crate::observe::count;
use crate::observe::cpu::{CpuOf, Laps};
use crate::observe::progress::Progress;
use crate::observe::status::{Status, Waiter};
use crate::observe::throttle::Throttle;

/// Most messages read in one call: enough to spread the call's cost, few enough that what the call touched of
/// each is still in the cache when it is copied.
const MAX_MESSAGES: usize = 500;
/// Longest wait for messages, and so the longest delay of a command or a rebalance.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// A moved partition has stopped and restarted long before this.
const MOVES_WITHIN: Duration = Duration::from_mins(1);
/// How often repeated records are reported.
const REPEATED_PER: Duration = Duration::from_secs(30);

/// The thread's state. Dropping it leaves the group.
pub struct Poller {
    /// These two come first, so that they are dropped before the consumer.
    queue: DataQueue<SourceContext>,
    watch: Watch,
    consumer: Arc<BaseConsumer<SourceContext>>,
    preflight: Preflight,
    builder: BatchBuilder,
    budget: Arc<Budget>,
    status: Arc<Status>,
    waiter: Arc<Waiter>,
    /// Holds while brokers of assigned partitions do not answer.
    unreachable: Waiter,
    /// Holds while the group has given this member no share.
    group: Waiter,
    group_id: String,
    /// Since when it has none.
    outside: Option<Instant>,
    events: UnboundedSender<SourceEvent>,
    commands: Receiver<SourceCommand>,
    beginnings: Beginnings,
    reset: AutoOffsetReset,
    next_epoch: u64,
    /// Partitions whose reads fail.
    troubles: Troubles,
    stalls: Stalls,
    transactions: OpenTransactions,
    progress: Arc<Progress>,
    /// Holds while records wait for an open transaction.
    open: Waiter,
    is_exactly_once: bool,
    /// The end of each partition when its topic was last known not to be recreated.
    ends: HashMap<TopicPartition, i64>,
    /// The end of each partition in the last statistics.
    latest_ends: HashMap<TopicPartition, i64>,
    /// When a partition was moved to another offset, if it has given no record since.
    moved: HashMap<TopicPartition, Instant>,
    /// Partitions that are not fetched, since their records would not be taken. librdkafka keeps them paused
    /// beyond their assignment.
    paused: HashSet<TopicPartition>,
    repeated: Throttle<()>,
    is_stopped: bool,
    /// The group was left, and is joined again once nothing is assigned.
    is_rejoining: bool,
    laps: Laps,
}

impl Poller {
    pub fn new(
        config: &Config,
        observed: &Observed,
        events: UnboundedSender<SourceEvent>,
        commands: Receiver<SourceCommand>,
    ) -> anyhow::Result<Self> {
        let status = &observed.status;
        let waiter = Arc::new(status.waiter("kafka"));
        let is_exactly_once = config.delivery == Delivery::ExactlyOnce;
        let context = SourceContext::new(
            events.clone(),
            Arc::clone(&waiter),
            status.waiter("commit"),
            !is_exactly_once,
        );
        let consumer: BaseConsumer<SourceContext> =
            consumer::consumer(&config.kafka, config.batch.memory_budget_bytes)
                .create_with_context(context)
                .context("kafka consumer: look at KAFKA_PROPERTIES and the KAFKA_S* variables")?;
        let consumer = Arc::new(consumer);
        let queue = DataQueue::new(&consumer, MAX_MESSAGES)
            .context("librdkafka gave no queue to read from")?;
        let bounds = BatchBounds {
            max_records: config.batch.max_records,
            max_records_with_lag: config.batch.max_records_with_lag,
            max_bytes: config.batch.max_bytes,
            row_bytes: 0,
            element_bytes: 0,
            record_bytes: observed.budget.most_record_bytes(),
            split: config.records.split,
            linger: config.batch.linger,
        };
        Ok(Self {
            queue,
            watch: Watch::new(&config.kafka, status),
            consumer,
            preflight: Preflight::new(config),
            builder: BatchBuilder::new(bounds, is_exactly_once),
            is_exactly_once,
            budget: Arc::clone(&observed.budget),
            status: Arc::clone(status),
            waiter,
            unreachable: status.waiter("kafka"),
            group: status.waiter("kafka"),
            group_id: config.kafka.group_id.clone(),
            outside: None,
            events,
            commands,
            beginnings: Beginnings::new(config, status),
            reset: config.kafka.auto_offset_reset,
            next_epoch: 1,
            troubles: Troubles::new(status),
            stalls: Stalls::default(),
            transactions: OpenTransactions::default(),
            progress: Arc::clone(&observed.progress),
            open: status.waiter("kafka"),
            ends: HashMap::new(),
            latest_ends: HashMap::new(),
            moved: HashMap::new(),
            paused: HashSet::new(),
            repeated: Throttle::new(REPEATED_PER),
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
                Ok(SourceCommand::Commit(commits)) => self.commit(commits, CommitMode::Async),
                Ok(SourceCommand::Rejoin) => self.rejoin(),
                Ok(SourceCommand::Stop) => {
                    self.is_stopped = true;
                    self.hand_over_rest();
                    self.tell(SourceEvent::Stopped);
                }
                Ok(SourceCommand::Close(commits, done)) => {
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
            let Self { preflight, watch, consumer, waiter, .. } = self;
            preflight.attempt(consumer, watch, waiter, POLL_INTERVAL);
            if let Some(fresh) = preflight.take_fresh() {
                self.beginnings.set_fresh(fresh);
            }
            return;
        }
        self.serve();
        self.look();
        // Moving a partition stops it, which ends its forwarding some time later: librdkafka does that on a
        // thread of its own (`rd_kafka_toppar_fetch_stop`). So it is forwarded again each turn.
        self.moved.retain(|_, at| at.elapsed() < MOVES_WITHIN);
        self.moved.keys().for_each(|partition| self.queue.forward(partition));
        while self.budget.has_slot()
            && let Some(batch) = self.builder.due()
        {
            self.send(batch);
        }
        let row_bytes = self.budget.row_bytes();
        let element_bytes = if self.is_exactly_once { self.budget.element_bytes() } else { 0 };
        self.builder.set_row_bytes(row_bytes.unwrap_or_default(), element_bytes);
        // A planned batch is not cut by the width of its rows, so that has to be known first.
        let is_too_early = self.is_exactly_once && row_bytes.is_none();
        if self.is_stopped || !self.builder.has_room(&self.budget) || is_too_early {
            // Backpressure: the data queue is not drained, but the consumer is still served.
            std::thread::sleep(POLL_INTERVAL);
            return;
        }
        // A due batch goes once there is a slot; reading does not wait for one.
        let due_in = self.builder.due_in().filter(|due_in| !due_in.is_zero());
        let wait = due_in.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL);
        self.read(wait);
    }

    /// Serves the consumer's own queue: rebalances, commits, errors.
    fn serve(&mut self) {
        // A rebalance or a commit also ends a poll with `None`, so that tells nothing.
        let came = match self.consumer.poll(Duration::ZERO) {
            // Forwarding before assigning leaves no record here; one that came would have to be read again.
            Some(Ok(message)) => {
                use rdkafka::Message as _;
                let at = (message.topic(), message.partition(), message.offset());
                Ok(Some(format!("record {at:?} came outside of the data queue")))
            }
            Some(Err(error)) => Err(error),
            None => Ok(None),
        };
        match came {
            Err(error) => self.judge(&error),
            Ok(Some(text)) => self.tell(SourceEvent::Failed(Fatal(text))),
            Ok(None) => {}
        }
        if self.is_rejoining && self.builder.is_idle() && self.is_unassigned() {
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

    /// Whether librdkafka has given every partition back.
    fn is_unassigned(&self) -> bool {
        self.consumer.assignment().is_ok_and(|list| list.count() == 0)
    }

    /// Takes records until there is no room. Further records that librdkafka handed out wait in `queue`.
    fn read(&mut self, wait: Duration) {
        let Self { queue, builder, budget, moved, troubles, .. } = self;
        let mut failures: Vec<ReadFailure> = Vec::new();
        let room = builder.room(MAX_MESSAGES);
        let mut has_records = false;
        queue.consume(wait, room, |message| {
            let Some((code, text)) = message.error() else {
                has_records = true;
                if builder.take(message) {
                    let partition = message.topic_partition();
                    moved.remove(&partition);
                    troubles.over(&partition);
                }
                return builder.has_room(budget);
            };
            let (partition, offset) = (message.topic_partition(), message.offset());
            // librdkafka goes on after what it cannot read, at any offset: what it meets there is no failure
            // of its own.
            let is_own = match code {
                RDKafkaErrorCode::AutoOffsetReset => !builder.is_shut(&partition),
                _ => builder.shut(&partition),
            };
            if is_own {
                failures.push(ReadFailure { partition, code, text, offset });
            }
            true
        });
        if has_records {
            self.waiter.release();
        }
        for failure in &failures {
            self.failed(failure);
        }
        self.tell_of_repeated();
    }

    /// Handles a failed read of a partition.
    fn failed(&mut self, failure: &ReadFailure) {
        let ReadFailure { partition, code, text, offset } = failure;
        if !self.builder.owns(partition) {
            // librdkafka does not withdraw reports about a revoked partition.
            tracing::debug!(%partition, offset, "failure of a partition that is not ours: {text}");
            return;
        }
        if *code == RDKafkaErrorCode::AutoOffsetReset {
            self.reset(partition, *offset, text);
            return;
        }
        let (now, next) = (Instant::now(), self.builder.next(partition));
        if *code == RDKafkaErrorCode::TopicAuthorizationFailed {
            self.watch.soon(now);
        }
        self.troubles.met(partition, failure.hold(next), Ends::BySilence, now);
        // Otherwise everything after the failure would be fetched in vain.
        self.stop_fetching(partition);
    }

    fn tell_of_repeated(&mut self) {
        for (partition, repeated) in self.builder.take_repeated() {
            count::repeated(repeated.records);
            if let Some(suppressed) = self.repeated.allow(()) {
                let (first, last, records) = (repeated.first, repeated.last, repeated.records);
                tracing::warn!(%partition, first, last, records, suppressed,
                    "records that were read came again, and are dropped");
            }
        }
    }

    fn hand_over_rest(&mut self) {
        for batch in self.builder.rest() {
            self.send(batch);
        }
    }

    fn send(&mut self, batch: crate::flow::record::Batch) {
        self.laps.count(CpuOf::Consume);
        let lease = self.budget.lease(batch.held_bytes());
        self.tell(SourceEvent::Batch(batch, lease));
    }

    /// Sends an event to the pipeline, which may be gone.
    fn tell(&self, event: SourceEvent) {
        let _gone = self.events.send(event);
    }

    /// Reports a client error to the operator.
    fn judge(&mut self, error: &KafkaError) {
        use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition};
        if let KafkaError::MessageConsumptionFatal(code) = error {
            let text = format!("kafka consumer: {code}; the group has fenced this member off");
            self.tell(SourceEvent::Failed(Fatal(text)));
            return;
        }
        if let Some(TopicAuthorizationFailed | UnknownTopic | UnknownTopicOrPartition) =
            error.rdkafka_error_code()
        {
            // The error does not name the topic; the watch finds it.
            tracing::debug!(%error, "kafka consumer");
            self.watch.soon(Instant::now());
            return;
        }
        match hold_of(error, &self.preflight.source()) {
            Some(hold) => self.waiter.hold(self.consumer.context().tell(hold)),
            None => tracing::warn!(%error, "kafka consumer"),
        }
    }
}
