//! What a batch waits for outside of a stage: one thing at a time, and one wait for as long as it lasts,
//! however often the batch is tried.

use std::sync::Arc;

use crate::brake::Judged;
use crate::observe::status::{Status, Waiter};
use crate::outcome::Hold;

/// Where a batch is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// A plugin on decoded rows cannot go on.
    Plugins,
    /// By the brake, before the INSERT.
    Decode,
    /// By the brake, for what ClickHouse refuses.
    Refused,
    /// The rows wait until somebody acts.
    Insert,
}

/// The waits of one batch.
pub(super) struct Waits {
    plugins: Waiter,
    brake: Waiter,
    insert: Waiter,
    /// Where the batch is held, if it is.
    at: Option<At>,
}

impl Waits {
    pub fn new(status: &Arc<Status>) -> Self {
        let waiter = |who| status.waiter(who);
        let (plugins, brake, insert) = (waiter("plugins"), waiter("brake"), waiter("insert"));
        Self { plugins, brake, insert, at: None }
    }

    /// The batch is held here, and nowhere else any more.
    pub fn hold(&mut self, at: At, hold: Hold, judged: &Judged) {
        let is_brake = |at: At| matches!(at, At::Decode | At::Refused);
        if let Some(before) = self.at.filter(|before| *before != at)
            && !(is_brake(before) && is_brake(at))
        {
            self.let_through(before, judged);
        }
        self.at = Some(at);
        match at {
            At::Plugins => self.plugins.hold(hold),
            // How many records it is of changes from batch to batch.
            At::Decode | At::Refused => self.brake.hold_as("brake", hold),
            At::Insert => self.insert.hold(hold),
        }
    }

    /// Nothing holds the batch here.
    pub fn let_through(&mut self, at: At, judged: &Judged) {
        if self.at != Some(at) {
            return;
        }
        self.at = None;
        match at {
            At::Plugins => self.plugins.release(),
            At::Decode | At::Refused => {
                self.brake.release();
                judged.release();
            }
            At::Insert => self.insert.release(),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::brake::Brake;

    #[test]
    fn a_batch_is_told_to_wait_for_one_thing_at_a_time() {
        let status = Arc::new(Status::default());
        let mut waits = Waits::new(&status);
        let judged = Arc::new(Brake::new(0.5, str::to_owned)).batch();
        let told = || status.texts().into_iter().collect::<Vec<_>>();
        let hold = |text: &str| Hold::Paused(text.to_owned());
        for (at, expected) in [
            (At::Insert, "insert: held"),
            (At::Plugins, "plugins: held"),
            (At::Insert, "insert: held"),
            (At::Decode, "brake: held"),
            (At::Refused, "brake: held"),
            (At::Insert, "insert: held"),
            (At::Refused, "brake: held"),
            (At::Plugins, "plugins: held"),
        ] {
            waits.hold(at, hold("held"), &judged);
            assert_eq!(told(), [expected]);
        }
        waits.let_through(At::Insert, &judged);
        assert_eq!(told(), ["plugins: held"]);
        waits.let_through(At::Plugins, &judged);
        assert_eq!(told(), [""; 0]);
    }
}
