//! The host's main loop: batches in, offsets out, until it is told to stop.
//!
//! One task owns the offsets and the ledger; each batch in flight has a task of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::config::{Config, Delivery};
use crate::delivery::offsets::{Claim, Commit, OffsetTracker};
use crate::delivery::plans::{PlanRequest, Planner, Plans};
use crate::flow::hold::Fatal;
use crate::flow::record::{Batch, Origin, TopicPartition};
use crate::flow::settlement::{Fates, Ledger};
use crate::limits::budget::Lease;
use crate::observe::count::{self, RebalanceKind};
use crate::observe::status::{Status, of_batch};
use crate::observe::{Observed, progress::Progress, throttle::Throttle};
use crate::pipeline::Pipeline;
use crate::sink::exactly_once::{Ours, PlannedBatch};
use crate::source::{Assignment, CommitRefusal, DRAIN_TIMEOUT, Source, SourceCommand, SourceEvent};

/// How often settled offsets are committed; after a crash, what was not committed is read again.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after a failed commit, doubled after each further one, up to the second bound. During a
/// rebalance the group refuses commits within milliseconds.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_COMMIT_PAUSE: Duration = Duration::from_secs(1);
/// The least time between two log lines about failed commits of a kind.
const REFUSALS_PER: Duration = Duration::from_secs(30);
/// Longest wait for the consumer to leave its group at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until `stop` is ready, then drains for at most SHUTDOWN_TIMEOUT_MS.
///
/// # Errors
/// [`Fatal`] after committing what is settled: a bug, or a fenced membership.
pub async fn run_until_stopped(
    pipeline: Pipeline,
    source: Source,
    observed: &Observed,
    config: &Config,
    stop: impl Future<Output = ()>,
) -> Result<Ledger, Fatal> {
    let (plans, requests) = Plans::new();
    let (group, answers) = (config.kafka.group_id.clone(), config.answers.clone());
    let ours = Arc::new(Ours { plans, group, answers });
    let is_exactly_once = config.delivery == Delivery::ExactlyOnce;
    let mut host = Host {
        pipeline: Arc::new(pipeline),
        source,
        tracker: OffsetTracker::default(),
        planner: is_exactly_once.then(Planner::default),
        ours,
        requests,
        tasks: JoinSet::new(),
        open: HashMap::new(),
        ledger: Ledger::default(),
        status: Arc::clone(&observed.status),
        progress: Arc::clone(&observed.progress),
        letting_go: None,
        refused: 0,
        commit_at: None,
        refusals: Throttle::new(REFUSALS_PER),
        has_stopped: false,
    };
    let outcome = host.live(config.batch.shutdown_timeout, stop).await;
    let ledger = host.close().await;
    outcome.map(|()| ledger)
}

struct Host {
    pipeline: Arc<Pipeline>,
    source: Source,
    tracker: OffsetTracker,
    /// The planned ranges under exactly-once delivery.
    planner: Option<Planner>,
    ours: Arc<Ours>,
    requests: mpsc::UnboundedReceiver<PlanRequest>,
    tasks: JoinSet<Fates>,
    open: HashMap<Id, BatchInFlight>,
    ledger: Ledger,
    status: Arc<Status>,
    progress: Arc<Progress>,
    letting_go: Option<LettingGo>,
    /// How many commits in a row have failed.
    refused: u32,
    /// After a failed commit, when the next may be tried.
    commit_at: Option<Instant>,
    refusals: Throttle<CommitRefusal>,
    has_stopped: bool,
}

/// A batch in flight.
struct BatchInFlight {
    claims: Vec<Claim>,
    /// The begin and end of its range, if it is planned.
    range: Option<(i64, i64)>,
    records: Origin,
    task: AbortHandle,
}

/// Partitions that the consumer is waiting to release.
struct LettingGo {
    partitions: Vec<TopicPartition>,
    reply: SyncSender<Vec<Commit>>,
    deadline: Instant,
}

