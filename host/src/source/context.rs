//! librdkafka's callbacks: they only take notes, and the poll thread acts on them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::{Partition, Statistics};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use super::refusals::Refusals;
use super::stall::{PartitionLook, looks};
use super::{CommitRefusal, SourceEvent};
use crate::delivery::offsets::Commit;
use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;
use crate::kafka::client::denial_of;
use crate::kafka::lists::partitions;
use crate::kafka::queue::metadata;
use crate::kafka::topics::{is_http, mismatch_of};
use crate::observe::progress::PartitionEnd;
use crate::observe::status::Waiter;

/// An assignment change that librdkafka waits for us to apply.
#[derive(Debug)]
pub enum Rebalance {
    /// Take these partitions, at these offsets.
    Assign(TopicPartitionList),
    /// Give these back.
    Revoke(TopicPartitionList),
}

/// How long an oversized answer explains why partitions stand still.
const OVERSIZED_COUNTS_FOR: Duration = Duration::from_mins(1);
/// The setting that librdkafka names when an answer is too large and it drops the connection.
const LARGEST_ANSWER: &str = "receive.message.max.bytes";

/// The consumer's context.
pub struct SourceContext {
    events: UnboundedSender<SourceEvent>,
    waiter: Arc<Waiter>,
    /// The failing commits.
    refusals: Mutex<Refusals>,
    rebalances: Mutex<Vec<Rebalance>>,
    denial: Mutex<Option<Hold>>,
    seen: Mutex<BrokerStatistics>,
    /// Whether commits carry a topic mark in their metadata.
    has_marks: AtomicBool,
    is_closing: AtomicBool,
}

/// What librdkafka's statistics and errors say about brokers and partitions.
#[derive(Debug, Default)]
struct BrokerStatistics {
    looks: Option<Vec<PartitionLook>>,
    tails: Option<HashMap<TopicPartition, PartitionTail>>,
    /// The connected brokers.
    up: Vec<i32>,
    /// Whether any broker was ever connected.
    has_connected: bool,
    /// When an answer was last too large, and librdkafka's text.
    oversized: Option<(Instant, String)>,
}

impl SourceContext {
    pub fn new(
        events: UnboundedSender<SourceEvent>,
        waiter: Arc<Waiter>,
        commit_waiter: Waiter,
        has_marks: bool,
    ) -> Self {
        Self {
            events,
            waiter,
            refusals: Mutex::new(Refusals::new(commit_waiter)),
            rebalances: Mutex::default(),
            denial: Mutex::default(),
            seen: Mutex::default(),
            has_marks: AtomicBool::new(has_marks),
            is_closing: AtomicBool::new(false),
        }
    }

    /// Takes the partitions of the last statistics; `None` without new ones since the last call.
    pub fn take_looks(&self) -> Option<Vec<PartitionLook>> {
        self.seen().looks.take()
    }

    /// Takes the partition ends of the last statistics; `None` without new ones since the last call.
    pub fn take_tails(&self) -> Option<HashMap<TopicPartition, PartitionTail>> {
        self.seen().tails.take()
    }

    /// The connected brokers.
    pub fn up(&self) -> Vec<i32> {
        self.seen().up.clone()
    }

    /// The text of a recent oversized answer, which explains why answers do not arrive.
    pub fn oversized(&self) -> Option<String> {
        let seen = self.seen();
        let (at, text) = seen.oversized.as_ref()?;
        (at.elapsed() < OVERSIZED_COUNTS_FOR).then(|| text.clone())
    }

