//! Partitions whose records wait for an open transaction: Kafka hands out nothing after its first record
//! until it ends. Pure: no I/O, and the clock is given.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::stall::PartitionLook;
use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;

/// How long a transaction must stay open before it is reported: most end within moments.
const LONG: Duration = Duration::from_secs(30);

/// Compares each look with those before it.
#[derive(Debug, Default)]
pub struct OpenTransactions {
    /// The readable end of each partition, and since when records wait behind it.
    since: HashMap<TopicPartition, (i64, Instant)>,
}

impl OpenTransactions {
    /// Compares the owned partitions with earlier looks; returns a hold for those whose records wait too
    /// long.
    pub fn look(&mut self, looks: &[PartitionLook], now: Instant) -> Option<Hold> {
        let ours: HashSet<&TopicPartition> = looks.iter().map(|look| &look.partition).collect();
        self.since.retain(|partition, _| ours.contains(partition));
        let mut waiting: Vec<&PartitionLook> =
            looks.iter().filter(|look| self.waits(look, now)).collect();
        waiting.sort_by_key(|look| (&look.partition.topic, look.partition.partition));
        let (first, others) = waiting.split_first()?;
        let PartitionLook { partition: TopicPartition { topic, partition }, end, high, .. } = first;
        let others = match others.len() {
            0 => String::new(),
            more => format!(", and {more} more partitions have one"),
        };
        Some(Hold::Transient(format!(
            "topic `{topic}`, partition {partition}, offset {end}: a transaction is open there{others}, and \
             nothing up to offset {high} is handed out before its producer ends it or its \
             transaction.timeout.ms is over; one that hangs is found by `kafka-transactions.sh \
             find-hanging` and ended by `kafka-transactions.sh abort`"
        )))
    }

    fn waits(&mut self, look: &PartitionLook, now: Instant) -> bool {
        // A partition not read up to its readable end waits for nothing yet.
        if look.high <= look.end || look.next < look.end || look.next >= look.high {
            self.since.remove(&look.partition);
            return false;
        }
        let (end, since) = self.since.entry(look.partition.clone()).or_insert((look.end, now));
        if *end != look.end {
            (*end, *since) = (look.end, now);
        }
        now.saturating_duration_since(*since) >= LONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(next: i64, end: i64, high: i64) -> PartitionLook {
        let partition = TopicPartition { topic: "t".into(), partition: 3 };
        PartitionLook {
            partition,
            next,
            end,
            high,
            broker: 1,
            is_connected: true,
            fetches: 0,
            timeouts: 0,
        }
    }

    /// The holds after each look, one every five seconds.
    fn told(looks: impl IntoIterator<Item = PartitionLook>) -> Vec<Option<Hold>> {
        let (mut open, start) = (OpenTransactions::default(), Instant::now());
        let at = |step: u32| start + Duration::from_secs(5) * step;
        (0..).zip(looks).map(|(step, look)| open.look(&[look], at(step))).collect()
    }

    #[test]
    fn records_that_wait_behind_an_open_transaction_are_told_with_its_place_until_it_is_over() {
        let waits = (0..9).map(|step| look(100, 100, 101 + step));
        let told = told(waits.chain([look(100, 109, 109)]));
        assert!(told[..6].iter().all(Option::is_none));
        let Some(Hold::Transient(text)) = &told[6] else { panic!("{told:?}") };
        assert!(text.starts_with("topic `t`, partition 3, offset 100: a transaction is open"));
        assert!(text.contains("up to offset 107") && text.contains("find-hanging"), "{text}");
        assert!(told[8].is_some() && told[9].is_none());
    }

    #[test]
    fn transactions_that_follow_each_other_and_a_backlog_are_none_that_stays_open() {
        let moves = (0..40).map(|step| look(100 + step, 100 + step, 200));
        assert!(told(moves).iter().all(Option::is_none), "each is over");
        let behind = (0..40).map(|step| look(step, 100, 200));
        assert!(told(behind).iter().all(Option::is_none), "not read up to there");
        let uncommitted = (0..40).map(|_| look(200, 100, 200));
        assert!(told(uncommitted).iter().all(Option::is_none), "isolation.level=read_uncommitted");
    }

    #[test]
    fn several_partitions_are_told_as_one() {
        let (mut open, start) = (OpenTransactions::default(), Instant::now());
        let many = || -> Vec<PartitionLook> {
            let partition_of = |partition| TopicPartition { topic: "t".into(), partition };
            (0..3)
                .map(|at| PartitionLook { partition: partition_of(at), ..look(1, 1, 2) })
                .collect()
        };
        assert_eq!(open.look(&many(), start), None);
        let hold = open.look(&many(), start + LONG).unwrap();
        assert!(hold.text().contains("partition 0") && hold.text().contains("2 more partitions"));
    }
}
