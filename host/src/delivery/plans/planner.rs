//! The plans of the partitions that this member owns.
//!
//! The ranges of a partition are ordered and contiguous. A range is *open* while a batch in flight has it,
//! and *unread* if a predecessor planned it and its records were not read again yet. The commit metadata
//! names every range from the low watermark on whose fingerprint is known. Each partition has at most one
//! commit under way, so the host always knows what Kafka has.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::oneshot;

use super::range::Range;
use super::request::{PlanRequest, Replan};
use super::text::{Beginning, MAX_PLANNED, Plan, Planned};
use crate::delivery::offsets::Commit;
use crate::flow::hold::Fatal;
use crate::flow::record::TopicPartition;

/// How many ranges a plan may hold when another batch joins it. The rest is for the halves of the first
/// range: 18 for 250,000 records, since only the first is split, one half before the other.
const MAX_JOINED: usize = 28;

/// A committed offset and the plan beside it.
type OffsetAndPlan = (i64, String);

/// The range of offsets that a batch takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenRange {
    /// Where the range begins, inclusive; at or before its first record.
    pub first: i64,
    /// Where it ends, exclusive; after its last record.
    pub end: i64,
    /// The range that a predecessor planned here, and may have inserted.
    pub recovered: Option<Range>,
}

/// The plans of the assigned partitions.
#[derive(Debug, Default)]
pub struct Planner {
    partitions: BTreeMap<TopicPartition, PartitionPlan>,
}

#[derive(Debug)]
struct PartitionPlan {
    epoch: u64,
    /// Kafka's id of the topic.
    topic: u128,
    /// Start of the first range; unknown before the first record of a partition without a commit.
    low: Option<i64>,
    ranges: VecDeque<RangeEntry>,
    committed: Option<OffsetAndPlan>,
    committing: Option<OffsetAndPlan>,
    replans: Vec<Replan>,
    pending_replies: Vec<PendingReply>,
    /// The partition is about to be revoked: nothing new is planned.
    is_going: bool,
}

#[derive(Debug)]
struct RangeEntry {
    end: i64,
    state: RangeState,
    planned: Option<Planned>,
    is_committing: bool,
    is_committed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RangeState {
    Unread,
    Open,
    Settled,
}

#[derive(Debug)]
struct PendingReply {
    ends: Vec<i64>,
    reply: oneshot::Sender<Vec<Range>>,
}

impl Planner {
    /// Starts tracking a partition under a new assignment, from its committed offset and plan.
    pub fn assign(&mut self, partition: TopicPartition, epoch: u64, topic: u128, at: Beginning) {
        let committed = match &at {
            Beginning::Planned(plan) => Some((plan.low, plan.to_text())),
            _ => None,
        };
        let (low, planned) = match at {
            Beginning::Planned(plan) => (Some(plan.low), plan.planned),
            Beginning::Unplanned(offset) => (Some(offset), Vec::new()),
            Beginning::Anew | Beginning::OfAnotherTopic | Beginning::Unreadable => {
                (None, Vec::new())
            }
        };
        let unread = |planned: Planned| RangeEntry {
            end: planned.end,
            state: RangeState::Unread,
            planned: Some(planned),
            is_committing: false,
            is_committed: true,
        };
        let plan = PartitionPlan {
            epoch,
            topic,
            low,
            ranges: planned.into_iter().map(unread).collect(),
            committed,
            committing: None,
            replans: Vec::new(),
            pending_replies: Vec::new(),
            is_going: false,
        };
        self.partitions.insert(partition, plan);
    }

