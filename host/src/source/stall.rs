//! Partitions that stand still. librdkafka does not always report what it cannot read, so its statistics are
//! checked as well. Pure: no I/O, and the clock is given.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::statistics::Statistics;

use crate::flow::record::TopicPartition;

/// How long a partition must stand still to be reported.
const LONG: Duration = Duration::from_secs(30);
/// How many fetches its broker must have answered meanwhile, plus two for each partition that it leads: a
/// fetch may be filled by other partitions.
const FETCHES: i64 = 10;
/// The same if the reason why no answer arrives is known.
const FETCHES_WITH_A_REASON: i64 = 3;

/// A partition's state in the statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLook {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to fetch.
    pub next: i64,
    /// The end of the readable records, exclusive.
    pub end: i64,
    /// The end of all records, those that wait for a transaction included.
    pub high: i64,
    /// The broker it is fetched from; negative for none.
    pub broker: i32,
    /// Whether that broker is connected.
    pub is_connected: bool,
    /// How many fetches were sent to that broker.
    pub fetches: i64,
    /// How many requests to that broker timed out.
    pub timeouts: u64,
}

/// How many requests must time out, without progress, before a broker counts as silent.
const TIMEOUTS: u64 = 2;
/// How long a timed-out request counts: librdkafka's own timeout is a minute by default.
const TIMEOUT_COUNTS_FOR: Duration = Duration::from_mins(3);

/// Why a partition stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StallReason {
    /// Fetches are answered, but no record can be read from them.
    Unreadable,
    /// Its broker does not answer, or it has none.
    Unreachable,
}

/// A partition that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    /// Its last state.
    pub look: PartitionLook,
    /// Why.
    pub why: StallReason,
    /// For how long.
    pub since: Duration,
}

/// The result of a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stalled {
    /// The partitions that stand still.
    pub still: Vec<Still>,
    /// Those that stood still and now go on.
    pub over: Vec<TopicPartition>,
}

#[derive(Debug)]
struct FetchHistory {
    next: i64,
    at: Instant,
    fetches: i64,
    broker: i32,
    lost_at: Option<Instant>,
    /// The first and last request that timed out since the partition moved, and how many did.
    silent: Option<(Instant, Instant, u64)>,
    timeouts: u64,
    is_told: bool,
}

/// Compares each look with earlier ones.
#[derive(Debug, Default)]
pub struct Stalls {
    seen: HashMap<TopicPartition, FetchHistory>,
}

impl Stalls {
    /// Compares the owned partitions with earlier looks. `has_reason`: the reason why answers do not arrive
    /// is known.
    pub fn look(&mut self, looks: Vec<PartitionLook>, has_reason: bool, now: Instant) -> Stalled {
        let ours: HashSet<&TopicPartition> = looks.iter().map(|look| &look.partition).collect();
        self.seen.retain(|partition, _| ours.contains(partition));
        let mut led: HashMap<i32, i64> = HashMap::new();
        for look in &looks {
            *led.entry(look.broker).or_default() += 1;
        }
        let mut stalled = Stalled::default();
        for look in looks {
            let led = led.get(&look.broker).copied().unwrap_or_default();
            let enough = if has_reason { FETCHES_WITH_A_REASON } else { FETCHES + 2 * led };
            let seen = self
                .seen
                .entry(look.partition.clone())
                .or_insert_with(|| FetchHistory::of(&look, now));
            match seen.look(&look, enough, now) {
                Some((why, since)) => {
                    seen.is_told = true;
                    stalled.still.push(Still { look, why, since });
                }
                None if std::mem::take(&mut seen.is_told) => stalled.over.push(look.partition),
                None => {}
            }
        }
        stalled
    }
}

impl FetchHistory {
    fn of(look: &PartitionLook, now: Instant) -> Self {
        Self {
            next: look.next,
            at: now,
            fetches: look.fetches,
            broker: look.broker,
            lost_at: None,
            silent: None,
            timeouts: look.timeouts,
            is_told: false,
        }
    }

    fn look(
        &mut self,
        look: &PartitionLook,
        enough: i64,
        now: Instant,
    ) -> Option<(StallReason, Duration)> {
        self.note_silence(look, now);
        let has_moved = look.next > self.next || look.end <= look.next;
        if has_moved || look.broker != self.broker || look.fetches < self.fetches {
            // A counter that goes back belongs to a new connection.
            (self.at, self.fetches, self.broker) = (now, look.fetches, look.broker);
        }
        self.next = self.next.max(look.next);
        if !look.is_connected {
            let since = now.saturating_duration_since(*self.lost_at.get_or_insert(now));
            return (since >= LONG).then_some((StallReason::Unreachable, since));
        }
        self.lost_at = None;
        if let Some((first, _, timeouts)) = self.silent
            && timeouts >= TIMEOUTS
        {
            return Some((StallReason::Unreachable, now.saturating_duration_since(first)));
        }
        let since = now.saturating_duration_since(self.at);
        let has_waited = since >= LONG && look.fetches - self.fetches >= enough;
        (has_waited && !has_moved).then_some((StallReason::Unreadable, since))
    }

    /// Counts timeouts. A broker that takes connections and answers nothing, as with a disk that hangs,
    /// reports no end, so whether records wait is not known.
    fn note_silence(&mut self, look: &PartitionLook, now: Instant) {
        let is_old = |(_, last, _): &mut (Instant, Instant, u64)| {
            now.saturating_duration_since(*last) > TIMEOUT_COUNTS_FOR
        };
        self.silent.take_if(is_old);
        let more = look.timeouts.saturating_sub(self.timeouts);
        self.timeouts = look.timeouts;
        if look.next > self.next || look.broker != self.broker {
            self.silent = None;
        } else if more > 0 {
            let (first, _, timeouts) = self.silent.unwrap_or((now, now, 0));
            self.silent = Some((first, now, timeouts + more));
        }
    }
}

