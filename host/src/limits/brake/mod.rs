//! The brake: if most records are rejected, that is an outage in disguise (a bad deploy of a producer,
//! a bad ALTER), and a dead letter topic full of them would hide it.
//!
//! It judges the last records across batches, so that it works for slow topics too, and before any
//! letter is written. A batch that pulls the brake is held, does not count, and is judged again at each
//! try; the other batches are judged without it.

mod reasons;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::flow::hold::Hold;
use crate::flow::record::Batch;
use crate::flow::rejection::{Reason, Rejection};
use reasons::Reasons;
use window::{BrakeWindow, Counts, RECORDS};

/// Fewer rejected records than this do not pull the brake, unless their batch alone fills the window:
/// among few records, a few are a large share.
const FEWEST_REJECTED: u64 = 50;

/// The limit on the share of the last records that may be rejected.
#[derive(Debug)]
pub struct Brake {
    max_share: f64,
    told: fn(&str) -> String,
    judged: Mutex<BrakeState>,
}

#[derive(Debug, Default)]
struct BrakeState {
    window: BrakeWindow,
    /// The held batches, with the counts that hold them.
    held: BTreeMap<u64, Counts>,
    last_batch: u64,
}

impl Brake {
    /// A brake at this share, 0 to 1. `told` makes ClickHouse's text about a record fit to be shown.
    pub fn new(max_share: f64, told: fn(&str) -> String) -> Self {
        Self { max_share, told, judged: Mutex::default() }
    }

    /// Begins to judge a batch.
    pub fn batch(self: &Arc<Self>) -> JudgedBatch {
        let mut state = self.state();
        state.last_batch += 1;
        let (batch, passed) = (state.last_batch, Reasons::default());
        JudgedBatch { brake: Arc::clone(self), batch, records: 0, passed, is_settled: false }
    }

    /// The share of rejected records in the window, including held ones; 0 to 1.
    pub fn share(&self, now: Instant) -> f64 {
        self.state().all(now).share()
    }

    /// Whether a batch is held.
    pub fn is_holding(&self) -> bool {
        !self.state().held.is_empty()
    }

    // A panic of another thread leaves no partial change that matters.
    fn state(&self) -> MutexGuard<'_, BrakeState> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Most rejections allowed among `records` records, of which one batch has `own`.
    fn most(&self, records: u64, own: u64) -> u64 {
        // 0.29 * 100.0 is 28.999999999999996.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let most = (records as f64 * self.max_share + 1e-6) as u64;
        let is_large = own >= RECORDS || self.max_share == 0.0;
        if is_large { most } else { most.max(FEWEST_REJECTED - 1) }
    }

    /// The pause for a pulled brake.
    fn hold(&self, counts: &Counts) -> Hold {
        let Counts { records, rejected } = counts;
        let top = rejected.top();
        let or_places = match top.contains(Reason::NoKnownField.code()) {
            true => ", or name the places within the records by COLUMN_FROM",
            false => "",
        };
        Hold::Paused(format!(
            "{} of the last {records} records are rejected, more than {} % (DLQ_MAX_SHARE), so no more \
             is dead-lettered: {top}; mend the table or the producer, and the host goes on by itself, or \
             restart it with a larger DLQ_MAX_SHARE{or_places}",
            rejected.total(),
            // To the fourth digit: 0.07 * 100.0 is 7.000000000000001.
            (self.max_share * 1_000_000.0).round() / 10_000.0,
        ))
    }
}

impl BrakeState {
    /// The held batches, and the newest others.
    fn all(&self, now: Instant) -> Counts {
        let mut all = Counts::default();
        self.held.values().for_each(|held| all.add(held));
        all.add(&self.window.before(all.records, |batch| self.held.contains_key(&batch), now));
        all
    }
}

/// A batch being judged. Its records count once, however often it is tried. If it is dropped before it
/// is settled, they do not count, because they are read again.
#[derive(Debug)]
pub struct JudgedBatch {
    brake: Arc<Brake>,
    batch: u64,
    records: u64,
    /// The rejections that were let through.
    passed: Reasons,
    is_settled: bool,
}

impl JudgedBatch {
    /// Sets how many records of the batch are judged: all but skipped and dropped ones.
    pub fn set_records(&mut self, records: u64) {
        self.records = records;
    }

    /// Judges further rejections before they are written. `None` lets them through and counts them at
    /// once, so that batches judged concurrently see each other. A hold counts only the `landed`
    /// records of the batch and its earlier rejections.
    pub fn judge(
        &mut self,
        batch: &Batch,
        rejections: &[Rejection],
        landed: u64,
        now: Instant,
    ) -> Option<Hold> {
        if rejections.is_empty() {
            return None;
        }
        let mut rejected = self.passed.clone();
        rejected.add(&Reasons::of(batch, rejections, self.brake.told));
        // A record that a plugin dropped may be rejected as well.
        self.records = self.records.max(landed + rejected.total());
        let mut state = self.brake.state();
        let counts = Counts { records: self.records, rejected };
        let before = state.window.before(self.records, |batch| batch == self.batch, now);
        let most = self.brake.most(before.records + self.records, self.records);
        if before.rejected.total() + counts.rejected.total() <= most {
            state.held.remove(&self.batch);
            self.passed = counts.rejected.clone();
            state.window.put(self.batch, counts, now);
            return None;
        }
        let records = landed + self.passed.total();
        state.window.put(self.batch, Counts { records, rejected: self.passed.clone() }, now);
        state.held.insert(self.batch, counts);
        Some(self.brake.hold(&state.all(now)))
    }

    /// How many more records of the batch may be rejected.
    pub fn allowance(&self, now: Instant) -> usize {
        let state = self.brake.state();
        let before = state.window.before(self.records, |batch| batch == self.batch, now);
        let most = self.brake.most(before.records + self.records, self.records);
        let allowance = most.saturating_sub(before.rejected.total() + self.passed.total());
        usize::try_from(allowance).unwrap_or(usize::MAX)
    }

    /// Marks the batch as not held.
    pub fn release(&self) {
        self.brake.state().held.remove(&self.batch);
    }

    /// Counts the batch, which is settled entirely.
    pub fn settle(mut self, now: Instant) {
        self.is_settled = true;
        let counts = Counts { records: self.records, rejected: std::mem::take(&mut self.passed) };
        self.brake.state().window.put(self.batch, counts, now);
    }
}

impl Drop for JudgedBatch {
    fn drop(&mut self) {
        let mut state = self.brake.state();
        state.held.remove(&self.batch);
        if !self.is_settled {
            state.window.remove(self.batch);
        }
    }
}

#[cfg(test)]
mod tests;
