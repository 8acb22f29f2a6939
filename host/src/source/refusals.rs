//! Commits that keep failing, and what the operator is told. No I/O, and the clock is given.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::CommitRefusal;
use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;
use crate::observe::status::Waiter;

/// How long a partition's commits may fail before it is reported: a coordinator moves within seconds.
const LONG: Duration = Duration::from_secs(10);
/// The same while the group changes, which waits for its slowest member.
const LONG_CHANGE: Duration = Duration::from_secs(30);
/// Without a failure for this long there was nothing to commit: a commit is retried within a second, and an
/// unanswered one fails within a minute.
const QUIET: Duration = Duration::from_mins(3);

/// The partitions whose commits fail. Reported once that has lasted, until a commit of each is stored.
#[derive(Debug)]
pub struct Refusals {
    waiter: Waiter,
    of: HashMap<TopicPartition, Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
}

impl Refusals {
    pub fn new(waiter: Waiter) -> Self {
        Self { waiter, of: HashMap::new() }
    }

    /// Notes a failed commit of these partitions.
    pub fn failed(&mut self, of: &[TopicPartition], why: CommitRefusal, text: &str, now: Instant) {
        for partition in of {
            let new = Failing { since: now, last: now };
            self.of.entry(partition.clone()).or_insert(new).last = now;
        }
        let long = match why {
            CommitRefusal::NeedsOperator => return self.waiter.hold(Hold::Paused(text.to_owned())),
            CommitRefusal::GroupChanges => LONG_CHANGE,
            CommitRefusal::Other => LONG,
        };
        let mut failing = self.of.iter().filter(|(partition, _)| of.contains(partition));
        if failing.any(|(_, failing)| now.saturating_duration_since(failing.since) >= long) {
            self.waiter.hold(Hold::Transient(format!(
                "Kafka does not take the offsets: {text}; look at the brokers' logs. What is not \
                 committed is read again by the next owner of its partition"
            )));
        }
    }

    /// Notes a stored commit of these partitions.
    pub fn taken<'a>(&mut self, of: impl IntoIterator<Item = &'a TopicPartition>) {
        let was_failing = !self.of.is_empty();
        for partition in of {
            self.of.remove(partition);
        }
        if was_failing && self.of.is_empty() {
            self.waiter.release();
        }
    }

    /// Forgets revoked partitions.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        self.keep(|partition, _| !partitions.contains(partition));
    }

    /// Forgets partitions that are no longer committed: another member has them.
    pub fn rest(&mut self, now: Instant) {
        self.keep(|_, failing| now.saturating_duration_since(failing.last) < QUIET);
    }

    fn keep(&mut self, is_kept: impl Fn(&TopicPartition, &Failing) -> bool) {
        let was_failing = !self.of.is_empty();
        self.of.retain(|partition, failing| is_kept(partition, failing));
        if was_failing && self.of.is_empty() {
            self.waiter.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::status::Status;

    fn of(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    struct Told {
        status: Arc<Status>,
        refusals: Refusals,
        start: Instant,
    }

    impl Told {
        fn new() -> Self {
            let status = Arc::new(Status::default());
            let refusals = Refusals::new(status.waiter("commit"));
            Self { status, refusals, start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn fail(&mut self, partition: i32, why: CommitRefusal, seconds: u64) -> bool {
            let now = self.at(seconds);
            self.refusals.failed(&[of(partition)], why, "Disk error", now);
            self.is_told()
        }

        fn is_told(&self) -> bool {
            self.status.texts().iter().any(|text| text.contains("commit: "))
        }
    }

    #[test]
    fn a_failure_that_lasts_is_waited_for_whatever_its_code_until_a_commit_is_taken() {
        let mut told = Told::new();
        for seconds in 0..10 {
            assert!(!told.fail(0, CommitRefusal::Other, seconds), "it may pass");
        }
        assert!(told.fail(0, CommitRefusal::Other, 10));
        assert!(told.status.is_waiting() && !told.status.is_paused());
        told.refusals.taken([&of(1)]);
        assert!(told.is_told(), "that was another partition's");
        told.refusals.taken([&of(0)]);
        assert!(!told.is_told());
        assert!(!told.fail(0, CommitRefusal::Other, 11), "it counts anew");
    }

    #[test]
    fn a_group_may_change_for_longer_and_not_for_ever() {
        let mut told = Told::new();
        for seconds in (0..30).step_by(5) {
            assert!(!told.fail(0, CommitRefusal::GroupChanges, seconds));
        }
        assert!(told.fail(0, CommitRefusal::GroupChanges, 30));
    }

    #[test]
    fn what_an_operator_has_to_mend_is_told_at_once() {
        let mut told = Told::new();
        assert!(told.fail(0, CommitRefusal::NeedsOperator, 0) && told.status.is_paused());
        told.refusals.taken([&of(0)]);
        assert!(!told.is_told());
    }

    #[test]
    fn one_partition_that_fails_is_told_though_others_are_committed() {
        let mut told = Told::new();
        for seconds in 0..10 {
            told.fail(0, CommitRefusal::Other, seconds);
            told.refusals.taken([&of(1)]);
        }
        assert!(told.fail(0, CommitRefusal::Other, 10));
    }

    #[test]
    fn a_partition_that_has_nothing_to_commit_is_not_waited_for_for_ever() {
        let mut told = Told::new();
        told.fail(0, CommitRefusal::Other, 0);
        assert!(told.fail(0, CommitRefusal::Other, 60));
        let at = |seconds| told.start + Duration::from_secs(seconds);
        let (early, late) = (at(120), at(240));
        told.refusals.rest(early);
        assert!(told.is_told(), "a broker that does not answer fails a commit a minute");
        told.refusals.rest(late);
        assert!(!told.is_told());
    }
}