impl Host {
    async fn live(
        &mut self,
        shutdown_timeout: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Fatal> {
        let pipeline = Arc::clone(&self.pipeline);
        let watch = pipeline.tables.watch();
        tokio::pin!(stop, watch);
        let mut ticks = interval(COMMIT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop_by: Option<Instant> = None;
        let mut stuck = self.status.stuck();
        while !(self.has_stopped && self.tasks.is_empty()) {
            let are_stuck = self.open.keys().all(|task| stuck.borrow().contains(task));
            if self.has_stopped && are_stuck && !self.open.is_empty() {
                let in_flight = self.ledger.in_flight();
                tracing::warn!(
                    in_flight,
                    "the records in flight wait for an operator; they are not \
                    committed, and are read again by the next host"
                );
                return Ok(());
            }
            let drain_by = self.letting_go.as_ref().map(|going| going.deadline);
            tokio::select! {
                () = &mut stop, if stop_by.is_none() => {
                    tracing::info!(in_flight = self.ledger.in_flight(), "stopping");
                    stop_by = Some(Instant::now() + shutdown_timeout);
                    self.status.set_stopping();
                    self.source.command(SourceCommand::Stop);
                }
                () = at(stop_by) => {
                    let in_flight = self.ledger.in_flight();
                    tracing::warn!(in_flight, "SHUTDOWN_TIMEOUT_MS is over; the records in \
                        flight are not committed, and are read again by the next host");
                    return Ok(());
                }
                Some(done) = self.tasks.join_next_with_id() => match done {
                    Ok((id, fates)) => self.settle(id, &fates),
                    Err(failed) if failed.is_cancelled() => self.give_up(failed.id()),
                    Err(failed) => return Err(Fatal(format!("a batch failed: {failed}"))),
                },
                event = self.source.next() => match event {
                    Some(event) => self.handle(event)?,
                    None => return Err(Fatal("the source thread ended".into())),
                },
                Some(request) = self.requests.recv() => self.answer(request),
                _ = ticks.tick() => {
                    self.commit(true);
                    self.publish();
                    self.status.remind();
                }
                () = &mut watch => {}
                Ok(()) = stuck.changed() => {}
                () = at(drain_by) => self.let_go(),
                () = at(self.commit_at) => {
                    self.commit_at = None;
                    self.commit(false);
                }
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: SourceEvent) -> Result<(), Fatal> {
        match event {
            SourceEvent::Assigned(partitions) => {
                count::rebalanced(RebalanceKind::Assigned);
                self.assign(partitions);
            }
            SourceEvent::Restarted(partitions) => self.assign(partitions),
            SourceEvent::Batch(batch, lease) => self.begin(batch, lease)?,
            SourceEvent::Revoked { partitions, is_lost, reply } => {
                let kind = if is_lost { RebalanceKind::Lost } else { RebalanceKind::Revoked };
                count::rebalanced(kind);
                if let Some(planner) = &mut self.planner {
                    planner.let_go(&partitions);
                }
                // The source waits for one release at a time, so it has given up on a pending one.
                self.let_go();
                let wait = if is_lost { Duration::ZERO } else { DRAIN_TIMEOUT };
                let deadline = Instant::now() + wait;
                self.letting_go = Some(LettingGo { partitions, reply, deadline });
                self.let_go_if_drained();
            }
            SourceEvent::Committed(commits) => self.committed(commits),
            SourceEvent::CommitFailed { of, is_refused, why, text } => {
                self.commit_failed(why, &text);
                match &mut self.planner {
                    Some(planner) if is_refused => of.iter().for_each(|of| planner.refused(of)),
                    // The broker may still accept it, and it would set a later plan back.
                    Some(_) => self.source.command(SourceCommand::Rejoin),
                    None => {}
                }
            }
            SourceEvent::Stopped => self.has_stopped = true,
            SourceEvent::Failed(fatal) => return Err(fatal),
        }
        Ok(())
    }

    fn assign(&mut self, partitions: Vec<Assignment>) {
        for Assignment { partition, epoch, start, planned } in partitions {
            if let (Some(planner), Some((topic, begin))) = (&mut self.planner, planned) {
                planner.assign(partition.clone(), epoch, topic, begin);
            }
            self.tracker.assign(partition, epoch, start);
        }
        // Commits a start that has no commit before anything else can go wrong.
        self.commit(true);
        self.publish();
    }

    /// Logs a failed commit, and delays the next one.
    fn commit_failed(&mut self, why: CommitRefusal, text: &str) {
        let pause = COMMIT_PAUSE * 2_u32.saturating_pow(self.refused.min(8));
        self.refused = self.refused.saturating_add(1);
        self.commit_at = Some(Instant::now() + pause.min(LONGEST_COMMIT_PAUSE));
        if why != CommitRefusal::GroupChanges {
            count::commit_failed();
        }
        let Some(suppressed) = self.refusals.allow(why) else { return };
        match why {
            CommitRefusal::GroupChanges => tracing::info!(
                suppressed,
                "offsets not committed while the group changes: {text}; they are tried again, or their \
                 records are read again by the next owner of the partition"
            ),
            CommitRefusal::NeedsOperator | CommitRefusal::Other => tracing::warn!(
                suppressed,
                "offsets not committed: {text}; they are tried again, or their records are read again by \
                 the next owner of the partition"
            ),
        }
    }

    /// Starts the work on a batch.
    ///
    /// # Errors
    /// Its records are not the expected next ones, if the order is planned.
    fn begin(&mut self, batch: Batch, mut lease: Lease) -> Result<(), Fatal> {
        let (claims, records) = (self.tracker.begin(&batch), batch.len());
        let mut planned = None;
        if let Some(planner) = &mut self.planner {
            // The source gives each batch a single partition.
            let Some(Claim { partition, epoch, first, last, .. }) = claims.first() else {
                return Ok(());
            };
            let Some(taken) = planner.take(partition, *epoch, *first, *last)? else {
                tracing::warn!(%partition, records, "batch of a partition without a plan left alone");
                return Ok(());
            };
            planned = Some(PlannedBatch::new(&self.ours, partition, *epoch, taken));
        }
        let range = planned.as_ref().map(PlannedBatch::range);
        self.ledger.take(records);
        count::taken(&batch);
        tracing::debug!(records, bytes = batch.size_bytes(), "batch taken");
        let (pipeline, batch) = (Arc::clone(&self.pipeline), Arc::new(batch));
        let work = {
            let batch = Arc::clone(&batch);
            async move { pipeline.take(&batch, &mut lease, planned).await }
        };
        let task = self.tasks.spawn(of_batch(&batch, work));
        self.open.insert(task.id(), BatchInFlight { claims, range, records, task });
        Ok(())
    }

    fn settle(&mut self, id: Id, fates: &Fates) {
        self.ledger.settle(fates);
        count::settled(fates);
        if let Some(open) = self.open.remove(&id) {
            for claim in &open.claims {
                self.tracker.settle(claim);
                if let (Some(planner), Some((first, end))) = (&mut self.planner, open.range) {
                    planner.settle(&claim.partition, claim.epoch, first, end);
                }
            }
        }
        self.commit(false);
        self.let_go_if_drained();
    }

    /// Answers the request of a batch in flight.
    fn answer(&mut self, request: PlanRequest) {
        let Some(planner) = &mut self.planner else { return };
        planner.take_request(request);
        self.commit(false);
        self.let_go_if_drained();
    }

    fn committed(&mut self, commits: Vec<Commit>) {
        // With plans, there is a commit for each batch.
        match (commits.len(), &self.planner) {
            (0, _) => {}
            (partitions, None) => tracing::info!(partitions, "offsets committed"),
            (partitions, Some(_)) => tracing::debug!(partitions, "offsets committed"),
        }
        if !commits.is_empty() && self.commit_at.is_none() {
            self.refused = 0;
        }
        for commit in commits {
            let Commit { partition, offset, metadata } = &commit;
            self.tracker.committed(partition, *offset);
            tracing::debug!(%partition, offset, metadata, "offset committed");
            if let Some(planner) = &mut self.planner {
                planner.committed(commit);
            }
        }
        self.commit(false);
    }

    /// Counts a batch that [`Self::let_go`] aborted. A batch that finished first goes to `settle`.
    fn give_up(&mut self, id: Id) {
        if let Some(BatchInFlight { records, .. }) = self.open.remove(&id) {
            self.ledger.released += u64::from(records);
            count::released(u64::from(records));
            tracing::warn!(records, "batch given up with its partitions");
        }
    }

    /// Commits new plans at once; with `retires`, also the progress of each partition.
    fn commit(&mut self, retires: bool) {
        if self.commit_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let commits = match &mut self.planner {
            Some(planner) => planner.commits(retires),
            None if retires => self.tracker.committable(None),
            None => Vec::new(),
        };
        if !commits.is_empty() {
            self.source.command(SourceCommand::Commit(commits));
        }
    }

    /// Publishes the progress of each partition.
    fn publish(&self) {
        self.progress.publish(self.tracker.positions(), self.ledger.in_flight());
    }

    fn let_go_if_drained(&mut self) {
        let is_drained = self.letting_go.as_ref().is_some_and(|going| match &self.planner {
            // Planned ranges that are not settled go to the next owner with their plan.
            Some(planner) => !planner.has_sent(&going.partitions),
            None => !self.tracker.has_pending(&going.partitions),
        });
        if is_drained {
            self.let_go();
        }
    }

    /// Releases the partitions with their settled offsets. Batches with no other partitions are aborted,
    /// since the new owner reads their records.
    fn let_go(&mut self) {
        let Some(going) = self.letting_go.take() else { return };
        let commits = match &mut self.planner {
            Some(planner) => planner.last_commits(&going.partitions),
            None => self.tracker.committable(Some(&going.partitions)),
        };
        for partition in &going.partitions {
            self.tracker.revoke(partition);
            if let Some(planner) = &mut self.planner {
                planner.revoke(partition);
            }
        }
        for open in self.open.values() {
            let is_ours = |claim: &Claim| self.tracker.is_current(&claim.partition, claim.epoch);
            // Records of a topic that was since recreated cannot be read again, so their batches go on.
            let is_going = |claim: &Claim| going.partitions.contains(&claim.partition);
            if open.claims.iter().any(is_going) && !open.claims.iter().any(is_ours) {
                open.task.abort();
            }
        }
        self.publish();
        let _closed = going.reply.send(commits);
    }

    /// Commits settled offsets and leaves the group.
    async fn close(mut self) -> Ledger {
        // Even after a bug: the current waits are not over.
        self.status.set_stopping();
        self.tasks.shutdown().await;
        let (done, closed) = oneshot::channel();
        // First, since its reply carries offsets to commit.
        self.let_go();
        let commits = match &mut self.planner {
            Some(planner) => planner.last_commits(&planner.partitions()),
            None => self.tracker.committable(None),
        };
        self.source.command(SourceCommand::Close(commits, done));
        if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("the consumer did not leave its group in time; the broker will notice");
        }
        self.ledger
    }
}

/// Ready at the instant; never if there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
