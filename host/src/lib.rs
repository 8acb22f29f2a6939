//! The library behind the `sluicegate` binary.
//!
//! The path of a batch is read in `pipeline`; each stage is a function of a batch, and no stage
//! knows another.

pub mod admit;
pub mod allocator;
pub mod arenas;
pub mod blocking;
pub mod brake;
pub mod budget;
pub mod check;
pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod decode;
pub mod exactly_once;
pub mod fates;
#[cfg_attr(not(feature = "hooks"), path = "no_hooks.rs")]
pub mod hooks;
pub mod infer;
pub mod kafka;
pub mod kinds;
#[cfg_attr(not(feature = "hooks"), path = "no_lookups.rs")]
pub mod lookups;
pub mod near;
pub mod observe;
pub mod offsets;
pub mod outcome;
pub mod parts;
pub mod payloads;
pub mod pipeline;
pub mod plain;
pub mod plans;
pub mod record;
pub mod rejection;
pub mod retry;
pub mod rows;
pub mod run;
pub mod schema;
pub mod sink;
pub mod source;
pub mod split;
pub mod tables;
pub mod user_schema;
