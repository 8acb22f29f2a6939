//! Fuzzing of what reads bytes of others: records, type texts, plans, answers of plugins, schemas.
//!
//! A [`targets::Target`] takes bytes and checks properties. The [`engine::Engine`] makes the bytes from a
//! corpus by mutation, and keeps those whose outcome is new. It needs neither a nightly compiler nor
//! instrumentation, so that `cargo xtask test` and `cargo xtask fuzz` share one build with the other suites.

pub mod corpus;
pub mod engine;
pub mod mutate;
pub mod panics;
pub mod targets;
