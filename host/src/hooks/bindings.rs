//! The host's side of `wit/plugin.wit`, generated.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "rows-plugin",
});

pub use sluicegate::plugin::host;
#[cfg(test)]
pub use sluicegate::plugin::types::Rejection;
pub use sluicegate::plugin::types::{Action, Batch, Header, Outcome, Run, Wants};
