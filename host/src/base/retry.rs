//! How long to wait before trying again.

use std::time::Duration;

/// First wait after a transient failure.
const FIRST: Duration = Duration::from_millis(100);
/// Longest wait between two tries: the end of an outage is noticed within this time.
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential backoff with jitter, from 100 ms to 5 s, without a limit on tries.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// How many waits were taken.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next wait: between half and all of the doubled bound, so that many hosts do not retry in
    /// step.
    pub fn next_delay(&mut self) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Sleeps for the next wait. Cancel safe.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_stay_there() {
        let mut backoff = Backoff::default();
        let delays: Vec<Duration> = (0..40).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] >= FIRST / 2 && delays[0] <= FIRST);
        assert!(delays[30..].iter().all(|delay| *delay >= LONGEST / 2 && *delay <= LONGEST));
    }
}
