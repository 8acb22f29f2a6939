//! Hostile input in bulk: generated records and plugins against the host under a container's memory limit.
//! `tests/e2e/memory.rs`, `tests/e2e/hostile_plugins.rs` and others hold the single cases.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod components;
mod dense;
mod guest;
mod plugins;
mod records;
mod sweep;
