//! Exactly once: what is planned for each partition, so that whoever owns it next sends the same
//! INSERTs under the same tokens. docs/exactly-once.md tells the protocol and why it holds.
//!
//! [`Plan`] is the text in the commit metadata, [`Planner`] what the owner of partitions knows of
//! them, [`Plans`] the way by which a batch in flight asks for more. All of it is pure: no clock, no
//! I/O, no randomness but that of the nonces.

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
