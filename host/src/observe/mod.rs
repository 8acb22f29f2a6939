//! What an operator sees: the log, the probes, the metrics, and what the host waits for.

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

/// The states of the host that an operator sees, shared by who makes them.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What is waited for.
    pub status: Arc<Status>,
    /// How much of the last records is refused.
    pub brake: Arc<Brake>,
    /// How far each partition has come.
    pub progress: Arc<Progress>,
    /// What the batches in flight hold.
    pub budget: Arc<Budget>,
    /// What plugins look things up in.
    pub lookups: Arc<LookupStates>,
}
