//! The breaker: if a plugin fails on many records, the plugin is broken, not the records.

use std::sync::{Mutex, PoisonError};

/// About how many of the last rows a plugin is judged by.
const WINDOW_ROWS: u64 = 10_000;
/// Minimum rows to judge by: among fewer, a few failures are a large share.
const MIN_ROWS: u64 = 1_000;

/// The share of rows that a plugin may fail on.
#[derive(Debug)]
pub struct Breaker {
    max_share: f64,
    window: Mutex<BreakerWindow>,
}

#[derive(Debug, Clone, Copy, Default)]
struct BreakerWindow {
    rows: u64,
    failed: u64,
}

impl Breaker {
    /// A breaker at this share, 0 to 1.
    pub fn new(max_share: f64) -> Self {
        Self { max_share, window: Mutex::default() }
    }

    /// How many of the next `rows` rows may fail.
    pub fn allowance(&self, rows: usize) -> usize {
        let window = *self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = (window.rows + rows as u64).max(MIN_ROWS);
        #[allow(clippy::cast_possible_truncation)]
        let most = (seen as f64 * self.max_share) as u64;
        usize::try_from(most.saturating_sub(window.failed)).unwrap_or(usize::MAX)
    }

    /// Counts rows that are finished.
    pub fn note(&self, rows: usize, failed: usize) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.rows += rows as u64;
        window.failed += failed as u64;
        while window.rows > WINDOW_ROWS {
            *window = BreakerWindow { rows: window.rows / 2, failed: window.failed / 2 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_follows_the_share_of_the_last_rows() {
        let breaker = Breaker::new(0.05);
        assert_eq!(breaker.allowance(1), 50);
        assert_eq!(breaker.allowance(100_000), 5_000);
        breaker.note(1_000, 50);
        assert_eq!(breaker.allowance(1), 0);
        assert_eq!(breaker.allowance(1_000), 50);
        for _ in 0..20 {
            breaker.note(5_000, 0);
        }
        assert!(breaker.allowance(1) >= 250);
    }
}
