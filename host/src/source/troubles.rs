//! Partitions whose reading fails. Each is moved back to where it stands and read again, ever more
//! rarely; one that fails again is told of by name until it goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;
use crate::observe::status::{Status, Waiter};

/// The pause before the first reading anew; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: how late a partition may be found mended.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);
/// A partition that was moved back and fails no more for so long is read again, though no record came:
/// a fetch that fails does so within a second.
const QUIET: Duration = Duration::from_secs(15);

/// How a trouble is known to be over when no record comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Each failure is reported, so silence means that there is none.
    BySilence,
    /// Nothing is reported, so somebody has to see that it is over.
    ByWord,
}

/// The partitions that are in trouble.
#[derive(Debug)]
pub struct Troubles {
    status: Arc<Status>,
    of: HashMap<TopicPartition, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    waiter: Waiter,
    /// How often the partition was moved back.
    moves: u32,
    state: TroubleState,
    ends: Ends,
}

#[derive(Debug, Clone, Copy)]
enum TroubleState {
    /// The partition is to be moved back at this instant.
    Due(Instant),
    /// It was moved back then, and has not failed since.
    Moved(Instant),
}

impl Troubles {
    pub fn new(status: &Arc<Status>) -> Self {
        Self { status: Arc::clone(status), of: HashMap::new() }
    }

    /// Whether nothing is in trouble, which is nearly always.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Notes that reading a partition failed. It is told of once it fails again after a move, or at once
    /// where it is known to last.
    pub fn met(&mut self, partition: &TopicPartition, hold: Hold, ends: Ends, now: Instant) {
        let trouble = self.of.entry(partition.clone()).or_insert_with(|| Trouble {
            waiter: self.status.waiter("kafka"),
            moves: 0,
            state: TroubleState::Moved(now),
            ends,
        });
        if trouble.moves > 0 || ends == Ends::ByWord {
            trouble.waiter.hold(hold);
        } else {
            tracing::warn!(%partition, "reading it again: {}", hold.text());
        }
        trouble.ends = ends;
        if matches!(trouble.state, TroubleState::Moved(_)) {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(trouble.moves.min(8));
            trouble.state = TroubleState::Due(now + pause.min(LONGEST_PAUSE));
        }
    }

    /// The partitions that are to be moved back to where they stand now.
    pub fn due(&mut self, now: Instant) -> Vec<TopicPartition> {
        let mut due = Vec::new();
        for (partition, trouble) in &mut self.of {
            if matches!(trouble.state, TroubleState::Due(at) if at <= now) {
                trouble.state = TroubleState::Moved(now);
                trouble.moves = trouble.moves.saturating_add(1);
                due.push(partition.clone());
            }
        }
        due
    }

    /// Forgets those that have been quiet for long enough.
    pub fn rest(&mut self, now: Instant) {
        self.of.retain(|_, trouble| match trouble.state {
            TroubleState::Moved(at) if trouble.ends == Ends::BySilence => {
                now.saturating_duration_since(at) < QUIET
            }
            _ => true,
        });
    }

    /// A partition goes on, since a record came or it was moved. Returns whether it was in trouble.
    pub fn over(&mut self, partition: &TopicPartition) -> bool {
        self.of.remove(partition).is_some()
    }

    /// A partition is ours no more, or waits for something else.
    pub fn give_up(&mut self, partition: &TopicPartition) {
        if let Some(trouble) = self.of.remove(partition) {
            trouble.waiter.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 3 }
    }

    fn hold() -> Hold {
        Hold::Paused("topic `t`, partition 3: does not unpack".into())
    }

    #[test]
    fn one_failure_is_read_over_and_a_second_is_told_until_a_record_comes() {
        let (status, now) = (Arc::new(Status::default()), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut troubles = Troubles::new(&status);
        troubles.met(&partition(), hold(), Ends::BySilence, at(0));
        assert!(!status.is_paused() && troubles.due(at(0)).is_empty());
        assert_eq!(troubles.due(at(1)), [partition()]);
        troubles.met(&partition(), hold(), Ends::BySilence, at(2));
        assert!(status.is_paused(), "it failed again");
        troubles.met(&partition(), hold(), Ends::BySilence, at(2));
        assert!(troubles.due(at(3)).is_empty(), "the pause grows");
        assert_eq!(troubles.due(at(4)), [partition()]);
        troubles.over(&partition());
        assert!(!status.is_paused() && troubles.is_empty());
    }

    #[test]
    fn silence_after_a_move_ends_a_trouble_whose_failures_are_reported() {
        let (status, now) = (Arc::new(Status::default()), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for (ends, is_over) in [(Ends::BySilence, true), (Ends::ByWord, false)] {
            let mut troubles = Troubles::new(&status);
            troubles.met(&partition(), hold(), ends, at(0));
            troubles.rest(at(100));
            assert!(!troubles.is_empty(), "it was not moved back yet");
            troubles.due(at(100));
            troubles.rest(at(110));
            assert!(!troubles.is_empty());
            troubles.rest(at(120));
            assert_eq!(troubles.is_empty(), is_over);
        }
    }

    #[test]
    fn the_pause_between_two_moves_has_a_bound() {
        let (status, mut now) = (Arc::new(Status::default()), Instant::now());
        let mut troubles = Troubles::new(&status);
        for _ in 0..12 {
            troubles.met(&partition(), hold(), Ends::BySilence, now);
            now += LONGEST_PAUSE;
            assert_eq!(troubles.due(now).len(), 1);
        }
    }
}
