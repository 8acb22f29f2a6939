//! What is reported of waiting letters: the first that needs an operator, or else the first. A thousand
//! letters may wait at once, mostly for the same thing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::flow::hold::Hold;
use crate::flow::record::Origin;
use crate::observe::status::Waiter;

/// The waits of the letters of one batch.
pub struct Holds {
    waiter: Waiter,
    held: Mutex<BTreeMap<Origin, Hold>>,
}

impl Holds {
    /// No letter waits yet; dropping it ends all waits.
    pub fn new(waiter: Waiter) -> Self {
        Self { waiter, held: Mutex::default() }
    }

    /// Notes that this record's letter waits.
    pub fn hold(&self, origin: Origin, hold: Hold) {
        self.change(|held| {
            held.insert(origin, hold);
        });
    }

    /// Notes that this record's letter is written.
    pub fn release(&self, origin: Origin) {
        self.change(|held| {
            held.remove(&origin);
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Origin, Hold>)) {
        // A panic of another thread cannot leave it half changed.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told(&held).cloned();
        change(&mut held);
        if let Some(hold) = told(&held) {
            self.waiter.hold(hold.clone());
        } else if before.is_some() {
            self.waiter.release();
        }
    }
}

/// The hold to report.
fn told(held: &BTreeMap<Origin, Hold>) -> Option<&Hold> {
    let is_paused = |hold: &&Hold| matches!(hold, Hold::Paused(_));
    held.values().find(is_paused).or_else(|| held.values().next())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::status::Status;

    #[test]
    fn one_letter_speaks_for_all_and_a_pause_comes_before_a_wait() {
        let status = Arc::new(Status::default());
        let holds = Holds::new(status.waiter("dead letters"));
        let told = || status.texts().into_iter().collect::<Vec<_>>();
        holds.hold(3, Hold::Transient("no broker".into()));
        holds.hold(2, Hold::Paused("of 2".into()));
        holds.hold(1, Hold::Transient("no broker".into()));
        holds.hold(4, Hold::Paused("of 4".into()));
        assert_eq!(told(), ["dead letters: of 2"]);
        holds.release(2);
        assert_eq!(told(), ["dead letters: of 4"]);
        for origin in [4, 3] {
            holds.release(origin);
        }
        assert_eq!(told(), ["dead letters: no broker"]);
        holds.release(1);
        assert!(told().is_empty());
    }
}
