//! What bounds the batches in flight: a number of them, and bytes.
//!
//! Nothing ever waits on the budget. The source asks before it reads on; a batch holds a
//! [`Lease`] until it is settled. So a slow sink is felt as a data queue that is not drained.
//!
//! The bytes are those of working memory: the records, what plugins made of them, the columns, the body of
//! the INSERT, and the memory that guests have. How much of it a byte of a record takes differs from table
//! to table, so it is learnt from the batches before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Least bytes of working memory that 100 bytes of records are taken for: the arena's copy, and as much
/// again for what stands around it and is not measured.
const MIN_PERCENT: usize = 200;
/// How slowly a batch that took much is forgotten: by one part in so many with each that took less.
const FORGETTING: usize = 8;

/// The columns of a batch may always take one part in so many of the budget.
const LEAST_SHARE: usize = 32;
/// A record may take one part in so many of the budget. Batches have three quarters of MEMORY_BUDGET_BYTES,
/// so this is a quarter of it.
const RECORD_SHARE: usize = 3;
/// Stands for what is not known yet.
const UNKNOWN: usize = usize::MAX;
/// The largest bound of one record, bytes: the server, too, has to hold what it becomes.
pub const MOST_RECORD_BYTES: usize = 256 * 1024 * 1024;

/// Counts the batches in flight and the bytes.
#[derive(Debug)]
pub struct Budget {
    max_batches: usize,
    max_bytes: usize,
    batches: AtomicUsize,
    bytes: AtomicUsize,
    /// Bytes of working memory that 100 bytes of records took.
    percent: AtomicUsize,
    /// Fixed bytes of each row of the table, or [`UNKNOWN`].
    row_bytes: AtomicUsize,
}

