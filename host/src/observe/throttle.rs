//! Limits how often like events are logged.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one event of each key through in each time span, and counts the others.
///
/// Keys are never forgotten, so they must come from a closed list, such as rejection reasons.
#[derive(Debug)]
pub struct Throttle<K> {
    per: Duration,
    keys: Mutex<HashMap<K, ThrottleWindow>>,
}

#[derive(Debug)]
struct ThrottleWindow {
    began: Instant,
    suppressed: u64,
}

impl<K: Eq + Hash> Throttle<K> {
    /// Lets one event of each key through in each `per`.
    pub fn new(per: Duration) -> Self {
        Self { per, keys: Mutex::new(HashMap::new()) }
    }

    /// `Some` lets the event through, with the number of its key held back since the previous one;
    /// `None` holds it back.
    pub fn allow(&self, key: K) -> Option<u64> {
        self.allow_at(key, Instant::now())
    }

    fn allow_at(&self, key: K, now: Instant) -> Option<u64> {
        // A panic of another thread cannot leave a partial change.
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(window) = keys.get_mut(&key) else {
            keys.insert(key, ThrottleWindow { began: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(window.began) < self.per {
            window.suppressed += 1;
            return None;
        }
        window.began = now;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_key_passes_and_the_next_says_how_many_were_held_back() {
        let throttle = Throttle::new(Duration::from_secs(10));
        let start = Instant::now();
        let at = |key, seconds| throttle.allow_at(key, start + Duration::from_secs(seconds));
        assert_eq!(at("type_mismatch", 0), Some(0));
        assert_eq!(at("type_mismatch", 1), None);
        assert_eq!(at("out_of_range", 1), Some(0));
        assert_eq!(at("type_mismatch", 9), None);
        assert_eq!(at("type_mismatch", 10), Some(2));
        assert_eq!(at("type_mismatch", 20), Some(0));
    }
}
