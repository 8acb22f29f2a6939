//! What an operator sees: the log, the probes, the metrics, and the current waits.

pub mod admin;
mod connections;
pub mod count;
pub mod cpu;
pub mod envelopes;
pub mod exposition;
mod lines;
pub mod log;
pub mod lookups;
pub mod metrics;
pub mod progress;
pub mod rejections;
pub mod status;
pub mod throttle;
pub mod unknown_fields;
pub mod unreached;

use std::sync::Arc;

use crate::limits::brake::Brake;
use crate::limits::budget::Budget;
use lookups::LookupStates;
use progress::Progress;
use status::Status;

/// The host's states that an operator sees, shared by the parts that set them.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The current waits.
    pub status: Arc<Status>,
    /// The share of the last records that is rejected.
    pub brake: Arc<Brake>,
    /// The progress in each partition.
    pub progress: Arc<Progress>,
    /// The memory of the batches in flight.
    pub budget: Arc<Budget>,
    /// The lookups of plugins.
    pub lookups: Arc<LookupStates>,
}
