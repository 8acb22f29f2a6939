//! What the host waits for, and whether it is alive. The log reports a wait once and then periodically, and the
//! probes answer from here.

mod concern;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{self, Id};

pub use concern::{OfBatch, Sign, letters_begun, letters_written, of_batch, shown};
pub(super) use concern::{note_landed, note_refused};

use crate::flow::hold::Hold;
use concern::Concern;
use waits::{WaitGroup, Waits};

/// The names of waiters in the log and `/readyz`. Each has a series in the metrics.
pub const WAITERS: [&str; 10] = [
    "kafka",
    "commit",
    "plan",
    "table",
    "clickhouse",
    "insert",
    "brake",
    "plugins",
    "dead letters",
    "lookups",
];

/// After this long without a turn the poll thread counts as stuck. A turn may take 90 s: a revocation waits for
/// the batches in flight, and then for its commit at a broker that may be gone.
const STALL: Duration = Duration::from_mins(2);
/// Before the poll thread's first turn: the host is still starting, and may wait for long.
const NEVER: u64 = u64::MAX;

/// The waits of the host, and its signs of life.
#[derive(Debug)]
pub struct Status {
    waits: Mutex<Waits>,
    next_waiter: AtomicU64,
    started: Instant,
    /// The poll thread's last turn, in milliseconds since `started`, or [`NEVER`].
    polled_ms: AtomicU64,
    is_member: AtomicBool,
    is_stopping: watch::Sender<bool>,
    /// The tasks of batches that will not end: the host stops, and they wait for an operator.
    stuck: watch::Sender<HashSet<Id>>,
    clickhouse_answered: Mutex<Option<Instant>>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            waits: Mutex::default(),
            next_waiter: AtomicU64::new(0),
            started: Instant::now(),
            polled_ms: AtomicU64::new(NEVER),
            is_member: AtomicBool::new(false),
            is_stopping: watch::Sender::default(),
            stuck: watch::Sender::default(),
            clickhouse_answered: Mutex::default(),
        }
    }
}

impl Status {
    /// Registers a waiter. Waiters with the same name are tracked separately and reported once. A waiter made
    /// within [`of_batch`] names the records that it holds up.
    pub fn waiter(self: &Arc<Self>, who: &'static str) -> Waiter {
        let id = self.next_waiter.fetch_add(1, Ordering::Relaxed);
        Waiter { status: Arc::clone(self), who, id, of: Concern::current() }
    }

    /// The texts of all waits, each with its name first; empty if the host waits for nothing.
    pub fn texts(&self) -> BTreeSet<String> {
        self.waits().groups().map(|group| WaitGroup::text(&group)).collect()
    }

    /// Repeats lasting waits in the log.
    pub fn remind(&self) {
        self.waits().log(Instant::now());
    }

    /// Waits before a retry of something that an operator must fix. Once the host stops, there is no retry: the
    /// batch cannot land any more, and is stuck as soon as its letters are written.
    ///
    /// # Cancel safety
    /// Nothing happens if it is dropped.
    pub async fn pause(&self, pause: Duration) {
        let mut is_stopping = self.is_stopping.subscribe();
        tokio::select! {
            () = tokio::time::sleep(pause) => return,
            Ok(_) = is_stopping.wait_for(|is_stopping| *is_stopping) => {}
        }
        if let (Some(concern), Some(task)) = (Concern::current(), task::try_id()) {
            concern.letters_written().await;
            self.stuck.send_if_modified(|stuck| stuck.insert(task));
        }
        std::future::pending::<()>().await;
    }

    /// The tasks of batches that will not end.
    pub fn stuck(&self) -> watch::Receiver<HashSet<Id>> {
        self.stuck.subscribe()
    }