    /// Forgets a partition; its pending plan requests are dropped without an answer.
    pub fn revoke(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    fn current(&mut self, partition: &TopicPartition, epoch: u64) -> Option<&mut PartitionPlan> {
        self.partitions.get_mut(partition).filter(|plan| plan.epoch == epoch)
    }

    /// Takes the records `first..=last` of a partition as a range: the next planned one, whose records the
    /// source reads together, or a new one. `None` if the assignment has ended.
    ///
    /// # Errors
    /// The records are not the next ones.
    pub fn take(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
        first: i64,
        last: i64,
    ) -> Result<Option<TakenRange>, Fatal> {
        let Some(plan) = self.current(partition, epoch) else { return Ok(None) };
        plan.pass_over(partition, first);
        let taken = plan.take(first, last);
        let gap = || {
            Fatal(format!(
                "{partition}: records {first}..={last} are not those that come next: the topic has lost \
                 its end, or was made anew. Stop every host of the group, look at what the table \
                 holds, and set the group's offset"
            ))
        };
        taken.map(Some).ok_or_else(gap)
    }

    /// Handles a request or report of a batch in flight.
    pub fn take_request(&mut self, request: PlanRequest) {
        match request {
            PlanRequest::Replan(replan) => self.replan(replan),
            PlanRequest::Settled { partition, epoch, end } => {
                self.settle_one(&partition, epoch, end);
            }
        }
    }

    /// Takes a request for a new plan; the next commit may grant it. The request is dropped if its partition
    /// is no longer ours, or is about to be revoked.
    pub fn replan(&mut self, replan: Replan) {
        if let Some(plan) = self.current(&replan.partition, replan.epoch)
            && !plan.is_going
        {
            plan.replans.push(replan);
        }
    }

    /// Settles the ranges that end in `after + 1..=end`; no effect if the assignment has ended.
    pub fn settle(&mut self, partition: &TopicPartition, epoch: u64, after: i64, end: i64) {
        let Some(plan) = self.current(partition, epoch) else { return };
        for range in &mut plan.ranges {
            if range.state == RangeState::Open && range.end > after && range.end <= end {
                range.state = RangeState::Settled;
            }
        }
        plan.advance();
    }

    /// Settles the range that ends at `end`.
    pub fn settle_one(&mut self, partition: &TopicPartition, epoch: u64, end: i64) {
        self.settle(partition, epoch, end - 1, end);
    }

    /// The commits that are due: for each partition with new ranges to plan, or, if `retires`, whose low
    /// watermark has moved since the last commit.
    pub fn commits(&mut self, retires: bool) -> Vec<Commit> {
        let partitions = self.partitions.iter_mut();
        partitions
            .filter_map(|(partition, plan)| Some(commit_of(partition, plan.commit(retires)?)))
            .collect()
    }

    /// The last commit of each of these partitions: its low watermark and the ranges above it that may have
    /// been sent. Nothing more is planned.
    pub fn last_commits(&mut self, of: &[TopicPartition]) -> Vec<Commit> {
        let mut commits = Vec::new();
        for partition in of {
            let Some(plan) = self.partitions.get_mut(partition) else { continue };
            plan.go();
            let last = plan
                .plan()
                .filter(|last| plan.committing.is_some() || plan.committed.as_ref() != Some(last));
            commits.extend(last.map(|last| commit_of(partition, last)));
        }
        commits
    }

    /// Notes that Kafka stored a commit, and answers the requests that waited for it.
    pub fn committed(&mut self, commit: Commit) {
        if let Some(plan) = self.partitions.get_mut(&commit.partition) {
            plan.committed(&(commit.offset, commit.metadata));
        }
    }

    /// Notes that Kafka refused the partition's commit and stored nothing of it.
    pub fn refused(&mut self, partition: &TopicPartition) {
        if let Some(plan) = self.partitions.get_mut(partition) {
            plan.committing = None;
            plan.ranges.iter_mut().for_each(|range| range.is_committing = false);
        }
    }

    /// Prepares these partitions for revocation and drops their pending plan requests. Returns whether an
    /// INSERT of theirs may be under way, which is worth waiting for.
    pub fn let_go(&mut self, of: &[TopicPartition]) -> bool {
        for partition in of {
            if let Some(plan) = self.partitions.get_mut(partition) {
                plan.go();
            }
        }
        self.has_sent(of)
    }

    /// Whether an INSERT of these partitions may be under way.
    pub fn has_sent(&self, of: &[TopicPartition]) -> bool {
        let is_sent = |range: &RangeEntry| range.is_committed && range.state == RangeState::Open;
        of.iter()
            .filter_map(|partition| self.partitions.get(partition))
            .any(|plan| plan.ranges.iter().any(is_sent))
    }

    /// The tracked partitions.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }
}

fn commit_of(partition: &TopicPartition, (offset, metadata): OffsetAndPlan) -> Commit {
    Commit { partition: partition.clone(), offset, metadata }
}

impl PartitionPlan {
    /// Start of the range at this index.
    fn begin_of(&self, at: usize) -> Option<i64> {
        match at.checked_sub(1) {
            None => self.low,
            Some(before) => self.ranges.get(before).map(|range| range.end),
        }
    }

