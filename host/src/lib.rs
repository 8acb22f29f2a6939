//! The library behind the `sluicegate` binary.
//!
//! `pipeline` shows the path of a batch; each stage is a function of a batch, and no stage knows
//! another.

pub mod base;
pub mod cli;
pub mod clickhouse;
pub mod config;
pub mod dead_letter;
pub mod delivery;
pub mod kafka;
pub mod life;
pub mod limits;
pub mod observe;
pub mod pipeline;
pub mod plugins;
pub mod sink;
pub mod source;

pub use sluicegate_records::{check, decode, flow, infer, json_order, schema, user_schema, words};
