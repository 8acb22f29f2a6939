//! Exactly once: the plan of each partition, so that its next owner sends the same INSERTs under the same
//! tokens. docs/exactly-once.md describes the protocol and why it holds.
//!
//! [`Plan`] is the text in the commit metadata, [`Planner`] holds the plans of the owned partitions, and a
//! batch in flight uses [`Plans`] to ask for more. All of it is pure: no clock, no I/O, no randomness but
//! that of the nonces.

mod planner;
mod range;
mod request;
mod text;

pub use planner::{Planner, TakenRange};
pub use range::Range;
pub use request::{DraftRange, PlanRequest, Plans, Replan};
pub use text::{
    Beginning, Home, MAX_PLANNED, Plan, Planned, column_fingerprint, decide_beginning,
    short_fingerprint,
};
