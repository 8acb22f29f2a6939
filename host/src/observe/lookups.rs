//! The lookups as they are in memory, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A lookup as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupState {
    /// Its rows.
    pub rows: usize,
    /// What they take, in bytes.
    pub memory_bytes: usize,
    /// How long ago its source was read, or found to be unchanged.
    pub age: Duration,
}

/// Every lookup, told by who reads it.
#[derive(Debug, Default)]
pub struct LookupStates {
    read: Mutex<BTreeMap<String, (usize, usize, Instant)>>,
}

impl LookupStates {
    /// A lookup was read, or found to be unchanged.
    pub fn loaded(&self, lookup: &str, rows: usize, memory_bytes: usize) {
        self.read().insert(lookup.to_owned(), (rows, memory_bytes, Instant::now()));
    }

    /// Every lookup by its name, as it is now.
    pub fn now(&self) -> Vec<(String, LookupState)> {
        let state = |(rows, memory_bytes, read): &(usize, usize, Instant)| LookupState {
            rows: *rows,
            memory_bytes: *memory_bytes,
            age: read.elapsed(),
        };
        self.read().iter().map(|(name, read)| (name.clone(), state(read))).collect()
    }

    // A panic of another thread cannot leave it half changed.
    fn read(&self) -> MutexGuard<'_, BTreeMap<String, (usize, usize, Instant)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
