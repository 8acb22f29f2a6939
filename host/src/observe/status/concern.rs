//! Which records a wait holds up. The batch is set once, where its task begins, so that every wait
//! within the task knows it and no stage passes it along.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::task::futures::TaskLocalFuture;
use tokio::task_local;

use crate::flow::record::{Batch, Origin, TopicPartition};

task_local! {
    static CONCERN: Arc<Concern>;
}

/// Most partitions that a wait names.
const TOLD: usize = 3;

/// A batch in progress.
#[derive(Debug)]
pub(super) struct Concern {
    batch: Arc<Batch>,
    /// Its task ended before it was settled: the host stops, or the partitions were revoked.
    is_given_up: AtomicBool,
    past: watch::Sender<Past>,
    /// Letters of it that are handed over and not yet written.
    letters: watch::Sender<usize>,
}

/// How many INSERTs of the batch's rows landed, and how many were refused for their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Past {
    landed: u64,
    refused: u64,
}

/// A sign that the reported reason for holding an INSERT no longer applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Rows of the batch landed.
    Landed,
    /// Rows landed, or were refused for their data: the table itself accepts rows.
    LandedOrRefused,
}

impl Concern {
    /// The batch of the current task, if it has one.
    pub fn current() -> Option<Arc<Self>> {
        CONCERN.try_with(Arc::clone).ok()
    }

    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Waits until none of its letters is under way.
    pub async fn letters_written(&self) {
        let written = self.letters.subscribe().wait_for(|letters| *letters == 0).await.is_ok();
        debug_assert!(written, "the sender is this concern's");
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        u64::from(self.batch.len())
    }

    /// Where its records are.
    pub fn place(&self) -> String {
        place(&self.batch)
    }
}

/// Letters of this task's batch are handed over.
pub fn letters_begun(letters: usize) {
    count_letters(|open| *open += letters);
}

/// Letters that were handed over are written.
pub fn letters_written(letters: usize) {
    count_letters(|open| *open = open.saturating_sub(letters));
}

fn count_letters(change: impl FnOnce(&mut usize)) {
    if let Some(concern) = Concern::current() {
        concern.letters.send_modify(change);
    }
}

/// Rows of this task's batch landed.
pub(in crate::observe) fn note_landed() {
    note(|past| past.landed += 1);
}

/// Rows of this task's batch were refused for their data.
pub(in crate::observe) fn note_refused() {
    note(|past| past.refused += 1);
}

fn note(more: impl FnOnce(&mut Past)) {
    if let Some(concern) = Concern::current() {
        concern.past.send_modify(more);
    }
}

/// Waits until this task's batch shows this sign after this call; never ready outside a batch.
///
/// # Cancel safety
/// Nothing happens if it is dropped.
pub fn shown(sign: Sign) -> impl Future<Output = ()> {
    let past = Concern::current().map(|concern| {
        let past = concern.past.subscribe();
        let before = *past.borrow();
        (past, before)
    });
    async move {
        if let Some((mut past, before)) = past {
            let is_shown = |now: &Past| match sign {
                Sign::Landed => now.landed != before.landed,
                Sign::LandedOrRefused => *now != before,
            };
            if past.wait_for(is_shown).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// The work on a batch. If it is dropped before it ends, its waits are reported as given up.
pub struct OfBatch<F: Future> {
    concern: Arc<Concern>,
    work: Pin<Box<TaskLocalFuture<Arc<Concern>, F>>>,
    is_over: bool,
}

/// Runs `work` so that each wait within it names this batch.
///
/// # Cancel safety
/// As `work`.
pub fn of_batch<F: Future>(batch: &Arc<Batch>, work: F) -> OfBatch<F> {
    let is_given_up = AtomicBool::new(false);
    let (past, letters) = (watch::Sender::default(), watch::Sender::default());
    let concern = Arc::new(Concern { batch: Arc::clone(batch), is_given_up, past, letters });
    let work = Box::pin(CONCERN.scope(Arc::clone(&concern), work));
    OfBatch { concern, work, is_over: false }
}

impl<F: Future> Future for OfBatch<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.work.as_mut().poll(context);
        self.is_over |= polled.is_ready();
        polled
    }
}

impl<F: Future> Drop for OfBatch<F> {
    fn drop(&mut self) {
        // Before the work itself, and its waits, are dropped.
        if !self.is_over {
            self.concern.is_given_up.store(true, Ordering::Relaxed);
        }
    }
}

/// The offsets of a batch's records, by partition.
fn place(batch: &Batch) -> String {
    let offset = |origin: Origin| batch.record(origin).map_or(-1, |record| record.offset());
    let mut spans: Vec<(&TopicPartition, i64, i64)> = Vec::new();
    for run in batch.runs() {
        let (first, last) = (offset(run.origins.start), offset(run.origins.end.saturating_sub(1)));
        match spans.iter_mut().find(|(partition, ..)| **partition == run.partition) {
            Some(span) => (span.1, span.2) = (span.1.min(first), span.2.max(last)),
            None => spans.push((&run.partition, first, last)),
        }
    }
    let mut text = String::new();
    for (TopicPartition { topic, partition }, first, last) in spans.iter().take(TOLD) {
        let between = if text.is_empty() { "" } else { "; " };
        let _written = write!(
            text,
            "{between}topic `{topic}`, partition {partition}, offsets {first} to {last}"
        );
    }
    if let Some(more) = spans.len().checked_sub(TOLD).filter(|more| *more > 0) {
        let _written =
            write!(text, "; and {more} more partition{}", if more == 1 { "" } else { "s" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::record::RawRecord;

    #[test]
    fn a_batch_is_told_by_partition_and_offsets() {
        let mut batch = Batch::default();
        for (partition, offset) in [(0, 5), (1, 7), (0, 6), (2, 1), (0, 9), (3, 1), (4, 1)] {
            let partition = TopicPartition { topic: "t".into(), partition };
            batch.push(&partition, 1, &RawRecord { offset, ..RawRecord::default() });
        }
        assert_eq!(
            place(&batch),
            "topic `t`, partition 0, offsets 5 to 9; topic `t`, partition 1, offsets 7 to 7; topic `t`, \
             partition 2, offsets 1 to 1; and 2 more partitions"
        );
    }
}
