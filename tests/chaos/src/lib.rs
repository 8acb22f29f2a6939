//! Chaos: hosts of one group between a real broker and a real engine, faults of every kind, and an
//! account of each record by partition and offset.
//!
//! `schedule` says what goes wrong and when, `faults` does and mends it, `run` is the whole from
//! the beginning to the report.

pub mod answers;
pub mod audit;
pub mod consult;
pub mod events;
pub mod faults;
pub mod fleet;
pub mod hosts;
pub mod kind;
pub mod letters;
pub mod operator;
pub mod options;
pub mod report;
pub mod run;
pub mod schedule;
pub mod stream;
pub mod trail;
