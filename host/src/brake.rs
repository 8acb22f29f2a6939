//! The brake: a batch that is mostly refused is an outage in disguise (a bad deploy of a
//! producer, a bad ALTER), and a dead letter topic full of it would hide that.

use crate::fates::{Fate, Fates};
use crate::outcome::Hold;

/// The brake is judged on batches of at least this many records: in a small one a few bad
/// records are a large share.
const MIN_RECORDS: usize = 1_000;

/// The share of a batch that may be refused.
#[derive(Debug, Clone, Copy)]
pub struct Brake {
    max_share: f64,
}

impl Brake {
    /// A brake at this share, 0 to 1.
    pub fn new(max_share: f64) -> Self {
        Self { max_share }
    }

    /// Whether `more` rejections of this batch are too many; judged before they are written.
    pub fn judge(&self, fates: &Fates, more: usize) -> Option<Hold> {
        (more > self.allowance(fates)).then(|| {
            self.hold(&format!("{more} of {} records of a batch are rejected", fates.len()))
        })
    }

    /// How many more records of the batch may be refused.
    pub fn allowance(&self, fates: &Fates) -> usize {
        if fates.len() < MIN_RECORDS {
            return usize::MAX;
        }
        #[allow(clippy::cast_possible_truncation)]
        let most = (fates.len() as f64 * self.max_share) as usize;
        most.saturating_sub(usize::try_from(fates.count(Fate::DeadLettered)).unwrap_or(usize::MAX))
    }

    /// The pause that a pulled brake is.
    pub fn hold(&self, text: &str) -> Hold {
        Hold::Paused(format!(
            "more than {} % of a batch is refused, so no more of it is dead-lettered; mend the \
             producer or the table, or, with a restart, the plugin or DLQ_MAX_SHARE: {text}",
            // To the fourth digit: 0.07 * 100.0 is 7.000000000000001.
            (self.max_share * 1_000_000.0).round() / 10_000.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_is_pulled_above_the_share_of_a_large_batch_only() {
        let brake = Brake::new(0.5);
        let mut fates = Fates::new(1_000);
        assert!(brake.judge(&fates, 500).is_none());
        assert!(brake.judge(&fates, 501).is_some());
        fates.settle(0..400, Fate::DeadLettered);
        assert_eq!(brake.allowance(&fates), 100);
        assert!(brake.judge(&fates, 101).is_some());
        assert!(brake.judge(&Fates::new(999), 999).is_none());
    }

    #[test]
    fn the_share_is_told_as_it_was_set() {
        for (share, told) in [(0.07, "7 %"), (0.29, "29 %"), (0.0005, "0.05 %"), (1.0, "100 %")] {
            let hold = Brake::new(share).hold("x");
            assert!(hold.text().starts_with(&format!("more than {told} of")), "{hold:?}");
        }
    }
}
