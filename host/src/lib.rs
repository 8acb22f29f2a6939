//! The library behind the `sluicegate` binary.
//!
//! The path of a batch is read in `pipeline`; each stage is a function of a batch, and no stage
//! knows another.

pub mod admit;
pub mod blocking;
pub mod brake;
pub mod budget;
pub mod config;
pub mod fates;
pub mod observe;
pub mod offsets;
pub mod outcome;
pub mod record;
pub mod rejection;
pub mod retry;
