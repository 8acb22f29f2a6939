//! What a batch in flight asks of the planner.

use tokio::sync::{mpsc, oneshot};

use super::range::Range;
use super::text::Home;
use crate::flow::record::TopicPartition;

/// A range to be planned; its nonce is drawn then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DraftRange {
    /// The offset after its last record, exclusive.
    pub end: i64,
    /// The fingerprint of its INSERT.
    pub fingerprint: u32,
    /// The position of the deduplication window.
    pub window_position: u64,
    /// The table it is sent to.
    pub home: Home,
    /// The column that holds its rows' token: see [`super::column_fingerprint`].
    pub column: u16,
}

/// A request to replace one range by others, and to commit a plan that names them.
#[derive(Debug)]
pub struct Replan {
    /// The partition.
    pub partition: TopicPartition,
    /// The assignment that the batch was read under.
    pub epoch: u64,
    /// The end of the replaced range, exclusive.
    pub end: i64,
    /// The new ranges, in order; the last one ends at `end`.
    pub into: Vec<DraftRange>,
    /// Receives the ranges once the plan that names them is committed. Dropped without an answer if the
    /// assignment has ended.
    pub reply: oneshot::Sender<Vec<Range>>,
}

/// A request or report of a batch in flight.
#[derive(Debug)]
pub enum PlanRequest {
    /// It wants ranges planned.
    Replan(Replan),
    /// The range that ends at this offset is settled.
    Settled {
        /// The partition.
        partition: TopicPartition,
        /// The assignment.
        epoch: u64,
        /// Where the range ends.
        end: i64,
    },
}

/// The channel from the batches in flight to the planner.
#[derive(Debug, Clone)]
pub struct Plans {
    requests: mpsc::UnboundedSender<PlanRequest>,
}

impl Plans {
    /// Both ends of the channel. Its length is bounded by the batches in flight.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<PlanRequest>) {
        let (requests, received) = mpsc::unbounded_channel();
        (Self { requests }, received)
    }

    /// Replaces the range that ends at `end` by these drafts, and waits until the plan is committed. Never
    /// ready if the assignment has ended: the batch is about to be dropped.
    ///
    /// # Cancel safety
    /// If dropped, the plan may still be committed; nothing is sent under it.
    pub async fn plan(
        &self,
        partition: &TopicPartition,
        epoch: u64,
        end: i64,
        into: Vec<DraftRange>,
    ) -> Vec<Range> {
        let (reply, planned) = oneshot::channel();
        let replan = Replan { partition: partition.clone(), epoch, end, into, reply };
        let is_asked = self.requests.send(PlanRequest::Replan(replan)).is_ok();
        match planned.await {
            Ok(ranges) if is_asked => ranges,
            _ => std::future::pending().await,
        }
    }

    /// Reports a range as settled.
    pub fn settled(&self, partition: &TopicPartition, epoch: u64, end: i64) {
        let settled = PlanRequest::Settled { partition: partition.clone(), epoch, end };
        // The owner ends before the batches do only when all of them are given up.
        let _ended = self.requests.send(settled);
    }
}
