//! What bounds the batches in flight: a number of them, and bytes.
//!
//! Nothing ever waits on the budget. The source asks before it reads on; a batch holds a
//! [`Lease`] until it is settled. So a slow sink is felt as a data queue that is not drained.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of working memory that a byte of a record costs on its way: the arena's copy, and at
/// most as much again for the columns and the INSERT body made from it.
const BYTES_PER_RECORD_BYTE: usize = 2;

/// Counts the batches in flight and their bytes.
#[derive(Debug)]
pub struct Budget {
    max_batches: usize,
    max_bytes: usize,
    batches: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    /// A budget of `max_batches` batches and `max_bytes` bytes of working memory.
    pub fn new(max_batches: usize, max_bytes: usize) -> Arc<Self> {
        let (batches, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { max_batches, max_bytes, batches, bytes })
    }

    /// Whether one more batch may be handed over.
    pub fn has_slot(&self) -> bool {
        self.batches.load(Ordering::Acquire) < self.max_batches
    }

    /// Whether a batch being built may grow past `record_bytes` bytes of records. Always true
    /// when nothing is in flight, so that a batch larger than the budget still gets through.
    pub fn has_bytes(&self, record_bytes: usize) -> bool {
        let used = self.bytes.load(Ordering::Acquire);
        used == 0 || used.saturating_add(record_bytes * BYTES_PER_RECORD_BYTE) < self.max_bytes
    }

    /// How many batches are in flight.
    pub fn batches(&self) -> usize {
        self.batches.load(Ordering::Acquire)
    }

    /// Bytes of working memory that they hold.
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
        let bytes = record_bytes * BYTES_PER_RECORD_BYTE;
        self.batches.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        Lease { budget: Arc::clone(self), bytes }
    }
}

/// A batch's share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.batches.fetch_sub(1, Ordering::AcqRel);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
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
}