/// The state of every partition in the statistics.
pub fn looks(statistics: &Statistics) -> Vec<PartitionLook> {
    let brokers: HashMap<i32, (bool, i64, u64)> = statistics
        .brokers
        .values()
        .filter(|broker| broker.nodeid >= 0)
        .map(|broker| {
            let fetches = broker.req.get("Fetch").copied().unwrap_or_default();
            (broker.nodeid, (broker.state == "UP", fetches, broker.req_timeouts))
        })
        .collect();
    let mut looks = Vec::new();
    for (topic, of_topic) in &statistics.topics {
        let topic: std::sync::Arc<str> = topic.as_str().into();
        for partition in of_topic.partitions.values() {
            let known = |offset: i64| (offset >= 0).then_some(offset);
            let high = known(partition.hi_offset);
            let end = known(partition.ls_offset).or(high);
            // Unknown before the first answer, so no record is known to wait.
            let end = end.unwrap_or(partition.next_offset);
            let (is_connected, fetches, timeouts) =
                brokers.get(&partition.broker).copied().unwrap_or_default();
            looks.push(PartitionLook {
                partition: TopicPartition { topic: topic.clone(), partition: partition.partition },
                next: partition.next_offset,
                end,
                high: high.map_or(end, |high| high.max(end)),
                broker: partition.broker,
                is_connected,
                fetches,
                timeouts,
            });
        }
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(next: i64, fetches: i64) -> PartitionLook {
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        PartitionLook {
            partition,
            next,
            end: 300,
            high: 300,
            broker: 1,
            is_connected: true,
            fetches,
            timeouts: 0,
        }
    }

    /// What is reported of one partition after each look, one every five seconds.
    fn said(
        looks: impl IntoIterator<Item = PartitionLook>,
        has_reason: bool,
    ) -> Vec<Option<StallReason>> {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        (0_u32..)
            .zip(looks)
            .map(|(at, look)| {
                let now = start + Duration::from_secs(5) * at;
                stalls.look(vec![look], has_reason, now).still.pop().map(|still| still.why)
            })
            .collect()
    }

    #[test]
    fn a_partition_that_fetches_and_does_not_move_is_unreadable_after_a_while() {
        let said = said((0..9).map(|at| look(100, at * 10)), false);
        assert_eq!(said[..6], [None; 6]);
        assert_eq!(said[6..], [Some(StallReason::Unreadable); 3]);
    }

    #[test]
    fn a_partition_at_its_end_or_that_moves_or_is_not_fetched_is_not() {
        let at_end = (0..20).map(|at| look(300, at * 10));
        assert!(said(at_end, false).iter().all(Option::is_none));
        let moves = (0..20).map(|at| look(100 + at / 5, at * 10));
        assert!(said(moves, false).iter().all(Option::is_none), "a slow one");
        let full = (0..20).map(|_| look(100, 7));
        assert!(said(full, false).iter().all(Option::is_none), "backpressure: nothing is fetched");
    }

    #[test]
    fn few_fetches_are_enough_where_a_reason_is_known() {
        let looks = || (0..9).map(|at| look(100, at));
        assert!(said(looks(), false).iter().all(Option::is_none));
        assert_eq!(said(looks(), true)[6], Some(StallReason::Unreadable));
    }

    #[test]
    fn a_fetch_that_is_full_with_others_is_waited_for() {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        let many = |fetches| {
            (0..100).map(move |partition| PartitionLook {
                partition: TopicPartition { topic: "t".into(), partition },
                ..look(100, fetches)
            })
        };
        stalls.look(many(0).collect(), false, start);
        let later = start + Duration::from_secs(40);
        assert_eq!(stalls.look(many(200).collect(), false, later), Stalled::default());
        assert_eq!(stalls.look(many(210).collect(), false, later).still.len(), 100);
    }

    #[test]
    fn a_partition_that_went_back_and_stands_again_has_not_moved() {
        let back = (0..9).map(|at| look(if at % 3 == 1 { 90 } else { 100 }, at * 10));
        assert_eq!(said(back, false)[8], Some(StallReason::Unreadable));
    }

    #[test]
    fn a_broker_that_takes_connections_and_answers_nothing_is_told() {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        let mut at = |seconds, timeouts, next| {
            // It reports no end, so no record is known to wait.
            let look = PartitionLook { end: 100, timeouts, ..look(next, 5) };
            stalls.look(vec![look], false, start + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, 3, 100), Stalled::default(), "those of before");
        assert_eq!(at(60, 4, 100), Stalled::default(), "one may be lost");
        let still = at(120, 5, 100).still;
        assert_eq!(
            (still[0].why, still[0].since),
            (StallReason::Unreachable, Duration::from_mins(1))
        );
        assert_eq!(at(180, 5, 100).still.len(), 1);
        assert_eq!(at(185, 5, 101).over.len(), 1);
        assert_eq!(at(190, 6, 101), Stalled::default());
        assert_eq!(at(500, 7, 101), Stalled::default(), "one now and then");
    }

    #[test]
    fn a_broker_that_does_not_answer_is_told_and_its_return_too() {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        let away = || PartitionLook { is_connected: false, ..look(100, 5) };
        let mut at = |seconds, look: PartitionLook| {
            stalls.look(vec![look], false, start + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, away()), Stalled::default());
        let still = at(30, away()).still;
        assert_eq!((still[0].why, still[0].since), (StallReason::Unreachable, LONG));
        let back = at(35, look(100, 6));
        assert_eq!((back.still.len(), back.over.len()), (0, 1));
        assert_eq!(at(40, look(100, 7)), Stalled::default());
    }
}