impl Budget {
    /// A budget of `max_batches` batches and `max_bytes` bytes of working memory.
    pub fn new(max_batches: usize, max_bytes: usize) -> Arc<Self> {
        let (batches, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let percent = AtomicUsize::new(MIN_PERCENT);
        let row_bytes = AtomicUsize::new(UNKNOWN);
        Arc::new(Self { max_batches, max_bytes, batches, bytes, percent, row_bytes })
    }

    /// Fixed bytes of each row of the table; `None` before the table is known.
    pub fn row_bytes(&self) -> Option<usize> {
        Some(self.row_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// Notes the fixed bytes of each row, unless a batch has noted them already.
    pub fn expect_rows_of(&self, row_bytes: usize) {
        // What is there already is as good.
        let _known = self.row_bytes.compare_exchange(
            UNKNOWN,
            row_bytes,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Most bytes that one record may take in columns beside its own text.
    pub fn most_record_bytes(&self) -> usize {
        (self.max_bytes / RECORD_SHARE).min(MOST_RECORD_BYTES)
    }

    /// Whether one more batch may be handed over.
    pub fn has_slot(&self) -> bool {
        self.batches() < self.max_batches
    }

    /// Whether a batch being built may grow past `record_bytes` bytes of records. Always true
    /// when nothing is in flight, so that a batch larger than the budget still gets through.
    pub fn has_bytes(&self, record_bytes: usize) -> bool {
        let used = self.used_bytes().saturating_add(self.expected_bytes(record_bytes));
        self.batches() == 0 || used < self.max_bytes
    }

    fn expected_bytes(&self, record_bytes: usize) -> usize {
        record_bytes.saturating_mul(self.percent.load(Ordering::Acquire)) / 100
    }

    /// How many batches are in flight.
    pub fn batches(&self) -> usize {
        self.batches.load(Ordering::Acquire)
    }

    /// Bytes of working memory in use.
    pub fn used_bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// Bytes at which reading stops.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Takes a slot and the bytes of a batch, whether or not there is room: a rebalance hands
    /// over what it must.
    pub fn lease(self: &Arc<Self>, record_bytes: usize) -> Lease {
        self.batches.fetch_add(1, Ordering::AcqRel);
        let mut held = self.hold();
        held.set(self.expected_bytes(record_bytes));
        Lease { record_bytes, held }
    }

    /// Begins to hold bytes that belong to no batch: the memory of a guest.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes that are in use, given back when dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// How many they are now.
    pub fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.budget.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.budget.bytes.fetch_sub(before, Ordering::AcqRel);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A batch's share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Lease {
    record_bytes: usize,
    held: Held,
}

impl Lease {
    /// How many bytes the columns of the batch may take: what is expected of it, and its share of what nobody
    /// holds. To be asked before they are made. Its records hold `held` bytes, each of `rows` rows takes at
    /// least `row_bytes`, and columns exist `copies` times.
    pub fn room(&mut self, held: usize, row_bytes: usize, rows: usize, copies: usize) -> usize {
        self.held.budget.row_bytes.store(row_bytes, Ordering::Relaxed);
        let known = row_bytes.saturating_mul(rows);
        let max = self.held.budget.max_bytes;
        let free = |budget: &Budget| max.saturating_sub(budget.used_bytes());
        let known = held.saturating_add(known.saturating_mul(copies));
        let own = self.held.bytes.max(known.min(self.held.bytes + free(&self.held.budget)));
        self.held.set(own);
        let budget = &self.held.budget;
        let share = own.saturating_add(free(budget) / budget.batches().max(1));
        (share.saturating_sub(held)).max(max / LEAST_SHARE) / copies.max(1)
    }

    /// Most bytes that one record may take in columns beside its own text.
    pub fn most_record_bytes(&self) -> usize {
        self.held.budget.most_record_bytes()
    }

    /// Notes the bytes of working memory that the batch takes. If only a part of it was decoded, `whole` is what
    /// all of it would take. The next batches are expected to take as much.
    pub fn measure(&mut self, bytes: usize, whole: usize) {
        self.held.set(bytes.max(self.record_bytes.saturating_mul(MIN_PERCENT) / 100));
        let budget = &self.held.budget;
        let whole = bytes.max(whole.min(budget.max_bytes));
        let percent = whole.saturating_mul(100) / self.record_bytes.max(1);
        let learn =
            |before: usize| Some(percent.max(before - before / FORGETTING).max(MIN_PERCENT));
        // The closure always gives a value.
        let _learnt = budget.percent.try_update(Ordering::AcqRel, Ordering::Acquire, learn);
    }

    /// The batch takes only so many bytes from now on; nothing is learnt of it.
    pub fn lower(&mut self, bytes: usize) {
        self.held.set(bytes.min(self.held.bytes));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.held.budget.batches.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_takes_and_gives_back() {
        let budget = Budget::new(2, 100);
        let first = budget.lease(40);
        assert!(budget.has_slot() && budget.has_bytes(9) && !budget.has_bytes(10));
        let second = budget.lease(1);
        assert!(!budget.has_slot());
        drop((first, second));
        assert!(budget.has_slot() && budget.has_bytes(1_000));
    }

    #[test]
    fn what_a_batch_took_is_expected_of_the_next_and_forgotten_slowly() {
        let budget = Budget::new(4, 1_000);
        let mut wide = budget.lease(10);
        assert_eq!(budget.used_bytes(), 20);
        wide.measure(500, 500);
        assert_eq!(budget.used_bytes(), 500);
        assert!(budget.has_bytes(9) && !budget.has_bytes(10));
        wide.lower(20);
        assert_eq!((budget.used_bytes(), budget.expected_bytes(10)), (20, 500));
        wide.lower(30);
        assert_eq!(budget.used_bytes(), 20);
        drop(wide);
        for _ in 0..40 {
            budget.lease(10).measure(15, 15);
        }
        assert_eq!(budget.used_bytes(), 0);
        let _next = budget.lease(100);
        assert_eq!(budget.used_bytes(), 200, "never for less than twice their size");
    }

    #[test]
    fn columns_get_what_is_expected_of_their_batch_and_a_share_of_what_is_free() {
        let budget = Budget::new(4, 1_000);
        let (mut first, mut second) = (budget.lease(100), budget.lease(100));
        assert_eq!(budget.row_bytes(), None);
        budget.expect_rows_of(7);
        assert_eq!(budget.row_bytes(), Some(7));
        // 200 are expected of each.
        assert_eq!(first.room(100, 0, 10, 2), (200 + 600 / 2 - 100) / 2);
        assert_eq!(budget.used_bytes(), 400, "what may be taken is not held before it is");
        assert_eq!(second.room(100, 25, 10, 2), (600 + 200 / 2 - 100) / 2);
        assert_eq!(budget.used_bytes(), 800, "what is known to be taken is");
        assert_eq!(budget.row_bytes(), Some(25));
        budget.expect_rows_of(7);
        assert_eq!(budget.row_bytes(), Some(25), "of a batch, what plugins plan with included");
        let mut third = budget.lease(200);
        assert_eq!(third.room(400, 100, 10, 2), 1_000 / LEAST_SHARE / 2, "there is always some");
    }

    #[test]
    fn of_a_batch_that_was_cut_the_whole_is_expected_next() {
        let budget = Budget::new(4, 1_000);
        budget.lease(100).measure(300, 600);
        assert_eq!(budget.lease(10).record_bytes, 10);
        let _next = budget.lease(100);
        assert_eq!(budget.used_bytes(), 600);
        budget.lease(1).measure(300, 50_000);
        assert_eq!(budget.expected_bytes(1), 1_000, "no more than there is");
    }

    #[test]
    fn the_memory_of_guests_counts_and_stops_no_batch_for_good() {
        let budget = Budget::new(4, 100);
        let mut guest = budget.hold();
        guest.set(200);
        assert!(budget.has_bytes(1_000), "nothing is in flight");
        let batch = budget.lease(1);
        assert!(!budget.has_bytes(1));
        drop((batch, guest));
        assert_eq!(budget.used_bytes(), 0);
    }
}
