//! Records that are the same in every run: the speed bench times the host's work on them, and the suite
//! `instructions` counts it. The binary of this package is what is counted, `checks` counts it.

mod clicks;
pub mod data;
mod github;

/// Records of the batch that is counted.
pub const RECORDS: usize = 3_000;
