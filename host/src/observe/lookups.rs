//! The state of the lookups in memory, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The state of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupState {
    /// The number of its rows.
    pub rows: usize,
    /// Their memory, in bytes.
    pub memory_bytes: usize,
    /// How long ago its source was read, or found unchanged.
    pub age: Duration,
}

/// The states of all lookups, set by their readers.
#[derive(Debug, Default)]
pub struct LookupStates {
    read: Mutex<BTreeMap<String, (usize, usize, Instant)>>,
}

impl LookupStates {
    /// Notes that a lookup was read, or found unchanged.
    pub fn loaded(&self, lookup: &str, rows: usize, memory_bytes: usize) {
        self.read().insert(lookup.to_owned(), (rows, memory_bytes, Instant::now()));
    }

    /// The current state of every lookup, by name.
    pub fn now(&self) -> Vec<(String, LookupState)> {
        let state = |(rows, memory_bytes, read): &(usize, usize, Instant)| LookupState {
            rows: *rows,
            memory_bytes: *memory_bytes,
            age: read.elapsed(),
        };
        self.read().iter().map(|(name, read)| (name.clone(), state(read))).collect()
    }

    // A panic of another thread cannot leave a partial change.
    fn read(&self) -> MutexGuard<'_, BTreeMap<String, (usize, usize, Instant)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
