//! Partitions whose reads fail. Each is moved back to where it stands and read again, ever more rarely; one
//! that fails again is reported by name until it recovers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;
use crate::observe::status::{Status, Waiter};

/// The pause before the first new read; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, and so the longest delay after a partition recovers.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);
/// After this long without a failure a moved partition counts as recovered, even without a record: a failing
/// fetch fails within a second.
const QUIET: Duration = Duration::from_secs(15);

/// How a trouble ends if no record comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// By silence: each failure is reported, so none means recovery.
    BySilence,
    /// By a call of [`Troubles::over`]: failures are not reported, so somebody has to see the end.
    ByWord,
}

/// The partitions whose reads fail.
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
    /// To be moved back at this instant.
    Due(Instant),
    /// Moved back at this instant, without a failure since.
    Moved(Instant),
}

impl Troubles {
    pub fn new(status: &Arc<Status>) -> Self {
        Self { status: Arc::clone(status), of: HashMap::new() }
    }

    /// Whether no partition fails, as is nearly always so.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Notes a failed read of a partition. Reported once it fails again after a move, or at once if it is
    /// known to last.
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

    /// Takes the partitions that are now to be moved back.
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

    /// Forgets partitions that were quiet long enough.
    pub fn rest(&mut self, now: Instant) {
        self.of.retain(|_, trouble| match trouble.state {
            TroubleState::Moved(at) if trouble.ends == Ends::BySilence => {
                now.saturating_duration_since(at) < QUIET
            }
            _ => true,
        });
    }

    /// Ends a partition's trouble, since a record came or it was moved. Returns whether it had one.
    pub fn over(&mut self, partition: &TopicPartition) -> bool {
        self.of.remove(partition).is_some()
    }

    /// Drops a partition that is no longer ours, or waits for something else.
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