    /// Whether commits carry a topic mark in their metadata.
    pub fn has_marks(&self) -> bool {
        self.has_marks.load(Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, BrokerStatistics> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The changes noted since the last call, oldest first.
    pub fn take_rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut *self.rebalances.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The hold to report for a broker that does not answer: its denial, if it denied this client access and
    /// was not reached since.
    pub fn tell(&self, hold: Hold) -> Hold {
        match hold {
            Hold::Transient(_) => self.denial().clone().unwrap_or(hold),
            Hold::Paused(_) => hold,
        }
    }

    /// Notes a commit's outcome, for the operator.
    pub fn note_answer(&self, event: &SourceEvent) {
        match event {
            SourceEvent::CommitFailed { of, why, text, .. } => {
                self.refusals().failed(of, *why, text, Instant::now());
            }
            SourceEvent::Committed(commits) => {
                self.refusals().taken(commits.iter().map(|commit| &commit.partition));
            }
            _ => {}
        }
    }

    /// Forgets the failed commits of partitions that are no longer ours.
    pub fn forget(&self, partitions: &[TopicPartition]) {
        self.refusals().forget(partitions);
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn denial(&self) -> MutexGuard<'_, Option<Hold>> {
        self.denial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on revocations are applied at once, since nobody waits for them.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }
}

impl ClientContext for SourceContext {
    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            *self.denial() = None;
            self.waiter.release_transient();
        }
        self.refusals().rest(Instant::now());
        let connected =
            |broker: &&rdkafka::statistics::Broker| broker.nodeid >= 0 && broker.state == "UP";
        let mut seen = self.seen();
        seen.up =
            statistics.brokers.values().filter(connected).map(|broker| broker.nodeid).collect();
        seen.up.sort_unstable();
        seen.has_connected |= !seen.up.is_empty();
        seen.looks = Some(looks(&statistics));
        seen.tails = Some(tails(&statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
        let is_new = !self.seen().has_connected;
        let mismatch = || mismatch_of(reason).filter(|_| is_new);
        if let Some(denial) = denial_of(&error, reason).or_else(mismatch) {
            self.waiter.hold(denial.clone());
            *self.denial() = Some(denial);
        }
        if reason.contains(LARGEST_ANSWER) && !is_http(reason) {
            tracing::warn!("an answer of a broker is too large: {reason}");
            self.seen().oversized = Some((Instant::now(), reason.to_owned()));
        }
    }
}

impl ConsumerContext for SourceContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        tpl: &mut TopicPartitionList,
    ) {
        let rebalance = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(tpl.clone()),
            _ => Rebalance::Revoke(tpl.clone()),
        };
        if self.is_closing.load(Ordering::Acquire) {
            if let Err(error) = unassign(consumer, tpl) {
                tracing::warn!(%error, "giving partitions back while closing");
            }
            return;
        }
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push(rebalance);
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let events = match result {
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => return,
            // A broker may refuse metadata, which is optional without plans.
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetMetadataTooLarge)
                    && self.has_marks.swap(false, Ordering::Relaxed) =>
            {
                tracing::warn!(
                    "{error}: offsets are committed without the ids of their topics from now on, so that \
                     a topic that is made again between two runs is not noticed; raise \
                     offset.metadata.max.bytes of the brokers to 4096"
                );
                return;
            }
            Err(error) => vec![failed(&error, partitions(offsets))],
            Ok(()) => answers(offsets),
        };
        for event in events {
            self.note_answer(&event);
            // The pipeline may be gone while the consumer closes.
            let _gone = self.events.send(event);
        }
    }
}

/// Where a partition ends, according to the broker's answers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionTail {
    end: PartitionEnd,
    /// Whether everything up to there was fetched and handed out.
    is_read: bool,
}

impl PartitionTail {
    /// Where the records end. `next`: the offset after the last record taken, if any. `some_wait`: records
    /// were handed out that are not taken yet.
    pub fn end(self, next: Option<i64>, some_wait: bool) -> PartitionEnd {
        let Self { end, is_read } = self;
        // The end may consist of transaction markers or compaction gaps: offsets without a record, which
        // librdkafka counts as handed out. Once everything was handed out, the records end after the last one
        // taken.
        let last = next.or(end.start).filter(|_| is_read && !some_wait);
        PartitionEnd { offset: last.map_or(end.offset, |last| last.min(end.offset)), ..end }
    }
}