    /// The current wait of each of [`WAITERS`]: the longest of its name, or 0.
    pub fn longest_waits(&self) -> BTreeMap<&'static str, Duration> {
        let mut longest: BTreeMap<_, _> = WAITERS.map(|who| (who, Duration::ZERO)).into();
        for ((who, _), held) in &self.waits().held {
            let waits = longest.entry(*who).or_default();
            *waits = (*waits).max(held.since.elapsed());
        }
        longest
    }

    /// Whether a wait needs an operator.
    pub fn is_paused(&self) -> bool {
        self.waits().held.values().any(|held| matches!(held.hold, Hold::Paused(_)))
    }

    /// Whether a wait heals by itself.
    pub fn is_waiting(&self) -> bool {
        self.waits().held.values().any(|held| matches!(held.hold, Hold::Transient(_)))
    }

    /// Notes that the poll thread begins a turn.
    pub fn polled(&self) {
        let since = self.started.elapsed().as_millis();
        self.polled_ms.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the poll thread has been stuck, if it is.
    pub fn stalled(&self) -> Option<Duration> {
        self.stalled_at(self.started.elapsed())
    }

    fn stalled_at(&self, since_start: Duration) -> Option<Duration> {
        let polled_ms = Some(self.polled_ms.load(Ordering::Relaxed)).filter(|ms| *ms != NEVER)?;
        let quiet = since_start.saturating_sub(Duration::from_millis(polled_ms));
        Some(quiet).filter(|quiet| *quiet > STALL)
    }

    /// Sets whether this member has its assignment, which may be empty.
    pub fn set_member(&self, is_member: bool) {
        self.is_member.store(is_member, Ordering::Relaxed);
    }

    /// Whether this member has its assignment.
    pub fn is_member(&self) -> bool {
        self.is_member.load(Ordering::Relaxed)
    }

    /// Notes that the host was told to stop.
    pub fn set_stopping(&self) {
        self.is_stopping.send_replace(true);
    }

    /// Notes that ClickHouse took rows, refused some, or described the table.
    pub fn clickhouse_answered(&self) {
        *self.answered() = Some(Instant::now());
    }

    /// How long ago ClickHouse last answered; `None` if it never did.
    pub fn clickhouse_quiet_for(&self) -> Option<Duration> {
        self.answered().map(|answered| answered.elapsed())
    }

    /// Why the host is not ready, one reason each; empty when it is.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if *self.is_stopping.borrow() {
            reasons.push("host: stopping".to_owned());
        }
        if !self.is_member() {
            reasons.push("kafka: not in the group, no partition assigned yet".to_owned());
        }
        if self.answered().is_none() {
            reasons.push("clickhouse: has not answered yet".to_owned());
        }
        reasons.extend(self.texts());
        reasons
    }

    // A panic of another thread cannot leave a partial change.
    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) -> MutexGuard<'_, Option<Instant>> {
        self.clickhouse_answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiter. Dropping it ends its wait: as over, unless its batch was given up or the host stops.
#[derive(Debug)]
pub struct Waiter {
    status: Arc<Status>,
    who: &'static str,
    id: u64,
    of: Option<Arc<Concern>>,
}

impl Waiter {
    /// Records a wait, and logs it if its text is new or was logged long ago. WARN: it heals by itself. ERROR: an
    /// operator is needed. Nothing is lost in either case.
    pub fn hold(&self, hold: Hold) {
        self.note(None, hold);
    }

    /// The same for a text that changes: waits with one key are reported as one, with the newest text.
    pub fn hold_as(&self, key: &str, hold: Hold) {
        self.note(Some(key), hold);
    }

    fn note(&self, key: Option<&str>, hold: Hold) {
        self.status.waits().hold(self.who, self.id, key, hold, self.of.clone(), Instant::now());
    }

    /// Ends a wait that heals by itself; others stay: an answer from a broker says nothing about a missing topic.
    pub fn release_transient(&self) {
        let waits = self.status.waits();
        let held = waits.held.get(&(self.who, self.id));
        let is_transient = held.is_some_and(|held| matches!(held.hold, Hold::Transient(_)));
        drop(waits);
        if is_transient {
            self.release();
        }
    }

    /// Waits before a retry; as [`Status::pause`] if an operator must fix something.
    pub async fn pause(&self, pause: Duration) {
        let is_paused = {
            let waits = self.status.waits();
            let held = waits.held.get(&(self.who, self.id));
            held.is_some_and(|held| matches!(held.hold, Hold::Paused(_)))
        };
        match is_paused {
            true => self.status.pause(pause).await,
            false => tokio::time::sleep(pause).await,
        }
    }

    /// Ends the wait; logs it if it was the last of this name.
    pub fn release(&self) {
        self.end(true);
    }

    /// Ends the wait as given up: what it held up is no longer this host's.
    pub fn give_up(&self) {
        self.end(false);
    }

