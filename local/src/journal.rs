//! The INSERTs that were seen, so that tests can assert on their settings and tokens.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sluicegate_local::SeenInsert;

/// How many INSERTs are remembered; the oldest go first.
const MAX_INSERTS: usize = 10_000;

/// A statement is kept up to this many bytes: rows may be part of it.
const MAX_SQL_BYTES: usize = 4 * 1024;

/// The last [`MAX_INSERTS`] INSERTs.
#[derive(Default)]
pub struct Journal {
    inner: Mutex<(u64, VecDeque<SeenInsert>)>,
}

impl Journal {
    /// Adds one; its `sequence` is set here.
    pub fn add(&self, mut seen: SeenInsert) {
        seen.sql.truncate(seen.sql.floor_char_boundary(MAX_SQL_BYTES));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, list) = &mut *inner;
        seen.sequence = *next;
        *next += 1;
        if list.len() >= MAX_INSERTS {
            list.pop_front();
        }
        list.push_back(seen);
    }

    /// Those whose statement holds `matches`, oldest first.
    pub fn list(&self, matches: &str) -> Vec<SeenInsert> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.iter().filter(|seen| seen.sql.contains(matches)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sql: &str) -> SeenInsert {
        SeenInsert {
            sequence: 0,
            sql: sql.to_owned(),
            settings: [].into(),
            body_bytes: 0,
            outcome_code: 0,
            written_rows: 0,
        }
    }

    #[test]
    fn forgets_the_oldest_and_keeps_counting() {
        let journal = Journal::default();
        for _ in 0..=MAX_INSERTS {
            journal.add(seen("INSERT INTO a"));
        }
        journal.add(seen("INSERT INTO b"));
        assert_eq!(journal.list("").len(), MAX_INSERTS);
        assert_eq!(journal.list("").first().map(|s| s.sequence), Some(2));
        assert_eq!(journal.list(" b").len(), 1);
    }

    #[test]
    fn cuts_a_long_statement_between_characters() {
        let journal = Journal::default();
        journal.add(seen(&"é".repeat(MAX_SQL_BYTES)));
        assert_eq!(journal.list("")[0].sql.len(), MAX_SQL_BYTES);
    }
}