    fn take(&mut self, first: i64, last: i64) -> Option<TakenRange> {
        if let Some(at) = self.ranges.iter().position(|range| range.state == RangeState::Unread) {
            let begin = self.begin_of(at)?;
            let range = self.ranges.get_mut(at)?;
            if first < begin || last >= range.end {
                return None;
            }
            range.state = RangeState::Open;
            let recovered = range.planned.map(|planned| Range { first: begin, planned });
            return Some(TakenRange { first: begin, end: range.end, recovered });
        }
        // The only step from the last record of a range to its end.
        let end = last + 1;
        let begin = self.ranges.back().map(|range| range.end).or(self.low).unwrap_or(first);
        if first < begin {
            return None;
        }
        self.low.get_or_insert(begin);
        let (state, planned) = (RangeState::Open, None);
        self.ranges.push_back(RangeEntry {
            end,
            state,
            planned,
            is_committing: false,
            is_committed: false,
        });
        Some(TakenRange { first: begin, end, recovered: None })
    }

    /// Settles planned ranges before `first` whose records are gone, since later ones were read.
    fn pass_over(&mut self, partition: &TopicPartition, first: i64) {
        for range in &mut self.ranges {
            if range.state == RangeState::Unread && range.end <= first {
                let end = range.end;
                tracing::error!(%partition, end, "a planned range has no record any more: what was not \
                    inserted of it is lost; raise the topic's retention.ms");
                range.state = RangeState::Settled;
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(settled) =
            self.ranges.pop_front_if(|range| range.state == RangeState::Settled)
        {
            self.low = Some(settled.end);
        }
    }

    fn commit(&mut self, retires: bool) -> Option<OffsetAndPlan> {
        if self.committing.is_some() || self.is_going {
            return None;
        }
        self.grant();
        let mut has_new = false;
        for range in &mut self.ranges {
            range.is_committing = range.planned.is_some();
            if !range.is_committing {
                break;
            }
            has_new |= !range.is_committed;
        }
        if !has_new && !retires {
            return None;
        }
        let commit = self.plan()?;
        if !has_new && self.committed.as_ref() == Some(&commit) {
            return None;
        }
        self.committing = Some(commit.clone());
        Some(commit)
    }

    /// The commit for this partition: the low watermark and every range up to the last one committed or being
    /// committed. Earlier ranges are included even if they were planned again since.
    fn plan(&self) -> Option<OffsetAndPlan> {
        let low = self.low?;
        let last = self.ranges.iter().rposition(|range| range.is_committing || range.is_committed);
        let ranges = self.ranges.iter().take(last.map_or(0, |last| last + 1));
        let planned = ranges.filter_map(|range| range.planned).collect();
        Some((low, Plan { topic: self.topic, low, planned }.to_text()))
    }

    /// Replaces the range of each request that may be granted by its drafts. A planned range is split only if
    /// it is the first, so that a plan cannot outgrow its bound.
    fn grant(&mut self) {
        for replan in std::mem::take(&mut self.replans) {
            let Some(at) = self.ranges.iter().position(|range| range.end == replan.end) else {
                continue;
            };
            // A joining batch leaves room for the halves of the first range; batches that wait to join take
            // none.
            let planned = self.ranges.iter().filter(|range| range.planned.is_some()).count();
            let is_granted = match replan.into.len() {
                1 => at < MAX_JOINED,
                more => at == 0 && planned + more - 1 <= MAX_PLANNED,
            };
            if !is_granted {
                self.replans.push(replan);
                continue;
            }
            let ends = replan.into.iter().map(|draft| draft.end).collect();
            let fresh = replan.into.iter().map(|draft| RangeEntry {
                end: draft.end,
                state: RangeState::Open,
                planned: Some(Planned {
                    end: draft.end,
                    // 48 bits, so that a full plan fits into the metadata.
                    nonce: rand::random::<u64>() >> 16,
                    fingerprint: draft.fingerprint,
                    window_position: draft.window_position,
                    home: Some(draft.home),
                    column: draft.column,
                }),
                is_committing: false,
                is_committed: false,
            });
            let behind = self.ranges.split_off(at + 1);
            self.ranges.truncate(at);
            self.ranges.extend(fresh);
            self.ranges.extend(behind);
            self.pending_replies.push(PendingReply { ends, reply: replan.reply });
        }
    }

    fn committed(&mut self, commit: &OffsetAndPlan) {
        if self.committing.as_ref() != Some(commit) {
            return;
        }
        self.committed = self.committing.take();
        for range in &mut self.ranges {
            range.is_committed |= std::mem::take(&mut range.is_committing);
        }
        for PendingReply { ends, reply } in std::mem::take(&mut self.pending_replies) {
            let planned: Option<Vec<Range>> =
                ends.iter().map(|end| self.committed_range(*end)).collect();
            match planned {
                // A batch that was dropped meanwhile no longer waits.
                Some(ranges) => drop(reply.send(ranges)),
                None => self.pending_replies.push(PendingReply { ends, reply }),
            }
        }
    }

    fn committed_range(&self, end: i64) -> Option<Range> {
        let at = self.ranges.iter().position(|range| range.end == end && range.is_committed)?;
        let planned = self.ranges.get(at)?.planned?;
        Some(Range { first: self.begin_of(at)?, planned })
    }

    fn go(&mut self) {
        self.is_going = true;
        self.replans.clear();
        self.pending_replies.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::Receiver;

    use super::*;
    use crate::delivery::plans::{DraftRange, Home};

    const EPOCH: u64 = 3;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 0 }
    }

    fn planner(at: Beginning) -> Planner {
        let mut planner = Planner::default();
        planner.assign(partition(), EPOCH, 0xab, at);
        planner
    }

    fn take(planner: &mut Planner, first: i64, last: i64) -> TakenRange {
        planner.take(&partition(), EPOCH, first, last).unwrap().unwrap()
    }

    /// Requests that ranges ending at `ends` replace the one that ends at the last of them.
    fn replan(planner: &mut Planner, ends: &[i64]) -> Receiver<Vec<Range>> {
        let (reply, planned) = oneshot::channel();
        let home = Home { server: 1, table: 2, started: 3 };
        let draft = |end: &i64| DraftRange {
            end: *end,
            fingerprint: 7,
            window_position: 1,
            home,
            column: 5,
        };
        let into = ends.iter().map(draft).collect();
        let end = *ends.last().unwrap();
        planner.replan(Replan { partition: partition(), epoch: EPOCH, end, into, reply });
        planned
    }

    /// The one commit that is due: its offset and the ends of its planned ranges.
    fn due(planner: &mut Planner, retires: bool) -> Option<(i64, Vec<i64>)> {
        planner.commits(retires).pop().map(|commit| ends(&commit))
    }

    fn ends(commit: &Commit) -> (i64, Vec<i64>) {
        let plan = Plan::parse(&commit.metadata).unwrap();
        assert_eq!((plan.low, plan.topic), (commit.offset, 0xab));
        (commit.offset, plan.planned.iter().map(|range| range.end).collect())
    }

    /// Answers the pending commit as stored by Kafka.
    fn answer(planner: &mut Planner) {
        let (offset, metadata) = planner.partitions[&partition()].committing.clone().unwrap();
        planner.committed(Commit { partition: partition(), offset, metadata });
    }

    /// Plans and commits a range.
    fn plan(planner: &mut Planner, ends: &[i64]) -> Vec<Range> {
        let mut planned = replan(planner, ends);
        due(planner, false).unwrap();
        answer(planner);
        planned.try_recv().unwrap()
    }

    #[test]
    fn a_batch_is_told_its_range_once_the_plan_is_committed() {
        let mut planner = planner(Beginning::Unplanned(5));
        assert_eq!(take(&mut planner, 6, 8), TakenRange { first: 5, end: 9, recovered: None });
        assert_eq!(due(&mut planner, true), Some((5, vec![])));
        answer(&mut planner);
        let mut planned = replan(&mut planner, &[9]);
        assert_eq!(due(&mut planner, false), Some((5, vec![9])));
        assert!(planned.try_recv().is_err());
        answer(&mut planner);
        let range = planned.try_recv().unwrap()[0];
        assert_eq!((range.first, range.planned.end, range.planned.fingerprint), (5, 9, 7));
        assert_eq!(due(&mut planner, true), None);
        planner.settle(&partition(), EPOCH, 5, 9);
        assert_eq!(due(&mut planner, false), None);
        assert_eq!(due(&mut planner, true), Some((9, vec![])));
    }

    #[test]
    fn plans_have_no_gap_and_wait_for_the_answer_of_the_one_before() {
        let mut planner = planner(Beginning::Anew);
        for (first, last) in [(3, 3), (4, 4), (5, 5)] {
            take(&mut planner, first, last);
        }
        let mut second = replan(&mut planner, &[5]);
        assert_eq!(due(&mut planner, false), None);
        let mut first = replan(&mut planner, &[4]);
        assert_eq!(due(&mut planner, false), Some((3, vec![4, 5])));
        let mut third = replan(&mut planner, &[6]);
        assert_eq!(due(&mut planner, true), None);
        answer(&mut planner);
        assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
        // The one in the middle stays planned for as long as the first is open.
        planner.settle_one(&partition(), EPOCH, 5);
        assert_eq!(due(&mut planner, false), Some((3, vec![4, 5, 6])));
        planner.settle_one(&partition(), EPOCH, 4);
        answer(&mut planner);
        assert!(third.try_recv().is_ok());
        assert_eq!(due(&mut planner, true), Some((5, vec![6])));
    }

    #[test]
    fn only_the_first_is_split_and_its_halves_have_nonces_of_their_own() {
        let mut planner = planner(Beginning::Unplanned(0));
        for (first, last) in [(0, 3), (4, 7)] {
            take(&mut planner, first, last);
        }
        let whole = [plan(&mut planner, &[4]), plan(&mut planner, &[8])];
        let mut later = replan(&mut planner, &[6, 8]);
        assert_eq!(due(&mut planner, true), None);
        let halves = plan(&mut planner, &[2, 4]);
        let firsts: Vec<_> = halves.iter().map(|half| (half.first, half.planned.end)).collect();
        assert_eq!(firsts, [(0, 2), (2, 4)]);
        assert_ne!(halves[0].planned.nonce, halves[1].planned.nonce);
        assert!(halves.iter().all(|half| half.planned.nonce != whole[0][0].planned.nonce));
        planner.settle(&partition(), EPOCH, 0, 4);
        assert_eq!(due(&mut planner, false), Some((4, vec![6, 8])));
        answer(&mut planner);
        assert_eq!(later.try_recv().unwrap()[1].first, 6);
    }

    /// Halves of 2^20 records, one after another, beside as many batches as may join.
    #[test]
    fn a_plan_has_room_for_the_halves_of_its_first_batch() {
        let mut planner = planner(Beginning::Unplanned(0));
        let first = 1 << 20;
        take(&mut planner, 0, first - 1);
        plan(&mut planner, &[first]);
        for at in 1..i64::try_from(MAX_JOINED).unwrap() {
            take(&mut planner, first + at - 1, first + at - 1);
            plan(&mut planner, &[first + at]);
        }
        let mut end = first;
        while end > 1 {
            assert_eq!(plan(&mut planner, &[end / 2, end]).len(), 2, "{end}");
            end /= 2;
        }
    }

    #[test]
    fn a_plan_that_is_found_is_read_again_before_anything_new() {
        let mut before = planner(Beginning::Unplanned(0));
        take(&mut before, 0, 4);
        take(&mut before, 5, 9);
        let told = [plan(&mut before, &[5]), plan(&mut before, &[10])].concat();
        let planned = told.iter().map(|range| range.planned).collect();
        let mut planner = planner(Beginning::Planned(Plan { topic: 0xab, low: 0, planned }));
        // Compaction took the first record, and the last.
        let taken = take(&mut planner, 1, 3);
        assert_eq!(taken, TakenRange { first: 0, end: 5, recovered: Some(told[0]) });
        assert_eq!(take(&mut planner, 5, 9).recovered, Some(told[1]));
        assert_eq!(take(&mut planner, 10, 10), TakenRange { first: 10, end: 11, recovered: None });
        assert_eq!(due(&mut planner, true), None);
        planner.settle(&partition(), EPOCH, 0, 5);
        assert_eq!(due(&mut planner, true), Some((5, vec![10])));
    }

    #[test]
    fn a_planned_range_without_records_is_passed_over() {
        let planned = [5, 10]
            .map(|end| Planned {
                end,
                nonce: 1,
                fingerprint: 2,
                window_position: 3,
                home: None,
                column: 0,
            })
            .to_vec();
        let mut planner = planner(Beginning::Planned(Plan { topic: 0xab, low: 0, planned }));
        assert_eq!(take(&mut planner, 7, 8).first, 5);
        assert_eq!(due(&mut planner, true), Some((5, vec![10])));
        assert!(planner.take(&partition(), EPOCH, 4, 4).is_err());
    }

    #[test]
    fn the_last_commit_keeps_what_may_have_been_sent_and_nothing_more() {
        let mut planner = planner(Beginning::Unplanned(0));
        for (first, last) in [(0, 3), (4, 7), (8, 9)] {
            take(&mut planner, first, last);
        }
        plan(&mut planner, &[4]);
        plan(&mut planner, &[8]);
        let mut in_vain = replan(&mut planner, &[10]);
        let partitions = [partition()];
        assert!(planner.let_go(&partitions));
        assert!(in_vain.try_recv().is_err());
        planner.settle_one(&partition(), EPOCH, 4);
        assert!(planner.has_sent(&partitions));
        let last = planner.last_commits(&partitions).pop().unwrap();
        assert_eq!(ends(&last), (4, vec![8]));
        planner.settle_one(&partition(), EPOCH, 8);
        assert!(!planner.has_sent(&partitions));
    }

    #[test]
    fn a_split_that_was_refused_leaves_what_was_sent_behind_it_in_the_plan() {
        let mut planner = planner(Beginning::Unplanned(0));
        take(&mut planner, 0, 3);
        take(&mut planner, 4, 7);
        plan(&mut planner, &[4]);
        plan(&mut planner, &[8]);
        let _halves = replan(&mut planner, &[2, 4]);
        assert_eq!(due(&mut planner, false), Some((0, vec![2, 4, 8])));
        planner.refused(&partition());
        let last = planner.last_commits(&[partition()]).pop().unwrap();
        assert_eq!(ends(&last), (0, vec![2, 4, 8]));
    }

    #[test]
    fn a_plan_stays_within_its_bound_however_many_batches_there_are() {
        let mut planner = planner(Beginning::Unplanned(0));
        let waiting: Vec<_> = (0..60)
            .map(|at| {
                take(&mut planner, at, at);
                replan(&mut planner, &[at + 1])
            })
            .collect();
        let (_, planned) = due(&mut planner, false).unwrap();
        assert_eq!(planned.len(), MAX_JOINED);
        answer(&mut planner);
        assert_eq!(due(&mut planner, true), None);
        planner.settle_one(&partition(), EPOCH, 1);
        assert_eq!(due(&mut planner, false).unwrap().1.len(), MAX_JOINED);
        assert_eq!(waiting.len(), 60);
    }

    /// 1,000,000 records in one batch are halved 20 times, while as many batches wait as may be in flight.
    #[test]
    fn the_first_can_be_split_to_its_records_however_many_batches_wait() {
        let mut planner = planner(Beginning::Unplanned(0));
        take(&mut planner, 0, 999_999);
        plan(&mut planner, &[1_000_000]);
        let _waiting: Vec<_> = (1_000_000..1_000_063)
            .map(|at| {
                take(&mut planner, at, at);
                replan(&mut planner, &[at + 1])
            })
            .collect();
        due(&mut planner, false).unwrap();
        answer(&mut planner);
        let mut end = 1_000_000;
        while end > 1 {
            let halves = plan(&mut planner, &[end / 2, end]);
            end = halves[0].planned.end;
        }
    }

    #[test]
    fn the_answer_to_another_commit_answers_nobody() {
        let mut planner = planner(Beginning::Unplanned(0));
        take(&mut planner, 0, 3);
        let mut planned = replan(&mut planner, &[4]);
        let commit = planner.commits(false).pop().unwrap();
        planner.committed(Commit { metadata: String::new(), ..commit.clone() });
        assert!(planned.try_recv().is_err());
        planner.committed(commit);
        assert!(planned.try_recv().is_ok());
    }

    #[test]
    fn an_older_assignment_plans_and_settles_nothing() {
        let mut planner = planner(Beginning::Unplanned(0));
        assert_eq!(planner.take(&partition(), EPOCH - 1, 0, 3), Ok(None));
        take(&mut planner, 0, 3);
        planner.settle(&partition(), EPOCH - 1, 0, 4);
        assert_eq!(due(&mut planner, true), Some((0, vec![])));
    }
}
