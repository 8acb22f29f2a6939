//! The library behind the `sluicegate` binary.
//!
//! The path of a batch is read in `pipeline`; each stage is a function of a batch, and no stage
//! knows another.

pub mod record;
pub mod rejection;
