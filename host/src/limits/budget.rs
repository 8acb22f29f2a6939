//! The limits on batches in flight: their number, and their bytes.
//!
//! The source asks before it reads on, and a batch holds a [`Lease`] until it is settled, so a slow sink stops the
//! data queue from being drained. Columns are made within the batch's grant, and the grants of all batches together
//! stay within the budget. Only the oldest batch may take more, for a record that fits no grant; to become the
//! oldest is all that the budget makes a batch wait for. A batch may wait for an older one for other reasons, but
//! never for a younger one.
//!
//! The bytes are working memory: the records, what plugins made of them, the columns, the body of the INSERT, and
//! the memory of guests. The memory for each byte of a record differs between tables, so it is learnt from earlier
//! batches.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::flow::record::MOST_RECORD_BYTES;
use crate::schema::width::RowBytes;

/// Least bytes of working memory expected for 100 bytes of records: the arena's copy, and as much again for
/// unmeasured overhead.
const MIN_PERCENT: usize = 200;
/// How slowly a high measurement decays: by one part in this many with each lower one.
const FORGETTING: usize = 8;

/// The least share of a batch's columns: one part in this many of the budget.
const LEAST_SHARE: usize = 32;
/// The limit of a record: one part in this many of the budget. Batches have three quarters of MEMORY_BUDGET_BYTES,
/// so this is a quarter of it.
const RECORD_SHARE: usize = 3;
/// A batch below one part in this many of the budget is too small to learn from.
const TELLING_SHARE: usize = 1024;
/// Marks an unknown value.
const UNKNOWN: usize = usize::MAX;

/// Counts the batches in flight and their bytes.
#[derive(Debug)]
pub struct Budget {
    max_batches: usize,
    max_bytes: usize,
    batches: AtomicUsize,
    bytes: AtomicUsize,
    /// The bytes granted to batches or held otherwise.
    granted: AtomicUsize,
    /// The number of the next batch.
    next: AtomicU64,
    /// The numbers of batches that have columns or will have them.
    open: Mutex<BTreeSet<u64>>,
    /// Notifies when a batch has dropped its columns.
    closed: Notify,
    /// Bytes of working memory that 100 bytes of records took.
    percent: AtomicUsize,
    /// Fixed bytes of each row of the table, or [`UNKNOWN`].
    row_bytes: AtomicUsize,
    /// Most bytes of an element of an array or a map of the table.
    element_bytes: AtomicUsize,
}

