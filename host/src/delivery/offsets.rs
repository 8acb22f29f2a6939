//! Which offsets may be committed: a low watermark for each assigned partition.
//!
//! The *low watermark* is the lowest offset that is not settled yet, or the last settled one plus
//! one when none is pending. It is committed as it is, and it is Kafka's "next to read". It has
//! nothing to do with Kafka's log-start watermark nor with event time.

use std::collections::{BTreeMap, VecDeque};

use crate::flow::record::{Batch, TopicPartition};

/// The offsets of one partition within one batch: settled together, under one assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The partition.
    pub partition: TopicPartition,
    /// The assignment it was read under.
    pub epoch: u64,
    /// Lowest offset, inclusive.
    pub first: i64,
    /// Highest offset, inclusive.
    pub last: i64,
    /// Kafka timestamp of the record at `first`, in milliseconds since 1970.
    pub first_ms: Option<i64>,
    /// Kafka timestamp of the record at `last`.
    pub last_ms: Option<i64>,
}

/// An offset to commit, with its commit metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: i64,
    /// The commit metadata: a plan, or an empty text, which clears the old metadata.
    pub metadata: String,
}

/// How far one partition has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: TopicPartition,
    /// The lowest offset that is not settled; `None` before the first record.
    pub next: Option<i64>,
    /// The offset after the highest that is pending; `None` while none is.
    pub read_to: Option<i64>,
    /// Kafka timestamp of the record at `next` while it is pending, in milliseconds since 1970.
    pub waiting_since_ms: Option<i64>,
    /// Kafka timestamp of the last settled record.
    pub settled_ms: Option<i64>,
}

#[derive(Debug)]
struct Pending {
    first: i64,
    last: i64,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    is_settled: bool,
}

#[derive(Debug)]
struct PartitionOffsets {
    epoch: u64,
    /// In the order read; a settled range leaves only from the front.
    pending: VecDeque<Pending>,
    low_watermark: Option<i64>,
    committed: Option<i64>,
    settled_ms: Option<i64>,
}

/// Tracks what is in flight for every assigned partition. Pure: no clock, no I/O.
#[derive(Debug, Default)]
pub struct OffsetTracker {
    partitions: BTreeMap<TopicPartition, PartitionOffsets>,
}

impl OffsetTracker {
    /// Starts tracking a partition under a new assignment and drops the state of an older one. `start` is the
    /// low watermark if Kafka does not have it yet.
    pub fn assign(&mut self, partition: TopicPartition, epoch: u64, start: Option<i64>) {
        let fresh = PartitionOffsets {
            epoch,
            pending: VecDeque::new(),
            low_watermark: start,
            committed: None,
            settled_ms: None,
        };
        self.partitions.insert(partition, fresh);
    }

