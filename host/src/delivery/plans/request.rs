//! What a batch in flight asks of the owner of the offsets.

use tokio::sync::{mpsc, oneshot};

use super::range::Range;
use super::text::Home;
use crate::flow::record::TopicPartition;

/// A range that is to be planned; its nonce is drawn when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DraftRange {
    /// The offset after its last record, exclusive.
    pub end: i64,
    /// The fingerprint of what is inserted.
    pub fingerprint: u32,
    /// How far the deduplication window has moved.
    pub window_position: u64,
    /// The table that it is to go into.
    pub home: Home,
    /// The column that its rows carry their token in: see [`super::column_fingerprint`].
    pub column: u16,
}

/// Ranges to put in the place of one, and to commit a plan of.
#[derive(Debug)]
pub struct Replan {
    /// The partition.
    pub partition: TopicPartition,
    /// The assignment that the batch was read under.
    pub epoch: u64,
    /// The range that is replaced: the one that ends here.
    pub end: i64,
    /// What takes its place, in order; the last one ends where it ends.
    pub into: Vec<DraftRange>,
    /// Takes the ranges once the plan that names them is committed. Dropped without an answer where
    /// the assignment is over.
    pub reply: oneshot::Sender<Vec<Range>>,
}

/// What a batch in flight asks or reports.
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

/// The way from the batches in flight to the owner of the offsets.
#[derive(Debug, Clone)]
pub struct Plans {
    requests: mpsc::UnboundedSender<PlanRequest>,
}

impl Plans {
    /// The way, and the owner's end of it. What goes through is bounded by the batches in flight.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<PlanRequest>) {
        let (requests, received) = mpsc::unbounded_channel();
        (Self { requests }, received)
    }

    /// Has ranges planned in the place of the one that ends at `end`, and waits until the plan is
    /// committed. Never ready where the assignment is over: the batch is about to be ended.
    ///
    /// # Cancel safety
    /// Dropped, the plan may be committed all the same; nothing is sent under it.
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

    /// Tells that a range is settled.
    pub fn settled(&self, partition: &TopicPartition, epoch: u64, end: i64) {
        let settled = PlanRequest::Settled { partition: partition.clone(), epoch, end };
        // The owner ends before the batches do only when all of them are given up.
        let _ended = self.requests.send(settled);
    }
}
