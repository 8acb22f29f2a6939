//! The host's progress in each assigned partition, compared with the end of the partition: lag and
//! freshness.
//!
//! librdkafka's own `consumer_lag` follows commits, and is unknown until the first one; this lag is
//! measured against what is settled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::delivery::offsets::Position;
use crate::flow::record::TopicPartition;

/// The end of a partition, as reported by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionEnd {
    /// The offset after the last record. Records of open transactions count.
    pub offset: i64,
    /// Where reading begins if nothing was read yet.
    pub start: Option<i64>,
}

/// The progress in a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The partition.
    pub partition: TopicPartition,
    /// Records between the end and what is settled; `None` while either is unknown.
    pub lag: Option<u64>,
    /// How far the table is behind, in seconds; `None` while no timestamp is known.
    pub freshness_seconds: Option<f64>,
}

/// The host's positions and the ends of the partitions, each set by its source.
#[derive(Debug, Default)]
pub struct Progress {
    inner: Mutex<ProgressState>,
}

#[derive(Debug, Default)]
struct ProgressState {
    positions: Vec<Position>,
    in_flight: u64,
    ends: HashMap<TopicPartition, PartitionEnd>,
}

impl Progress {
    /// The positions in every partition assigned now, and the records in flight.
    pub fn publish(&self, positions: Vec<Position>, in_flight: u64) {
        let mut inner = self.inner();
        (inner.positions, inner.in_flight) = (positions, in_flight);
    }

    /// Sets the ends of partitions, including unassigned ones.
    pub fn learn_ends(&self, ends: HashMap<TopicPartition, PartitionEnd>) {
        self.inner().ends = ends;
    }

    /// Records taken and not settled.
    pub fn in_flight(&self) -> u64 {
        self.inner().in_flight
    }

    /// Every partition assigned now, at a time in milliseconds since 1970.
    pub fn standings(&self, now_ms: i64) -> Vec<Standing> {
        let inner = self.inner();
        let standing = |position: &Position| {
            let lag = lag(position, inner.ends.get(&position.partition));
            let since_ms = match (position.waiting_since_ms, lag) {
                (Some(since), _) => Some(since),
                (None, Some(0)) => Some(now_ms),
                (None, _) => position.settled_ms,
            };
            let freshness_seconds = since_ms.map(|since| (now_ms - since).max(0) as f64 / 1e3);
            Standing { partition: position.partition.clone(), lag, freshness_seconds }
        };
        inner.positions.iter().map(standing).collect()
    }

    // A panic of another thread cannot leave a partial change.
    fn inner(&self) -> MutexGuard<'_, ProgressState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lag(position: &Position, end: Option<&PartitionEnd>) -> Option<u64> {
    let next = position.next.or(end?.start)?;
    // The end is some seconds old, but records read since then exist.
    let end = end?.offset.max(position.read_to.unwrap_or(next));
    u64::try_from(end - next).ok().or(Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 0 }
    }

    fn at(next: Option<i64>) -> Position {
        Position {
            partition: partition(),
            next,
            read_to: None,
            waiting_since_ms: None,
            settled_ms: None,
        }
    }

    fn standing(position: Position, end: Option<PartitionEnd>) -> (Option<u64>, Option<f64>) {
        let progress = Progress::default();
        progress.learn_ends(end.map(|end| (partition(), end)).into_iter().collect());
        progress.publish(vec![position], 0);
        let standing = progress.standings(100_000).remove(0);
        (standing.lag, standing.freshness_seconds)
    }

    #[test]
    fn lag_counts_from_what_is_settled() {
        let end = Some(PartitionEnd { offset: 50, start: Some(20) });
        assert_eq!(standing(at(Some(30)), end).0, Some(20));
        assert_eq!(standing(at(None), end).0, Some(30), "nothing read yet");
        assert_eq!(standing(at(Some(60)), end).0, Some(0), "the end is older than the position");
        assert_eq!(standing(Position { read_to: Some(70), ..at(Some(60)) }, end).0, Some(10));
        assert_eq!(standing(at(Some(30)), None).0, None);
        assert_eq!(standing(at(None), Some(PartitionEnd { offset: 50, start: None })).0, None);
    }

    #[test]
    fn the_table_is_as_old_as_the_oldest_record_that_waits() {
        let end = |offset| Some(PartitionEnd { offset, start: None });
        let waiting =
            Position { waiting_since_ms: Some(97_500), settled_ms: Some(90_000), ..at(Some(30)) };
        assert_eq!(standing(waiting.clone(), end(30)).1, Some(2.5));
        assert_eq!(standing(waiting, None).1, Some(2.5));
        let idle = Position { settled_ms: Some(90_000), ..at(Some(30)) };
        assert_eq!(standing(idle.clone(), end(30)).1, Some(0.0), "all that there is has settled");
        assert_eq!(standing(idle.clone(), end(31)).1, Some(10.0), "not taken yet");
        assert_eq!(standing(at(Some(30)), end(31)).1, None);
        let ahead = Position { waiting_since_ms: Some(100_001), ..idle };
        assert_eq!(standing(ahead, end(31)).1, Some(0.0), "a clock that is ahead");
    }

    #[test]
    fn a_partition_that_is_not_ours_any_more_has_no_standing() {
        let progress = Progress::default();
        progress.publish(vec![at(Some(1))], 7);
        assert_eq!((progress.standings(0).len(), progress.in_flight()), (1, 7));
        progress.publish(Vec::new(), 0);
        assert!(progress.standings(0).is_empty());
    }
}
