//! The rig of the end-to-end tests: the host as a process of its own, configured by environment
//! alone, between a Kafka and a ClickHouse that the test starts and stops.

mod acl;
mod audit;
mod broker;
mod changed;
mod host;
mod http;
mod job;
mod kafka;
mod limit;
mod preload;
mod tls;

pub use audit::{Load, NUMBERED, Numbered};
pub use broker::{Broker, BrokerSecurity};
pub use changed::changed;
pub use host::{Host, Ledger, PATIENCE, UNREAD_BYTES, once, once_within};
pub use http::Answer;
pub use job::{DEAD_LETTERS, GROUP, Job, TABLE, TOPIC};
pub use kafka::{
    DeadLetter, Message, commit, committed, end_offset, ensure_whole, produce, produce_batch,
    produced_at_ms, read_all,
};
pub use limit::MemoryLimit;
pub use preload::{Ask, Preload};
pub use tls::{Authority, TlsProxy};

use std::path::PathBuf;

use sluicegate_local::StackOptions;

/// The path that an environment variable of `cargo xtask test` gives.
///
/// # Errors
/// The variable is not set: the tests were started by hand.
pub fn path_of(variable: &str) -> anyhow::Result<PathBuf> {
    let value = std::env::var_os(variable)
        .ok_or_else(|| anyhow::anyhow!("{variable} is not set: run `cargo xtask test`"))?;
    Ok(value.into())
}

/// PLUGINS for some of those that `cargo xtask test` builds, each under its file's name.
///
/// # Errors
/// The tests were started by hand, as with [`path_of`].
pub fn plugins(files: &[&str]) -> anyhow::Result<String> {
    let folder = path_of("SLUICEGATE_PLUGINS")?;
    let entry = |file: &&str| format!("{file}={}", folder.join(format!("{file}.wasm")).display());
    Ok(files.iter().map(entry).collect::<Vec<_>>().join(","))
}

/// A stack without a log of its own.
///
/// # Errors
/// The tests were started by hand, as with [`path_of`].
pub fn stack_options() -> anyhow::Result<StackOptions> {
    Ok(StackOptions::new(path_of("SLUICEGATE_LOCAL")?).with_quiet())
}
