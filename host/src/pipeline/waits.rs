//! What a batch waits for on its path.

use std::sync::Arc;

use crate::brake::Judged;
use crate::observe::status::{Status, Waiter};
use crate::outcome::Hold;

/// Where the brake is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before the INSERT.
    Decode,
    /// Of what ClickHouse refuses.
    Insert,
}

/// What a batch waits for outside of a stage: one wait for as long as it lasts, however often the batch is
/// tried.
pub struct Waits {
    /// For plugins.
    pub plugins: Waiter,
    brake: Waiter,
    /// For ClickHouse.
    pub insert: Waiter,
    /// Where the brake holds the batch, if it does.
    braked: Option<At>,
}

impl Waits {
    /// Nothing is waited for.
    pub fn new(status: &Arc<Status>) -> Self {
        let waiter = |who| status.waiter(who);
        let (plugins, brake, insert) = (waiter("plugins"), waiter("brake"), waiter("insert"));
        Self { plugins, brake, insert, braked: None }
    }

    /// The brake holds the batch.
    pub fn brake(&mut self, at: At, hold: Hold) {
        // How many records it is of changes from batch to batch.
        self.brake.hold_as("brake", hold);
        self.braked = Some(at);
    }

    /// The brake holds nothing of the batch here.
    pub fn let_through(&mut self, at: At, judged: &Judged) {
        if self.braked == Some(at) {
            self.brake.release();
            judged.release();
            self.braked = None;
        }
    }
}