    /// Forgets a partition: later settling under its assignment has no effect.
    pub fn revoke(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// Whether the partition is tracked under exactly this assignment.
    pub fn is_current(&self, partition: &TopicPartition, epoch: u64) -> bool {
        self.partitions.get(partition).is_some_and(|tracked| tracked.epoch == epoch)
    }

    /// Registers a batch as in flight. Batches of a partition must come in the order read. Records whose
    /// partition is not assigned under their epoch get no claim: the partition's owner reads them again.
    pub fn begin(&mut self, batch: &Batch) -> Vec<Claim> {
        let mut claims: BTreeMap<&TopicPartition, Claim> = BTreeMap::new();
        for run in batch.runs() {
            let last = run.origins.end.checked_sub(1).and_then(|origin| batch.record(origin));
            let (Some(first), Some(last)) = (batch.record(run.origins.start), last) else {
                continue;
            };
            let (last, last_ms) = (last.offset(), last.timestamp_ms());
            if !self.is_current(&run.partition, run.epoch) {
                continue;
            }
            let claim = claims.entry(&run.partition).or_insert_with(|| Claim {
                partition: run.partition.clone(),
                epoch: run.epoch,
                first: first.offset(),
                last,
                first_ms: first.timestamp_ms(),
                last_ms,
            });
            (claim.last, claim.last_ms) = (last, last_ms);
        }
        let claims: Vec<Claim> = claims.into_values().collect();
        for claim in &claims {
            if let Some(tracked) = self.partitions.get_mut(&claim.partition) {
                tracked.pending.push_back(Pending {
                    first: claim.first,
                    last: claim.last,
                    first_ms: claim.first_ms,
                    last_ms: claim.last_ms,
                    is_settled: false,
                });
            }
        }
        claims
    }

    /// Marks the offsets of a claim as settled; no effect if its assignment has ended.
    pub fn settle(&mut self, claim: &Claim) {
        let Some(tracked) = self.partitions.get_mut(&claim.partition) else { return };
        if tracked.epoch != claim.epoch {
            return;
        }
        // After a re-read from an earlier offset, two ranges of a partition may have the same start: each
        // claim settles one of them.
        let is_of = |range: &&mut Pending| {
            !range.is_settled && (range.first, range.last) == (claim.first, claim.last)
        };
        if let Some(range) = tracked.pending.iter_mut().find(is_of) {
            range.is_settled = true;
        }
        while let Some(settled) = tracked.pending.pop_front_if(|range| range.is_settled) {
            // The only step from "settled" to "next to read".
            tracked.low_watermark = Some(settled.last + 1);
            tracked.settled_ms = settled.last_ms;
        }
    }

    /// Low watermarks not yet committed, for the given partitions or for all.
    pub fn committable(&self, of: Option<&[TopicPartition]>) -> Vec<Commit> {
        self.partitions
            .iter()
            .filter(|(partition, _)| of.is_none_or(|wanted| wanted.contains(partition)))
            .filter(|(_, tracked)| tracked.low_watermark != tracked.committed)
            .filter_map(|(partition, tracked)| {
                let (partition, metadata) = (partition.clone(), String::new());
                Some(Commit { partition, offset: tracked.low_watermark?, metadata })
            })
            .collect()
    }

    /// Notes that Kafka stored this offset for the partition.
    pub fn committed(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(tracked) = self.partitions.get_mut(partition) {
            tracked.committed = Some(offset);
        }
    }

    /// Whether any of the partitions has an unsettled claim.
    pub fn has_pending(&self, of: &[TopicPartition]) -> bool {
        of.iter()
            .filter_map(|partition| self.partitions.get(partition))
            .any(|tracked| !tracked.pending.is_empty())
    }

    /// How far every tracked partition has come.
    pub fn positions(&self) -> Vec<Position> {
        let position = |(partition, tracked): (&TopicPartition, &PartitionOffsets)| {
            let (lowest, highest) = (tracked.pending.front(), tracked.pending.back());
            Position {
                partition: partition.clone(),
                next: lowest.map(|range| range.first).or(tracked.low_watermark),
                read_to: highest.map(|range| range.last + 1),
                waiting_since_ms: lowest.and_then(|range| range.first_ms),
                settled_ms: tracked.settled_ms,
            }
        };
        self.partitions.iter().map(position).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::record::RawRecord;

    fn partition_of(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    fn batch(records: &[(i32, i64)], epoch: u64) -> Batch {
        let mut batch = Batch::default();
        for (partition, offset) in records {
            let record = RawRecord { offset: *offset, ..RawRecord::default() };
            batch.push(&partition_of(*partition), epoch, &record);
        }
        batch
    }

    fn committable(tracker: &OffsetTracker) -> Vec<(TopicPartition, i64)> {
        let commits = tracker.committable(None).into_iter();
        commits.map(|commit| (commit.partition, commit.offset)).collect()
    }

    #[test]
    fn a_batch_that_spans_partitions_claims_one_range_of_each() {
        let mut tracker = OffsetTracker::default();
        tracker.assign(partition_of(0), 1, None);
        tracker.assign(partition_of(1), 1, None);
        let claims = tracker.begin(&batch(&[(0, 5), (1, 9), (0, 8)], 1));
        let ranges: Vec<_> = claims
            .iter()
            .map(|claim| (claim.partition.partition, claim.first, claim.last))
            .collect();
        assert_eq!(ranges, [(0, 5, 8), (1, 9, 9)]);
        tracker.settle(&claims[0]);
        assert_eq!(committable(&tracker), [(partition_of(0), 9)]);
        tracker.committed(&partition_of(0), 9);
        assert!(tracker.committable(None).is_empty());
    }

    #[test]
    fn a_position_is_the_lowest_offset_that_is_not_settled_with_its_time() {
        let mut tracker = OffsetTracker::default();
        tracker.assign(partition_of(0), 1, None);
        let position = |tracker: &OffsetTracker| {
            let at = tracker.positions().remove(0);
            (at.next, at.read_to, at.waiting_since_ms, at.settled_ms)
        };
        assert_eq!(position(&tracker), (None, None, None, None));
        let claims = [[5, 8], [9, 9]].map(|offsets| {
            let mut batch = Batch::default();
            for offset in offsets {
                let timestamp_ms = Some(offset * 100);
                let record = RawRecord { offset, timestamp_ms, ..RawRecord::default() };
                batch.push(&partition_of(0), 1, &record);
            }
            tracker.begin(&batch).remove(0)
        });
        assert_eq!(position(&tracker), (Some(5), Some(10), Some(500), None));
        tracker.settle(&claims[1]);
        assert_eq!(position(&tracker), (Some(5), Some(10), Some(500), None));
        tracker.settle(&claims[0]);
        assert_eq!(position(&tracker), (Some(10), None, None, Some(900)));
    }

    #[test]
    fn an_older_assignment_settles_nothing() {
        let mut tracker = OffsetTracker::default();
        tracker.assign(partition_of(0), 1, None);
        let old = tracker.begin(&batch(&[(0, 5)], 1));
        tracker.revoke(&partition_of(0));
        tracker.settle(&old[0]);
        tracker.assign(partition_of(0), 2, None);
        tracker.settle(&old[0]);
        assert!(tracker.committable(None).is_empty());
        assert!(tracker.begin(&batch(&[(0, 6)], 1)).is_empty());
    }

    #[test]
    fn a_start_that_kafka_was_not_told_is_committed_before_the_first_record() {
        let mut tracker = OffsetTracker::default();
        tracker.assign(partition_of(0), 1, Some(7));
        assert_eq!(committable(&tracker), [(partition_of(0), 7)]);
        tracker.committed(&partition_of(0), 7);
        assert!(committable(&tracker).is_empty());
        let claims = tracker.begin(&batch(&[(0, 9)], 1));
        tracker.settle(&claims[0]);
        assert_eq!(committable(&tracker), [(partition_of(0), 10)]);
    }

    proptest! {
        #[test]
        fn the_watermark_never_passes_an_unsettled_offset(
            sizes in prop::collection::vec((0..3_i32, 1..5_i64, 0..3_i64), 1..40),
            order in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let mut tracker = OffsetTracker::default();
            for partition in 0..3 { tracker.assign(partition_of(partition), 1, None); }
            let mut next = [0_i64; 3];
            let mut open = Vec::new();
            for (partition, records, gap) in sizes {
                let at = &mut next[partition as usize];
                let records: Vec<_> = (0..records).map(|n| (partition, *at + n)).collect();
                *at += records.len() as i64 + gap;
                open.extend(tracker.begin(&batch(&records, 1)));
            }
            let mut last = [-1_i64; 3];
            for claim in &open { last[claim.partition.partition as usize] = claim.last; }
            let mut step = order.index(open.len()) as u64 ^ seed;
            while !open.is_empty() {
                step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let claim = open.swap_remove((step >> 33) as usize % open.len());
                tracker.settle(&claim);
                for (of, offset) in committable(&tracker) {
                    let lowest = open.iter().filter(|c| c.partition == of).map(|c| c.first).min();
                    prop_assert!(lowest.is_none_or(|lowest| offset <= lowest));
                }
            }
            for (of, offset) in committable(&tracker) {
                prop_assert_eq!(offset, last[of.partition as usize] + 1);
            }
            prop_assert!(!tracker.has_pending(&[partition_of(0), partition_of(1), partition_of(2)]));
        }
    }
}
