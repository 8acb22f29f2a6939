//! What librdkafka calls back: it only notes, and the poll thread acts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use super::{Offsets, SourceEvent};
use crate::observe::status::Waiter;
use crate::record::TopicPartition;

/// A change of the assignment that librdkafka waits for us to carry out.
#[derive(Debug)]
pub enum Rebalance {
    /// Take these partitions, at these offsets.
    Assign(TopicPartitionList),
    /// Give these back.
    Revoke(TopicPartitionList),
}

/// The consumer's context.
pub struct SourceContext {
    events: UnboundedSender<SourceEvent>,
    waiter: Arc<Waiter>,
    rebalances: Mutex<Vec<Rebalance>>,
    is_closing: AtomicBool,
}

impl SourceContext {
    pub fn new(events: UnboundedSender<SourceEvent>, waiter: Arc<Waiter>) -> Self {
        let is_closing = AtomicBool::new(false);
        Self { events, waiter, rebalances: Mutex::default(), is_closing }
    }

    /// The changes noted since the last call, oldest first.
    pub fn take_rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut *self.rebalances.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on a revocation is carried out at once: nobody waits for it any more.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }
}

impl ClientContext for SourceContext {
    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            self.waiter.release_transient();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
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
        let event = match result {
            Err(KafkaError::ConsumerCommit(rdkafka::error::RDKafkaErrorCode::NoOffset)) => return,
            Err(error) => SourceEvent::CommitFailed(error.to_string()),
            Ok(()) => SourceEvent::Committed(stored(offsets)),
        };
        // The pipeline may be gone while the consumer closes.
        let _gone = self.events.send(event);
    }
}

/// The partitions of a list that Kafka took an offset for.
fn stored(list: &TopicPartitionList) -> Offsets {
    list.elements()
        .iter()
        .filter(|element| element.error().is_ok())
        .filter_map(|element| {
            let source =
                TopicPartition { topic: element.topic().into(), partition: element.partition() };
            Some((source, element.offset().to_raw()?))
        })
        .collect()
}

/// Gives partitions back in the way the group's protocol asks for.
pub fn unassign(
    consumer: &BaseConsumer<SourceContext>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// Takes partitions in the way the group's protocol asks for.
pub fn assign(
    consumer: &BaseConsumer<SourceContext>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    }
}