fn tails(statistics: &Statistics) -> HashMap<TopicPartition, PartitionTail> {
    let mut tails = HashMap::new();
    for (topic, of_topic) in &statistics.topics {
        let topic: Arc<str> = topic.as_str().into();
        for partition in of_topic.partitions.values() {
            if let Some(tail) = tail(partition) {
                let partition = partition.partition;
                tails.insert(TopicPartition { topic: Arc::clone(&topic), partition }, tail);
            }
        }
    }
    tails
}

/// Offsets below 0 are librdkafka's marks for "unknown".
fn tail(partition: &Partition) -> Option<PartitionTail> {
    let known = |offset: i64| (offset >= 0).then_some(offset);
    let high = known(partition.hi_offset);
    let stable = known(partition.ls_offset).or(high)?;
    let start = known(partition.committed_offset).or(known(partition.next_offset));
    // Records after the last stable offset wait for their transaction to end.
    if let Some(high) = high.filter(|high| *high > stable) {
        return Some(PartitionTail { end: PartitionEnd { offset: high, start }, is_read: false });
    }
    let is_read = partition.fetchq_cnt == 0 && partition.next_offset >= stable;
    Some(PartitionTail { end: PartitionEnd { offset: stable, start }, is_read })
}

/// Kafka's answer for each partition of a commit.
fn answers(list: &TopicPartitionList) -> Vec<SourceEvent> {
    let (mut taken, mut events) = (Vec::new(), Vec::new());
    let told = list.elements().into_iter().zip(partitions(list)).zip(metadata(list));
    for ((element, partition), metadata) in told {
        match (element.error(), element.offset().to_raw()) {
            (Ok(()), Some(offset)) => taken.push(Commit { partition, offset, metadata }),
            (Ok(()), None) => {}
            (Err(error), _) => events.push(failed(&error, vec![partition])),
        }
    }
    events.push(SourceEvent::Committed(taken));
    events
}

/// Errors by which a broker refuses a commit and stores nothing. It takes none while the group changes its
/// assignment, and never again one of an old generation; if it took an earlier try of librdkafka's own, the
/// next plan names the same ranges.
const REFUSED: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::RebalanceInProgress,
    RDKafkaErrorCode::IllegalGeneration,
    RDKafkaErrorCode::StaleMemberEpoch,
    RDKafkaErrorCode::OffsetMetadataTooLarge,
];

/// A broker's commit errors while the group changes.
const CHANGES: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::RebalanceInProgress,
    RDKafkaErrorCode::IllegalGeneration,
    RDKafkaErrorCode::StaleMemberEpoch,
    RDKafkaErrorCode::UnknownMemberId,
];

/// The event of a failed commit. After any other error than [`REFUSED`], librdkafka does not tell whether an
/// earlier try of its own was stored.
pub fn failed(error: &KafkaError, of: Vec<TopicPartition>) -> SourceEvent {
    let code = error.rdkafka_error_code();
    let is_one_of = |codes: &[RDKafkaErrorCode]| code.is_some_and(|code| codes.contains(&code));
    let why = match code {
        _ if is_one_of(&CHANGES) => CommitRefusal::GroupChanges,
        Some(
            RDKafkaErrorCode::OffsetMetadataTooLarge
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed,
        ) => CommitRefusal::NeedsOperator,
        _ => CommitRefusal::Other,
    };
    let hint = match code {
        Some(RDKafkaErrorCode::OffsetMetadataTooLarge) => {
            ": raise offset.metadata.max.bytes of the brokers to 4096 or more"
        }
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
            ": grant READ on the group (KAFKA_CONSUMER_GROUP_ID)"
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            ": grant READ on the topic (KAFKA_SOURCE_TOPIC)"
        }
        _ => "",
    };
    let is_refused = is_one_of(&REFUSED);
    SourceEvent::CommitFailed { of, is_refused, why, text: format!("{error}{hint}") }
}