impl Budget {
    /// A budget of `max_batches` batches and `max_bytes` bytes of working memory.
    pub fn new(max_batches: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_batches,
            max_bytes,
            batches: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            granted: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            closed: Notify::new(),
            percent: AtomicUsize::new(MIN_PERCENT),
            row_bytes: AtomicUsize::new(UNKNOWN),
            element_bytes: AtomicUsize::new(0),
        })
    }

    /// Fixed bytes of each row of the table; `None` before the table is known.
    pub fn row_bytes(&self) -> Option<usize> {
        Some(self.row_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// Most bytes of an element of an array or a map of the table.
    pub fn element_bytes(&self) -> usize {
        self.element_bytes.load(Ordering::Relaxed)
    }

    /// Sets the bytes of each row, unless they are known.
    pub fn expect_rows_of(&self, row: RowBytes) {
        self.element_bytes.fetch_max(row.element(), Ordering::Relaxed);
        // An earlier value is as good.
        let _known = self.row_bytes.compare_exchange(
            UNKNOWN,
            row.fixed(),
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

    /// Whether a batch under construction may grow past `record_bytes` bytes of records. Always true when nothing is
    /// in flight, so that a batch larger than the budget still gets through.
    pub fn has_bytes(&self, record_bytes: usize) -> bool {
        let used = self.used_bytes().saturating_add(self.expected_bytes(record_bytes));
        self.batches() == 0 || used < self.max_bytes
    }

    fn expected_bytes(&self, record_bytes: usize) -> usize {
        let expected = record_bytes.saturating_mul(self.percent.load(Ordering::Acquire)) / 100;
        expected.min(self.max_bytes.max(record_bytes))
    }

    /// Grants `wanted` bytes and a share of the free rest, as far as available; at least `least`.
    fn grant(&self, wanted: usize, least: usize) -> usize {
        let mut granted = 0;
        let grant = |others: usize| {
            let free = self.max_bytes.saturating_sub(others);
            let own = wanted.min(free);
            granted = (own + (free - own) / self.batches().max(1)).max(least);
            Some(others + granted)
        };
        // The closure always returns a value.
        let _granted = self.granted.try_update(Ordering::AcqRel, Ordering::Acquire, grant);
        granted
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

    /// Takes a slot and the bytes of a batch, even if there is no room: a rebalance must hand over its batch.
    pub fn lease(self: &Arc<Self>, record_bytes: usize) -> Lease {
        self.batches.fetch_add(1, Ordering::AcqRel);
        let HeldBytes { mut used, granted } = self.hold();
        used.set(self.expected_bytes(record_bytes));
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        self.open().insert(number);
        Lease { number, record_bytes, used, granted }
    }

    /// Begins to hold bytes outside of any batch: the memory of a guest, or letters.
    pub fn hold(self: &Arc<Self>) -> HeldBytes {
        HeldBytes {
            used: self.counted(|budget| &budget.bytes),
            granted: self.counted(|budget| &budget.granted),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, number: u64) {
        self.open().remove(&number);
        self.closed.notify_waiters();
    }

    fn counted(self: &Arc<Self>, sum: fn(&Self) -> &AtomicUsize) -> Counted {
        Counted { budget: Arc::clone(self), sum, bytes: 0 }
    }
}

/// Bytes in use outside of any batch, returned when dropped.
#[derive(Debug)]
pub struct HeldBytes {
    used: Counted,
    granted: Counted,
}

impl HeldBytes {
    /// Sets their number.
    pub fn set(&mut self, bytes: usize) {
        self.used.set(bytes);
        self.granted.set(bytes);
    }
}

/// Bytes counted in one of the sums, subtracted when dropped.
#[derive(Debug)]
struct Counted {
    budget: Arc<Budget>,
    sum: fn(&Budget) -> &AtomicUsize,
    bytes: usize,
}

impl Counted {
    fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let sum = (self.sum)(&self.budget);
        sum.fetch_add(bytes, Ordering::AcqRel);
        sum.fetch_sub(before, Ordering::AcqRel);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A batch's share of the budget, returned when dropped.
#[derive(Debug)]
pub struct Lease {
    /// Older batches have smaller numbers.
    number: u64,
    record_bytes: usize,
    used: Counted,
    granted: Counted,
}

impl Lease {
    /// How many bytes the batch's columns may take: its expected bytes, and its share of the bytes not granted. Call
    /// it before the columns are made, after earlier ones are dropped. Its records hold `held` bytes, each of `rows`
    /// rows takes at least what `row` says, and columns exist `copies` times.
    pub fn room(&mut self, held: usize, row: RowBytes, rows: usize, copies: usize) -> usize {
        self.granted.set(0);
        let budget = Arc::clone(&self.used.budget);
        budget.row_bytes.store(row.fixed(), Ordering::Relaxed);
        budget.element_bytes.store(row.element(), Ordering::Relaxed);
        let known = row.fixed().saturating_mul(rows).saturating_mul(copies);
        let wanted = budget.expected_bytes(self.record_bytes).max(held.saturating_add(known));
        let least = held.saturating_add(budget.max_bytes / LEAST_SHARE);
        self.granted.bytes = budget.grant(wanted, least);
        self.used.set(wanted.min(self.granted.bytes));
        self.granted.bytes.saturating_sub(held) / copies.max(1)
    }

    /// Waits until no older batch has columns; then this one may exceed its grant.
    ///
    /// # Cancel safety
    /// If dropped, nothing happens.
    pub async fn become_oldest(&self) {
        let budget = &self.used.budget;
        loop {
            let closed = budget.closed.notified();
            if budget.open().first().is_none_or(|oldest| *oldest >= self.number) {
                return;
            }
            closed.await;
        }
    }

    /// Most bytes that one record may take in columns beside its own text.
    pub fn most_record_bytes(&self) -> usize {
        self.used.budget.most_record_bytes()
    }

    /// Sets the working memory of the batch. If only a part of it was decoded, `whole` is the estimate for all of
    /// it. The next batches are expected to take as much.
    pub fn measure(&mut self, bytes: usize, whole: usize) {
        self.used.set(bytes.max(self.record_bytes.saturating_mul(MIN_PERCENT) / 100));
        self.granted.set(bytes);
        let budget = &self.used.budget;
        if self.record_bytes < budget.max_bytes / TELLING_SHARE {
            return;
        }
        let whole = bytes.max(whole.min(budget.max_bytes));
        let percent = whole.saturating_mul(100) / self.record_bytes.max(1);
        let learn =
            |before: usize| Some(percent.max(before - before / FORGETTING).max(MIN_PERCENT));
        // The closure always returns a value.
        let _learnt = budget.percent.try_update(Ordering::AcqRel, Ordering::Acquire, learn);
    }

    /// Notes that the batch has dropped its columns and now takes only this many bytes; nothing is learnt from it.
    pub fn lower(&mut self, bytes: usize) {
        self.used.budget.close(self.number);
        self.used.set(bytes.min(self.used.bytes));
        self.granted.set(bytes.min(self.granted.bytes));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.used.budget.close(self.number);
        self.used.budget.batches.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::table::{ColumnRow, TableSchema};

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

    fn row(types: &[(&str, &str)]) -> RowBytes {
        let rows = types.iter().map(|(name, ty)| ColumnRow {
            name: (*name).to_owned(),
            ty: (*ty).to_owned(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        RowBytes::of(&TablePlan::new(&schema, &Rules::default()).unwrap())
    }

    #[test]
    fn columns_get_what_is_expected_of_their_batch_and_a_share_of_what_is_free() {
        let budget = Budget::new(4, 1_000);
        let (mut first, mut second) = (budget.lease(100), budget.lease(100));
        assert_eq!(budget.row_bytes(), None);
        budget.expect_rows_of(row(&[("a", "FixedString(6)")]));
        assert_eq!(budget.row_bytes(), Some(7));
        // 200 are expected of each.
        assert_eq!(first.room(100, row(&[("a", "Int8")]), 10, 2), (200 + 800 / 2 - 100) / 2);
        assert_eq!(budget.used_bytes(), 400, "what may be taken is not held before it is");
        let wide = row(&[("a", "FixedString(24)")]);
        assert_eq!(second.room(100, wide, 10, 2), (400 - 100) / 2, "what the first one left");
        assert_eq!(budget.row_bytes(), Some(25));
        budget.expect_rows_of(row(&[("a", "FixedString(6)")]));
        assert_eq!(budget.row_bytes(), Some(25), "of a batch, what plugins plan with included");
        let mut third = budget.lease(200);
        assert_eq!(third.room(400, wide, 10, 2), 1_000 / LEAST_SHARE / 2, "there is always some");
        first.measure(150, 150);
        assert_eq!(
            second.room(100, row(&[("a", "Int8")]), 1, 1),
            (200 + (1_000 - 150 - 431 - 200) / 3) - 100
        );
    }

    #[test]
    fn what_a_part_took_gives_the_next_one_no_more_room() {
        let budget = Budget::new(4, 1_000);
        let mut lease = budget.lease(1);
        let room = lease.room(1, row(&[("a", "Int8")]), 1, 1);
        for _ in 0..3 {
            lease.measure(5_000, 5_000);
            let again = lease.room(1, row(&[("a", "Int8")]), 1, 1);
            assert!(again <= 999 && room <= 999, "{room}, {again}");
        }
        let mut others = [budget.lease(1), budget.lease(1), budget.lease(1)];
        let rooms = others.each_mut().map(|other| other.room(1, row(&[("a", "Int8")]), 1, 1));
        assert!(rooms.iter().sum::<usize>() <= 3 * (1_000 / LEAST_SHARE), "{rooms:?}");
    }

    #[test]
    fn only_the_oldest_batch_takes_more_than_it_was_granted() {
        let budget = Budget::new(4, 1_000);
        let [mut first, second, third] = [1, 1, 1].map(|bytes| budget.lease(bytes));
        let may = |lease: &Lease| lease.become_oldest().now_or_never().is_some();
        assert_eq!([may(&first), may(&second), may(&third)], [true, false, false]);
        drop(second);
        let mut waiting = Box::pin(third.become_oldest());
        assert!(waiting.as_mut().now_or_never().is_none());
        first.lower(1);
        assert!(waiting.now_or_never().is_some(), "one without columns is in nobody's way");
        assert!(may(&third));
    }

    #[test]
    fn a_batch_of_a_few_bytes_says_nothing_of_large_ones() {
        let budget = Budget::new(4, 1_024_000);
        budget.lease(999).measure(900_000, 900_000);
        assert_eq!(budget.expected_bytes(1_000), 2_000);
        budget.lease(1_000).measure(900_000, 900_000);
        assert_eq!(budget.expected_bytes(1_000), 900_000);
        assert_eq!(budget.expected_bytes(10_000), 1_024_000, "no more than there is");
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
