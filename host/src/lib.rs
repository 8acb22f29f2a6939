//! The library behind the `sluicegate` binary.
//!
//! The path of a batch is read in `pipeline`; each stage is a function of a batch, and no stage
//! knows another.

pub mod base;
pub mod check;
pub mod cli;
pub mod clickhouse;
pub mod config;
pub mod dead_letter;
pub mod decode;
pub mod delivery;
pub mod flow;
pub mod infer;
pub mod kafka;
pub mod kinds;
pub mod life;
pub mod limits;
pub mod observe;
pub mod pipeline;
pub mod plugins;
pub mod schema;
pub mod sink;
pub mod source;
pub mod user_schema;
pub mod words;