/// Gives partitions back by the group's rebalance protocol.
pub fn unassign(
    consumer: &BaseConsumer<SourceContext>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// Takes partitions by the group's rebalance protocol.
pub fn assign(
    consumer: &BaseConsumer<SourceContext>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition of 100 records: 40 committed, 60 fetched.
    fn partition() -> Partition {
        Partition {
            ls_offset: 100,
            hi_offset: 100,
            committed_offset: 40,
            app_offset: 50,
            next_offset: 60,
            fetchq_cnt: 10,
            ..Partition::default()
        }
    }

    /// Its end for a host that got everything below `next`.
    fn end(partition: &Partition, next: impl Into<Option<i64>>) -> Option<PartitionEnd> {
        tail(partition).map(|tail| tail.end(next.into(), false))
    }

    #[test]
    fn a_partition_ends_behind_its_records_and_those_of_open_transactions() {
        assert_eq!(end(&partition(), 50), Some(PartitionEnd { offset: 100, start: Some(40) }));
        let unknown = Partition { ls_offset: -1, hi_offset: -1001, ..partition() };
        assert_eq!(end(&unknown, 50), None);
        let without_stable = Partition { ls_offset: -1, ..partition() };
        assert_eq!(end(&without_stable, 50).map(|end| end.offset), Some(100));
        let open = Partition { hi_offset: 110, next_offset: 100, fetchq_cnt: 0, ..partition() };
        assert_eq!(end(&open, 100).map(|end| end.offset), Some(110), "ten records wait");
        let uncommitted = Partition { committed_offset: -1001, ..partition() };
        assert_eq!(end(&uncommitted, None).and_then(|end| end.start), Some(60));
    }

    #[test]
    fn a_marker_at_the_end_is_no_record_that_waits() {
        // librdkafka counts the marker as handed out.
        let read = Partition { next_offset: 100, fetchq_cnt: 0, app_offset: 100, ..partition() };
        assert_eq!(end(&read, 99).map(|end| end.offset), Some(99));
        let waits = tail(&read).map(|tail| tail.end(Some(90), true).offset);
        assert_eq!(waits, Some(100), "records wait that were handed out");
        let fetched = Partition { fetchq_cnt: 1, ..read.clone() };
        assert_eq!(end(&fetched, 99).map(|end| end.offset), Some(100));
        let restarted = Partition { app_offset: -1001, committed_offset: 99, ..read };
        assert_eq!(end(&restarted, None), Some(PartitionEnd { offset: 99, start: Some(99) }));
    }

    #[test]
    fn an_answer_of_http_is_told_in_our_words_alone() {
        let size = |size: i64| {
            format!(
                "b:8123/bootstrap: Receive failed: Invalid response size {size} (0..100000000): increase \
                 receive.message.max.bytes"
            )
        };
        for (response, is_too_large, is_paused) in
            [(1_213_486_160, false, true), (150_000_000, true, false)]
        {
            let status = Arc::new(crate::observe::status::Status::default());
            let (events, _received) = tokio::sync::mpsc::unbounded_channel();
            let waiter = Arc::new(status.waiter("kafka"));
            let context = SourceContext::new(events, waiter, status.waiter("commit"), true);
            let error = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);
            context.error(error, &size(response));
            assert_eq!(context.oversized().is_some(), is_too_large, "{response}");
            assert_eq!(status.is_paused(), is_paused, "{response}");
        }
    }

    #[test]
    fn a_commit_that_is_not_allowed_says_which_right_is_missing() {
        for (code, right) in [
            (RDKafkaErrorCode::GroupAuthorizationFailed, "KAFKA_CONSUMER_GROUP_ID"),
            (RDKafkaErrorCode::TopicAuthorizationFailed, "KAFKA_SOURCE_TOPIC"),
        ] {
            let failed = failed(&KafkaError::ConsumerCommit(code), Vec::new());
            let SourceEvent::CommitFailed { why, text, .. } = failed else { panic!("{code}") };
            assert!(why == CommitRefusal::NeedsOperator && text.contains(right), "{text}");
        }
    }
}