    fn end(&self, is_over: bool) {
        self.status.waits().release(self.who, self.id, is_over, Instant::now());
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let is_given_up = match &self.of {
            Some(of) => of.is_given_up(),
            None => *self.status.is_stopping.borrow(),
        };
        self.end(!is_given_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(status: &Status) -> Vec<String> {
        status.texts().into_iter().collect()
    }

    #[test]
    fn a_wait_is_told_until_it_is_over() {
        let status = Arc::new(Status::default());
        let waiter = status.waiter("clickhouse");
        waiter.hold(Hold::Transient("connection refused".into()));
        assert!(status.is_waiting() && !status.is_paused());
        waiter.hold(Hold::Paused("table `t` is unknown".into()));
        waiter.release_transient();
        assert_eq!(texts(&status), ["clickhouse: table `t` is unknown"]);
        assert!(!status.is_waiting() && status.is_paused());
        waiter.release();
        assert!(status.texts().is_empty());
    }

    #[test]
    fn one_batch_that_goes_on_does_not_hide_another_that_waits() {
        let status = Arc::new(Status::default());
        let (first, second) = (status.waiter("clickhouse"), status.waiter("clickhouse"));
        first.hold(Hold::Paused("view `v` throws".into()));
        second.hold(Hold::Paused("view `v` throws".into()));
        second.release();
        assert_eq!(texts(&status), ["clickhouse: view `v` throws"]);
        drop(first);
        assert!(status.texts().is_empty(), "a batch that is given up waits no more");
    }

    /// What is logged while `act` runs: level and line.
    fn logged(act: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || Lines(Arc::clone(&sink)))
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn batch(records: i64) -> Arc<crate::flow::record::Batch> {
        let partition = crate::flow::record::TopicPartition { topic: "t".into(), partition: 0 };
        let mut batch = crate::flow::record::Batch::default();
        for offset in 0..records {
            let record = crate::flow::record::RawRecord { offset, ..Default::default() };
            batch.push(&partition, 1, &record);
        }
        Arc::new(batch)
    }

    #[test]
    fn a_pause_is_logged_once_again_at_growing_intervals_and_once_it_is_over() {
        let lines = logged(|| {
            let (mut waits, start) = (Waits::default(), Instant::now());
            let at = |seconds| start + Duration::from_secs(seconds);
            for seconds in (0..=310).step_by(5) {
                let hold = Hold::Paused("no such table".into());
                waits.hold("insert", 7, None, hold, None, at(seconds));
            }
            waits.release("insert", 7, true, at(312));
        });
        assert_eq!(
            lines,
            [
                "ERROR paused: no such table who=\"insert\" waited_s=0",
                "ERROR paused: no such table who=\"insert\" waited_s=30",
                "ERROR paused: no such table who=\"insert\" waited_s=90",
                "ERROR paused: no such table who=\"insert\" waited_s=210",
                "INFO goes on who=\"insert\" waited_s=312",
            ]
        );
    }

    #[test]
    fn one_that_is_held_without_another_try_is_told_again_too() {
        let lines = logged(|| {
            let (mut waits, start) = (Waits::default(), Instant::now());
            waits.hold("plan", 7, None, Hold::Paused("set its offset".into()), None, start);
            for seconds in 0..100 {
                waits.log(start + Duration::from_secs(seconds));
            }
        });
        let waited = |line: &String| line.rsplit('=').next().unwrap().parse::<u64>().unwrap();
        assert_eq!(lines.iter().map(waited).collect::<Vec<_>>(), [0, 30, 90]);
    }

    #[test]
    fn a_wait_that_becomes_a_pause_is_told_at_once_and_texts_that_take_turns_are_not() {
        let lines = logged(|| {
            let (mut waits, now) = (Waits::default(), Instant::now());
            for _ in 0..5 {
                for text in ["reset", "refused"] {
                    waits.hold("insert", 1, None, Hold::Transient(text.into()), None, now);
                }
            }
            waits.hold("insert", 1, None, Hold::Paused("refused".into()), None, now);
            // Another that is not so far.
            waits.hold("insert", 2, None, Hold::Transient("refused".into()), None, now);
            waits.hold("insert", 1, None, Hold::Paused("refused".into()), None, now);
        });
        let starts: Vec<_> = lines.iter().filter_map(|line| line.split(" who").next()).collect();
        assert_eq!(
            starts,
            ["WARN waiting: reset", "WARN waiting: refused", "ERROR paused: refused"]
        );
    }

    #[tokio::test]
    async fn a_batch_that_waits_for_an_operator_is_stuck_once_the_host_stops() {
        let status = Arc::new(Status::default());
        let mut tasks = tokio::task::JoinSet::new();
        let mut spawn = |hold: Hold, letters: usize| {
            let its = Arc::clone(&status);
            let work = async move {
                let waiter = its.waiter("table");
                letters_begun(letters);
                waiter.hold(hold);
                let write = async {
                    tokio::time::sleep(Duration::from_millis(600)).await;
                    letters_written(letters);
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = write => {}
                    () = waiter.pause(Duration::from_millis(300)) => {}
                }
            };
            tasks.spawn(of_batch(&batch(1), work)).id()
        };
        let paused = spawn(Hold::Paused("no such table".into()), 0);
        let with_letters = spawn(Hold::Paused("no such table".into()), 1);
        let _transient = spawn(Hold::Transient("away".into()), 0);
        let mut stuck = status.stuck();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(stuck.borrow_and_update().is_empty(), "the host does not stop");
        status.set_stopping();
        stuck.changed().await.unwrap();
        assert_eq!(*stuck.borrow_and_update(), HashSet::from([paused]));
        assert!(tasks.join_next().await.is_some(), "what heals by itself is tried again");
        stuck.changed().await.unwrap();
        assert_eq!(*stuck.borrow(), HashSet::from([paused, with_letters]));
    }

    #[tokio::test]
    async fn batches_that_wait_for_the_same_are_told_as_one_with_their_records() {
        let status = Arc::new(Status::default());
        let waiter = |records| {
            let status = Arc::clone(&status);
            of_batch(&batch(records), async move { status.waiter("insert") })
        };
        let (first, second) = (waiter(10).await, waiter(20).await);
        let hold = || Hold::Transient("ClickHouse is away".into());
        let lines = logged(|| {
            first.hold(hold());
            second.hold(hold());
            first.hold(hold());
        });
        let expected = "WARN waiting: ClickHouse is away who=\"insert\" waited_s=0 batches=1 records=10 \
                        at=\"topic `t`, partition 0, offsets 0 to 9\"";
        assert_eq!(lines, [expected]);
        assert_eq!(
            texts(&status),
            [
                "insert: ClickHouse is away (batches held up: 2, records: 30, the first at: topic `t`, \
              partition 0, offsets 0 to 9)"
            ]
        );
        let lines = logged(|| drop((first, second)));
        assert_eq!(lines, ["INFO goes on who=\"insert\" waited_s=0"]);
    }

    #[test]
    fn a_text_that_changes_is_told_as_one_wait() {
        let status = Arc::new(Status::default());
        let (first, second) = (status.waiter("brake"), status.waiter("brake"));
        let lines = logged(|| {
            first.hold_as("brake", Hold::Paused("50 of 50".into()));
            second.hold_as("brake", Hold::Paused("60 of 60".into()));
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(texts(&status), ["brake: 60 of 60"]);
    }

    #[tokio::test]
    async fn a_batch_that_is_given_up_does_not_go_on() {
        let status = Arc::new(Status::default());
        let held = Arc::clone(&status);
        let mut work = Box::pin(of_batch(&batch(1), async move {
            let waiter = held.waiter("insert");
            waiter.hold(Hold::Paused("x".into()));
            std::future::pending::<()>().await;
        }));
        assert!(tokio::time::timeout(Duration::ZERO, &mut work).await.is_err());
        assert!(status.is_paused());
        let lines = logged(|| drop(work));
        assert_eq!(
            lines,
            ["INFO given up: it is not waited for any more who=\"insert\" waited_s=0"]
        );
        assert!(!status.is_paused());
    }

    #[test]
    fn what_waits_when_the_host_stops_does_not_go_on() {
        let status = Arc::new(Status::default());
        let waiter = status.waiter("kafka");
        waiter.hold(Hold::Transient("x".into()));
        status.set_stopping();
        let lines = logged(|| drop(waiter));
        assert!(lines.iter().all(|line| line.starts_with("INFO given up")), "{lines:?}");
    }

    #[test]
    fn the_longest_wait_of_each_name_is_known() {
        let status = Arc::new(Status::default());
        let waiter = status.waiter("insert");
        waiter.hold(Hold::Transient("x".into()));
        let waits = status.longest_waits();
        assert_eq!(waits.len(), WAITERS.len());
        assert!(waits["insert"] > Duration::ZERO && waits["brake"] == Duration::ZERO);
        waiter.release();
        assert_eq!(status.longest_waits()["insert"], Duration::ZERO);
    }

    #[test]
    fn ready_needs_a_member_an_answer_and_no_wait() {
        let status = Arc::new(Status::default());
        assert_eq!(
            status.unready(),
            [
                "kafka: not in the group, no partition assigned yet",
                "clickhouse: has not answered yet"
            ]
        );
        status.set_member(true);
        status.clickhouse_answered();
        assert!(status.unready().is_empty());
        let waiter = status.waiter("table");
        waiter.hold(Hold::Paused("the brake".into()));
        assert_eq!(status.unready(), ["table: the brake"]);
        waiter.release();
        status.set_stopping();
        assert_eq!(status.unready(), ["host: stopping"]);
    }

    #[test]
    fn a_poll_thread_without_a_turn_for_two_minutes_is_stuck_once_it_has_begun() {
        let status = Status::default();
        let later = STALL + Duration::from_secs(1);
        assert_eq!(status.stalled_at(later), None, "lookups are still waited for");
        status.polled_ms.store(0, Ordering::Relaxed);
        assert_eq!(status.stalled_at(STALL), None);
        assert_eq!(status.stalled_at(later), Some(later));
        status.polled_ms.store(30_000, Ordering::Relaxed);
        assert_eq!(status.stalled_at(later), None);
    }
}
