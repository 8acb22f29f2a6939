//! What the host waits for and whether it lives, in one place: the log says a wait once and then
//! now and again, and the probes are answered from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Hold;

/// How often a wait that goes on is logged again.
const REPEAT: Duration = Duration::from_secs(30);
/// After this long without a turn the poll thread counts as stuck. A turn may rightly take 90 s: a
/// revocation waits for what is in flight, and then for its commit at a broker that may be gone.
const STALL: Duration = Duration::from_mins(2);
/// Before the poll thread's first turn: the host is still making ready, and may wait for long.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Held {
    hold: Hold,
    since: Instant,
}

#[derive(Debug, Default)]
struct Waits {
    held: BTreeMap<(&'static str, u64), Held>,
    /// When each text was last logged, while somebody of that name waits.
    logged: BTreeMap<(&'static str, String), Instant>,
    next_waiter: u64,
}

/// The waits of the host, and its signs of life.
#[derive(Debug)]
pub struct Status {
    waits: Mutex<Waits>,
    started: Instant,
    /// The poll thread's last turn, in milliseconds since `started`, or [`NEVER`].
    polled_ms: AtomicU64,
    is_member: AtomicBool,
    is_stopping: AtomicBool,
    clickhouse_answered: Mutex<Option<Instant>>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            waits: Mutex::default(),
            started: Instant::now(),
            polled_ms: AtomicU64::new(NEVER),
            is_member: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            clickhouse_answered: Mutex::default(),
        }
    }
}

impl Status {
    /// Somebody who may have to wait: several of one name wait apart, and are told as one.
    pub fn waiter(self: &Arc<Self>, who: &'static str) -> Waiter {
        let mut waits = self.waits();
        waits.next_waiter += 1;
        Waiter { status: Arc::clone(self), who, id: waits.next_waiter }
    }

    /// The texts of every wait, who first; empty when the host runs freely.
    pub fn texts(&self) -> BTreeSet<String> {
        let waits = self.waits();
        waits.held.iter().map(|((who, _), held)| format!("{who}: {}", held.hold.text())).collect()
    }

    /// Whether an operator must mend something.
    pub fn is_paused(&self) -> bool {
        self.waits().held.values().any(|held| matches!(held.hold, Hold::Paused(_)))
    }

    /// Whether something is waited for that heals by itself.
    pub fn is_waiting(&self) -> bool {
        self.waits().held.values().any(|held| matches!(held.hold, Hold::Transient(_)))
    }

    /// The poll thread begins another turn.
    pub fn polled(&self) {
        let since = self.started.elapsed().as_millis();
        self.polled_ms.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the poll thread is stuck, if it is.
    pub fn stalled(&self) -> Option<Duration> {
        self.stalled_at(self.started.elapsed())
    }

    fn stalled_at(&self, since_start: Duration) -> Option<Duration> {
        let polled_ms = Some(self.polled_ms.load(Ordering::Relaxed)).filter(|ms| *ms != NEVER)?;
        let quiet = since_start.saturating_sub(Duration::from_millis(polled_ms));
        Some(quiet).filter(|quiet| *quiet > STALL)
    }

    /// The group gave this member its share, which may be no partition at all; or the membership
    /// is lost.
    pub fn set_member(&self, is_member: bool) {
        self.is_member.store(is_member, Ordering::Relaxed);
    }

    /// The host was told to stop.
    pub fn set_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// ClickHouse took rows, refused some, or described the table.
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
        if self.is_stopping.load(Ordering::Relaxed) {
            reasons.push("host: stopping".to_owned());
        }
        if !self.is_member.load(Ordering::Relaxed) {
            reasons.push("kafka: not in the group, no partition assigned yet".to_owned());
        }
        if self.answered().is_none() {
            reasons.push("clickhouse: has not answered yet".to_owned());
        }
        reasons.extend(self.texts());
        reasons
    }

    // A panic of another thread cannot leave either half changed.
    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) -> MutexGuard<'_, Option<Instant>> {
        self.clickhouse_answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who may have to wait. Dropping it, as a batch that is given up does, ends its wait.
#[derive(Debug)]
pub struct Waiter {
    status: Arc<Status>,
    who: &'static str,
    id: u64,
}

impl Waiter {
    /// Notes a wait, and logs it when its text is new or was logged 30 s ago. WARN: it heals by
    /// itself. ERROR: an operator is needed. Nothing is lost in either.
    pub fn hold(&self, hold: Hold) {
        let now = Instant::now();
        let mut waits = self.status.waits();
        let since = waits.held.get(&(self.who, self.id)).map_or(now, |before| before.since);
        waits.logged.retain(|_, logged| now.duration_since(*logged) < REPEAT);
        let line = (self.who, hold.text().to_owned());
        waits.logged.entry(line).or_insert_with(|| {
            let (who, waited_s) = (self.who, now.duration_since(since).as_secs());
            match &hold {
                Hold::Transient(text) => tracing::warn!(who, waited_s, "waiting: {text}"),
                Hold::Paused(text) => tracing::error!(who, waited_s, "paused: {text}"),
            }
            now
        });
        waits.held.insert((self.who, self.id), Held { hold, since });
    }

    /// Goes on if what was waited for heals by itself: a broker that answers says nothing about a
    /// topic that is missing.
    pub fn release_transient(&self) {
        let waits = self.status.waits();
        let held = waits.held.get(&(self.who, self.id));
        let is_transient = held.is_some_and(|held| matches!(held.hold, Hold::Transient(_)));
        drop(waits);
        if is_transient {
            self.release();
        }
    }

    /// Goes on, and says so when nobody of this name waits any more.
    pub fn release(&self) {
        let mut waits = self.status.waits();
        let Some(before) = waits.held.remove(&(self.who, self.id)) else { return };
        if !waits.held.keys().any(|(who, _)| *who == self.who) {
            let who = self.who;
            waits.logged.retain(|(of, _), _| *of != who);
            tracing::info!(who, waited_s = before.since.elapsed().as_secs(), "goes on");
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.release();
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
